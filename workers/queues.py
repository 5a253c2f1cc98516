"""The queues, one per room that works in the background. docker-compose.yml must consume each; a test looks."""

from kombu import Exchange, Queue

INBOX = "inbox"
ADVANCE = "advance"
DELIVER = "deliver"
FEEDBACK = "feedback"
MEASUREMENT = "measurement"
#: The key of a bell for every shard, or every lane.
ALL = "all"

NAMES = (INBOX, ADVANCE, DELIVER, FEEDBACK, MEASUREMENT)
# Each with an exchange of its own: without one all would share the default's, and get each other's messages.
QUEUES = tuple(Queue(name, Exchange(name), routing_key=name) for name in NAMES)
#: Task -> where its messages go.
ROUTES = {
    "nurture.hand_in": {"queue": INBOX},
    "nurture.inbox.*": {"queue": INBOX},
    "nurture.advance.*": {"queue": ADVANCE},
    "nurture.deliver.*": {"queue": DELIVER},
    "nurture.feedback.*": {"queue": FEEDBACK},
    "nurture.measurement.*": {"queue": MEASUREMENT},
}

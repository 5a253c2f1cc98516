"""The queues, one per room that works in the background. docker-compose.yml must consume each; a test checks it."""

from kombu import Exchange, Queue

from nurture.database.notifications import ADVANCE, DELIVER, FEEDBACK, INBOX, MEASUREMENT

NAMES = (INBOX, ADVANCE, DELIVER, FEEDBACK, MEASUREMENT)
# Each has an exchange of its own: with the default's they would all get each other's messages.
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

"""The queues, one per room that works in the background. docker-compose.yml must consume each; a test looks."""

from kombu import Queue

INBOX = "inbox"
ADVANCE = "advance"
DELIVER = "deliver"
FEEDBACK = "feedback"
MEASUREMENT = "measurement"

NAMES = (INBOX, ADVANCE, DELIVER, FEEDBACK, MEASUREMENT)
QUEUES = tuple(Queue(name) for name in NAMES)
#: Task -> where its messages go.
ROUTES = {
    "nurture.hand_in": {"queue": INBOX},
    "nurture.inbox.*": {"queue": INBOX},
    "nurture.advance.*": {"queue": ADVANCE},
    "nurture.deliver.*": {"queue": DELIVER},
    "nurture.feedback.*": {"queue": FEEDBACK},
    "nurture.measurement.*": {"queue": MEASUREMENT},
}

"""The answers to webhooks, by the reason why a call is refused."""

from dataclasses import dataclass
from typing import Final

from nurture.reports.metrics import count

#: Largest body; the largest batches of any sender are far smaller.
BODY_BYTES_MAX: Final = 2 * 1024 * 1024

#: Reason of a refusal -> HTTP status and text. A refused call changes nothing but a counter.
ANSWERS: Final[dict[str, tuple[int, str]]] = {
    "off": (404, "Not found."),
    "unsigned": (401, "The call carries no signature."),
    "forged": (403, "The signature is not right."),
    "stale": (403, "The signature is too old."),
    "foreign": (403, "The call is not from an account of ours."),
    "oversized": (413, "The body is too large."),
    "unreadable": (400, "The body cannot be read."),
}


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The HTTP status and text of a response."""

    status: int
    text: str


def refuse(reason: str, *, room: str, status: int | None = None) -> WebhookAnswer:
    """Count a refused call under a room's counters and return its response. status: instead of the usual one."""
    count(room, {reason: 1})
    usual, text = ANSWERS[reason]
    return WebhookAnswer(status or usual, text)

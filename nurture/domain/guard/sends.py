"""A send: one measure handed by operators to one person, a list or an audience. Its states, and its rate.

The guard keeps the rate: each mail of a rated send takes the next free place in an even row of places, and a mail whose
place is still ahead is deferred to it. So a pause, a night or an outage never ends in a burst.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from nurture.domain.errors import InputError
from nurture.domain.instant import HOUR, MINUTE, Duration, Instant

#: The wish of the operators (`sends.state`).
SendControl = Literal["running", "paused", "cancelled"]
SendState = Literal[
    "waiting_for_approval",
    "rejected",
    "lapsed",
    "scheduled",
    "handing_in",
    "sending",
    "paused",
    "cancelled",
    "done",
]
#: State -> meaning, in the order in which a send goes through them.
SEND_STATES: Final[dict[SendState, str]] = {
    "waiting_for_approval": "a second operator has not approved it yet",
    "rejected": "an operator rejected it; nothing was sent",
    "lapsed": "nobody approved it within a day; nothing was sent",
    "scheduled": "everybody is handed in, and no mail may leave before its time",
    "handing_in": "people are being handed to the inbox, page by page",
    "sending": "everybody is handed in; some are not decided or some mail waits",
    "paused": "no mail of it leaves until it is resumed",
    "cancelled": "what had not left was cancelled",
    "done": "everybody is decided, and no mail of it waits",
}
#: States in which a send may still change by itself.
OPEN_STATES: Final[frozenset[SendState]] = frozenset(
    {"waiting_for_approval", "scheduled", "handing_in", "sending", "paused"}
)
#: The reason with which the guard defers a mail to its place in the row.
RATE_REASON: Final = "send_rate"
#: A mail that comes later than this to its place takes a new one.
_PLACE_KEPT: Final[Duration] = MINUTE
_RATE: Final = re.compile(r"(\d{1,9})\s*/\s*(h|hour|min|minute|m)", re.IGNORECASE)
_RATE_MAX: Final = 36_000_000


@dataclass(frozen=True, slots=True)
class SendFacts:
    """The facts from which the state of a send follows."""

    # The second operator's answer; "" where none was needed.
    approval: Literal["", "waiting", "approved", "rejected"] = ""
    # Until when it may be approved.
    approval_until: Instant = 0
    control: SendControl = "running"
    # True when everybody is in the inbox, or was.
    is_handed_in: bool = False
    # Events that the inbox has not applied yet, and mails that are neither sent nor ended.
    open_items: int = 0
    # The earliest instant at which mail may leave.
    send_at: Instant | None = None


def send_state(facts: SendFacts, *, now: Instant) -> SendState:
    """Return the state of a send."""
    if facts.approval == "rejected":
        return "rejected"
    if facts.approval == "waiting":
        return "waiting_for_approval" if now < facts.approval_until else "lapsed"
    if facts.control == "cancelled":
        return "cancelled"
    if facts.is_handed_in and not facts.open_items:
        return "done"
    if facts.control == "paused":
        return "paused"
    if not facts.is_handed_in:
        return "handing_in"
    is_ahead = facts.send_at is not None and facts.send_at > now
    return "scheduled" if is_ahead else "sending"


def read_rate(text: str) -> int:
    """Return the mails an hour of `500/h` or `10/min`. Raises InputError with an example."""
    match = _RATE.fullmatch(text.strip())
    per_hour = 0
    if match is not None:
        per_hour = int(match[1]) * (1 if match[2].lower().startswith("h") else 60)
    if per_hour > _RATE_MAX:
        raise InputError(f"--rate {text!r}: at most {_RATE_MAX}/h; leave it out to send without a limit")
    if per_hour <= 0:
        raise InputError(
            f"--rate {text!r}: write how many mails may leave an hour or a minute, e.g. 500/h or 10/min"
        )
    return per_hour


@dataclass(frozen=True, slots=True)
class SendLimits:
    """The row of a send as the guard reads it."""

    control: SendControl = "running"
    # Why it is paused or cancelled.
    reason: str = ""
    # Mails an hour; None: no limit.
    rate: int | None = None
    # The first place that no mail has taken.
    next_free_at: Instant = 0

    @property
    def interval(self) -> Duration:
        """The time between two places."""
        return HOUR // self.rate if self.rate else 0

    def place_of(self, *, due_at: Instant, reason: str, now: Instant) -> Instant:
        """Return the place of a mail: `now` or earlier when it may leave now.

        due_at, reason: of its last deferral, which may have given it a place.
        """
        if not self.rate or self.has_place(due_at=due_at, reason=reason, now=now):
            return now
        return max(self.next_free_at, now)

    def has_place(self, *, due_at: Instant, reason: str, now: Instant) -> bool:
        """Tell whether the last deferral gave the mail a place that has just come."""
        return reason == RATE_REASON and now - due_at <= max(self.interval, _PLACE_KEPT)

    def with_taken(self, place: Instant) -> "SendLimits":
        """Return the limits after a mail has taken this place."""
        return replace(self, next_free_at=place + self.interval)

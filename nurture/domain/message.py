"""Messages: one row of the ledger per decided mail, and the states it may be in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from nurture.domain.instant import Instant
from nurture.domain.measure import MessageTrack, Purpose

Status = Literal[
    "waiting", "ready", "on_wire", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt"
]

#: status -> (may become, what the status means). The SQL CHECK, the docs and a test read this table.
STATES: Mapping[Status, tuple[frozenset[Status], str]] = {
    "waiting": (
        frozenset({"ready", "skipped", "cancelled", "expired"}),
        "decided; leaves when due and the guard agrees",
    ),
    "ready": (
        frozenset({"on_wire", "waiting", "skipped", "cancelled", "expired"}),
        "guarded, frozen and leased by a worker; a lapsed lease makes it waiting again",
    ),
    "on_wire": (
        frozenset({"sent", "failed", "in_doubt", "waiting"}),
        "past the send gate; waiting again only when the conversation provably ended before the final dot",
    ),
    "sent": (frozenset({"failed"}), "accepted by the transport; a hard bounce may still make it failed"),
    "in_doubt": (
        frozenset({"sent", "failed", "waiting"}),
        "the final dot was written and no reply was read; evidence may settle it, transactional mail waits "
        "10 minutes and is sent again",
    ),
    "skipped": (frozenset(), "the guard said no, with its reason"),
    "cancelled": (frozenset(), "an exit, a track change, a merge or ops ended it before it left"),
    "expired": (frozenset(), "too late for its own valid_for"),
    "failed": (frozenset(), "refused for good by the receiving side"),
}
#: The reason of a mail that gives way to the same mail of the run before a hand-over.
ALREADY_SENT: Final = "already_sent"
#: States that count toward caps.
COUNTING: frozenset[Status] = frozenset({"sent", "on_wire", "in_doubt"})


@dataclass(slots=True)
class PlannedMessage:
    """A mail that `advance` decided; unique by (contact, measure, run key, step)."""

    measure: str
    run_key: str
    step: str
    mail: str
    track: MessageTrack
    purpose: Purpose
    topic: str | None
    lane: str
    priority: int
    decided_at: Instant
    # The first instant its own schedule allows.
    due_at: Instant
    # From here on it is dropped as expired.
    valid_until: Instant
    # True in the holdout: kept in the ledger and skipped with that reason.
    holdout: bool = False
    # How it counts toward caps: the measure in which its run began, where that is another one; whether the person
    # asked for this very mail; whether it carries a coupon code.
    began_as: str | None = None
    asked_for: bool = False
    has_code: bool = False
    # The request id of an ops send, else None.
    request: str | None = None
    # Reason, when something that happened in the same batch ended it before it was ever stored as waiting.
    cancelled: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A message that ended, told to the run that waits for it."""

    message_id: int
    measure: str
    run_key: str
    step: str
    status: Status
    at: Instant
    reason: str = ""


class Check(NamedTuple):
    """One check of the guard: its name, whether it let the mail through, and the value it looked at."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The guard's decision, with all its checks, hits and misses; `until` for a deferral."""

    action: Literal["send", "defer", "skip", "expire", "cancel"]
    reason: str
    checks: tuple[Check, ...]
    until: Instant | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

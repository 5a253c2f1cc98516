"""Reports about sent mail in one vocabulary, and the pure rules that follow from them.

Providers, receiving servers and people report in formats of their own; `inbound` translates them, and
`feedback.record` stores a report and applies its effects.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nurture.domain.instant import DAY, HOUR, Duration, Instant
from nurture.domain.measure import MARKETING

#: delivered    the receiving server accepted it      deferred   the provider still tries to deliver it
#: bounce       it came back; `severity` says why     complaint  the person marked it as spam
#: open, click  a person or a machine opened it       reply      the person answered
#: unsubscribe  the person used the unsubscribe button of the provider or of the mail program
ReportKind = Literal["delivered", "deferred", "bounce", "complaint", "open", "click", "reply", "unsubscribe"]
KINDS: Final[tuple[ReportKind, ...]] = (
    "delivered",
    "deferred",
    "bounce",
    "complaint",
    "open",
    "click",
    "reply",
    "unsubscribe",
)
#: Severity of a bounce. hard: the address does not exist. soft: a temporary fault (mailbox full, server down).
#: policy: the server refuses the sender, not the recipient. undetermined: the report does not tell.
Severity = Literal["", "hard", "soft", "policy", "undetermined"]

#: Kind -> the event on the person's timeline; a report of another kind is only stored, and so is an act of a
#: machine. Names follow Segment's e-mail specification.
EVENTS: Final[Mapping[ReportKind, str]] = {
    "bounce": "Email Bounced",
    "complaint": "Email Marked as Spam",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "reply": "Email Replied",
    "unsubscribe": "Unsubscribed",
}
#: The source of those events. `consent.from_events` skips it: `feedback.record` writes the consent with the report.
SOURCE: Final = "feedback"
#: Kinds that prove that a mail arrived.
ARRIVED: Final[frozenset[ReportKind]] = frozenset(
    {"delivered", "complaint", "open", "click", "reply", "unsubscribe"}
)

#: Severities that suppress an address only when they repeat.
WEAK_SEVERITIES: Final[frozenset[Severity]] = frozenset({"soft", "undetermined"})
#: Such bounces on this many different days within the span suppress an address, unless a mail arrived in between.
SOFT_DAYS: Final = 4
SOFT_WITHIN: Final[Duration] = 30 * DAY
#: A lane pauses when servers of at least this many people refused the sender within the span, and these people are
#: at least one in REFUSED_SHARE of those with any report. A single refusal may be one server's rule or a forgery.
REFUSED_PEOPLE: Final = 3
REFUSED_WITHIN: Final[Duration] = HOUR
REFUSED_SHARE: Final = 20

#: Sunset: a person who got this many marketing mails over this time, all of which could have shown a reaction, and
#: gave no sign of life since the first of them, gets no more marketing.
SUNSET_MAILS: Final = 10
SUNSET_AFTER: Final[Duration] = 180 * DAY

#: Reason of a suppression -> the reason in words, and how the suppression ends.
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "unsubscribed": ("the person asked for no more marketing mail", "the person says yes to a topic again"),
    "hard_bounce": ("a mail came back: the address does not exist", "an operator who knows better lifts it"),
    "soft_bounces": (
        "mails came back on several days: the mailbox is full or gone",
        "an operator who knows better lifts it",
    ),
    "complaint": ("the person called a mail spam", "only at the person's own word, noted by an operator"),
    "sunset": (
        "the person reacted to nothing for half a year",
        "by itself, at the next sign of life; or the person says yes to a topic",
    ),
    "ops": ("an operator stopped it", "an operator lifts it"),
    "erased": ("the person asked to be forgotten", "only the person: they sign up again"),
}
#: Reasons that an operator may lift; only the person may take back the others.
LIFTABLE: Final = frozenset({"hard_bounce", "soft_bounces", "sunset", "ops"})
#: Reasons that end when the person confirms a topic.
CONFIRMABLE: Final = ("unsubscribed", "sunset", "erased")

_HEADER_ID: Final = re.compile(r"<?m(\d{1,18})\.[0-9a-zA-Z._+=-]{1,60}@[A-Za-z0-9.-]{1,190}>?")


@dataclass(frozen=True, slots=True)
class Report:
    """One report about one mail or one address."""

    # ses | sendgrid | mailgun | postmark | resend | mail (our own mailbox) | web (our own pages)
    provider: str
    # Unique within the provider; a report with the same id is a repetition.
    event_id: str
    kind: ReportKind
    # When it happened, according to the provider.
    at: Instant
    severity: Severity = ""
    # The message id, when the report contains it in a form that cannot be forged.
    message: int | None = None
    # The Message-ID header, when the report contains it.
    header_id: str | None = None
    # The envelope sender, when the report contains it; it may have a signed tag (`domain.inbound.verp`).
    return_path: str | None = None
    # The recipient address, canonical; None: the recipient of the message.
    address: str | None = None
    # True: a program such as a link scanner or a mail proxy did it, so it says nothing about the person.
    machine: bool = False
    # Details: `url`, `code`, `diagnostic`, `subject`, `text`, `user_agent`.
    detail: Mapping[str, Any] = field(default_factory=dict)
    # The report as it came; cut to a bound when stored.
    raw: str = ""


def read_message_id(header_id: str | None) -> int | None:
    """Return the message id in a Message-ID of our form, else None; look in the ledger whether it is ours."""
    match = _HEADER_ID.fullmatch(header_id.strip()) if header_id else None
    return int(match[1]) if match else None


def has_too_many_soft_bounces(
    soft_at: Iterable[Instant], *, arrived_at: Instant | None, now: Instant
) -> bool:
    """Tell whether an address must be suppressed for repeated bounces.

    soft_at: instants of its soft and undetermined bounces. arrived_at: the newest proof that a mail arrived; None:
    no proof.
    """
    since = max(now - SOFT_WITHIN, arrived_at if arrived_at is not None else now - SOFT_WITHIN)
    return len({at // DAY for at in soft_at if since < at <= now}) >= SOFT_DAYS


def is_sunset(mailed: Sequence[tuple[Instant, bool]], *, machine: bool, now: Instant) -> bool:
    """Tell whether a person without a sign of life must get no more marketing.

    mailed: instant of each marketing mail since the last sign of life, and whether a reaction to it could have
    been seen; mails without that possibility do not count. machine: whether programs opened some of them, so
    that the person's own reactions are unknown; then the answer is False.
    """
    seen = [at for at, could_show in mailed if could_show]
    return not machine and len(seen) >= SUNSET_MAILS and min(seen) <= now - SUNSET_AFTER


def must_pause_lane(people: int, heard_of: int) -> bool:
    """Tell whether a lane must pause because receiving servers refuse the sender.

    people: persons whose servers refused within REFUSED_WITHIN. heard_of: persons with any report in that time.
    """
    return people >= REFUSED_PEOPLE and people * REFUSED_SHARE >= heard_of


def suppression_scope(
    kind: ReportKind, severity: Severity, purpose: str | None
) -> Literal["", "all", "marketing"]:
    """Return the scope in which one report suppresses its address at once; "": it suppresses nothing.

    A hard bounce suppresses all mail. A complaint about marketing suppresses marketing for good, and the receipt
    of the next order is still sent; a complaint about other or unknown mail suppresses all mail.
    """
    if kind == "bounce" and severity == "hard":
        return "all"
    if kind == "complaint":
        return "marketing" if purpose in MARKETING else "all"
    return ""

"""What others report about our mail, in one vocabulary, and the pure rules about it.

Providers, receiving servers and people each say it in their own words; `mail.providers` and `mail.inbound`
translate, `feedback.record.record` keeps it and lets it act.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nurture.domain.instant import DAY, HOUR, Duration, Instant
from nurture.domain.measure import MARKETING

#: delivered    the receiving server took it          deferred   it is still being tried
#: bounce       it came back; `severity` says why     complaint  the person called it spam
#: open, click  somebody, or a machine, looked at it  reply      the person answered
#: unsubscribe  the person left through the provider's or the mail program's own button
Kind = Literal["delivered", "deferred", "bounce", "complaint", "open", "click", "reply", "unsubscribe"]
KINDS: Final[tuple[Kind, ...]] = (
    "delivered",
    "deferred",
    "bounce",
    "complaint",
    "open",
    "click",
    "reply",
    "unsubscribe",
)
#: Of a bounce. hard: the address does not exist. soft: not now (full, down). policy: they refuse us, not the
#: person. undetermined: nobody can tell.
Severity = Literal["", "hard", "soft", "policy", "undetermined"]

#: Kind -> the event that goes on the person's timeline; a kind without one is only kept. What a machine did
#: makes no event. Names follow Segment's e-mail specification.
EVENTS: Final[Mapping[Kind, str]] = {
    "bounce": "Email Bounced",
    "complaint": "Email Marked as Spam",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "reply": "Email Replied",
    "unsubscribe": "Unsubscribed",
}
#: The source of those events; `consent.from_events` leaves their consents alone, they are written with the report.
SOURCE: Final = "feedback"
#: Proof that a mail arrived.
ARRIVED: Final[frozenset[Kind]] = frozenset(
    {"delivered", "complaint", "open", "click", "reply", "unsubscribe"}
)

#: Soft bounces suppress an address when they fell on so many different days of this span, with no sign in
#: between that anything arrived.
SOFT_DAYS: Final = 4
SOFT_WITHIN: Final[Duration] = 30 * DAY
#: A lane pauses when so many people's servers refused *us* within this span, and they are at least one in
#: REFUSED_SHARE of those who were heard of. One refusal alone is one server's own rule, or somebody's forgery.
REFUSED_PEOPLE: Final = 3
REFUSED_WITHIN: Final[Duration] = HOUR
REFUSED_SHARE: Final = 20

#: Whoever got so many marketing mails over so long, each of which could have shown a reaction, and gave no sign
#: of life since the first of them, gets no more.
SUNSET_MAILS: Final = 10
SUNSET_AFTER: Final[Duration] = 180 * DAY

#: Why an address is suppressed -> in words for people, and how it comes back.
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
#: What an operator may lift. The rest is the person's own word.
LIFTABLE: Final = frozenset({"hard_bounce", "soft_bounces", "sunset", "ops"})
#: What the person takes back by confirming a topic themselves.
CONFIRMABLE: Final = ("unsubscribed", "sunset")

_HEADER_ID: Final = re.compile(r"<?m(\d{1,18})\.[0-9a-zA-Z._+=-]{1,60}@[A-Za-z0-9.-]{1,190}>?")


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that somebody reports about one mail or one address."""

    # ses | sendgrid | mailgun | postmark | resend | mail (a mailbox of ours) | web (our own pages)
    provider: str
    # Unique within the provider; the same id is the same report, however often it comes.
    event_id: str
    kind: Kind
    # When it happened, as they say.
    at: Instant
    severity: Severity = ""
    # Our message's id, when they carry it and cannot have made it up.
    message: int | None = None
    # The Message-ID header, when they say it.
    header_id: str | None = None
    # The envelope's sender, when they say it: it may carry our signed tag (`domain.verp`).
    return_path: str | None = None
    # Whose mailbox it is about, canonical; None: the message's own recipient.
    address: str | None = None
    # True: a program did it (a link scanner, a mail proxy), so it says nothing about the person.
    machine: bool = False
    # What goes with it, in short: `url`, `code`, `diagnostic`, `subject`, `text`, `user_agent`.
    detail: Mapping[str, Any] = field(default_factory=dict)
    # What they sent, as they sent it; cut to a bound when stored.
    raw: str = ""


def message_in(header_id: str | None) -> int | None:
    """Return the id of our message in a Message-ID that has our form; whether it is ours the ledger says."""
    found = _HEADER_ID.fullmatch(header_id.strip()) if header_id else None
    return int(found[1]) if found else None


def is_worn_out(soft_at: Iterable[Instant], *, arrived_at: Instant | None, now: Instant) -> bool:
    """Tell whether an address is to be suppressed for soft bounces.

    soft_at: when they happened. arrived_at: the newest proof that something arrived; None: none.
    """
    since = max(now - SOFT_WITHIN, arrived_at if arrived_at is not None else now - SOFT_WITHIN)
    return len({at // DAY for at in soft_at if since < at <= now}) >= SOFT_DAYS


def is_sunset(mailed: Sequence[tuple[Instant, bool]], *, machine: bool, now: Instant) -> bool:
    """Tell whether somebody who gave no sign of life since is to get no more marketing.

    mailed: instant of each marketing mail since the last sign, and whether a reaction to it could have been
    seen. machine: whether programs opened some of them: then nobody can tell what the person did.
    Where no evidence was possible nothing is known, and nobody is stopped for that.
    """
    seen = [at for at, could_show in mailed if could_show]
    return not machine and len(seen) >= SUNSET_MAILS and min(seen) <= now - SUNSET_AFTER


def is_refused(people: int, heard_of: int) -> bool:
    """Tell whether so many refused people of those heard of within REFUSED_WITHIN mean that a lane must stop."""
    return people >= REFUSED_PEOPLE and people * REFUSED_SHARE >= heard_of


def suppresses(kind: Kind, severity: Severity, purpose: str | None) -> Literal["", "all", "marketing"]:
    """Return the scope in which one report suppresses its address at once; empty: it does not.

    A hard bounce: nothing arrives there. A complaint about marketing stops marketing for good, and lets the
    receipt of the next order through; about anything else, or about mail nobody knows, it stops all.
    """
    if kind == "bounce" and severity == "hard":
        return "all"
    if kind == "complaint":
        return "marketing" if purpose in MARKETING else "all"
    return ""

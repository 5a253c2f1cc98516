"""Replies: a person answers a mail of ours, and one of our staff answers them; until then no marketing mail is sent.

Input: a mail that `inbound.inbound_mail` read and whose origin `app.inbound` judged. Output, in one transaction: the
report and its events, a case with owner and due time, and a notice that brings the reply to our staff with the
person's context on top. A reply that was accepted is therefore in the database, and the notice is sent from there.

A case is announced as `Support Case Opened` (`case_id`, `reply_by`, `owner`); the programme's own holds,
acknowledgement and follow-up act on it. `Support Case Closed` ends it.
"""

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.database.engine import decode
from nurture.database.notifications import FEEDBACK, note
from nurture.domain.cells.shown_facts import show_facts
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.inbound.verp import build_case_address
from nurture.domain.instant import MINUTE, Duration, Instant, to_datetime, to_iso
from nurture.domain.playbook import Playbook
from nurture.domain.referral import REFERRER
from nurture.domain.signing import SigningKeys
from nurture.domain.timing import load_zone
from nurture.feedback import reply_queries
from nurture.feedback.cases import (
    OPENED,
    UPDATED,
    Case,
    case_event,
    case_name,
    close_case,
    open_case,
    owner_of_cases,
)
from nurture.feedback.record import record
from nurture.inbound.inbound_mail import InboundMail
from nurture.transports.notice import Notice, notice_bytes

OVERDUE: Final = "Reply Overdue"
#: Longest name and value of a fact that a notice shows.
_FACT_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """Addresses and times of the case handling, and the playbook that names the owner."""

    keys: SigningKeys = field(repr=False)
    suppression_key: bytes = field(repr=False)
    # The sender of notices; the recipient of replies, and of notices about overdue cases.
    sender: str
    replies_to: str
    escalate_to: str
    # The time within which staff must answer.
    within: Duration
    # Receives the copies of our staff's answers; empty: an answer is not noticed.
    bounce_address: str
    # URL of the console, without a slash at the end.
    base_url: str
    playbook: Playbook
    sender_name: str = ""
    # The addresses and domains that may be mailed at all; empty: no such limit.
    only_to: frozenset[str] = frozenset()


# ---- a reply, and our staff's answer ----------------------------------------------------------------------


def record_reply(
    connection: sa.Connection,
    settings: ReplySettings,
    report: Report,
    mail: InboundMail,
    original: bytes,
    *,
    now: Instant,
) -> Counts:
    """Record a reply, open a case or join the open one, and forward the reply to our staff; the same mail once."""
    counts = record(connection, [report], now=now, suppression_key=settings.suppression_key)
    if not counts["reply"]:
        return counts
    match = reply_queries.load_match(connection, report.provider, report.event_id)
    case = None
    if match is not None and match.contact_id is not None:
        case = open_case(
            connection, settings.playbook, match.contact_id, match.message_id, within=settings.within, now=now
        )
    _forward(connection, settings, mail, original, case=case, now=now)
    event = None
    if case is not None:
        event = case_event(
            connection,
            case,
            OPENED if case.is_new else UPDATED,
            now=now,
            key=report.event_id,
            properties={
                "subject": mail.subject,
                "channel": "mail",
                "owner": owner_of_cases(settings.playbook),
                "reply_by": to_iso(case.due_at),
            },
        )
    accept(connection, [event] if event else [])
    return counts


def record_answer(
    connection: sa.Connection, settings: ReplySettings, number: int, mail: InboundMail, *, now: Instant
) -> Counts:
    """Close a case that one of our staff answered; a closed case counts as `duplicate`."""
    row = reply_queries.load_case(connection, number, lock=True)
    if row is None or row.closed_at is not None:
        return Counts(duplicate=1)
    close_case(connection, row, answered_by=mail.author or settings.replies_to, key=mail.key, now=now)
    return Counts(answered=1)


def open_objection_case(
    connection: sa.Connection,
    settings: ReplySettings,
    contact_id: int,
    *,
    old_address: str,
    message: int | None,
    now: Instant,
) -> None:
    """Open a case because the owner of a contact's old address objects to the change; it holds all marketing.

    No event announces it: an acknowledgement would go to the address that is in dispute. Our staff are told by mail,
    and their answer goes to the old address.
    """
    case = open_case(connection, settings.playbook, contact_id, message, within=settings.within, now=now)
    if not settings.replies_to:
        return
    reply_to = [old_address]
    if settings.bounce_address:
        reply_to.append(build_case_address(settings.keys, settings.bounce_address, case.number))
    notice = Notice(
        sender=settings.sender,
        name="nurture",
        recipient=settings.replies_to,
        reply_to=tuple(reply_to),
        subject=f"[{case_name(case.number)}] the owner of the old address objects to a change of address",
        text=f"{describe_person(connection, settings, case)}\n\n{_OBJECTION}\n",
        at=now,
        key=f"objection:{case.number}:{now}",
    )
    queue_notice(connection, "reply", notice, case=case.number, contact=case.contact, now=now)


_OBJECTION: Final = """The person's address was changed, and the new address confirmed it. The owner of the old address
says that the change is not theirs. Find out who is right; your answer goes to the old address. To give the old address
back, run `nurture track OLD-ADDRESS "Address Restored"`. No newsletter or offer is sent before this case is closed."""


# ---- notices to our staff --------------------------------------------------------------------------------


def _forward(
    connection: sa.Connection,
    settings: ReplySettings,
    mail: InboundMail,
    original: bytes,
    *,
    case: Case | None,
    now: Instant,
) -> None:
    author = mail.name or mail.author or "somebody"
    reply_to = [mail.author] if mail.author else []
    subject = mail.subject or "(no subject)"
    head = _STRANGER
    if case is not None:
        subject = f"[{case_name(case.number)}] {subject}"
        head = describe_person(connection, settings, case)
        if settings.bounce_address:
            reply_to.append(build_case_address(settings.keys, settings.bounce_address, case.number))
    notice = Notice(
        sender=settings.sender,
        name=f"{author} (answer)",
        recipient=settings.replies_to,
        reply_to=tuple(reply_to),
        subject=subject,
        text=f"{head}\n\n{'-' * 60}\n\n{mail.text or '(the mail has no text; it is attached)'}\n",
        at=now,
        key=mail.key,
        original=original,
    )
    number, contact = (case.number, case.contact) if case else (None, None)
    queue_notice(connection, "reply", notice, case=number, contact=contact, now=now)


_STRANGER: Final = "From an address that is nobody's we know; it answers none of our mails."


def describe_person(connection: sa.Connection, settings: ReplySettings, case: Case) -> str:
    """Return the text above a reply or an answer: the case, the mail that was replied to, and facts about the person.

    An answer may quote it to the person, so it has nothing that they may not read.
    """
    owner = case.owner or owner_of_cases(settings.playbook)
    due = _in_zone(settings.playbook, case.due_at)
    lines = [f"Case {case_name(case.number)}, {owner}: answer by {due}."]
    lines += describe_contact(connection, settings, case.contact, message=case.message)
    if settings.bounce_address:
        lines.append("Answer to all: the copy to our own address closes the case.")
    return "\n".join(lines)


def describe_contact(
    connection: sa.Connection, settings: ReplySettings, contact: int, *, message: int | None = None
) -> list[str]:
    """Return lines about a person: the mail that was answered, facts, the newest events and the page about them."""
    row = reply_queries.load_contact(connection, contact)
    mail = reply_queries.load_answered_mail(connection, message)
    lines: list[str] = []

    def local(at: Instant) -> str:
        return _in_zone(settings.playbook, at)

    if mail is not None:
        sent = f" of {local(mail.sent_at)}" if mail.sent_at else ""
        lines.append(f"Answers our mail {mail.measure}/{mail.mail}{sent}.")
    if row is not None:
        facts = _known_facts(row, settings.playbook)
        lines.append(f"Stands on the {row.track} track in stage {row.stage} since {local(row.stage_since)}.")
        lines += [f"Known: {facts}."] if facts else []
        lines.append(f"Language {row.locale or 'unknown'}, time zone {row.zone or 'unknown'}.")
    lines += [
        f"  {local(event.occurred_at)}  {event.name}"
        for event in reply_queries.load_latest_events(connection, contact)
    ]
    return [*lines, f"More: {settings.base_url}/contacts/{contact}"]


def _in_zone(playbook: Playbook, at: Instant) -> str:
    return f"{to_datetime(at).astimezone(load_zone(playbook.default_zone)):%d %b %Y %H:%M}"


def _known_facts(row: Any, playbook: Playbook) -> str:
    """Return at most eight facts in people's units: figures above nothing, and short texts."""
    shown = show_facts(row.facts, playbook, zone=row.zone, now=row.clock)
    # By whose link they came is another person's matter.
    shown.pop(REFERRER, None)
    plain = [
        f"{name} {value}" for name, value in shown.items() if value not in (None, 0, "", "no", "unknown")
    ]
    return ", ".join([text for text in plain if len(text) <= _FACT_MAX][:8])


def queue_notice(
    connection: sa.Connection,
    kind: str,
    notice: Notice,
    *,
    case: int | None,
    contact: int | None,
    now: Instant,
) -> None:
    """Store a notice that `send_notices` sends; contact: whom it concerns."""
    row = {
        "kind": kind,
        "contact_id": contact,
        "sender": notice.sender,
        "recipient": notice.recipient,
        "data": base64.b64encode(zlib.compress(notice_bytes(notice), 6)).decode(),
        "due_at": now,
    }
    reply_queries.add_notice(connection, case, row)
    note(connection, FEEDBACK, "")


def may_mail(settings: ReplySettings, address: str) -> bool:
    """Tell whether NURTURE_ONLY_TO permits mail to this address."""
    lowered = address.lower()
    allowed = {entry.lower().lstrip("@") for entry in settings.only_to}
    return not allowed or bool({lowered, lowered.rpartition("@")[2]} & allowed)


# ---- overdue and closed cases ----------------------------------------------------------------------------


def check_cases(
    connection: sa.Connection, settings: ReplySettings, *, now: Instant, limit: int = 100
) -> Counts:
    """Close cases whose `Support Case Closed` came from elsewhere, and escalate overdue ones by mail, once each."""
    counts = Counts(closed=_close_cases(connection, limit=limit))
    events: list[NewEvent] = []
    # Without an address of the installation only owners have somebody who is told.
    only = not settings.escalate_to
    for row in reply_queries.lock_overdue_cases(connection, now=now, limit=limit, of_measures_only=only):
        reply_queries.update_case(connection, row.id, escalated_at=now)
        contact = reply_queries.lock_living(connection, row.contact_id)
        case = Case(contact, row.id, row.message_id, row.due_at, owner=row.owner)
        hours = (now - row.opened_at) // (60 * MINUTE)
        recipient = _escalation_address(settings, row)
        notice = Notice(
            sender=settings.sender,
            name="nurture",
            recipient=recipient,
            reply_to=(),
            subject=f"[{case_name(row.id)}] overdue: nobody has answered for {hours} hours",
            text=describe_person(connection, settings, case) + "\n",
            at=now,
            key=f"overdue:{row.id}",
        )
        if recipient:
            queue_notice(connection, "overdue", notice, case=case.number, contact=case.contact, now=now)
        owner = {"owner": row.owner}
        event = case_event(connection, case, OVERDUE, now=now, key="overdue", properties=owner)
        events += [event] if event else []
        counts["overdue"] += 1
    accept(connection, events)
    return counts


def _escalation_address(settings: ReplySettings, row: Any) -> str:
    """Return the address that is mailed about an overdue case (a row of `dialogues`).

    Of one that a measure gave to an owner that is their `escalate`; else, and of other cases, that of the settings.
    """
    owners = settings.playbook.owners
    owner = owners.get(row.owner) if row.action_id is not None else None
    superior = owners.get(owner.escalate) if owner is not None and owner.escalate else None
    if superior is not None and may_mail(settings, superior.address):
        return superior.address
    return settings.escalate_to


def _closed_at(case: int, closings: Iterable[tuple[Instant, str]]) -> Instant | None:
    """Return when the last of these events closed the case."""
    name = case_name(case)
    ends = (at for at, body in closings if decode(body).get("properties", {}).get("case_id") == name)
    return max(ends, default=None)


def _close_cases(connection: sa.Connection, *, limit: int) -> int:
    """Close cases whose `Support Case Closed` came from elsewhere; they count as answered at that instant."""
    cases = reply_queries.load_open_cases(connection, limit=limit)
    contacts = sorted({case.contact_id for case in cases})
    closings = reply_queries.load_closings(connection, contacts) if contacts else {}
    count = 0
    for case in cases:
        at = _closed_at(case.id, closings.get(case.contact_id, ()))
        if at is not None:
            reply_queries.update_case(connection, case.id, closed_at=at, answered_at=case.answered_at or at)
            count += 1
    return count

"""Dialogues: a person answered a mail of ours, a human answers them, and until then nobody sells to them.

Enters: what `inbound.inbound_mail` read, its origin judged by `app.inbound`. Leaves, in one transaction: the report and
its events, a dialogue with owner and due time, and a notice that carries the answer to a human with the
person's context on top. So an answer that was taken is on its way: nothing but the database holds it.

The dialogue opens a support case (`Support Case Opened`, with `case_id`, `reply_by` and `owner`), so the
programme's own holds, acknowledgement and follow-up do the rest; `Support Case Closed` ends it.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.database.engine import Database, decode
from nurture.database.notifications import FEEDBACK, note
from nurture.domain.counts import Counts
from nurture.domain.feedback import SOURCE, Report
from nurture.domain.instant import FOREVER, MINUTE, Duration, Instant, to_datetime, to_iso
from nurture.domain.playbook import Playbook
from nurture.domain.signing import SigningKeys
from nurture.domain.timing import load_zone
from nurture.domain.verp import build_case_address
from nurture.feedback import queries as reports
from nurture.feedback import reply_queries as rows
from nurture.feedback.record import record
from nurture.inbound.inbound_mail import Arrival
from nurture.runtime.clock import Clock
from nurture.transports.notice import Notice, notice_bytes
from nurture.transports.registry import Transport
from nurture.transports.types import OutgoingMail

OPENED: Final = "Support Case Opened"
UPDATED: Final = "Support Case Updated"
CLOSED: Final = "Support Case Closed"
OVERDUE: Final = "Reply Overdue"
#: Attempts at one notice before it waits for ops (`nurture doctor` names it).
ATTEMPTS_MAX: Final = 30
#: Between two attempts: after the first minute ever longer, at most half an hour.
_WAIT: Final[Duration] = MINUTE
_WAIT_MAX: Final[Duration] = 30 * MINUTE
_NOTICES: Final = 20


@dataclass(frozen=True, slots=True)
class Desk:
    """Where answers go, and what our people see of it."""

    keys: SigningKeys = field(repr=False)
    suppression_key: bytes = field(repr=False)
    # Our own address that notices come from; where answers go to, and where what is overdue.
    sender: str
    replies_to: str
    escalate_to: str
    # How long an answer may take.
    within: Duration
    # Where copies of answers come in; empty: nothing tells us that somebody answered.
    bounce_address: str
    # The console, without a slash at the end.
    base_url: str
    playbook: Playbook


def case_name(number: int) -> str:
    """Return a dialogue's name outside: the `case_id` of its events."""
    return f"R-{number}"


# ---- an answer came in -----------------------------------------------------------------------------------


def take_reply(
    connection: sa.Connection, desk: Desk, report: Report, arrival: Arrival, original: bytes, *, now: Instant
) -> Counts:
    """Record a reply, open its dialogue or join the one that is open, and pass it on. The same mail: once."""
    done = record(connection, [report], now=now, suppression_key=desk.suppression_key)
    if not done["reply"]:
        return done
    about = rows.about(connection, report.provider, report.event_id)
    thread = None
    if about is not None and about.contact_id is not None:
        thread = _thread(connection, desk, about.contact_id, about.message_id, now=now)
    _pass_on(connection, desk, arrival, original, thread=thread, now=now)
    event = None
    if thread is not None:
        event = _event(
            connection,
            thread,
            OPENED if thread.is_new else UPDATED,
            now=now,
            key=report.event_id,
            properties={
                "subject": arrival.subject,
                "channel": "mail",
                "owner": _owner(desk.playbook),
                "reply_by": to_iso(thread.due_at),
            },
        )
    accept(connection, [event] if event else [])
    return done


def take_answer(
    connection: sa.Connection, desk: Desk, number: int, arrival: Arrival, *, now: Instant
) -> Counts:
    """Note that a human answered: the case is closed, and the dialogue with it. Repeated: nothing new."""
    dialogue = rows.get(connection, number, lock=True)
    if dialogue is None or dialogue.closed_at is not None:
        return Counts(duplicate=1)
    rows.change(connection, number, answered_at=now, closed_at=now)
    person = rows.lock_living(connection, dialogue.contact_id)
    event = _event(
        connection,
        _Thread(person, number, dialogue.message_id, dialogue.due_at),
        CLOSED,
        now=now,
        key=arrival.key,
        properties={
            "answered_by": arrival.author or desk.replies_to,
            "minutes": (now - dialogue.opened_at) // MINUTE,
        },
    )
    accept(connection, [event] if event else [])
    return Counts(answered=1)


@dataclass(frozen=True, slots=True)
class _Thread:
    """A dialogue as it stands: who, its number, the mail that was answered, and when an answer is due."""

    person: int
    number: int
    message: int | None
    due_at: Instant
    is_new: bool = False


def _thread(
    connection: sa.Connection, desk: Desk, contact_id: int, message: int | None, *, now: Instant
) -> _Thread:
    """Return the person's open dialogue, or a new one."""
    person = rows.lock_living(connection, contact_id)
    opened = rows.open_of(connection, person, now=now)
    if opened is not None:
        return _Thread(person, opened.id, message, opened.due_at)
    due_at = now + desk.within
    number = rows.open_new(
        connection,
        {
            "contact_id": person,
            "message_id": message,
            "owner": _owner(desk.playbook),
            "opened_at": now,
            "due_at": due_at,
        },
    )
    return _Thread(person, number, message, due_at, is_new=True)


def _owner(playbook: Playbook) -> str:
    """Return who owns the hold that an open case is, as the playbook says."""
    hold = playbook.holds.get("open_case")
    return hold.owner if hold else "support"


def _event(
    connection: sa.Connection,
    thread: _Thread,
    name: str,
    *,
    now: Instant,
    key: str,
    properties: Mapping[str, Any],
) -> NewEvent | None:
    """Return an event of the person about the case; None when they have no name any more."""
    known = reports.names(connection, [thread.person]).get(thread.person)
    if known is None:
        return None
    return NewEvent(
        source=SOURCE,
        message_id=f"{name}:{thread.number}:{key}"[:200],
        kind="track",
        name=name,
        occurred_at=now,
        received_at=now,
        identities=(known,),
        properties={"case_id": case_name(thread.number), **properties},
    )


# ---- what our people read --------------------------------------------------------------------------------


def _pass_on(
    connection: sa.Connection,
    desk: Desk,
    arrival: Arrival,
    original: bytes,
    *,
    thread: _Thread | None,
    now: Instant,
) -> None:
    who = arrival.name or arrival.author or "somebody"
    reply_to = [arrival.author] if arrival.author else []
    subject = arrival.subject or "(no subject)"
    head = _STRANGER
    if thread is not None:
        subject = f"[{case_name(thread.number)}] {subject}"
        head = _context(connection, desk, thread)
        if desk.bounce_address:
            reply_to.append(build_case_address(desk.keys, desk.bounce_address, thread.number))
    notice = Notice(
        sender=desk.sender,
        name=f"{who} (answer)",
        recipient=desk.replies_to,
        reply_to=tuple(reply_to),
        subject=subject,
        text=f"{head}\n\n{'-' * 60}\n\n{arrival.text or '(the mail has no text; it is attached)'}\n",
        at=now,
        key=arrival.key,
        original=original,
    )
    _queue(connection, "reply", notice, thread=thread, now=now)


_STRANGER: Final = "From an address that is nobody's we know; it answers none of our mails."


def _context(connection: sa.Connection, desk: Desk, thread: _Thread) -> str:
    """Return what stands above the answer: whom it is from and what we know of them.

    It may be quoted back to the person, so it holds nothing that they may not read.
    """
    row, mail = rows.who(connection, thread.person), rows.mail_of(connection, thread.message)
    zone = load_zone(desk.playbook.default_zone)

    def local(at: Instant) -> str:
        return f"{to_datetime(at).astimezone(zone):%d %b %Y %H:%M}"

    lines = [f"Case {case_name(thread.number)}, {_owner(desk.playbook)}: answer by {local(thread.due_at)}."]
    if mail is not None:
        sent = f" of {local(mail.sent_at)}" if mail.sent_at else ""
        lines.append(f"Answers our mail {mail.measure}/{mail.mail}{sent}.")
    if row is not None:
        facts = ", ".join(f"{name} {value}" for name, value in _plain(row.facts).items())
        lines.append(f"Stands on the {row.track} track in stage {row.stage} since {local(row.stage_since)}.")
        lines += [f"Known: {facts}."] if facts else []
        lines.append(f"Language {row.locale or 'unknown'}, time zone {row.zone or 'unknown'}.")
    lines += [
        f"  {local(event.occurred_at)}  {event.name}" for event in rows.latest(connection, thread.person)
    ]
    lines.append(f"More: {desk.base_url}/contacts/{thread.person}")
    if desk.bounce_address:
        lines.append("Answer to all: the copy to our own address closes the case.")
    return "\n".join(lines)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a few facts a person can read: small numbers and short texts."""
    kept = {
        name: value
        for name, value in sorted(facts.items())
        if (isinstance(value, str) and 0 < len(value) <= 40)
        or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000)
    }
    return dict(list(kept.items())[:8])


def _queue(
    connection: sa.Connection, kind: str, notice: Notice, *, thread: _Thread | None, now: Instant
) -> None:
    rows.add_notice(
        connection,
        {
            "kind": kind,
            "dialogue_id": thread.number if thread else None,
            "contact_id": thread.person if thread else None,
            "sender": notice.sender,
            "recipient": notice.recipient,
            "data": base64.b64encode(zlib.compress(notice_bytes(notice), 6)).decode(),
            "due_at": now,
        },
    )
    note(connection, FEEDBACK, "")


# ---- time passes -----------------------------------------------------------------------------------------


def mind(connection: sa.Connection, desk: Desk, *, now: Instant, limit: int = 100) -> Counts:
    """Close dialogues whose case was closed elsewhere, and tell somebody about those that are overdue."""
    counts = Counts(closed=_close(connection, limit=limit))
    events = []
    for dialogue in rows.overdue(connection, now=now, limit=limit):
        rows.change(connection, dialogue.id, escalated_at=now)
        person = rows.lock_living(connection, dialogue.contact_id)
        thread = _Thread(person, dialogue.id, dialogue.message_id, dialogue.due_at)
        hours = (now - dialogue.opened_at) // (60 * MINUTE)
        notice = Notice(
            sender=desk.sender,
            name="nurture",
            recipient=desk.escalate_to,
            reply_to=(),
            subject=f"[{case_name(dialogue.id)}] overdue: nobody has answered for {hours} hours",
            text=_context(connection, desk, thread) + "\n",
            at=now,
            key=f"overdue:{dialogue.id}",
        )
        _queue(connection, "overdue", notice, thread=thread, now=now)
        owner = {"owner": dialogue.owner}
        event = _event(connection, thread, OVERDUE, now=now, key="overdue", properties=owner)
        events += [event] if event else []
        counts["overdue"] += 1
    accept(connection, events)
    return counts


def _close(connection: sa.Connection, *, limit: int) -> int:
    """Close dialogues whose `Support Case Closed` came from elsewhere; an answer seen counts as given then."""
    waiting = rows.waiting(connection, limit=limit)
    closed = {}
    for row in rows.closings(connection, sorted({each.contact_id for each in waiting})) if waiting else ():
        case_id = decode(row.body).get("properties", {}).get("case_id")
        closed[row.contact_id, case_id] = row.occurred_at
    count = 0
    for dialogue in waiting:
        at = closed.get((dialogue.contact_id, case_name(dialogue.id)))
        if at is not None:
            rows.change(connection, dialogue.id, closed_at=at, answered_at=dialogue.answered_at or at)
            count += 1
    return count


# ---- on their way ----------------------------------------------------------------------------------------


def send_notices(database: Database, transport: Transport, *, clock: Clock) -> Counts:
    """Send due notices; at least once, always the same bytes. counts: `sent`, `retry`; `more`."""
    claimed = database.run(
        lambda connection: rows.claim_notices(
            connection, now=clock.now(), lease=clock.lease_now(connection), limit=_NOTICES
        )
    )
    counts = Counts()
    mails = [
        OutgoingMail(
            row.id, row.attempts, row.sender, row.recipient, zlib.decompress(base64.b64decode(row.data))
        )
        for row in claimed
    ]
    attempts = {row.id: row.attempts for row in claimed}
    for outcome in transport.send(mails) if mails else ():
        now = clock.now()
        values: dict[str, Any] = {"reply": f"{outcome.code} {outcome.reply}".strip()[:500]}
        if outcome.outcome == "sent":
            values |= {"sent_at": now, "data": ""}
        else:
            # Refused for good, or unheard: our own people's mailbox is to be mended, not given up.
            tries = attempts[outcome.message_id]
            wait = min(_WAIT * 2 ** min(tries, 10), _WAIT_MAX)
            values["due_at"] = now + wait if tries < ATTEMPTS_MAX else FOREVER
        database.run(
            lambda connection, number=outcome.message_id, values=values: rows.settle_notice(  # type: ignore[misc]
                connection, number, **values
            )
        )
        counts["sent" if outcome.outcome == "sent" else "retry"] += 1
    counts.more = len(claimed) == _NOTICES
    return counts

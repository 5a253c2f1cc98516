"""Erasure: no mail to the person from now on, then every row with personal data removed; the figures stay.

`stop_mail` is one transaction under the locks of the whole family. After it no mail begins and no event finds the
person: identities deleted, address suppressed by its keyed hash, unsent mail and runs cancelled as `erased`,
versions raised. `delete_remaining_rows`, called until it returns False, removes the rest by the list in
`journey.personal_data`. Both are safe to repeat. An erasure that was interrupted, or whose last mail was being sent,
stays in the table `erasures` as unfinished and the scheduler continues it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import record as consent_record
from nurture.contacts import inbox_queries, shop_queries
from nurture.contacts import queries as people
from nurture.contacts.assignment import all_identities, claims_of
from nurture.contacts.identity_queries import load_index_by_contacts, load_index_by_identities
from nurture.contacts.locking import LostRace
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.database.bulk import Row, any_of, insert, update
from nurture.database.day_counts import COUNTED, count_mails, count_people
from nurture.database.engine import Database, decode, encode
from nurture.domain.counts import Counts
from nurture.domain.event import Identity
from nurture.domain.identity import find_event_owner
from nurture.domain.instant import DAY, FOREVER, Instant
from nurture.journey import personal_data
from nurture.journey.accounts import leave_accounts
from nurture.journey.merge import join
from nurture.playbook import PlaybookSource

#: Events of one transaction.
_EVENTS = 1_000
#: Pending events of one person that are searched for further identities.
_JOINS_MAX = 200
#: Properties of an event that are kept for the sums.
_MONEY: Final = ("revenue", "currency")


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """The counts of the transaction that stops mail to an erased person."""

    contact: int
    # The contact and everything that was merged into it.
    members: tuple[int, ...]
    # Unsent mails and runs cancelled, identities and pending events deleted, addresses suppressed.
    cancelled: int = 0
    runs: int = 0
    names: int = 0
    pending: int = 0
    suppressed: int = 0
    # Mails that a worker is handing over: they cannot be called back.
    on_wire: int = 0
    # It had been erased before.
    again: bool = False


def join_pending(database: Database, contact: int, *, now: Instant, playbooks: PlaybookSource) -> Counts:
    """Merge the contacts that pending events show to be the same person, so that all are erased."""
    with database.read() as connection:
        rows = inbox_queries.load_rows(
            connection, inbox_queries.find_pending(connection, [contact], limit=_JOINS_MAX)
        )
    counts = Counts()
    for row in rows:
        counts.add(join(database, row.id, now=now, playbooks=playbooks))
    return counts


def stop_mail(
    connection: sa.Connection, contact: int, *, now: Instant, actor: str, suppression_key: bytes
) -> ErasureResult:
    """Stop mail and new events in the caller's transaction; `delete_remaining_rows` deletes the rest.

    contact: any of the family. Raises LostRace when a merge was quicker: repeat the transaction.
    """
    person = people.survivor_of(connection, contact) or contact
    members = personal_data.members_of(connection, person)
    locked = people.lock_contacts(connection, members)
    if personal_data.members_of(connection, person) != members or locked[person].survivor is not None:
        raise LostRace
    if locked[person].erased_at is not None:
        return ErasureResult(person, tuple(members), again=True)
    names = sorted(load_index_by_contacts(connection, members).names.get(person, ()))
    done = ErasureResult(
        person,
        tuple(members),
        cancelled=_cancel_mail(connection, members, now),
        runs=_cancel_runs(connection, members, now),
        names=len(names),
        pending=_drop_pending(connection, names, members),
        suppressed=_suppress(connection, names, now=now, key=suppression_key),
        on_wire=_on_wire(connection, members),
    )
    _close_cases(connection, members, now)
    leave_accounts(connection, members, now=now)
    _blank_texts(connection, names, now)
    shop_queries.delete_things_of(connection, names)
    erased = connection.execute(
        sa.update(t.contacts)
        .where(any_of(t.contacts.c.id, members, connection))
        .values(erased_at=now, version=t.contacts.c.version + 1)
        .returning(t.contacts.c.survivor, t.contacts.c.track, t.contacts.c.stage)
    )
    # Contacts that were merged into another stand at no stage of their own.
    count_people(connection, [(now, row.track, row.stage, -1) for row in erased if row.survivor is None])
    personal_data.overwrite(connection, members)
    insert(
        connection,
        t.erasures,
        [{"contact_id": person, "at": now, "actor": actor, "finished_at": None}],
        conflict=["contact_id"],
    )
    detail = {"contact": person, "contacts": members, "cancelled": done.cancelled, "on_wire": done.on_wire}
    record(connection, at=now, actor=actor, action="contact.erase", detail=detail)
    return done


def delete_remaining_rows(connection: sa.Connection, person: int, *, limit: int = _EVENTS) -> bool:
    """Remove the next rows of an erased contact; return whether more may be left."""
    members = personal_data.members_of(connection, person)
    if _delete_events(connection, members, limit=limit):
        return True
    personal_data.overwrite(connection, members)
    return False


def mark_finished(connection: sa.Connection, person: int, *, now: Instant) -> bool:
    """Mark the erasure as finished unless a mail is still being sent; return whether it is marked."""
    if _on_wire(connection, personal_data.members_of(connection, person)):
        return False
    statement = sa.update(t.erasures).where(
        t.erasures.c.contact_id == person, t.erasures.c.finished_at.is_(None)
    )
    connection.execute(statement.values(finished_at=now))
    return True


def load_unfinished(connection: sa.Connection, *, limit: int, before: Instant = FOREVER) -> list[int]:
    """Return the oldest erasures, asked for before an instant, that are not finished."""
    statement = sa.select(t.erasures.c.contact_id).where(
        t.erasures.c.finished_at.is_(None), t.erasures.c.at < before
    )
    return list(connection.execute(statement.order_by(t.erasures.c.at).limit(limit)).scalars())


def message_ids(connection: sa.Connection, person: int) -> list[int]:
    """Return the ids of all mails of the family."""
    members = personal_data.members_of(connection, person)
    statement = sa.select(t.messages.c.id).where(any_of(t.messages.c.contact_id, members, connection))
    return list(connection.execute(statement.order_by(t.messages.c.id)).scalars())


# ---- at once ---------------------------------------------------------------------------------------------


def _cancel_mail(connection: sa.Connection, members: Sequence[int], now: Instant) -> int:
    """Cancel mails that have not passed the send gate; a mail in doubt stays in doubt and is not sent again."""
    mine = any_of(t.messages.c.contact_id, members, connection)
    free: dict[str, Any] = {"told": True, "lease_owner": None, "lease_until": None}
    unsent = t.messages.c.status.in_([sa.literal_column("'waiting'"), sa.literal_column("'ready'")])
    cancelled = sa.update(t.messages).where(mine, unsent)
    cancelled = cancelled.values(status="cancelled", reason="erased", settled_at=now, **free)
    mails = connection.execute(cancelled.returning(*COUNTED)).all()
    count_mails(connection, mails, before="waiting")
    doubted = t.messages.c.status == sa.literal_column("'in_doubt'")
    connection.execute(
        sa.update(t.messages)
        .where(mine, doubted, t.messages.c.settled_at.is_(None))
        .values(settled_at=now, due_at=FOREVER, **free)
    )
    return len(mails)


def _cancel_runs(connection: sa.Connection, members: Sequence[int], now: Instant) -> int:
    active = sa.and_(
        any_of(t.runs.c.contact_id, members, connection), t.runs.c.status == sa.literal_column("'active'")
    )
    ended = {"status": "cancelled", "reason": "erased", "ended_at": now, "due_at": FOREVER, "mailing": False}
    return connection.execute(sa.update(t.runs).where(active).values(**ended)).rowcount


def _drop_pending(connection: sa.Connection, names: Sequence[Identity], members: Sequence[int]) -> int:
    """Delete pending events that name the person, and those under further identities that no contact has yet.

    An event of another known person who shares a name (an office mailbox, a browser) stays.
    """
    mine, count = set(names), 0
    asked = list(names)
    while asked:
        rows = inbox_queries.load_rows_of(connection, asked)
        known = load_index_by_identities(connection, all_identities(rows))
        rows = [row for row in rows if find_event_owner(claims_of(row), known).contact in (None, *members)]
        further = {name for row in rows for name in row.named} - mine
        inbox_queries.delete_rows(connection, [row.id for row in rows])
        count += len(rows)
        owners = load_index_by_identities(connection, sorted(further)).owners if further else {}
        asked = sorted(further - owners.keys())
        mine |= further
    return count


def _suppress(connection: sa.Connection, names: Sequence[Identity], *, now: Instant, key: bytes) -> int:
    stops = [
        consent_record.Suppression(name.value, "marketing", "erased")
        for name in names
        if name.kind == "email"
    ]
    consent_record.suppress_addresses(connection, stops, now=now, source="erasure", suppression_key=key)
    return len(stops)


def _on_wire(connection: sa.Connection, members: Sequence[int]) -> int:
    statement = sa.select(sa.func.count()).where(
        any_of(t.messages.c.contact_id, members, connection), t.messages.c.status == "on_wire"
    )
    return int(connection.execute(statement).scalar_one())


def _close_cases(connection: sa.Connection, members: Sequence[int], now: Instant) -> None:
    """Close open replies: the words are gone, so nobody can answer, and nobody is told that it is overdue."""
    is_open = sa.and_(
        any_of(t.dialogues.c.contact_id, members, connection), t.dialogues.c.closed_at.is_(None)
    )
    connection.execute(sa.update(t.dialogues).where(is_open).values(closed_at=now))


def _blank_texts(connection: sa.Connection, names: Sequence[Identity], now: Instant) -> None:
    """Blank texts that name the person: quarantined items, reports about the address, texts of operators."""
    doomed = personal_data.naming(connection, t.quarantine, t.quarantine.c.raw, names)
    connection.execute(sa.delete(t.quarantine).where(any_of(t.quarantine.c.id, doomed, connection)))
    addresses = [name.value for name in names if name.kind == "email"]
    connection.execute(
        sa.update(t.feedback)
        .where(any_of(t.feedback.c.address, addresses, connection))
        .values(raw="", detail="{}", address=None, applied_at=sa.func.coalesce(t.feedback.c.applied_at, now))
    )
    # Somebody else's open request for an address of the person: its link leads nowhere any more.
    asked = sa.and_(any_of(t.requests.c.address, addresses, connection), t.requests.c.done_at.is_(None))
    closed = {"address": None, "replaced_at": sa.func.coalesce(t.requests.c.replaced_at, now)}
    connection.execute(sa.update(t.requests).where(asked).values(**closed))
    for table, column in personal_data.WORDS:
        (key,) = table.primary_key.columns
        found = personal_data.naming(connection, table, column, names)
        blank = sa.update(table).where(any_of(key, found, connection))
        connection.execute(blank.values({column.name: "erased"}))


# ---- what takes longer -----------------------------------------------------------------------------------


def _delete_events(connection: sa.Connection, members: Sequence[int], *, limit: int) -> bool:
    """Delete the next events; an event with revenue keeps its sums and loses everything that names the person."""
    mine = any_of(t.events.c.contact_id, members, connection)
    left = sa.and_(mine, t.events.c.source != _BLANK)
    rows = connection.execute(sa.select(t.events).where(left).order_by(t.events.c.id).limit(limit)).all()
    money = [row for row in ((event, _money(event.body)) for event in rows) if row[1]]
    kept: list[Row] = [
        {
            "id": row.id,
            "source": _BLANK,
            "message_id": str(row.id),
            "occurred_at": row.occurred_at - row.occurred_at % DAY,
            "received_at": row.received_at - row.received_at % DAY,
            "body": encode({"properties": sums}),
        }
        for row, sums in money
    ]
    update(connection, t.events, kept, key=["id"], columns=list(kept[0])[1:] if kept else [])
    gone = sorted({row.id for row in rows} - {row["id"] for row in kept})
    connection.execute(sa.delete(t.events).where(any_of(t.events.c.id, gone, connection)))
    return len(rows) == limit


#: Source of events of which only the sums are left.
_BLANK: Final = "erased"


def _money(body: str) -> dict[str, Any]:
    """Return revenue and currency of an event, {} when it has no revenue."""
    properties = decode(body).get("properties") or {}
    sums = {name: properties[name] for name in _MONEY if name in properties}
    revenue, currency = sums.get("revenue"), sums.get("currency")
    if isinstance(revenue, bool) or not isinstance(revenue, int | float):
        return {}
    is_code = isinstance(currency, str) and len(currency) == 3 and currency.isalpha()
    return {"revenue": revenue, **({"currency": currency} if is_code else {})}

"""Create, lock, load and find contacts. `save` writes what `advance` decided.

A person's family is the living contact and every contact merged into it (`contacts.survivor`, one link long).
Runs, messages, consents and events keep the contact they began with, so readers read the whole family.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import sqlalchemy as sa

from nurture.contacts.family_queries import members_of
from nurture.contacts.save_queries import save
from nurture.contacts.state_codec import decode_memory, decode_run_data
from nurture.database.bulk import Row, any_of, any_of_parameter, insert, list_text, update
from nurture.database.day_counts import count_people
from nurture.database.engine import decode
from nurture.database.schema import contact_state, contacts, identities, messages, runs
from nurture.domain.contact import Contact, Run
from nurture.domain.errors import NotFoundError
from nurture.domain.event_index import index_of
from nurture.domain.facts import empty
from nurture.domain.identity import canonical_email, canonical_user_id
from nurture.domain.instant import FOREVER, NEVER, SECOND, Instant
from nurture.domain.memory import Memory
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from nurture.domain.values import read_row_id

__all__ = [
    "ALARMED",
    "NewContact",
    "create_contacts",
    "create_reserved",
    "is_any_alarm_due",
    "is_living",
    "load_contacts",
    "load_first_seen",
    "load_settled_messages",
    "lock_contacts",
    "lock_due_contacts",
    "reserve_ids",
    "resolve_contact",
    "run_of",
    "save",
    "set_alarm",
    "set_email",
    "set_emails",
    "spread_alarms",
    "survivor_of",
    "wake_contacts",
]

# A literal, not a parameter: with a parameter a prepared statement could not use the partial index.
_ACTIVE = runs.c.status == sa.literal_column("'active'")
#: The living contacts whose alarm is set; the condition of the partial index `ix_contacts_wake_at`.
ALARMED = sa.and_(contacts.c.survivor.is_(None), contacts.c.wake_at < sa.literal_column(str(FOREVER)))


class NewContact(NamedTuple):
    """The values of a contact before its first event is applied."""

    first_seen_at: Instant
    # The address its mail goes to.
    email: str | None


def reserve_ids(connection: sa.Connection, count: int) -> list[int]:
    """Return `count` ids for new contacts, ascending. Their rows are inserted later in the same transaction.

    No other transaction can see such a contact, because its identities are claimed in the same transaction.
    """
    if connection.dialect.name == "postgresql":
        return sorted(connection.execute(_NEXT_IDS, {"count": count}).scalars())
    # SQLite: this transaction is the only writer.
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(contacts.c.id), 0))).scalar_one()
    return list(range(last + 1, last + 1 + count))


_NEXT_IDS = sa.select(sa.func.nextval(sa.func.pg_get_serial_sequence("contacts", "id"))).select_from(
    sa.func.generate_series(1, sa.bindparam("count", type_=sa.Integer))
)


def create_contacts(
    connection: sa.Connection, new_contacts: Sequence[NewContact], playbook: Playbook
) -> list[int]:
    """Insert the new contacts and return their ids in the same order."""
    ids = reserve_ids(connection, len(new_contacts))
    create_reserved(connection, dict(zip(ids, new_contacts, strict=True)), playbook)
    return ids


def create_reserved(
    connection: sa.Connection, new_contacts: Mapping[int, NewContact], playbook: Playbook
) -> None:
    """Insert the rows of new contacts under reserved ids: id -> values."""
    rows: list[Row] = []
    for contact, (at, email) in new_contacts.items():
        new = empty(contact, first_seen_at=at, playbook=playbook)
        rows.append(
            {
                "id": contact,
                "track": new.track,
                "stage": new.stage,
                "track_since": at,
                "stage_since": at,
                "first_seen_at": at,
                "email": email,
                "facts": {},
                "clock": 0,
            }
        )
    insert(connection, contacts, rows)
    count_people(connection, [(row["first_seen_at"], row["track"], row["stage"], 1) for row in rows])


def lock_contacts(
    connection: sa.Connection, ids: Iterable[int], *, skip_locked: bool = False
) -> dict[int, Any]:
    """Lock these contacts in id order until the transaction ends: id -> row with id, survivor, email, erased_at.

    Read everything else in a later statement: this one's snapshot may be older than its locks.
    skip_locked: leave out contacts that another transaction has locked.
    """
    statement = _lock(connection.dialect.name, skip_locked)
    rows = connection.execute(statement, {"ids": list_text(sorted(ids))})
    return {row.id: row for row in rows.all()}


def is_living(row: Any) -> bool:
    """Return whether a row of `lock_contacts` is neither merged into another nor erased."""
    return row.survivor is None and row.erased_at is None


@lru_cache
def _lock(dialect: str, skip_locked: bool) -> sa.Select[Any]:
    return (
        sa.select(contacts.c.id, contacts.c.survivor, contacts.c.email, contacts.c.erased_at)
        .where(any_of_parameter(contacts.c.id, dialect))
        .order_by(contacts.c.id)
        .with_for_update(skip_locked=skip_locked)
    )


def lock_due_contacts(connection: sa.Connection, *, now: Instant, limit: int) -> dict[int, Any]:
    """Lock at most `limit` living contacts whose alarm is due, the longest due first: id -> row with email, wake_at.

    Contacts that another transaction has locked are left out. SKIP LOCKED never waits, so these locks, which are not
    in id order, cannot deadlock.
    """
    return {row.id: row for row in connection.execute(_CLAIM_DUE, {"at_now": now, "most": limit})}


def is_any_alarm_due(connection: sa.Connection, *, now: Instant) -> bool:
    """Return whether any alarm is due."""
    return connection.execute(_IS_ANY_DUE, {"at_now": now}).first() is not None


_DUE = sa.and_(ALARMED, contacts.c.wake_at <= sa.bindparam("at_now", type_=sa.BigInteger))
# ORDER BY makes a generic plan use the index; without it the planner expects a third of all contacts to be due and
# reads the table.
_IS_ANY_DUE = sa.select(contacts.c.id).where(_DUE).order_by(contacts.c.wake_at).limit(1)
_CLAIM_DUE = (
    sa.select(contacts.c.id, contacts.c.email, contacts.c.wake_at)
    .where(_DUE)
    .order_by(contacts.c.wake_at)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)


def wake_contacts(connection: sa.Connection, ids: Sequence[int], *, at: Instant) -> None:
    """Set the alarm of these contacts to `at`, unless it rings earlier."""
    statement = sa.update(contacts).where(any_of(contacts.c.id, ids, connection), contacts.c.wake_at > at)
    connection.execute(statement.values(wake_at=at))


def set_alarm(connection: sa.Connection, contact: int, *, until: Instant) -> None:
    """Set the contact's alarm to `until`."""
    connection.execute(sa.update(contacts).where(contacts.c.id == contact).values(wake_at=until))


def spread_alarms(connection: sa.Connection, ids: Sequence[int], *, after: Instant) -> None:
    """Spread these alarms over the ten minutes after `after`, in another order every time."""
    factor = after // SECOND % 599 + 1
    second = contacts.c.id * sa.literal(factor) % sa.literal(600) * sa.literal(SECOND, sa.BigInteger)
    statement = sa.update(contacts).where(any_of(contacts.c.id, ids, connection))
    connection.execute(statement.values(wake_at=sa.literal(after, sa.BigInteger) + second))


def set_emails(
    connection: sa.Connection, newest: Mapping[int, tuple[str, Instant]], *, owners: Collection[int]
) -> None:
    """Set the address these contacts are mailed at: contact -> (address, since).

    owners: the contacts whose own identity it is; at a shared mailbox that of another contact stays as it is.
    """
    ordered = sorted(newest.items())
    rows: list[Row] = [{"id": contact, "email": email} for contact, (email, _) in ordered]
    update(connection, contacts, rows, key=["id"], columns=["email"])
    since: list[Row] = [
        {"kind": "email", "value": email, "since": at}
        for contact, (email, at) in ordered
        if contact in owners
    ]
    update(connection, identities, since, key=["kind", "value"], columns=["since"])


def set_email(connection: sa.Connection, contact: int, email: str | None) -> None:
    """Set the address that a contact is mailed at."""
    connection.execute(sa.update(contacts).where(contacts.c.id == contact).values(email=email))


# ---- reading ---------------------------------------------------------------------------------------------


def load_contacts(connection: sa.Connection, ids: Sequence[int], playbook: Playbook) -> dict[int, Contact]:
    """Load these contacts with their active runs, in three statements; ids that do not exist are left out.

    A fourth statement reads when mails of the measures that conditions ask for left last.

    A contact that no event has been applied to yet is empty under this playbook.
    """
    of_contacts, of_runs = _load(connection.dialect.name)
    rows = connection.execute(of_contacts, {"ids": list_text(ids)}).all()
    states = {row.id: _contact(row, playbook) for row in rows}
    # A contact without an applied event has no runs.
    members = members_of(connection, [contact for contact, state in states.items() if state.clock])
    if members:
        for row in connection.execute(of_runs, {"ids": list_text(members)}).all():
            states[members[row.contact_id]].runs[row.measure, row.key] = run_of(row)
        if roots := index_of(playbook).sent_roots:
            for row in connection.execute(_last_sent(members, roots, connection)):
                sent = states[members[row.contact_id]].sent
                sent[row.measure] = max(row.sent_at, sent.get(row.measure, NEVER))
    return states


def _last_sent(members: Collection[int], roots: Collection[str], connection: sa.Connection) -> sa.Select[Any]:
    """Return the statement that reads when a mail of each of these measures left last, for each contact."""
    left_at = sa.func.max(messages.c.sent_at).label("sent_at")
    return (
        sa.select(messages.c.contact_id, messages.c.measure, left_at)
        .where(any_of(messages.c.contact_id, list(members), connection))
        .where(messages.c.measure.in_(sorted(roots)), messages.c.status == "sent")
        .group_by(messages.c.contact_id, messages.c.measure)
    )


@lru_cache
def _load(dialect: str) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return the statements that read contacts with their memory, and their active runs."""
    of_contacts = (
        sa.select(contacts, contact_state.c.memory)
        .outerjoin(contact_state, contact_state.c.contact_id == contacts.c.id)
        .where(any_of_parameter(contacts.c.id, dialect))
    )
    of_runs = sa.select(runs).where(any_of_parameter(runs.c.contact_id, dialect), _ACTIVE)
    return of_contacts, of_runs


def survivor_of(connection: sa.Connection, contact: int) -> int | None:
    """Return the contact that this one was merged into; None: it is living, or does not exist."""
    return connection.execute(sa.select(contacts.c.survivor).where(contacts.c.id == contact)).scalar()


def load_first_seen(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Instant]:
    """Return contact -> first_seen_at."""
    statement = sa.select(contacts.c.id, contacts.c.first_seen_at).where(
        any_of(contacts.c.id, ids, connection)
    )
    return {row.id: row.first_seen_at for row in connection.execute(statement)}


def _contact(row: sa.Row[Any], playbook: Playbook) -> Contact:
    if row.clock == 0 and not row.facts:
        new = empty(row.id, first_seen_at=row.first_seen_at, playbook=playbook)
        new.version = row.version
        return new
    memory, unknown = decode_memory(row.memory) if row.memory else (Memory(), {})
    return Contact(
        id=row.id,
        track=row.track,
        stage=row.stage,
        first_seen_at=row.first_seen_at,
        zone=row.zone,
        locale=row.locale,
        facts=row.facts,
        memory=memory,
        unknown_memory=unknown,
        stage_since=row.stage_since,
        track_since=row.track_since,
        clock=row.clock,
        wake_at=row.wake_at,
        version=row.version,
        adopted=row.adopted,
        stored=(row.id, row.memory) if row.memory else None,
    )


def run_of(row: sa.Row[Any]) -> Run:
    """Return the run of a row of `runs`."""
    data = decode_run_data(row.data)
    return Run(
        measure=row.measure,
        key=row.key,
        entity_key=row.entity_key,
        track=row.track,
        started_at=row.started_at,
        step=row.step,
        step_since=row.step_since,
        status=row.status,
        reason=row.reason,
        ended_at=row.ended_at,
        due_at=row.due_at,
        mailing=row.mailing,
        holdout=row.holdout,
        variant=row.variant,
        decided=decode(row.decided),
        let=decode(row.let),
        origin=data.origin,
        position=data.position,
        queued=data.queued,
        entity=row.entity,
        began_as=row.began_as or row.measure,
        passed=data.passed,
        path=data.path,
        outcomes=data.outcomes,
        contact_id=row.contact_id,
        acted=data.acted,
        unknown=data.unknown,
        rules_hash=row.rules_hash,
        id=row.id,
    )


def load_settled_messages(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Settled]]:
    """Return contact -> its ended messages whose outcome no run has applied yet, in order of their ends."""
    settled: dict[int, list[Settled]] = {}
    if not ids:
        return settled
    members = members_of(connection, ids)
    for member, *values in connection.execute(_settled(connection.dialect.name), {"ids": list_text(members)}):
        settled.setdefault(members[member], []).append(Settled(*values))
    return settled


@lru_cache
def _settled(dialect: str) -> sa.Select[Any]:
    """Return the statement; its columns are the contact and the fields of `Settled`."""
    names = ("contact_id", "id", "measure", "run_key", "step", "status", "settled_at", "reason")
    return (
        sa.select(*(messages.c[name] for name in names))
        .where(any_of_parameter(messages.c.contact_id, dialect), messages.c.told == sa.false())
        .where(messages.c.settled_at.is_not(None))
        .order_by(messages.c.settled_at, messages.c.id)
    )


def resolve_contact(connection: sa.Connection, who: str, *, erased: bool = False) -> int:
    """Return the id of the living contact that an e-mail address, `id:USER_ID` or `contact:N` names.

    erased: an erased contact may be named too. Raises NotFoundError.
    """
    wanted = (contacts.c.id, contacts.c.survivor, contacts.c.erased_at)
    kind, _, rest = who.partition(":")
    if kind == "contact" and rest.isdigit():
        number = read_row_id(rest)
        statement = sa.select(*wanted).where(contacts.c.id == number if number is not None else sa.false())
    else:
        identity = (
            {"kind": "user_id", "value": canonical_user_id(rest)}
            if kind == "id"
            else {"kind": "email", "value": canonical_email(who)}
        )
        statement = (
            sa.select(*wanted)
            .join(identities, identities.c.contact_id == contacts.c.id)
            .where(*(identities.c[column] == value for column, value in identity.items()))
        )
    row = connection.execute(statement).one_or_none()
    if row is None:
        message = f"nobody is known as {who!r}; write an e-mail address, id:USER_ID or contact:NUMBER"
        raise NotFoundError(message)
    if row.erased_at is not None and not erased:
        message = f"{who} was erased; nothing is kept of them but rows of the ledger"
        raise NotFoundError(message)
    return cast("int", row.survivor or row.id)

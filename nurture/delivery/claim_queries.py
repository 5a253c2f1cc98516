"""Statements for claiming due messages, for the input of the guard, and for the count of conservation.

A chunk of any size takes a constant number of statements. The send gate and everything after it are in
`delivery.send_gate_queries`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.contacts.family_queries import family_statement
from nurture.database.bulk import (
    Row,
    any_of,
    any_of_parameter,
    insert,
    list_text,
    relation_of_parameter,
    update,
)
from nurture.database.day_counts import COUNTED, COUNTED_AS, count_mails
from nurture.database.schema import (
    MAIL_CLASS,
    consents,
    contacts,
    coupons,
    identities,
    inbox,
    messages,
    runs,
)
from nurture.domain.event import IDENTITY_KINDS, OWN_PAGES
from nurture.domain.instant import Instant
from nurture.domain.pace.work_classes import OUTBOX

Rows = Sequence[Any]

#: A literal, because PostgreSQL uses a partial index only when the statement repeats its condition.
WAITING = messages.c.status == sa.literal_column("'waiting'")
#: The status as an expression that no index covers. A planner without statistics believes that few messages wait or
#: are leased; so it would read a partial index instead of looking messages up by id.
STATUS = messages.c.status.concat(sa.literal_column("''"))

_CHUNK = (
    "id", "contact_id", "measure", "run_key", "step", "mail", "track", "purpose", "topic", "lane", "priority",
    "holdout", "began_as", "asked_for", "has_code", "request", "status", "reason", "decided_at", "due_at",
    "valid_until", "attempt", "context", "header_id", "playbook_id",
)  # fmt: skip
_LEDGER = (
    "id", "contact_id", "measure", "run_key", "step", "purpose", "lane", "priority", "status", "due_at",
    "sent_at", "settled_at", "holdout", "began_as", "asked_for", "has_code",
)  # fmt: skip
#: The columns that a verdict may set.
VERDICT = (
    "status", "reason", "due_at", "valid_until", "settled_at", "attempt", "lease_owner", "lease_until",
    "contact_version", "account_version", "playbook_id", "context", "header_id", "verdict", "told",
)  # fmt: skip


# ---- claiming --------------------------------------------------------------------------------------------


def has_due(connection: sa.Connection, lane: str, *, now: Instant, only: int | None = None) -> bool:
    """Return whether the lane has a due message, (only) of one class; reads one index entry and locks nothing."""
    if only is None:
        return connection.execute(_IS_DUE, {"of_lane": lane, "at_now": now}).first() is not None
    given = {"of_lane": lane, "at_now": now, "of_class": only}
    return connection.execute(_IS_DUE_IN_CLASS, given).first() is not None


_OF_LANE = sa.and_(
    WAITING,
    messages.c.lane == sa.bindparam("of_lane", type_=sa.Text),
    messages.c.due_at <= sa.bindparam("at_now", type_=sa.BigInteger),
)
_IS_DUE = sa.select(messages.c.id).where(_OF_LANE).limit(1)
_CLASS: sa.ColumnElement[int] = sa.literal_column(f"({MAIL_CLASS})", sa.Integer)
_OF_CLASS = sa.and_(_OF_LANE, sa.bindparam("of_class", type_=sa.Integer) == _CLASS)
# ORDER BY makes PostgreSQL use the index, however few messages its statistics expect to be due.
_IS_DUE_IN_CLASS = sa.select(messages.c.id).where(_OF_CLASS).order_by(messages.c.due_at).limit(1)


def count_due(connection: sa.Connection, lane: str, *, now: Instant, most: int) -> list[int]:
    """Return for each class of mail how many messages of the lane are due, counting `most` at most."""
    given = {"of_lane": lane, "at_now": now, "most": most}
    return list(connection.execute(_COUNT_DUE, given).one())


def _count_in_class(number: int) -> sa.ScalarSelect[int]:
    due = sa.select(messages.c.id).where(_OF_LANE, sa.literal_column(str(number)) == _CLASS)
    bounded = due.order_by(messages.c.due_at).limit(sa.bindparam("most", type_=sa.Integer)).subquery()
    return sa.select(sa.func.count()).select_from(bounded).scalar_subquery()


_COUNT_DUE = sa.select(*(_count_in_class(number) for number in range(len(OUTBOX.names))))


def lock_due_messages(
    connection: sa.Connection, lane: str, *, now: Instant, limit: int, of_class: int
) -> Rows:
    """Return (id, contact_id, survivor) of due messages of a class in due order, and lock their contacts.

    Contacts that another transaction has locked are skipped (SKIP LOCKED), so this neither waits nor deadlocks.
    The messages were due when the statement began; read them again (`load_due_messages`) before acting on them.
    """
    given = {"of_lane": lane, "at_now": now, "most": limit, "of_class": of_class}
    return connection.execute(_LOCK_DUE, given).all()


_LOCK_DUE = (
    sa.select(messages.c.id, messages.c.contact_id, contacts.c.survivor)
    .join(contacts, contacts.c.id == messages.c.contact_id)
    # The filter of a claim: further conditions on what may be claimed now stand here and in `_OF_LANE`.
    .where(_OF_CLASS)
    .order_by(messages.c.due_at)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(of=contacts, skip_locked=True)
)


def lock_survivors(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Lock those of the contacts that no other transaction has locked, and return their ids."""
    if not ids:
        return set()
    statement = (
        sa.select(contacts.c.id)
        .where(any_of(contacts.c.id, ids, connection))
        .order_by(contacts.c.id)
        .with_for_update(skip_locked=True)
    )
    return set(connection.execute(statement).scalars())


def load_contacts_with_merged(connection: sa.Connection, ids: Sequence[int]) -> Rows:
    """Return (id, survivor, email, erased_at, version, is_shared) of these contacts and of all merged into them."""
    return connection.execute(_contacts_with_merged(connection.dialect.name), {"ids": list_text(ids)}).all()


@lru_cache
def _contacts_with_merged(dialect: str) -> sa.Select[Any]:
    members = family_statement(dialect)
    others = sa.exists().where(
        identities.c.kind == "email",
        identities.c.value == contacts.c.email,
        identities.c.contact_id != contacts.c.id,
    )
    confirmed = sa.exists().where(
        consents.c.contact_id == contacts.c.id, consents.c.state == "granted", consents.c.source == OWN_PAGES
    )
    columns = [contacts.c[name] for name in ("id", "survivor", "email", "erased_at", "version")]
    # True: the address is another contact's, and this person has not confirmed anything there.
    is_shared = sa.and_(contacts.c.survivor.is_(None), others, sa.not_(confirmed)).label("is_shared")
    return sa.select(*columns, is_shared).join(members, members.c.id == contacts.c.id)


def load_due_messages(connection: sa.Connection, ids: Sequence[int], *, now: Instant) -> Rows:
    """Return those of the messages that still wait and are due; call it when their contacts are locked."""
    given = {"ids": list_text(ids), "at_now": now}
    return connection.execute(_due_messages(connection.dialect.name), given).all()


@lru_cache
def _due_messages(dialect: str) -> sa.Select[Any]:
    is_due_now = messages.c.due_at <= sa.bindparam("at_now", type_=sa.BigInteger)
    return sa.select(*(messages.c[name] for name in _CHUNK)).where(
        any_of_parameter(messages.c.id, dialect), STATUS == "waiting", is_due_now
    )


def load_ledger(connection: sa.Connection, contact_ids: Sequence[int], *, since: Instant) -> Rows:
    """Return the messages of these contacts that caps and order look at: waiting, under way, or sent after `since`."""
    given = {"ids": list_text(contact_ids), "since": since}
    return connection.execute(_ledger(connection.dialect.name), given).all()


@lru_cache
def _ledger(dialect: str) -> sa.Select[Any]:
    open_ones = messages.c.status.in_(("waiting", "ready", "on_wire"))
    lately = messages.c.sent_at > sa.bindparam("since", type_=sa.BigInteger)
    counting = sa.and_(messages.c.status.in_(("sent", "in_doubt")), lately)
    return sa.select(*(messages.c[name] for name in _LEDGER)).where(
        any_of_parameter(messages.c.contact_id, dialect), sa.or_(open_ones, counting)
    )


def load_runs(connection: sa.Connection, keys: Iterable[tuple[int, str, str]]) -> Rows:
    """Return the runs with these (contact, measure, key), active or ended."""
    return connection.execute(_runs(connection.dialect.name), {"rows": list_text(keys)}).all()


@lru_cache
def _runs(dialect: str) -> sa.Select[Any]:
    columns = [runs.c.contact_id, runs.c.measure, runs.c.key]
    given = relation_of_parameter(dialect, columns)
    return sa.select(runs).join(given, sa.and_(*(given.c[column.name] == column for column in columns)))


def load_pending_since(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, Instant]:
    """Return contact -> when the oldest event that waits in the inbox under one of its identities was accepted.

    One index lookup for each identity, however full the inbox is.
    """
    rows = connection.execute(_pending_since(connection.dialect.name), {"ids": list_text(contact_ids)})
    return {row[0]: row[1] for row in rows.all()}


@lru_cache
def _pending_since(dialect: str) -> sa.Select[Any]:
    names = sa.select(identities.c.kind, identities.c.value, identities.c.contact_id)
    known = names.where(any_of_parameter(identities.c.contact_id, dialect)).cte("known")

    def oldest(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
        received = sa.select(sa.func.min(inbox.c.received_at)).where(column == known.c.value)
        return received.correlate(known).scalar_subquery()

    by_kind = [
        sa.select(known.c.contact_id, oldest(inbox.c[kind]).label("at")).where(known.c.kind == kind)
        for kind in IDENTITY_KINDS
    ]
    # An alias event also waits under its earlier id, which may be of any kind.
    by_kind.append(sa.select(known.c.contact_id, oldest(inbox.c.previous_id).label("at")))
    waiting = sa.union_all(*by_kind).subquery()
    statement = sa.select(waiting.c.contact_id, sa.func.min(waiting.c.at))
    return statement.where(waiting.c.at.is_not(None)).group_by(waiting.c.contact_id)


def write_verdicts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write the verdicts of the guard into those of the messages that still wait."""
    shape: dict[str, Any] = {"key": ("id",), "columns": VERDICT, "where": _STILL_WAITING}
    update(connection, messages, [row for row in rows if row["settled_at"] is None], **shape)
    settled = [row for row in rows if row["settled_at"] is not None]
    ended = update(connection, messages, settled, **shape, returning=[column.name for column in COUNTED])
    count_mails(connection, ended, before="waiting")


_STILL_WAITING = STATUS == "waiting"


# ---- let values and coupons ------------------------------------------------------------------------------


def write_lets(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Set `let` (JSON text) of runs by id."""
    update(connection, runs, rows, key=("id",), columns=("let",))


def find_coupons(connection: sa.Connection, codes: Sequence[str], contact_ids: Sequence[int]) -> Rows:
    """Return the coupons with one of these codes, and every coupon of these contacts."""
    by_code = sa.select(coupons).where(any_of(coupons.c.code, codes, connection))
    by_contact = sa.select(coupons).where(any_of(coupons.c.contact_id, contact_ids, connection))
    # A UNION uses both indexes; an OR would read the whole table.
    return connection.execute(sa.union(by_code, by_contact)).all()


def insert_coupons(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert coupons; one per contact, measure, run key and offer."""
    insert(connection, coupons, rows, conflict=("contact_id", "measure", "run_key", "offer"))


# ---- conservation ----------------------------------------------------------------------------------------

COLUMNS: Final = ("sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting")


def _decided_count(connection: sa.Connection) -> sa.ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return sa.func.jsonb_array_length(sa.cast(runs.c.decided, JSONB))
    return sa.func.json_array_length(runs.c.decided)


def count_planned(connection: sa.Connection) -> dict[str, int]:
    """Return measure -> how many mails its runs have decided, without measures of none."""
    planned = sa.select(runs.c.measure, sa.func.sum(_decided_count(connection))).group_by(runs.c.measure)
    return {measure: int(count) for measure, count in connection.execute(planned) if count}


def no_mails(measure: str) -> dict[str, Any]:
    """Return the counts of a measure that decided no mail yet."""
    return {"measure": measure, "planned": 0, **dict.fromkeys(COLUMNS, 0), "balanced": True}


def conservation(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return for each measure how many mails were planned and how many have each status, sorted by measure.

    `planned` is counted from the steps that runs decided (an ops send starts runs too), the others from the ledger.
    `balanced` is true when both counts match.
    """
    report: dict[str, dict[str, Any]] = {}

    def row_of(measure: str) -> dict[str, Any]:
        return report.setdefault(measure, no_mails(measure))

    for measure, count in count_planned(connection).items():
        row_of(measure)["planned"] = count
    counted = sa.select(messages.c.measure, messages.c.status, sa.func.count())
    for measure, status, count in connection.execute(counted.group_by(messages.c.measure, messages.c.status)):
        row_of(measure)[COUNTED_AS.get(status, status)] += count
    for row in report.values():
        row["balanced"] = row["planned"] == sum(row[name] for name in COLUMNS)
    return [report[measure] for measure in sorted(report)]

"""The outbox: the ledger's rows on their way through the chunk gate, and the count that must always match.

Everything the guard looks at is loaded here in a constant number of statements for a chunk of any size; the
wire gate and what comes after it stand in `delivery.send_gate_queries`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.contacts.family_queries import family_statement
from nurture.database.bulk import (
    Row,
    any_of,
    any_of_parameter,
    insert,
    list_text,
    relation,
    relation_of_parameter,
    update,
)
from nurture.database.schema import contacts, coupons, identities, inbox, messages, objects, runs
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.instant import Instant

Rows = Sequence[Any]

#: Partial indexes are only used for what is spelt out in the statement.
WAITING = messages.c.status == sa.literal_column("'waiting'")
#: The status as no index knows it: what is looked up by id must not be looked for among all that wait or are
#: leased, which a planner without figures believes to be few.
STATUS = messages.c.status.concat(sa.literal_column("''"))

_CHUNK = (
    "id", "contact_id", "measure", "run_key", "step", "mail", "track", "purpose", "topic", "lane", "priority",
    "holdout", "request", "status", "reason", "decided_at", "due_at", "valid_until", "attempt", "context",
    "header_id", "playbook_id",
)  # fmt: skip
_LEDGER = (
    "id", "contact_id", "measure", "run_key", "step", "purpose", "lane", "priority", "status", "due_at",
    "sent_at", "settled_at", "holdout",
)  # fmt: skip
#: What a verdict may set.
VERDICT = (
    "status", "reason", "due_at", "valid_until", "settled_at", "attempt", "lease_owner", "lease_until",
    "contact_version", "playbook_id", "context", "header_id", "verdict", "told",
)  # fmt: skip


# ---- claiming --------------------------------------------------------------------------------------------


def is_due(connection: sa.Connection, lane: str, *, now: Instant) -> bool:
    """Tell whether the lane has a due message; by index, locks nothing."""
    return connection.execute(_IS_DUE, {"of_lane": lane, "at_now": now}).first() is not None


_OF_LANE = sa.and_(
    WAITING,
    messages.c.lane == sa.bindparam("of_lane", type_=sa.Text),
    messages.c.due_at <= sa.bindparam("at_now", type_=sa.BigInteger),
)
_IS_DUE = sa.select(messages.c.id).where(_OF_LANE).limit(1)


def lock_due(connection: sa.Connection, lane: str, *, now: Instant, limit: int) -> Rows:
    """Return (id, contact_id, survivor) of due messages in due order, and lock their contacts.

    Contacts that somebody else holds are passed over, and nobody is waited for, so this cannot deadlock.
    What is returned was due when the statement began; look again before acting on it.
    """
    return connection.execute(_LOCK_DUE, {"of_lane": lane, "at_now": now, "most": limit}).all()


_LOCK_DUE = (
    sa.select(messages.c.id, messages.c.contact_id, contacts.c.survivor)
    .join(contacts, contacts.c.id == messages.c.contact_id)
    .where(_OF_LANE)
    .order_by(messages.c.due_at)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(of=contacts, skip_locked=True)
)


def lock_survivors(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Lock those of the contacts that are free, and return them."""
    if not ids:
        return set()
    statement = (
        sa.select(contacts.c.id)
        .where(any_of(contacts.c.id, ids, connection))
        .order_by(contacts.c.id)
        .with_for_update(skip_locked=True)
    )
    return set(connection.execute(statement).scalars())


def people(connection: sa.Connection, ids: Sequence[int]) -> Rows:
    """Return (id, survivor, email, erased_at, version) of these contacts and of all merged into them."""
    return connection.execute(_people(connection.dialect.name), {"ids": list_text(ids)}).all()


@lru_cache
def _people(dialect: str) -> sa.Select[Any]:
    members = family_statement(dialect)
    return sa.select(
        contacts.c.id, contacts.c.survivor, contacts.c.email, contacts.c.erased_at, contacts.c.version
    ).join(members, members.c.id == contacts.c.id)


def still_due(connection: sa.Connection, ids: Sequence[int], *, now: Instant) -> Rows:
    """Return those of the messages that wait and are due, now that their contacts are locked."""
    given = {"ids": list_text(ids), "at_now": now}
    return connection.execute(_still_due(connection.dialect.name), given).all()


@lru_cache
def _still_due(dialect: str) -> sa.Select[Any]:
    is_due_now = messages.c.due_at <= sa.bindparam("at_now", type_=sa.BigInteger)
    return sa.select(*(messages.c[name] for name in _CHUNK)).where(
        any_of_parameter(messages.c.id, dialect), STATUS == "waiting", is_due_now
    )


def ledger(connection: sa.Connection, contact_ids: Sequence[int], *, since: Instant) -> Rows:
    """Return what waits, is under way, or left after `since`, of these contacts: what caps and order look at."""
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


def runs_of(connection: sa.Connection, keys: Iterable[tuple[int, str, str]]) -> Rows:
    """Return the runs with these (contact, measure, key), active or ended."""
    return connection.execute(_runs_of(connection.dialect.name), {"rows": list_text(keys)}).all()


@lru_cache
def _runs_of(dialect: str) -> sa.Select[Any]:
    columns = [runs.c.contact_id, runs.c.measure, runs.c.key]
    given = relation_of_parameter(dialect, columns)
    return sa.select(runs).join(given, sa.and_(*(given.c[column.name] == column for column in columns)))


def pending_since(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, Instant]:
    """Return contact -> when the oldest event was accepted that waits in the inbox under one of its identities.

    One look into an index for each identity, however full the inbox is.
    """
    found = connection.execute(_pending_since(connection.dialect.name), {"ids": list_text(contact_ids)})
    return {row[0]: row[1] for row in found.all()}


@lru_cache
def _pending_since(dialect: str) -> sa.Select[Any]:
    mine = sa.select(identities.c.kind, identities.c.value, identities.c.contact_id)
    known = mine.where(any_of_parameter(identities.c.contact_id, dialect)).cte("known")

    def oldest(column: sa.Column[Any]) -> sa.ScalarSelect[Any]:
        found = sa.select(sa.func.min(inbox.c.received_at)).where(column == known.c.value)
        return found.correlate(known).scalar_subquery()

    found = [
        sa.select(known.c.contact_id, oldest(inbox.c[kind]).label("at")).where(known.c.kind == kind)
        for kind in IDENTITY_KINDS
    ]
    # An alias waits under its earlier id too, whatever kind of id that is.
    found.append(sa.select(known.c.contact_id, oldest(inbox.c.previous_id).label("at")))
    waiting = sa.union_all(*found).subquery()
    statement = sa.select(waiting.c.contact_id, sa.func.min(waiting.c.at))
    return statement.where(waiting.c.at.is_not(None)).group_by(waiting.c.contact_id)


def objects_of(connection: sa.Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return (kind, key) -> the object's facts as JSON text, for those of these that exist."""
    rows: list[Row] = [{"kind": kind, "key": key} for kind, key in keys]
    if not rows:
        return {}
    given = relation(connection, [objects.c.kind, objects.c.key], rows)
    statement = sa.select(objects.c.kind, objects.c.key, objects.c.facts).join(
        given, sa.and_(given.c.kind == objects.c.kind, given.c.key == objects.c.key)
    )
    return {(row.kind, row.key): row.facts for row in connection.execute(statement)}


def write_verdicts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Set what the guard decided, of messages that wait."""
    update(connection, messages, rows, key=("id",), columns=VERDICT, where=_STILL_WAITING)


_STILL_WAITING = STATUS == "waiting"


# ---- what the first mail fixes ---------------------------------------------------------------------------


def fix_lets(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Set `let` (JSON text) of runs by id."""
    update(connection, runs, rows, key=("id",), columns=("let",))


def coupons_like(connection: sa.Connection, codes: Sequence[str], contact_ids: Sequence[int]) -> Rows:
    """Return the coupons with one of these codes, and all of these contacts."""
    by_code = sa.select(coupons).where(any_of(coupons.c.code, codes, connection))
    by_contact = sa.select(coupons).where(any_of(coupons.c.contact_id, contact_ids, connection))
    # A union keeps both indexes in use; an OR would read the whole table.
    return connection.execute(sa.union(by_code, by_contact)).all()


def mint(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert coupons; one per contact, measure, run key and offer."""
    insert(connection, coupons, rows, conflict=("contact_id", "measure", "run_key", "offer"))


# ---- conservation ----------------------------------------------------------------------------------------

#: status of the ledger -> the column of the report.
_SHOWN: Mapping[str, str] = {"ready": "waiting", "on_wire": "waiting"}
_COLUMNS = ("sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting")


def _decided_count(connection: sa.Connection) -> sa.ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return sa.func.jsonb_array_length(sa.cast(runs.c.decided, JSONB))
    return sa.func.json_array_length(runs.c.decided)


def conservation(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return per measure what was planned and what became of it, by measure.

    `planned` is counted from the steps that runs decided (an ops send starts runs like everything else), the
    others from the ledger; `balanced` says that they match.
    """
    planned = sa.select(runs.c.measure, sa.func.sum(_decided_count(connection))).group_by(runs.c.measure)
    found: dict[str, dict[str, Any]] = {}

    def row_of(measure: str) -> dict[str, Any]:
        return found.setdefault(measure, {"measure": measure, "planned": 0, **dict.fromkeys(_COLUMNS, 0)})

    for measure, count in connection.execute(planned):
        if count:
            row_of(measure)["planned"] = int(count)
    counted = sa.select(messages.c.measure, messages.c.status, sa.func.count())
    for measure, status, count in connection.execute(counted.group_by(messages.c.measure, messages.c.status)):
        row_of(measure)[_SHOWN.get(status, status)] += count
    for row in found.values():
        row["balanced"] = row["planned"] == sum(row[name] for name in _COLUMNS)
    return [found[measure] for measure in sorted(found)]


def strays(connection: sa.Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return what conservation cannot explain: steps decided without a message, messages no run decided.

    Each row names contact, measure, key, step and what is missing. Merged contacts count as their survivor.
    """
    owner = sa.func.coalesce(contacts.c.survivor, contacts.c.id)
    if connection.dialect.name == "postgresql":
        each = sa.func.jsonb_array_elements_text(sa.cast(runs.c.decided, JSONB)).table_valued("value")
    else:
        each = sa.func.json_each(runs.c.decided).table_valued("value")
    step = sa.cast(each.c.value, sa.Text)
    decided = sa.select(
        owner.label("contact"), runs.c.measure, runs.c.key.label("key"), step.label("step")
    ).select_from(runs.join(contacts, contacts.c.id == runs.c.contact_id).join(each, sa.true()))
    written = sa.select(
        owner.label("contact"), messages.c.measure, messages.c.run_key.label("key"), messages.c.step
    ).select_from(messages.join(contacts, contacts.c.id == messages.c.contact_id))
    missing: list[dict[str, Any]] = []
    for what, rows in (
        ("message", sa.except_(decided, written)),
        ("run", sa.except_(written, decided)),
    ):
        found = connection.execute(rows.order_by(sa.literal_column("1")).limit(limit))
        missing += [{**row._mapping, "missing": what} for row in found]  # noqa: SLF001 - its public name
    return missing[:limit]

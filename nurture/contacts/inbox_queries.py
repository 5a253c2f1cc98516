"""Read and write the inbox (accepted events that no drain has applied yet), its shards, and the quarantine.

`contacts.accept` and `journey.drain` hold the rules.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, any_of_parameter, insert, list_text, relation_of_parameter
from nurture.database.schema import identities, inbox, quarantine, shards
from nurture.domain.event import IDENTITY_KINDS, EventKind, Identity
from nurture.domain.instant import FOREVER, Instant

#: The number of shards of each class; an event's shard is a hash of its strongest identity.
SHARDS = 64
#: The shards of live events, and those of bulk work. The release before puts every event into the first.
LIVE = range(SHARDS)
BULK = range(SHARDS, 2 * SHARDS)
#: The shards of each class of `work_classes.INBOX`.
CLASSES = (LIVE, BULK)

_INSERTED = tuple(column.name for column in inbox.columns if column.name not in ("id", "attempts"))


def insert_rows(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert accepted events in the order of `rows`, in one statement."""
    insert(connection, inbox, rows, columns=_INSERTED)


def insert_quarantined(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert rows of `quarantine`, in one statement."""
    columns = ("source", "message_id", "received_at", "stage", "reason", "raw", "contact_id", "form", "hint")
    insert(connection, quarantine, rows, columns=columns)


def shards_of_class(shard: int) -> range:
    """Return the shards of the class that the shard belongs to."""
    return LIVE if shard in LIVE else BULK


def lock_shard(connection: sa.Connection, shard: int | range) -> int | None:
    """Lock the shard, or the free one of several whose oldest row waits longest; return its id, None without one."""
    if isinstance(shard, range):
        return connection.execute(_LOCK_OLDEST, _bounds(shard)).scalar()
    return connection.execute(_LOCK_SHARD, {"of": shard}).scalar()


def _bounds(shards: range) -> dict[str, int]:
    return {"first": shards.start, "end": shards.stop}


def _is_between(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    first, end = (sa.bindparam(name, type_=sa.SmallInteger) for name in ("first", "end"))
    return sa.and_(column >= first, column < end)


_OLDEST = sa.select(sa.func.min(inbox.c.id)).where(inbox.c.shard == shards.c.id).scalar_subquery()
_LOCK_ONE = sa.select(shards.c.id).with_for_update(skip_locked=True).limit(1)
_LOCK_OLDEST = _LOCK_ONE.where(_is_between(shards.c.id), _OLDEST.is_not(None)).order_by(_OLDEST)
_LOCK_SHARD = _LOCK_ONE.where(shards.c.id == sa.bindparam("of", type_=sa.SmallInteger))


def lock_other_shards(connection: sa.Connection, among: Collection[int], *, most: int) -> list[int]:
    """Lock the free shards among these that have rows, at most `most`, without waiting; return their ids."""
    if not among:
        return []
    parameters = {"ids": list_text(sorted(among)), "most": most}
    return list(connection.execute(_lock_others(connection.dialect.name), parameters).scalars())


@lru_cache
def _lock_others(dialect: str) -> sa.Select[Any]:
    waits = sa.exists().where(inbox.c.shard == shards.c.id)
    return (
        sa.select(shards.c.id)
        .where(any_of_parameter(shards.c.id, dialect), waits)
        .limit(sa.bindparam("most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
    )


def has_rows(connection: sa.Connection, shard: int | range | None = None) -> bool:
    """Return whether the shard, one of several, or (None) any shard, has rows."""
    if shard is None:
        return connection.execute(_WAITS).first() is not None
    if isinstance(shard, range):
        return connection.execute(_WAITS_BETWEEN, _bounds(shard)).first() is not None
    return connection.execute(_WAITS_IN, {"of": shard}).first() is not None


# ORDER BY makes PostgreSQL use the index, which skips rows deleted a moment ago.
_WAITS = sa.select(inbox.c.id).order_by(inbox.c.id).limit(1)
_WAITS_IN = _WAITS.where(inbox.c.shard == sa.bindparam("of", type_=sa.SmallInteger))
_BY_SHARD = sa.select(inbox.c.id).where(_is_between(inbox.c.shard)).order_by(inbox.c.shard, inbox.c.id)
_WAITS_BETWEEN = _BY_SHARD.limit(1)


def count_rows(connection: sa.Connection, *, most: int) -> list[int]:
    """Return how many rows each class of the inbox has, counting `most` live ones at most; bulk counts as `most`."""
    live = connection.execute(_COUNT, {**_bounds(LIVE), "most": most}).scalar_one()
    return [live, most if has_rows(connection, BULK) else 0]


_COUNT = sa.select(sa.func.count()).select_from(
    _BY_SHARD.limit(sa.bindparam("most", type_=sa.Integer)).subquery()
)


@dataclass(slots=True)
class InboxRow:
    """A row of `inbox` with its identities; fields as in the table."""

    id: int
    shard: int
    source: str
    message_id: str
    kind: EventKind
    name: str
    occurred_at: Instant
    received_at: Instant
    historic: bool
    previous_id: str | None
    body: str
    attempts: int
    # True: told with a browser key.
    hint: bool
    # Identities, strongest first; empty: a row without a person.
    named: tuple[Identity, ...]
    # The address among the identities.
    email: str | None


_PENDING = ("id", "shard", "source", "message_id", "kind", "name", "occurred_at", "received_at", "historic")
_PENDING_REST = ("previous_id", "body", "attempts", "hint")
_COLUMNS = tuple(inbox.c[name] for name in (*_PENDING, *_PENDING_REST, *IDENTITY_KINDS))
_PLAIN = len(_PENDING) + len(_PENDING_REST)
_EMAIL = _PLAIN + IDENTITY_KINDS.index("email")


def _rows(result: sa.CursorResult[Any]) -> list[InboxRow]:
    rows: Sequence[Any] = result.all()
    return [InboxRow(*(*row[:_PLAIN], _identities(*row[_PLAIN:]), row[_EMAIL])) for row in rows]


def _identities(
    user_id: str | None, email: str | None, phone: str | None, anonymous_id: str | None
) -> tuple[Identity, ...]:
    """Return the identities of a row, whose columns are in the order of IDENTITY_KINDS."""
    if email is phone is anonymous_id is None:
        return (_identity("user_id", user_id),) if user_id is not None else ()
    values = zip(IDENTITY_KINDS, (user_id, email, phone, anonymous_id), strict=True)
    return tuple([_identity(kind, value) for kind, value in values if value is not None])


#: The same few identities recur in a batch.
_identity = lru_cache(maxsize=8192)(Identity)


def load_oldest(connection: sa.Connection, *of: int, limit: int) -> list[InboxRow]:
    """Return the oldest rows of these shards, in order."""
    if len(of) > _APART_MAX:
        statement = _oldest_of_many(connection.dialect.name, live=all(shard in LIVE for shard in of))
        return _rows(connection.execute(statement, {"ids": list_text(of), "most": limit}))
    parameters = {f"of_{place}": shard for place, shard in enumerate(of)}
    return _rows(connection.execute(_oldest_of_few(len(of)), {**parameters, "most": limit}))


#: At most so many shards are looked up one by one.
_APART_MAX = 16


@lru_cache
def _oldest_of_many(dialect: str, *, live: bool) -> Any:
    mine, most = any_of_parameter(inbox.c.shard, dialect), sa.bindparam("most", type_=sa.Integer)
    if not live:
        # Bulk rows are most of the inbox, so it is read in id order.
        return sa.select(*_COLUMNS).where(mine).order_by(inbox.c.id).limit(most)
    # A few live rows may stand behind a hundred thousand of bulk work: no index has this order, so SQLite looks the
    # shards up.
    ids = sa.select(inbox.c.id).where(mine).order_by(inbox.c.id + 0).limit(most)
    return sa.select(*_COLUMNS).where(inbox.c.id.in_(ids)).order_by(inbox.c.id)


@lru_cache
def _oldest_of_few(count: int) -> Any:
    most = sa.bindparam("most", type_=sa.Integer)
    oldest = [
        sa.select(*_COLUMNS)
        .where(inbox.c.shard == sa.bindparam(f"of_{place}"))
        .order_by(inbox.c.id)
        .limit(most)
        for place in range(count)
    ]
    if count == 1:
        return oldest[0]
    # Each shard by its index, then the oldest rows of all of them.
    rows = sa.union_all(*(sa.select(of_shard.subquery()) for of_shard in oldest)).subquery()
    return sa.select(rows).order_by(rows.c.id).limit(most)


def find_pending(
    connection: sa.Connection,
    contacts: Iterable[int],
    *,
    limit: int,
    up_to: int = FOREVER,
    seen: Collection[int] = (),
    seen_to: int = FOREVER,
) -> list[int]:
    """Return the ids of the oldest rows in any shard that name an identity of these contacts, in order.

    limit: the number of rows. up_to: the greatest row id. seen: shards whose rows up to the id `seen_to` the caller
    has already; those rows are left out.
    """
    statement = _pending(connection.dialect.name)
    parameters = {"ids": list_text(contacts), "most": limit, "up_to": up_to}
    parameters |= {"seen": list_text(sorted(seen)), "seen_to": seen_to}
    return [row_id for (row_id,) in connection.execute(statement, parameters).all()]


def find_pending_by_identities(
    connection: sa.Connection, names: Iterable[Identity], *, limit: int, up_to: int, seen: Collection[int]
) -> list[int]:
    """Return the ids of the oldest rows in other shards than `seen` that name one of these identities, in order."""
    statement = _pending(connection.dialect.name, by_name=True)
    parameters = {"rows": list_text((name.kind, name.value) for name in names), "most": limit, "up_to": up_to}
    parameters |= {"seen": list_text(sorted(seen)), "seen_to": FOREVER}
    return [row_id for (row_id,) in connection.execute(statement, parameters).all()]


@lru_cache
def _pending(dialect: str, *, by_name: bool = False) -> sa.Select[int]:
    columns = [identities.c.kind, identities.c.value]
    if by_name:
        given = relation_of_parameter(dialect, columns)
        known = sa.select(given.c.kind, given.c.value).cte("known")
    else:
        mine = sa.select(*columns)
        known = mine.where(any_of_parameter(identities.c.contact_id, dialect)).cte("known")
    branches = [
        sa.select(inbox.c.id).join(known, sa.and_(known.c.kind == kind, known.c.value == inbox.c[kind]))
        for kind in IDENTITY_KINDS
    ]
    # An alias also names its previous id, whatever kind of identity that is.
    branches.append(sa.select(inbox.c.id).join(known, known.c.value == inbox.c.previous_id))
    bounds = (
        inbox.c.id <= sa.bindparam("up_to", type_=sa.BigInteger),
        sa.or_(
            inbox.c.id > sa.bindparam("seen_to", type_=sa.BigInteger),
            sa.not_(any_of_parameter(inbox.c.shard, dialect, "seen")),
        ),
    )
    found = sa.union(*(branch.where(*bounds) for branch in branches)).subquery("found")
    return sa.select(found.c.id).order_by(found.c.id).limit(sa.bindparam("most", type_=sa.Integer))


def find_remaining(connection: sa.Connection, ids: Sequence[int]) -> list[int]:
    """Return the ids whose rows are still there; without ids no statement runs."""
    if not ids:
        return []
    return list(connection.execute(_remaining(connection.dialect.name), {"ids": list_text(ids)}).scalars())


@lru_cache
def _remaining(dialect: str) -> sa.Select[int]:
    return sa.select(inbox.c.id).where(any_of_parameter(inbox.c.id, dialect))


def load_rows_of(connection: sa.Connection, names: Sequence[Identity]) -> list[InboxRow]:
    """Return every row with one of these identities, also as an alias's previous id, in order."""
    by_kind = {
        kind: [name.value for name in names if name.kind == kind] for kind in (*IDENTITY_KINDS, "previous_id")
    }
    by_kind["previous_id"] = [name.value for name in names]
    branches = [
        sa.select(inbox.c.id).where(any_of(inbox.c[kind], values, connection))
        for kind, values in by_kind.items()
        if values
    ]
    found = sa.union(*branches).subquery("found")
    return load_rows(connection, list(connection.execute(sa.select(found.c.id)).scalars()))


def load_rows(connection: sa.Connection, ids: Sequence[int]) -> list[InboxRow]:
    """Return the rows that are still there, in order; without ids no statement runs."""
    if not ids:
        return []
    return _rows(connection.execute(_find(connection.dialect.name), {"ids": list_text(ids)}))


@lru_cache
def _find(dialect: str) -> sa.Select[Any]:
    return sa.select(*_COLUMNS).where(any_of_parameter(inbox.c.id, dialect)).order_by(inbox.c.id)


def mark_historic(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Let these rows make facts and start no mail."""
    if ids:
        connection.execute(
            sa.update(inbox).where(any_of(inbox.c.id, ids, connection)).values(historic=sa.true())
        )


def delete_rows(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Delete these rows after they were applied or quarantined."""
    if ids:
        connection.execute(_delete(connection.dialect.name), {"ids": list_text(ids)})


@lru_cache
def _delete(dialect: str) -> sa.Delete:
    return sa.delete(inbox).where(any_of_parameter(inbox.c.id, dialect))


def raise_attempts(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Count one more attempt to apply each of these rows."""
    statement = sa.update(inbox).where(any_of(inbox.c.id, ids, connection))
    connection.execute(statement.values(attempts=inbox.c.attempts + 1))


def reset_attempts(connection: sa.Connection, ids: Collection[int]) -> None:
    """Set the attempts of these rows to 0 where they are still there: the process has survived them."""
    if ids:
        statement = sa.update(inbox).where(any_of(inbox.c.id, sorted(ids), connection))
        connection.execute(statement.values(attempts=0))


def load_quarantine_reasons(
    connection: sa.Connection, stage: str, contacts: Sequence[int]
) -> set[tuple[int, str]]:
    """Return (contact, reason) of the items quarantined at this stage for these contacts."""
    statement = sa.select(quarantine.c.contact_id, quarantine.c.reason).where(
        quarantine.c.stage == stage, any_of(quarantine.c.contact_id, contacts, connection)
    )
    return {(row.contact_id, row.reason) for row in connection.execute(statement)}

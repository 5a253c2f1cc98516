"""What the database knows of the senders' journals, and what a journal's evidence does to the ledger."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nurture.database import bulk, meta
from nurture.database.bulk import Row, any_of, relation
from nurture.database.schema import contacts, journals, messages, switches
from nurture.database.schema import left_before as marks
from nurture.database.schema import meta as facts
from nurture.delivery.claim_queries import Rows
from nurture.domain.guard.input import RESTORED_SWITCH
from nurture.domain.instant import Instant

_IDENTITY = "database_id"
_EPOCH = "epoch"
_FREE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
#: What `ix_messages_leased` holds, spelt out so that the index is used.
_LEASED = messages.c.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
_FATE = ("status", "reason", "due_at", "settled_at", "sent_at")
#: The cluster, its history, the database and the table: each is another after its own kind of restore.
_INCARNATION = """
SELECT (SELECT system_identifier FROM pg_control_system())
    || ':' || CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END
    || ':' || (SELECT oid FROM pg_database WHERE datname = current_database())
    || ':' || 'messages'::regclass::oid
"""


# ---- which database this is ------------------------------------------------------------------------------


def database_id(connection: sa.Connection) -> str:
    """Return what tells this database from every other one; a restored copy has the same."""
    return meta.get(connection, _IDENTITY) or meta.put_once(connection, _IDENTITY, secrets.token_hex(8))


def known_id(connection: sa.Connection) -> str | None:
    """Return the same without giving a database one that has none."""
    return meta.get(connection, _IDENTITY)


def incarnation(connection: sa.Connection) -> str:
    """Return what changes when the database is restored or fails over; empty where nothing can be asked."""
    if connection.dialect.name != "postgresql":
        return ""
    try:
        with connection.begin_nested():
            return str(connection.scalar(sa.text(_INCARNATION)))
    except DBAPIError:
        # Some hosts let nobody ask.
        return ""


def epoch(connection: sa.Connection) -> str | None:
    """Return the incarnation that was agreed to, None when there was none yet."""
    return meta.get(connection, _EPOCH)


def put_epoch(connection: sa.Connection, value: str) -> None:
    """Agree to the present incarnation."""
    row = {"key": _EPOCH, "value": value}
    bulk.insert(connection, facts, [row], conflict=["key"], update=["value"])


def is_stopped(connection: sa.Connection) -> bool:
    """Tell whether all lanes stand still after a restore."""
    statement = sa.select(switches.c.paused).where(switches.c.name == RESTORED_SWITCH)
    return bool(connection.scalar(statement))


# ---- senders ---------------------------------------------------------------------------------------------


def enlist(connection: sa.Connection, name: str, *, now: Instant) -> None:
    """Make a sender known."""
    bulk.insert(connection, journals, [{"name": name, "opened_at": now, "windows": 0}], conflict=["name"])


def count_window(connection: sa.Connection, name: str) -> int | None:
    """Count a window of a sender and return its number; None when the database does not know the sender."""
    counted = {"windows": journals.c.windows + 1, "settled_at": None}
    statement = sa.update(journals).where(journals.c.name == name).values(**counted)
    return connection.execute(statement.returning(journals.c.windows)).scalar()


def known(connection: sa.Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return name -> row of those senders that the database knows."""
    if not names:
        return {}
    statement = sa.select(journals).where(any_of(journals.c.name, names, connection))
    return {row.name: row for row in connection.execute(statement)}


def put_settled(
    connection: sa.Connection, name: str, *, windows: int, opened_at: Instant, now: Instant
) -> None:
    """Remember that a journal was read to its end, which was this window; the sender's next window undoes it."""
    row = {"name": name, "opened_at": opened_at, "windows": windows, "settled_at": now}
    bulk.insert(connection, journals, [row], conflict=["name"])
    least = sa.case((journals.c.windows < windows, windows), else_=journals.c.windows)
    statement = sa.update(journals).where(journals.c.name == name)
    connection.execute(statement.values(windows=least, settled_at=now))


def unread(connection: sa.Connection) -> list[str]:
    """Return the senders that nobody has read the journal of since they last sent."""
    statement = sa.select(journals.c.name).where(journals.c.settled_at.is_(None), journals.c.windows > 0)
    return list(connection.execute(statement.order_by(journals.c.name)).scalars())


def forget(connection: sa.Connection, *, senders_before: Instant, left_before: Instant) -> None:
    """Forget senders whose journals were read to the end, and mails that left before a restore, long ago."""
    connection.execute(sa.delete(journals).where(journals.c.settled_at < senders_before))
    connection.execute(sa.delete(marks).where(marks.c.at < left_before))


def owners(connection: sa.Connection) -> set[str]:
    """Return the workers that hold mails now."""
    statement = sa.select(messages.c.lease_owner).where(_LEASED).distinct()
    return set(connection.execute(statement).scalars())


# ---- the ledger ------------------------------------------------------------------------------------------

_LOOK = (
    "id", "contact_id", "measure", "run_key", "purpose", "lane", "attempt", "status", "reason", "decided_at",
    "due_at", "valid_until", "sent_at", "settled_at", "lease_owner",
)  # fmt: skip


def held_by(connection: sa.Connection, owner: str, *, lane: str | None = None, limit: int) -> Rows:
    """Return messages that a worker holds, ready or on the wire."""
    statement = _looked().where(_LEASED, messages.c.lease_owner == owner).order_by(messages.c.id)
    if lane is not None:
        statement = statement.where(messages.c.lane == lane)
    return connection.execute(statement.limit(limit)).all()


def by_id(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Any]:
    """Return id -> message, and its living contact's address as `email`."""
    statement = _looked().where(any_of(messages.c.id, list(ids), connection))
    return {row.id: row for row in connection.execute(statement)}


def _looked() -> sa.Select[Any]:
    owner, living = contacts.alias("owner"), contacts.alias("living")
    return (
        sa.select(*(messages.c[name] for name in _LOOK), living.c.email)
        .outerjoin(owner, owner.c.id == messages.c.contact_id)
        .outerjoin(living, living.c.id == sa.func.coalesce(owner.c.survivor, owner.c.id))
    )


def settle_found(connection: sa.Connection, rows: Sequence[Row]) -> set[int]:
    """Let what a journal heard (`sent`, `failed`) settle messages that are open, and return their ids.

    rows: `id`, `attempt` (a message that has had a later one is left alone), and what becomes of it.
    """
    return _put(connection, rows, messages.c.status.in_(("waiting", "ready", "on_wire", "in_doubt")))


def hold_found(connection: sa.Connection, rows: Sequence[Row], *, owner: str) -> set[int]:
    """Write what became of a worker's own attempts that are still on the wire, and return their ids."""
    mine = sa.and_(messages.c.status == "on_wire", messages.c.lease_owner == owner)
    return _put(connection, rows, mine)


def doubt_found(connection: sa.Connection, rows: Sequence[Row]) -> set[int]:
    """After a restore: put in doubt what may have left and is about to leave again; returns the ids."""
    return _put(connection, rows, messages.c.status.in_(("waiting", "ready", "on_wire")))


def _put(connection: sa.Connection, rows: Sequence[Row], may: sa.ColumnElement[bool]) -> set[int]:
    if not rows:
        return set()
    given = relation(connection, [messages.c[name] for name in ("id", "attempt", *_FATE)], rows)
    values: Mapping[str, Any] = {**_FREE, **{name: given.c[name] for name in ("attempt", *_FATE)}}
    # A mail that has had a later attempt meanwhile is that attempt's.
    same = (messages.c.id == given.c.id, messages.c.attempt <= given.c.attempt)
    statement = sa.update(messages).values(**values).where(*same, may).returning(messages.c.id)
    return set(connection.execute(statement).scalars())


# ---- what left before a restore --------------------------------------------------------------------------


def add_left(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Remember mails that left and that this database has never heard of; rows: `mark`, `at`, `journal`."""
    bulk.insert(connection, marks, rows, conflict=["mark"])


def find_left(connection: sa.Connection, given: Sequence[str]) -> dict[str, Any]:
    """Return mark -> row of those of the mails that left before a restore."""
    statement = sa.select(marks).where(any_of(marks.c.mark, given, connection))
    return {row.mark: row for row in connection.execute(statement)}


def raise_ids(connection: sa.Connection, *, messages_to: int, contacts_to: int) -> None:
    """Let new messages and contacts get numbers above those that left before a restore (PostgreSQL).

    Links and Message-IDs of the mails that left name the old numbers.
    """
    if connection.dialect.name != "postgresql":
        return
    statement = sa.text(
        "SELECT setval(pg_get_serial_sequence(:name, 'id'), :least) "
        "WHERE :least > (SELECT coalesce(pg_sequence_last_value("
        "CAST(pg_get_serial_sequence(:name, 'id') AS regclass)), 0))"
    )
    for name, least in (("messages", messages_to), ("contacts", contacts_to)):
        connection.execute(statement, {"name": name, "least": least})

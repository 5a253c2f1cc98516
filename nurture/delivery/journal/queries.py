"""Statements on the senders of journals, on the database's identity, and on messages that a journal tells about."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nurture.database import bulk, meta
from nurture.database.bulk import Row, any_of, relation
from nurture.database.day_counts import COUNTED, count_mails
from nurture.database.schema import contacts, journals, messages, switches
from nurture.database.schema import left_before as marks
from nurture.database.schema import meta as meta_table
from nurture.delivery.claim_queries import Rows
from nurture.domain.guard.input import RESTORED_SWITCH
from nurture.domain.instant import Instant
from nurture.ledger.queries import lock_statuses

_IDENTITY = "database_id"
_EPOCH = "epoch"
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
#: The condition of the partial index `ix_messages_leased`; PostgreSQL uses it only when the statement repeats it.
_LEASED = messages.c.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
_OUTCOME = ("status", "reason", "due_at", "settled_at", "sent_at")
#: Cluster, timeline, database and table: each kind of restore changes one of them.
_INCARNATION = """
SELECT (SELECT system_identifier FROM pg_control_system())
    || ':' || CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END
    || ':' || (SELECT oid FROM pg_database WHERE datname = current_database())
    || ':' || 'messages'::regclass::oid
"""


# ---- the database's identity ------------------------------------------------------------------------------


def ensure_database_id(connection: sa.Connection) -> str:
    """Return the id of this database, created at the first call; a restored copy has the same one."""
    return meta.get(connection, _IDENTITY) or meta.put_once(connection, _IDENTITY, secrets.token_hex(8))


def find_database_id(connection: sa.Connection) -> str | None:
    """Return the id of this database, None when it has none yet."""
    return meta.get(connection, _IDENTITY)


def read_incarnation(connection: sa.Connection) -> str:
    """Return a text that changes when the database is restored or fails over; empty where the server gives none."""
    if connection.dialect.name != "postgresql":
        return ""
    try:
        with connection.begin_nested():
            return str(connection.scalar(sa.text(_INCARNATION)))
    except DBAPIError:
        # Some hosts do not let their users read it.
        return ""


def find_accepted_incarnation(connection: sa.Connection) -> str | None:
    """Return the incarnation that was accepted last, None when there was none yet."""
    return meta.get(connection, _EPOCH)


def accept_incarnation(connection: sa.Connection, value: str) -> None:
    """Store an incarnation as the accepted one."""
    row = {"key": _EPOCH, "value": value}
    bulk.insert(connection, meta_table, [row], conflict=["key"], update=["value"])


def is_stopped_after_restore(connection: sa.Connection) -> bool:
    """Return whether all lanes are stopped after a restore."""
    statement = sa.select(switches.c.paused).where(switches.c.name == RESTORED_SWITCH)
    return bool(connection.scalar(statement))


# ---- senders ---------------------------------------------------------------------------------------------


def insert_sender(connection: sa.Connection, name: str, *, now: Instant) -> None:
    """Insert a sender that has sent no window yet."""
    bulk.insert(connection, journals, [{"name": name, "opened_at": now, "windows": 0}], conflict=["name"])


def count_window(connection: sa.Connection, name: str) -> int | None:
    """Count one more window of a sender and return its number, None when there is no such sender."""
    counted = {"windows": journals.c.windows + 1, "settled_at": None}
    statement = sa.update(journals).where(journals.c.name == name).values(**counted)
    return connection.execute(statement.returning(journals.c.windows)).scalar()


def load_senders(connection: sa.Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return name -> row of those senders that the database has."""
    if not names:
        return {}
    statement = sa.select(journals).where(any_of(journals.c.name, names, connection))
    return {row.name: row for row in connection.execute(statement)}


def mark_journal_read(
    connection: sa.Connection, name: str, *, windows: int, opened_at: Instant, now: Instant
) -> None:
    """Store that a journal was read up to its last window; the next window of the sender resets it."""
    row = {"name": name, "opened_at": opened_at, "windows": windows, "settled_at": now}
    bulk.insert(connection, journals, [row], conflict=["name"])
    greatest = sa.case((journals.c.windows < windows, windows), else_=journals.c.windows)
    statement = sa.update(journals).where(journals.c.name == name)
    connection.execute(statement.values(windows=greatest, settled_at=now))


def list_unread_senders(connection: sa.Connection) -> list[str]:
    """Return the senders whose journals were not read since they last sent, sorted."""
    statement = sa.select(journals.c.name).where(journals.c.settled_at.is_(None), journals.c.windows > 0)
    return list(connection.execute(statement.order_by(journals.c.name)).scalars())


def delete_old(connection: sa.Connection, *, senders_before: Instant, left_before: Instant) -> None:
    """Delete senders whose journals were read before an instant, and marks of mails older than another."""
    connection.execute(sa.delete(journals).where(journals.c.settled_at < senders_before))
    connection.execute(sa.delete(marks).where(marks.c.at < left_before))


def list_lease_owners(connection: sa.Connection) -> set[str]:
    """Return the workers that have messages under a lease."""
    statement = sa.select(messages.c.lease_owner).where(_LEASED).distinct()
    return set(connection.execute(statement).scalars())


# ---- the ledger ------------------------------------------------------------------------------------------

_MESSAGE = (
    "id", "contact_id", "measure", "run_key", "purpose", "lane", "attempt", "status", "reason", "decided_at",
    "due_at", "valid_until", "sent_at", "settled_at", "lease_owner",
)  # fmt: skip


def load_leased_messages(
    connection: sa.Connection, owner: str, *, lane: str | None = None, limit: int
) -> Rows:
    """Return messages under a worker's lease, ready or on the wire, by id."""
    statement = _select_messages().where(_LEASED, messages.c.lease_owner == owner).order_by(messages.c.id)
    if lane is not None:
        statement = statement.where(messages.c.lane == lane)
    return connection.execute(statement.limit(limit)).all()


def load_messages(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Any]:
    """Return id -> message, with the address of its living contact as `email`."""
    statement = _select_messages().where(any_of(messages.c.id, list(ids), connection))
    return {row.id: row for row in connection.execute(statement)}


def _select_messages() -> sa.Select[Any]:
    owner, living = contacts.alias("owner"), contacts.alias("living")
    return (
        sa.select(*(messages.c[name] for name in _MESSAGE), living.c.email)
        .outerjoin(owner, owner.c.id == messages.c.contact_id)
        .outerjoin(living, living.c.id == sa.func.coalesce(owner.c.survivor, owner.c.id))
    )


def settle_open_messages(connection: sa.Connection, rows: Sequence[Row], *, now: Instant) -> set[int]:
    """Settle open messages by outcomes of a journal (`sent`, `failed`); return the ids written.

    rows: `id`, `attempt` (a message with a later attempt is left alone), and the columns of its outcome.
    """
    is_open = messages.c.status.in_(("waiting", "ready", "on_wire", "in_doubt"))
    return _write_outcomes(connection, rows, is_open, now=now)


def write_own_outcomes(
    connection: sa.Connection, rows: Sequence[Row], *, owner: str, now: Instant
) -> set[int]:
    """Write outcomes of a worker's own attempts that are still on the wire; return the ids written."""
    own = sa.and_(messages.c.status == "on_wire", messages.c.lease_owner == owner)
    return _write_outcomes(connection, rows, own, now=now)


def put_open_messages_in_doubt(connection: sa.Connection, rows: Sequence[Row], *, now: Instant) -> set[int]:
    """After a restore: put messages in doubt that may have left and would leave again; return the ids written."""
    is_unsent = messages.c.status.in_(("waiting", "ready", "on_wire"))
    return _write_outcomes(connection, rows, is_unsent, now=now)


def _write_outcomes(
    connection: sa.Connection, rows: Sequence[Row], condition: sa.ColumnElement[bool], *, now: Instant
) -> set[int]:
    if not rows:
        return set()
    before = lock_statuses(connection, [row["id"] for row in rows])
    given = relation(connection, [messages.c[name] for name in ("id", "attempt", *_OUTCOME)], rows)
    values: Mapping[str, Any] = {**_NO_LEASE, **{name: given.c[name] for name in ("attempt", *_OUTCOME)}}
    # A message that has had a later attempt is left to that attempt.
    same = (messages.c.id == given.c.id, messages.c.attempt <= given.c.attempt)
    statement = sa.update(messages).values(**values).where(*same, condition)
    written = connection.execute(statement.returning(*COUNTED)).all()
    count_mails(connection, written, before=before, now=now)
    return {row.id for row in written}


# ---- mails that left before a restore --------------------------------------------------------------------


def insert_left_before(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Insert mails that left and that this restored database does not have; rows: `mark`, `at`, `journal`."""
    bulk.insert(connection, marks, rows, conflict=["mark"])


def find_left_before(connection: sa.Connection, mail_marks: Sequence[str]) -> dict[str, Any]:
    """Return mark -> row, for those of the mails that left before a restore."""
    statement = sa.select(marks).where(any_of(marks.c.mark, mail_marks, connection))
    return {row.mark: row for row in connection.execute(statement)}


def raise_sequences(connection: sa.Connection, *, messages_to: int, contacts_to: int) -> None:
    """Raise the id sequences above the messages and contacts that left before a restore (PostgreSQL only).

    The links and Message-IDs of mails that left hold their ids.
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

"""The wire gate and what comes after it: leases, outcomes, attempts, lapsed work.

Everything a worker writes here is fenced by the attempt it was given and by its lease: who was stopped for
too long neither sends nor overwrites what others did meanwhile.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import (
    Row,
    any_of,
    insert_statement,
    list_text,
    relation,
    relation_of_parameter,
    update,
)
from nurture.database.schema import attempts, contacts, messages, switches
from nurture.delivery.claim_queries import STATUS, Rows
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.instant import Instant

#: What `ix_messages_leased` holds, spelt out so that the index is used.
_LEASED = messages.c.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
#: What ends a lease.
_FREE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_ATTEMPT = ("message_id", "attempt", "at", "outcome", "stage", "code", "reply", "worker")


# ---- the wire gate ---------------------------------------------------------------------------------------


def pass_gate(
    connection: sa.Connection,
    rows: Sequence[Row],
    *,
    worker: str,
    now: Instant,
    lease: Instant,
    until: Instant,
) -> set[int]:
    """Put on the wire those messages that are still exactly what was guarded, and return their ids.

    rows: `id`, `attempt`, `contact_id` (the living contact), `content_hash` (of the bytes), `context` (None: as
    it is). One statement checks
    that the message is ready (or past an earlier gate and not begun), that attempt and lease are the worker's
    and live by `lease` (database time), that the contact's version and track are those the guard saw, and
    that no switch is off. until: the lease from now on.
    """
    if not rows:
        return set()
    names = _AT_GATE if any(row["context"] is not None for row in rows) else _AT_GATE[:-1]
    given = {
        "rows": list_text([row[name] for name in names] for row in rows),
        "of_worker": worker,
        "gate_at": now,
        "lease_from": lease,
        "lease_to": until,
    }
    return _ids(connection.execute(_gate(connection.dialect.name, names), given))


_AT_GATE = ("id", "attempt", "contact_id", "content_hash", "context")


@lru_cache
def _gate(dialect: str, names: tuple[str, ...]) -> Any:
    """Return the statement; without `context` among the names no message's is touched, which costs far less."""
    given = relation_of_parameter(dialect, [messages.c[name] for name in names])
    values: dict[str, Any] = {
        "status": sa.literal_column("'on_wire'"),
        "sent_at": sa.bindparam("gate_at", type_=sa.BigInteger),
        "lease_until": sa.bindparam("lease_to", type_=sa.BigInteger),
        "content_hash": given.c.content_hash,
    }
    if "context" in names:
        values["context"] = sa.func.coalesce(given.c.context, messages.c.context)
    off = sa.select(switches.c.name).where(
        switches.c.paused,
        sa.or_(
            switches.c.name.in_([sa.literal_column(f"'{name}'") for name in (ALL_SWITCH, RESTORED_SWITCH)]),
            switches.c.name == messages.c.lane,
            switches.c.name == messages.c.measure,
        ),
    )
    return (
        sa.update(messages)
        .values(values)
        .where(
            _held(given),
            messages.c.lease_until > sa.bindparam("lease_from", type_=sa.BigInteger),
            contacts.c.id == given.c.contact_id,
            contacts.c.survivor.is_(None),
            contacts.c.erased_at.is_(None),
            contacts.c.version == messages.c.contact_version,
            sa.or_(messages.c.track == sa.literal_column("'any'"), messages.c.track == contacts.c.track),
            ~sa.exists(off.correlate(messages)),
        )
        .returning(messages.c.id)
    )


def give_back(
    connection: sa.Connection, rows: Sequence[Row], *, worker: str, due_at: Instant, reason: str
) -> int:
    """Let messages wait again that were not begun. Returns how many still were the worker's.

    rows: `id`, `attempt`.
    """
    if not rows:
        return 0
    given = relation(connection, [messages.c.id, messages.c.attempt], rows)
    values = {**_FREE, "status": "waiting", "due_at": due_at, "reason": reason, "sent_at": None}
    statement = sa.update(messages).values(**values).where(_held(given))
    return connection.execute(statement, {"of_worker": worker}).rowcount


def hold_back(connection: sa.Connection, rows: Sequence[Row], *, worker: str) -> int:
    """Skip or defer messages that cannot be made. Returns how many still were the worker's.

    rows: `id`, `attempt`, `status`, `reason`, `due_at`, `settled_at`, `verdict`.
    """
    if not rows:
        return 0
    names = ("status", "reason", "due_at", "settled_at", "verdict")
    given = relation(connection, [messages.c[name] for name in ("id", "attempt", *names)], rows)
    values = {**_FREE, "sent_at": None, **{name: given.c[name] for name in names}}
    statement = sa.update(messages).values(**values).where(_held(given))
    return connection.execute(statement, {"of_worker": worker}).rowcount


def _held(given: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return what holds for messages of these attempts that are `of_worker`'s and not begun."""
    return sa.and_(
        messages.c.id == given.c.id,
        messages.c.attempt == given.c.attempt,
        STATUS.in_(("ready", "on_wire")),
        messages.c.lease_owner == sa.bindparam("of_worker", type_=sa.Text),
    )


def _ids(found: sa.CursorResult[Any]) -> set[int]:
    return {number for (number,) in found.all()}


# ---- outcomes --------------------------------------------------------------------------------------------


def tell_attempts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append to `attempts` what is not written yet; a repeated transaction writes nothing twice."""
    if not rows:
        return
    text = list_text([row[name] for name in _ATTEMPT] for row in rows)
    connection.execute(_tell(connection.dialect.name), {"rows": text})


@lru_cache
def _tell(dialect: str) -> Any:
    given = relation_of_parameter(dialect, [attempts.c[name] for name in _ATTEMPT])
    known = sa.exists().where(
        attempts.c.message_id == given.c.message_id,
        attempts.c.attempt == given.c.attempt,
        attempts.c.worker == given.c.worker,
        attempts.c.outcome == given.c.outcome,
    )
    source = sa.select(*(given.c[name] for name in _ATTEMPT)).where(~known).order_by(given.c.place_)
    return insert_statement(dialect, attempts, _ATTEMPT, source)


def settle(connection: sa.Connection, rows: Sequence[Row], *, worker: str) -> set[int]:
    """Write outcomes of the worker's own attempts that are on the wire; returns the ids written.

    rows: `id`, `attempt`, `status`, `reason`, `due_at`, `settled_at`, `sent_at`, `told`, `context` (None: as
    it is).
    """
    if not rows:
        return set()
    names = _SETTLED if any(row["context"] is not None for row in rows) else _SETTLED[:-1]
    given = {"rows": list_text([row[name] for name in names] for row in rows), "of_worker": worker}
    return _ids(connection.execute(_settle(connection.dialect.name, names), given))


_SETTLED = ("id", "attempt", "status", "reason", "due_at", "settled_at", "sent_at", "told", "context")


@lru_cache
def _settle(dialect: str, names: tuple[str, ...]) -> Any:
    given = relation_of_parameter(dialect, [messages.c[name] for name in names])
    values = {**_FREE, **{name: given.c[name] for name in names[2:]}}
    if "context" in names:
        # No context given: it stays as it is. Nothing is kept of somebody who was erased meanwhile.
        erased = sa.exists().where(contacts.c.id == messages.c.contact_id, contacts.c.erased_at.is_not(None))
        context = sa.func.coalesce(given.c.context, messages.c.context)
        values["context"] = sa.case((erased.correlate(messages), sa.null()), else_=context)
    return (
        sa.update(messages).values(values).where(_held(given), STATUS == "on_wire").returning(messages.c.id)
    )


def settle_doubt(connection: sa.Connection, rows: Sequence[Row]) -> set[int]:
    """Let late evidence (`sent`, `failed`) settle the same attempt where it is in doubt; returns the ids written."""
    columns = ("status", "reason", "due_at", "settled_at")
    key = ("id", "attempt")
    found = update(connection, messages, rows, key=key, columns=columns, where=_IN_DOUBT, returning=("id",))
    return {row.id for row in found}


_IN_DOUBT = messages.c.status == sa.literal_column("'in_doubt'")


def count_attempts(connection: sa.Connection, ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """Return (message, outcome) -> how many of its attempts ended so, those that never got to it left out."""
    if not ids:
        return {}
    statement = (
        sa.select(attempts.c.message_id, attempts.c.outcome, sa.func.count())
        .where(
            any_of(attempts.c.message_id, ids, connection),
            attempts.c.stage.not_in(("connect", "greeted")),
        )
        .group_by(attempts.c.message_id, attempts.c.outcome)
    )
    return {(row[0], row[1]): row[2] for row in connection.execute(statement)}


# ---- lapsed work -----------------------------------------------------------------------------------------


def free_lapsed(connection: sa.Connection, *, lease: Instant, now: Instant, limit: int) -> int:
    """Let ready messages whose lease has lapsed wait again, due at once; returns how many."""
    found = (
        sa.select(messages.c.id)
        .where(_LEASED, messages.c.status == "ready", messages.c.lease_until <= lease)
        .order_by(messages.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(found).scalars())
    if not ids:
        return 0
    statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
    values = {**_FREE, "status": "waiting", "reason": "lease_lapsed", "due_at": now}
    return connection.execute(statement.values(**values)).rowcount


def lapsed_on_wire(connection: sa.Connection, *, lease: Instant, limit: int) -> Rows:
    """Return messages on the wire whose lease has lapsed; nothing is locked, `doubt` looks again."""
    names = ("id", "contact_id", "measure", "run_key", "purpose", "attempt", "lease_owner")
    statement = (
        sa.select(*(messages.c[name] for name in names))
        .where(_LEASED, messages.c.status == "on_wire", messages.c.lease_until <= lease)
        .order_by(messages.c.lease_until)
        .limit(limit)
    )
    return connection.execute(statement).all()


def doubt(connection: sa.Connection, rows: Sequence[Row], *, lease: Instant) -> set[int]:
    """Put lapsed messages on the wire in doubt, those of another attempt left alone; returns the ids written."""
    lapsed = sa.and_(messages.c.status == "on_wire", messages.c.lease_until <= lease)
    columns = ("status", "reason", "due_at", "settled_at", *_FREE)
    free = [{**row, **_FREE} for row in rows]
    key = ("id", "attempt")
    found = update(connection, messages, free, key=key, columns=columns, where=lapsed, returning=("id",))
    return {row.id for row in found}


def retry_doubted(connection: sa.Connection, *, now: Instant, limit: int) -> int:
    """Let transactional messages wait again whose time for evidence is over; returns how many."""
    found = (
        sa.select(messages.c.id)
        .where(messages.c.status == sa.literal_column("'in_doubt'"), messages.c.due_at <= now)
        .order_by(messages.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(found).scalars())
    if not ids:
        return 0
    statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
    values = {**_FREE, "status": "waiting", "reason": "in_doubt", "sent_at": None}
    return connection.execute(statement.values(**values)).rowcount

"""Statements of the send gate and of everything after it: leases, outcomes, attempts, lapsed leases.

Each write of a worker is fenced by its attempt number and its lease, so a worker that was stopped for too long neither
sends nor overwrites the work of others.
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
from nurture.database.day_counts import COUNTED, count_mails
from nurture.database.schema import account_members, accounts, attempts, contacts, messages, sends, switches
from nurture.delivery.claim_queries import STATUS, Rows
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING, MARKETING_SWITCH

#: The condition of the partial index `ix_messages_leased`; PostgreSQL uses it only when the statement repeats it.
_LEASED = messages.c.status.in_([sa.literal_column("'ready'"), sa.literal_column("'on_wire'")])
#: The columns that end a lease.
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_ATTEMPT = ("message_id", "attempt", "at", "outcome", "stage", "code", "reply", "worker")


# ---- the send gate ---------------------------------------------------------------------------------------


def pass_gate(
    connection: sa.Connection,
    rows: Sequence[Row],
    *,
    worker: str,
    now: Instant,
    lease: Instant,
    until: Instant,
) -> set[int]:
    """Set those messages to `on_wire` that have not changed since the guard saw them, and return their ids.

    rows: `id`, `attempt`, `contact_id` (the living contact), `content_hash` (of the bytes), `context` (None: keep it).
    One statement checks that the message is ready (or passed an earlier gate and was not begun), that attempt and lease
    are the worker's and the lease has not lapsed at `lease` (database time), that the contact has the version and track
    the guard saw, and its account the version, that no switch is off, and that the mail's send is running.
    until: the end of the new lease.
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
    """Return the statement; it writes `context` only when the names hold it, because that costs far more."""
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
            sa.and_(
                messages.c.purpose.in_([sa.literal_column(f"'{purpose}'") for purpose in sorted(MARKETING)]),
                switches.c.name == messages.c.lane.concat(sa.literal_column(f"'{MARKETING_SWITCH}'")),
            ),
        ),
    )
    stopped = sa.select(sends.c.request).where(
        sends.c.request == messages.c.request, sends.c.state != sa.literal_column("'running'")
    )
    other_account = (
        sa.select(account_members.c.contact_id)
        .join(accounts, accounts.c.key == account_members.c.account)
        .where(
            account_members.c.contact_id == given.c.contact_id,
            accounts.c.version != messages.c.account_version,
        )
    )
    return (
        sa.update(messages)
        .values(values)
        .where(
            _has_lease(given),
            messages.c.lease_until > sa.bindparam("lease_from", type_=sa.BigInteger),
            contacts.c.id == given.c.contact_id,
            contacts.c.survivor.is_(None),
            contacts.c.erased_at.is_(None),
            contacts.c.version == messages.c.contact_version,
            ~sa.exists(other_account.correlate(messages, given)),
            sa.or_(messages.c.track == sa.literal_column("'any'"), messages.c.track == contacts.c.track),
            ~sa.exists(off.correlate(messages)),
            ~sa.exists(stopped.correlate(messages)),
        )
        .returning(messages.c.id)
    )


def return_to_waiting(
    connection: sa.Connection, rows: Sequence[Row], *, worker: str, due_at: Instant, reason: str
) -> int:
    """Set messages back to `waiting` that were not begun; return how many still had the worker's lease.

    rows: `id`, `attempt`.
    """
    if not rows:
        return 0
    given = relation(connection, [messages.c.id, messages.c.attempt], rows)
    values = {**_NO_LEASE, "status": "waiting", "due_at": due_at, "reason": reason, "sent_at": None}
    statement = sa.update(messages).values(**values).where(_has_lease(given))
    return connection.execute(statement, {"of_worker": worker}).rowcount


def write_render_verdicts(connection: sa.Connection, rows: Sequence[Row], *, worker: str) -> int:
    """Skip or defer messages that cannot be rendered; return how many still had the worker's lease.

    rows: `id`, `attempt`, `status`, `reason`, `due_at`, `settled_at`, `verdict`.
    """
    if not rows:
        return 0
    names = ("status", "reason", "due_at", "settled_at", "verdict")
    given = relation(connection, [messages.c[name] for name in ("id", "attempt", *names)], rows)
    values = {**_NO_LEASE, "sent_at": None, **{name: given.c[name] for name in names}}
    statement = sa.update(messages).values(**values).where(_has_lease(given)).returning(*COUNTED)
    written = connection.execute(statement, {"of_worker": worker}).all()
    count_mails(connection, written, before="waiting")
    return len(written)


def _has_lease(given: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition for messages of these attempts under a lease of `of_worker`."""
    return sa.and_(
        messages.c.id == given.c.id,
        messages.c.attempt == given.c.attempt,
        STATUS.in_(("ready", "on_wire")),
        messages.c.lease_owner == sa.bindparam("of_worker", type_=sa.Text),
    )


def _ids(result: sa.CursorResult[Any]) -> set[int]:
    return {number for (number,) in result.all()}


# ---- outcomes --------------------------------------------------------------------------------------------


def append_attempts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append those rows to `attempts` that are not there yet; a repeated transaction writes none twice."""
    if not rows:
        return
    text = list_text([row[name] for name in _ATTEMPT] for row in rows)
    connection.execute(_append(connection.dialect.name), {"rows": text})


@lru_cache
def _append(dialect: str) -> Any:
    given = relation_of_parameter(dialect, [attempts.c[name] for name in _ATTEMPT])
    known = sa.exists().where(
        attempts.c.message_id == given.c.message_id,
        attempts.c.attempt == given.c.attempt,
        attempts.c.worker == given.c.worker,
        attempts.c.outcome == given.c.outcome,
    )
    source = sa.select(*(given.c[name] for name in _ATTEMPT)).where(~known).order_by(given.c.place_)
    return insert_statement(dialect, attempts, _ATTEMPT, source)


def settle_attempts(connection: sa.Connection, rows: Sequence[Row], *, worker: str, now: Instant) -> set[int]:
    """Write the outcomes of the worker's own attempts that are on the wire; return the ids written.

    rows: `id`, `attempt`, `status`, `reason`, `due_at`, `settled_at`, `sent_at`, `told`, `context` (None: keep it).
    """
    if not rows:
        return set()
    names = _SETTLED if any(row["context"] is not None for row in rows) else _SETTLED[:-1]
    given = {"rows": list_text([row[name] for name in names] for row in rows), "of_worker": worker}
    written = connection.execute(_settle_attempts(connection.dialect.name, names), given).all()
    count_mails(connection, written, before="waiting", now=now)
    return {row.id for row in written}


_SETTLED = ("id", "attempt", "status", "reason", "due_at", "settled_at", "sent_at", "told", "context")


@lru_cache
def _settle_attempts(dialect: str, names: tuple[str, ...]) -> Any:
    given = relation_of_parameter(dialect, [messages.c[name] for name in names])
    values = {**_NO_LEASE, **{name: given.c[name] for name in names[2:]}}
    if "context" in names:
        # A context of None keeps the one in the row. A contact that was erased meanwhile keeps none.
        erased = sa.exists().where(contacts.c.id == messages.c.contact_id, contacts.c.erased_at.is_not(None))
        context = sa.func.coalesce(given.c.context, messages.c.context)
        values["context"] = sa.case((erased.correlate(messages), sa.null()), else_=context)
    return (
        sa.update(messages).values(values).where(_has_lease(given), STATUS == "on_wire").returning(*COUNTED)
    )


def settle_attempts_in_doubt(connection: sa.Connection, rows: Sequence[Row]) -> set[int]:
    """Settle attempts in doubt by late evidence (`sent`, `failed`) about them; return the ids written."""
    columns = ("status", "reason", "due_at", "settled_at")
    key = ("id", "attempt")
    written = update(
        connection, messages, rows, key=key, columns=columns, where=_IN_DOUBT, returning=_COUNTED_NAMES
    )
    count_mails(connection, written, before="in_doubt")
    return {row.id for row in written}


_IN_DOUBT = messages.c.status == sa.literal_column("'in_doubt'")
_COUNTED_NAMES = tuple(column.name for column in COUNTED)


def count_attempts(connection: sa.Connection, ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """Return (message, outcome) -> how many attempts ended so, without those that never reached the server."""
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


# ---- lapsed leases ---------------------------------------------------------------------------------------


def release_lapsed_leases(connection: sa.Connection, *, lease: Instant, now: Instant, limit: int) -> int:
    """Set ready messages whose lease has lapsed back to `waiting`, due at once; return how many."""
    due = (
        sa.select(messages.c.id)
        .where(_LEASED, messages.c.status == "ready", messages.c.lease_until <= lease)
        .order_by(messages.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return 0
    statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
    values = {**_NO_LEASE, "status": "waiting", "reason": "lease_lapsed", "due_at": now}
    return connection.execute(statement.values(**values)).rowcount


def find_lapsed_on_wire(connection: sa.Connection, *, lease: Instant, limit: int) -> Rows:
    """Return messages on the wire whose lease has lapsed; locks nothing, `mark_in_doubt` checks again."""
    names = ("id", "contact_id", "measure", "run_key", "purpose", "attempt", "lease_owner")
    statement = (
        sa.select(*(messages.c[name] for name in names))
        .where(_LEASED, messages.c.status == "on_wire", messages.c.lease_until <= lease)
        .order_by(messages.c.lease_until)
        .limit(limit)
    )
    return connection.execute(statement).all()


def mark_in_doubt(
    connection: sa.Connection, rows: Sequence[Row], *, lease: Instant, now: Instant
) -> set[int]:
    """Put messages of these attempts in doubt that are on the wire under a lapsed lease; return the ids written."""
    lapsed = sa.and_(messages.c.status == "on_wire", messages.c.lease_until <= lease)
    columns = ("status", "reason", "due_at", "settled_at", *_NO_LEASE)
    released = [{**row, **_NO_LEASE} for row in rows]
    key = ("id", "attempt")
    written = update(
        connection, messages, released, key=key, columns=columns, where=lapsed, returning=_COUNTED_NAMES
    )
    count_mails(connection, written, before="waiting", now=now)
    return {row.id for row in written}


def retry_in_doubt(connection: sa.Connection, *, now: Instant, limit: int) -> int:
    """Set transactional messages in doubt back to `waiting` when the wait for evidence is over; return how many."""
    due = (
        sa.select(messages.c.id)
        .where(messages.c.status == sa.literal_column("'in_doubt'"), messages.c.due_at <= now)
        .order_by(messages.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return 0
    statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
    values = {**_NO_LEASE, "status": "waiting", "reason": "in_doubt", "sent_at": None}
    written = connection.execute(statement.values(**values).returning(*COUNTED)).all()
    count_mails(connection, written, before="in_doubt", now=now)
    return len(written)

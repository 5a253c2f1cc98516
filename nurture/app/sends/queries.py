"""Statements on sends, their lists of people, and what is left of them in the inbox and the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.consent.switch_queries import CancelCounts, end_runs_and_messages
from nurture.database import bulk
from nurture.database.engine import encode
from nurture.database.schema import approvals, contacts, inbox, messages, runs, send_recipients, sends
from nurture.domain.guard.sends import RATE_REASON
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure

#: Literals, because PostgreSQL uses a partial index only when the statement repeats its condition.
_WAITING = messages.c.status == sa.literal_column("'waiting'")
_UNFINISHED = sends.c.done == sa.false()


def load_send(connection: sa.Connection, request: str, *, lock: bool = False) -> Any:
    """Return the row of a send, None when there is none."""
    statement = sa.select(sends).where(sends.c.request == request)
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def load_approval(connection: sa.Connection, request: str, *, lock: bool = False) -> Any:
    """Return the row of a send that a second operator decides on, None when there is none."""
    statement = sa.select(approvals).where(approvals.c.request == request)
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def insert_send(connection: sa.Connection, values: Mapping[str, Any], contact_ids: Sequence[int]) -> None:
    """Insert a send and, for a list, its people."""
    connection.execute(sa.insert(sends).values(**values))
    add_recipients(connection, values["request"], contact_ids)


def add_recipients(connection: sa.Connection, request: str, contact_ids: Sequence[int]) -> None:
    """Store the people of a list; repeating it adds nobody."""
    rows: list[bulk.Row] = [{"request": request, "contact_id": contact} for contact in contact_ids]
    bulk.insert(connection, send_recipients, rows, conflict=("request", "contact_id"))


def load_recipients(connection: sa.Connection, request: str) -> list[int]:
    """Return the ids of the contacts in the list of a send, ascending."""
    mine = sa.select(send_recipients.c.contact_id).where(send_recipients.c.request == request)
    return list(connection.execute(mine.order_by(send_recipients.c.contact_id)).scalars())


def load_recipients_after(connection: sa.Connection, request: str, after: int, limit: int) -> list[int]:
    """Return the next ids in the list of a send, ascending."""
    mine = sa.select(send_recipients.c.contact_id).where(
        send_recipients.c.request == request, send_recipients.c.contact_id > after
    )
    return list(connection.execute(mine.order_by(send_recipients.c.contact_id).limit(limit)).scalars())


def load_living(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, int]:
    """Return contact -> the living contact of that person; without those who are erased or do not exist."""
    living = sa.func.coalesce(contacts.c.survivor, contacts.c.id)
    statement = sa.select(contacts.c.id, living).where(
        bulk.any_of(contacts.c.id, contact_ids, connection), contacts.c.erased_at.is_(None)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def update_send(connection: sa.Connection, request: str, values: Mapping[str, Any]) -> None:
    """Write columns of a send."""
    connection.execute(sa.update(sends).where(sends.c.request == request).values(**values))


def find_unfinished(connection: sa.Connection, *, lease: Instant) -> str | None:
    """Return the oldest running send whose people are not all handed in, and that no process has to itself."""
    statement = sa.select(sends.c.request).where(
        _UNFINISHED,
        sends.c.state == "running",
        sends.c.meant.is_not(None),
        sends.c.lease_until <= lease,
    )
    request: str | None = connection.execute(statement.order_by(sends.c.at).limit(1)).scalar()
    return request


def has_unfinished(connection: sa.Connection) -> bool:
    """Return whether the people of any send are not all handed in; reads the index of unfinished sends."""
    return connection.execute(sa.select(sends.c.request).where(_UNFINISHED).limit(1)).first() is not None


# ---- what is left of a send ------------------------------------------------------------------------------


def _events_of(request: str) -> sa.ColumnElement[bool]:
    start = f"{request}:"
    # Compared by its first characters: LIKE would read `%` and `_` of a request id as wildcards.
    is_mine = sa.func.substr(inbox.c.message_id, 1, len(start)) == start
    return sa.and_(inbox.c.kind == "ops", inbox.c.source == "ops", is_mine)


def count_events(connection: sa.Connection, request: str) -> int:
    """Return how many events of the send the inbox has not applied yet."""
    statement = sa.select(sa.func.count()).select_from(inbox).where(_events_of(request))
    return int(connection.execute(statement).scalar_one())


def take_events_back(connection: sa.Connection, request: str, *, limit: int) -> int:
    """Delete at most `limit` events of the send from the inbox; returns how many."""
    statement = sa.select(inbox.c.id).where(_events_of(request)).order_by(inbox.c.id).limit(limit)
    ids = list(connection.execute(statement).scalars())
    if not ids:
        return 0
    return connection.execute(sa.delete(inbox).where(bulk.any_of(inbox.c.id, ids, connection))).rowcount


def release_messages(connection: sa.Connection, request: str, *, now: Instant, limit: int) -> int:
    """Make mails of the send due now that its pause deferred or that have a place in its row; returns how many.

    At most `limit`, without rows that another transaction has locked. Their places are given up.
    """
    deferred = sa.select(messages.c.id).where(
        messages.c.request == request,
        _WAITING,
        messages.c.reason.in_(("paused", RATE_REASON)),
    )
    ordered = deferred.order_by(messages.c.id).limit(limit).with_for_update(skip_locked=True)
    ids = list(connection.execute(ordered).scalars())
    if ids:
        statement = sa.update(messages).where(bulk.any_of(messages.c.id, ids, connection))
        connection.execute(statement.values(due_at=now, reason=""))
    return len(ids)


def load_contacts_of(connection: sa.Connection, request: str, *, after: int, limit: int) -> list[int]:
    """Return the next contacts with a mail of the send, ascending."""
    statement = sa.select(messages.c.contact_id).where(
        messages.c.request == request, messages.c.contact_id > after
    )
    ordered = statement.distinct().order_by(messages.c.contact_id).limit(limit)
    return list(connection.execute(ordered).scalars())


def cancel_of_contacts(
    connection: sa.Connection, request: str, contact_ids: Sequence[int], *, now: Instant
) -> CancelCounts:
    """Cancel these contacts' unsent mails of the send and the active runs that it started."""
    mine = sa.exists().where(
        messages.c.contact_id == runs.c.contact_id,
        messages.c.measure == runs.c.measure,
        messages.c.run_key == runs.c.key,
        messages.c.request == request,
    )
    return end_runs_and_messages(
        connection,
        contact_ids,
        active=sa.and_(runs.c.status == sa.literal_column("'active'"), mine),
        unsent=sa.and_(messages.c.request == request, messages.c.status.in_(("waiting", "ready"))),
        reason="cancelled_by_ops",
        now=now,
    )


def cancel_runs_without_mail(
    connection: sa.Connection, request: str, measure: str, *, now: Instant, limit: int
) -> CancelCounts:
    """Cancel runs of the send that have decided no mail yet, as a queued series has not; `contacts` 0: none is left."""
    active = sa.and_(
        runs.c.measure == measure,
        runs.c.status == sa.literal_column("'active'"),
        # The request stands in the stored origin of the run.
        runs.c.data.contains(f'"request":{encode(request)}', autoescape=True),
    )
    statement = sa.select(runs.c.contact_id).where(active).order_by(runs.c.contact_id).limit(limit)
    ids = list(connection.execute(statement).scalars())
    if not ids:
        return CancelCounts(0, 0, 0)
    return end_runs_and_messages(
        connection, ids, active=active, unsent=sa.false(), reason="cancelled_by_ops", now=now
    )


# ---- who may enter ---------------------------------------------------------------------------------------


def is_among(connection: sa.Connection, contact_ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return the SQL for whether a contact is one of these."""
    return bulk.any_of(contacts.c.id, contact_ids, connection)


def refusal_sql(
    measure: Measure, answer: sa.ColumnElement[bool], *, once_key: str | None
) -> sa.ColumnElement[str]:
    """Return the SQL for the first reason why a contact may not enter the measure, empty when it may.

    answer: of the measure's audience. once_key: the key of the run that the send would start; None: not asked.
    """
    refusals: list[tuple[sa.ColumnElement[bool], str]] = []
    if measure.is_closed:
        refusals.append((sa.true(), "sent_back"))
    if measure.track != "any":
        refusals.append((contacts.c.track != measure.track, "other_track"))
    if measure.stage != "any":
        served = sorted({measure.stage, *measure.later_stages})
        refusals.append((contacts.c.stage.not_in(served), "other_stage"))
    refusals.append((sa.not_(sa.func.coalesce(answer, sa.false())), "audience"))
    if once_key is not None:
        refusals.append((_has_run(measure, once_key), "once"))
    return sa.case(*((when, sa.literal(reason)) for when, reason in refusals), else_=sa.literal(""))


def _has_run(measure: Measure, key: str) -> sa.ColumnElement[bool]:
    """Return the SQL for whether the person, as anybody merged into them too, has had a run of this key."""
    merged = contacts.alias("merged")
    family = sa.select(merged.c.id).where(merged.c.survivor == contacts.c.id)
    return sa.exists().where(
        sa.or_(runs.c.contact_id == contacts.c.id, runs.c.contact_id.in_(family)),
        runs.c.measure == measure.root,
        runs.c.key == key,
    )


def count_by_refusal(
    connection: sa.Connection,
    meant: sa.ColumnElement[bool],
    refusal: sa.ColumnElement[str],
    *,
    shown: int,
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return refusal -> people among those meant, and the first people whom nothing refuses."""
    named = refusal.label("refusal")
    counted = connection.execute(sa.select(named, sa.func.count()).where(meant).group_by(named))
    counts = {reason: int(count) for reason, count in counted}
    columns = (contacts.c.id, contacts.c.email, contacts.c.track, contacts.c.stage)
    first = sa.select(*columns).where(meant, refusal == "").order_by(contacts.c.id).limit(shown)
    people = [
        {"contact": row.id, "track": row.track, "stage": row.stage, "email": row.email}
        for row in (connection.execute(first) if counts.get("") else ())
    ]
    return counts, people


def count_meant(connection: sa.Connection, meant: sa.ColumnElement[bool]) -> int:
    """Return how many people are meant."""
    return connection.scalar(sa.select(sa.func.count()).select_from(contacts).where(meant)) or 0


def is_in_part(number: int, parts: int) -> sa.ColumnElement[bool]:
    """Return the SQL for whether a contact is in this part of all people; the parts are numbered from 0."""
    return contacts.c.id % sa.literal(parts, sa.BigInteger) == sa.literal(number, sa.BigInteger)


def load_refusals(
    connection: sa.Connection,
    meant: sa.ColumnElement[bool],
    refusal: sa.ColumnElement[str],
    *,
    after: int,
    limit: int,
) -> list[tuple[int, str]]:
    """Return the next people meant, by id, each with the refusal."""
    statement = sa.select(contacts.c.id, refusal.label("refusal")).where(meant, contacts.c.id > after)
    rows = connection.execute(statement.order_by(contacts.c.id).limit(limit))
    return [(row.id, row.refusal) for row in rows]

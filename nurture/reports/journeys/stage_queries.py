"""Stays of people at stages and moves between them, read from `transitions`; rows of merged contacts are left out.

A merge folds the other contact's history into the survivor's, so the survivor's own rows tell where the person stood.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.domain.instant import DAY, FOREVER, Instant

#: Exits that are no other stage.
UNSUBSCRIBED: Final = "unsubscribed"
ERASED: Final = "erased"


class StayRow(NamedTuple):
    """So many people stayed at a stage so many whole days; then they came to `next`, "" while they are there."""

    stage: str
    next: str
    days: int
    people: int


def load_stays(connection: sa.Connection, *, until: Instant) -> list[StayRow]:
    """Return the stays that had begun before an instant, as they stood then, added up by length; one statement."""
    stays = _stays().subquery()
    leaves = _earlier(_earlier(stays.c.left_at, stays.c.erased_at), stays.c.unsubscribed_at)
    is_over = leaves < until
    exit_name = sa.case(
        (~is_over, ""),
        (leaves == stays.c.erased_at, ERASED),
        (leaves == stays.c.unsubscribed_at, UNSUBSCRIBED),
        else_=stays.c.next,
    )
    ends = sa.case((is_over, leaves), else_=until)
    days = (sa.case((ends > stays.c.since, ends - stays.c.since), else_=0)) // DAY
    # People who had unsubscribed or were erased when they came are no longer led through the stages.
    is_led = sa.and_(
        stays.c.since < until,
        stays.c.erased_at > stays.c.since,
        stays.c.unsubscribed_at > stays.c.since,
    )
    counted = sa.select(stays.c.stage, exit_name.label("exit"), days.label("days")).where(is_led).subquery()
    key = (counted.c.stage, counted.c.exit, counted.c.days)
    rows = connection.execute(sa.select(*key, sa.func.count()).group_by(*key))
    return [StayRow(*row) for row in rows]


def _earlier(one: Any, two: Any) -> sa.ColumnElement[int]:
    return sa.case((one <= two, one), else_=two)


def _stays() -> sa.Select[Any]:
    """Return every stay: stage, since, left_at, next, and when its person was erased and unsubscribed from all."""
    moves, c = _stage_moves().subquery(), t.contacts.c
    first = moves.alias("first")
    begun = (
        sa.select(
            c.id.label("contact_id"),
            sa.func.coalesce(first.c.before, c.stage).label("stage"),
            c.first_seen_at.label("since"),
            first.c.at.label("left_at"),
            first.c.after.label("next"),
        )
        .select_from(t.contacts.outerjoin(first, sa.and_(first.c.contact_id == c.id, first.c.place == 1)))
        .where(c.survivor.is_(None))
    )
    moved = sa.select(
        moves.c.contact_id,
        moves.c.after.label("stage"),
        moves.c.at.label("since"),
        moves.c.left_at,
        moves.c.next,
    )
    every, withdrawn = sa.union_all(begun, moved).subquery(), _unsubscribed().subquery()
    return (
        sa.select(
            every.c.stage,
            every.c.since,
            sa.func.coalesce(every.c.left_at, FOREVER).label("left_at"),
            every.c.next,
            sa.func.coalesce(c.erased_at, FOREVER).label("erased_at"),
            sa.func.coalesce(withdrawn.c.at, FOREVER).label("unsubscribed_at"),
        )
        .select_from(
            every.join(t.contacts, c.id == every.c.contact_id).outerjoin(
                withdrawn, withdrawn.c.contact_id == every.c.contact_id
            )
        )
        .where(c.survivor.is_(None))
    )


def _stage_moves() -> sa.Select[Any]:
    m = t.transitions.c
    of_contact: dict[str, Any] = {"partition_by": m.contact_id, "order_by": m.id}
    return sa.select(
        m.contact_id,
        m.before,
        m.after,
        m.at,
        sa.func.row_number().over(**of_contact).label("place"),
        sa.func.lead(m.at).over(**of_contact).label("left_at"),
        sa.func.lead(m.after).over(**of_contact).label("next"),
    ).where(m.kind == "stage")


def _unsubscribed() -> sa.Select[Any]:
    """Return contact_id and when, for contacts whose newest word about all topics is a withdrawal."""
    n = t.consents.alias("newer").c
    o = t.consents.c
    newer = sa.exists().where(n.contact_id == o.contact_id, n.topic == "*", n.id > o.id)
    withdrawn = sa.and_(o.topic == "*", o.state == "withdrawn", ~newer)
    return sa.select(o.contact_id, o.at).where(withdrawn)


def count_moves(connection: sa.Connection, *, since: Instant, until: Instant) -> list[sa.Row[Any]]:
    """Return (before, after, people) for the moves between stages in this time; a person may move more than once."""
    m = t.transitions.c
    statement = (
        sa.select(m.before, m.after, sa.func.count().label("people"))
        .join(t.contacts, t.contacts.c.id == m.contact_id)
        .where(m.kind == "stage", m.at >= since, m.at < until, t.contacts.c.survivor.is_(None))
        .group_by(m.before, m.after)
        .order_by(m.before, m.after)
    )
    return list(connection.execute(statement))


def _stalled_at(stage: str, before: Instant) -> sa.ColumnElement[bool]:
    c, withdrawn = t.contacts.c, _unsubscribed().subquery()
    return sa.and_(
        c.stage == stage,
        c.stage_since <= before,
        c.survivor.is_(None),
        c.erased_at.is_(None),
        c.id.not_in(sa.select(withdrawn.c.contact_id)),
    )


def count_stalled(connection: sa.Connection, bounds: Sequence[tuple[str, Instant]]) -> dict[str, int]:
    """Return stage -> how many people came there no later than its instant and are still there."""
    if not bounds:
        return {}
    c = t.contacts.c
    statement = sa.select(c.stage, sa.func.count()).where(sa.or_(*(_stalled_at(*bound) for bound in bounds)))
    return {row[0]: row[1] for row in connection.execute(statement.group_by(c.stage))}


def load_stalled(
    connection: sa.Connection, bounds: Sequence[tuple[str, Instant]], *, limit: int
) -> list[sa.Row[Any]]:
    """Return contact, email, stage and since of such people, the longest stay first."""
    if not bounds:
        return []
    c = t.contacts.c
    statement = (
        sa.select(c.id, c.email, c.track, c.stage, c.stage_since)
        .where(sa.or_(*(_stalled_at(*bound) for bound in bounds)))
        .order_by(c.stage_since, c.id)
        .limit(limit)
    )
    return list(connection.execute(statement))


def load_active_measures(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return contact -> the measures that it is in, by the first one."""
    r = t.runs.c
    statement = sa.select(r.contact_id, r.measure).where(r.status == "active", r.contact_id.in_(contact_ids))
    measures: dict[int, list[str]] = {}
    for contact, measure in connection.execute(statement.order_by(r.contact_id, r.id)):
        measures.setdefault(contact, []).append(measure)
    return measures

"""Read what a brief tells: a constant number of statements, whatever happened in the week."""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import decode
from nurture.domain.instant import Instant


class Week(NamedTuple):
    """Seven days, and the seven before them: [before, since) and [since, until)."""

    before: Instant
    since: Instant
    until: Instant


class Pair(NamedTuple):
    """A number of the week and of the week before."""

    now: int
    earlier: int


def count_people(connection: sa.Connection, week: Week) -> Pair:
    """Return how many people were seen for the first time."""
    c = t.contacts.c
    at = c.first_seen_at
    living = c.survivor.is_(None), c.erased_at.is_(None)
    return _pair(connection, sa.select(*_sums(at, week)).where(*living, *_inside(at, week)))


def count_moves(connection: sa.Connection, week: Week) -> dict[tuple[str, str], Pair]:
    """Return (track or stage, its name) -> how many times somebody came to it."""
    m = t.transitions.c
    statement = (
        sa.select(m.kind, m.after, *_sums(m.at, week))
        .join(t.contacts, t.contacts.c.id == m.contact_id)
        .where(t.contacts.c.survivor.is_(None), m.kind.in_(("track", "stage")), *_inside(m.at, week))
        .group_by(m.kind, m.after)
    )
    return {(row[0], row[1]): Pair(int(row[2]), int(row[3])) for row in connection.execute(statement)}


def sum_orders(connection: sa.Connection, names: Collection[str], week: Week) -> dict[str, tuple[Pair, Pair]]:
    """Return currency -> orders and amounts in hundredths, less what was taken back in the same time."""
    o = t.outcomes.c
    statement = (
        sa.select(o.currency, *_sums(o.at, week, o.number), *_sums(o.at, week, o.value_minor))
        .where(o.name.in_(sorted(names)), *_inside(o.at, week))
        .group_by(o.currency)
        .order_by(o.currency)
    )
    return {
        row[0]: (Pair(int(row[1]), int(row[2])), Pair(int(row[3]), int(row[4])))
        for row in connection.execute(statement)
    }


def count_withdrawals(connection: sa.Connection, week: Week) -> Pair:
    """Return how many people took back their consent to a topic or to all of them."""
    c = t.consents.c
    person = sa.func.coalesce(t.contacts.c.survivor, t.contacts.c.id)
    parts: list[Any] = [
        sa.func.count(sa.distinct(sa.case((_between(c.at, *part), person))))
        for part in ((week.since, week.until), (week.before, week.since))
    ]
    statement = (
        sa.select(*parts)
        .select_from(t.consents.join(t.contacts, t.contacts.c.id == c.contact_id))
        .where(c.state == "withdrawn", *_inside(c.at, week))
    )
    return _pair(connection, statement)


def count_complaints(connection: sa.Connection, week: Week) -> Pair:
    """Return how many people reported a mail as spam."""
    s = t.suppression_reasons.c
    wanted = s.reason == "complaint", s.contact_id > 0, *_inside(s.at, week)
    return _pair(connection, sa.select(*_sums(s.at, week)).where(*wanted))


def load_verdicts(connection: sa.Connection, week: Week) -> list[dict[str, Any]]:
    """Return the verdicts that are new in the week, or that had a consequence in it, the oldest first.

    Keys: `path`, `verdict`, `action`, `treated`, `control`, `is_amount`, `currency`, `figures`.
    """
    d, e = t.decisions.c, t.experiments.c
    first = sa.func.min(d.at).over(partition_by=(e.measure, e.trial, d.verdict)).label("first_at")
    every = (
        sa.select(d.at, d.verdict, d.action, d.treated, d.control, d.figures, first)
        .add_columns(e.measure, e.path, e.trial, e.is_amount, e.currency)
        .join(t.experiments, e.id == d.experiment)
        .where(d.verdict != "undecided")
        .subquery()
    )
    is_new = sa.or_(every.c.action != "", every.c.first_at == every.c.at)
    statement = (
        sa.select(every)
        .where(is_new, every.c.at >= week.since, every.c.at < week.until)
        .order_by(every.c.at, every.c.path, every.c.verdict)
    )
    return [
        {**dict(row), "figures": decode(row["figures"])} for row in connection.execute(statement).mappings()
    ]


def load_new_pauses(connection: sa.Connection, week: Week) -> list[sa.Row[Any]]:
    """Return name, mode, since, reason and actor of what was paused in the week."""
    p = t.pauses.c
    statement = sa.select(p.name, p.mode, p.since, p.until, p.reason, p.actor)
    return list(connection.execute(statement.where(_between(p.since, week.since, week.until)).order_by(p.id)))


def load_open_pauses(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return name, reason, actor and at of what is paused now."""
    s = t.switches.c
    statement = sa.select(s.name, s.reason, s.actor, s.at).where(s.paused).order_by(s.at)
    return list(connection.execute(statement))


def load_cases(connection: sa.Connection, *, now: Instant, limit: int) -> tuple[int, int, list[Any]]:
    """Return how many cases are open and overdue, and the longest overdue ones: id, owner, due_at, kind."""
    case = t.dialogues.c
    is_overdue = sa.and_(case.answered_at.is_(None), case.due_at <= now)
    open_ = case.closed_at.is_(None)
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((is_overdue, 1), else_=0)), 0))
    row = connection.execute(counted.where(open_)).one()
    late = sa.select(case.id, case.owner, case.due_at, case.kind).where(open_, is_overdue)
    listed = connection.execute(late.order_by(case.due_at, case.id).limit(limit))
    return int(row[0]), int(row[1]), list(listed)


def count_approvals(connection: sa.Connection, *, now: Instant) -> int:
    """Return how many sends wait for a second operator."""
    a = t.approvals.c
    waiting = sa.select(sa.func.count()).where(a.state == "waiting", a.until > now)
    return connection.scalar(waiting) or 0


def load_words(connection: sa.Connection, week: Week, *, limit: int) -> list[tuple[int, str]]:
    """Return (contact, text) of what people answered and replied in the week, the newest first.

    Answers are those that opened a case, so no comment is left out.
    """
    d, e, f = t.dialogues.c, t.events.c, t.feedback.c
    in_week = _between(d.opened_at, week.since, week.until)
    answers = (
        sa.select(d.opened_at, d.contact_id, e.body)
        .join(t.events, e.id == d.event_id)
        .where(in_week)
        .order_by(d.opened_at.desc())
        .limit(limit)
    )
    # A case may bring several replies; each names the mail that it answers.
    replies = (
        sa.select(f.at, d.contact_id, f.detail)
        .select_from(t.dialogues.join(t.feedback, f.message_id == d.message_id))
        .where(in_week, f.kind == "reply", _between(f.at, week.since, week.until))
        .order_by(f.at.desc())
        .limit(limit)
    )
    found = [(row[0], row[1], _comment(decode(row[2]))) for row in connection.execute(answers)]
    found += [(row[0], row[1], str(decode(row[2]).get("text", ""))) for row in connection.execute(replies)]
    return [(contact, text) for _, contact, text in sorted(found, reverse=True) if text]


def _comment(body: Any) -> str:
    values = body.get("properties", {})
    return "\n".join(
        str(values[name]) for name in ("comment", "review_body") if isinstance(values.get(name), str)
    )


def _between(column: Any, since: Instant, until: Instant) -> sa.ColumnElement[bool]:
    return sa.and_(column >= since, column < until)


def _inside(at: Any, week: Week) -> tuple[sa.ColumnElement[bool], ...]:
    return at >= week.before, at < week.until


def _sums(at: Any, week: Week, value: Any = 1) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return the sums of a value over the week and the week before; the statement must bound `at` by both."""
    now, earlier = sa.case((at >= week.since, value), else_=0), sa.case((at < week.since, value), else_=0)
    return sa.func.coalesce(sa.func.sum(now), 0), sa.func.coalesce(sa.func.sum(earlier), 0)


def _pair(connection: sa.Connection, statement: sa.Select[*tuple[Any, ...]]) -> Pair:
    row = connection.execute(statement).one()
    return Pair(int(row[0]), int(row[1]))

"""Read orders and answers for reports: set-based, a constant number of statements."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.bulk import relation
from nurture.database.engine import decode
from nurture.domain.figures.retention import CohortCell
from nurture.domain.figures.time_in_stage import Stays
from nurture.domain.instant import DAY, Instant

#: The exit of a stay between the first order and the second.
SECOND: str = "second"
_PERSON = sa.func.coalesce(t.contacts.c.survivor, t.contacts.c.id)


class Answer(NamedTuple):
    """A person's newest answer to a survey in a time."""

    person: int
    survey: str
    score: Any


def _orders(names: Collection[str], until: Instant) -> sa.CTE:
    """Return person and instant of each order that stands, as known at an instant; erased people are left out."""
    o = t.outcomes.c
    at = sa.func.min(sa.case((o.kind == "counted", o.at)))
    return (
        sa.select(_PERSON.label("person"), at.label("at"))
        .select_from(t.outcomes.join(t.contacts, t.contacts.c.id == o.contact_id))
        .where(o.name.in_(sorted(names)), o.at < until, t.contacts.c.erased_at.is_(None))
        .group_by(_PERSON, o.name, o.entity_key)
        .having(sa.func.sum(o.number) > 0)
        .cte("orders")
    )


def count_cohorts(
    connection: sa.Connection, names: Collection[str], months: Sequence[tuple[Instant, Instant]]
) -> list[CohortCell]:
    """Return how many people of each month's cohort bought in which month. months: begin and end, in order."""
    orders = _orders(names, months[-1][1])
    columns = [
        sa.Column("place", sa.BigInteger),
        sa.Column("since", sa.BigInteger),
        sa.Column("until", sa.BigInteger),
    ]
    rows = [{"place": place, "since": since, "until": until} for place, (since, until) in enumerate(months)]
    month = relation(connection, columns, rows)
    inside = sa.and_(orders.c.at >= month.c.since, orders.c.at < month.c.until)
    first = (
        sa.select(orders.c.person, sa.func.min(orders.c.at).label("at"))
        .group_by(orders.c.person)
        .cte("first")
    )
    begun = (
        sa.select(first.c.person, month.c.place)
        .join(month, sa.and_(first.c.at >= month.c.since, first.c.at < month.c.until))
        .cte("begun")
    )
    bought = sa.select(orders.c.person, month.c.place).join(month, inside).distinct().cte("bought")
    key = (begun.c.place, (bought.c.place - begun.c.place).label("months"))
    statement = (
        sa.select(*key, sa.func.count()).join(bought, bought.c.person == begun.c.person).group_by(*key)
    )
    return [CohortCell(*row) for row in connection.execute(statement)]


def load_second_orders(
    connection: sa.Connection, names: Collection[str], *, since: Instant, until: Instant
) -> list[Stays]:
    """Return the days from the first order to the second, of people who first bought in this time.

    Of somebody without a second one, the days until the end, which is no exit.
    """
    orders = _orders(names, until)
    ranked = sa.select(
        orders.c.person,
        orders.c.at,
        sa.func.row_number().over(partition_by=orders.c.person, order_by=orders.c.at).label("place"),
    ).cte("ranked")
    second = ranked.alias("second")
    end = sa.func.coalesce(second.c.at, until)
    key = (
        ((end - ranked.c.at) // DAY).label("days"),
        sa.case((second.c.at.is_(None), ""), else_=SECOND).label("exit"),
    )
    statement = (
        sa.select(*key, sa.func.count())
        .select_from(
            ranked.outerjoin(second, sa.and_(second.c.person == ranked.c.person, second.c.place == 2))
        )
        .where(ranked.c.place == 1, ranked.c.at >= since)
        .group_by(*key)
    )
    return [Stays(*row) for row in connection.execute(statement)]


def load_answers(connection: sa.Connection, name: str, *, since: Instant, until: Instant) -> list[Answer]:
    """Return the newest answer of each person to each survey, of the events of this name in this time."""
    e = t.events.c
    statement = (
        sa.select(_PERSON, e.body)
        .select_from(t.events.join(t.contacts, t.contacts.c.id == e.contact_id))
        .where(e.name == name, e.occurred_at >= since, e.occurred_at < until)
        .order_by(e.occurred_at, e.id)
    )
    newest: dict[tuple[int, str], Any] = {}
    for person, body in connection.execute(statement):
        values = decode(body).get("properties", {})
        newest[person, str(values.get("survey", ""))] = values.get("score")
    return [Answer(person, survey, score) for (person, survey), score in newest.items()]

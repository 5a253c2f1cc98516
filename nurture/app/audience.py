"""Audiences: who matches a condition, answered by the database in one pass."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.domain.conditions import Condition, parse
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook
from nurture.store import tables as t
from nurture.store.conditions import where

#: Rows fetched at a time when an audience is walked through.
_PAGE = 2_000


def read(playbook: Playbook, expression: str) -> Condition:
    """Read an audience expression. Raises ConditionError that names the column and the remedy."""
    return parse(expression, playbook.vocabulary)


def _alive() -> sa.ColumnElement[bool]:
    return sa.and_(t.contacts.c.survivor.is_(None), t.contacts.c.erased_at.is_(None))


def zones(connection: sa.Connection, playbook: Playbook) -> list[str]:
    """Return the zones that contacts are in; conditions on local time bind them."""
    found = connection.execute(sa.select(t.contacts.c.zone).distinct().where(t.contacts.c.zone.is_not(None)))
    return sorted({*(row.zone for row in found), playbook.default_zone})


def predicates(
    connection: sa.Connection, condition: Condition, playbook: Playbook, now: Instant
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the SQL for yes and for unknown, over living contacts."""
    named = zones(connection, playbook) if condition.moving else [playbook.default_zone]
    yes, unknown = where(condition, now=now, zones=named)
    return sa.and_(_alive(), yes), sa.and_(_alive(), unknown)


def count(services: Services, expression: str) -> dict[str, Any]:
    """Return how many people answer yes, and of how many the answer is unknown."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        yes, unknown = predicates(connection, read(playbook, expression), playbook, services.clock.now())
        counted = sa.select(
            sa.func.count().filter(yes).label("yes"),
            sa.func.count().filter(unknown).label("unknown"),
            sa.func.count().filter(_alive()).label("people"),
        ).select_from(t.contacts)
        row = connection.execute(counted).one()
        return {"audience": expression, "yes": row.yes, "unknown": row.unknown, "people": row.people}


def sample(services: Services, expression: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the first people of the audience, in the order they were first known."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        yes, _ = predicates(connection, read(playbook, expression), playbook, services.clock.now())
        columns = (t.contacts.c.id, t.contacts.c.email, t.contacts.c.track, t.contacts.c.stage)
        rows = connection.execute(sa.select(*columns).where(yes).order_by(t.contacts.c.id).limit(limit))
        return [{"contact": r.id, "email": r.email, "track": r.track, "stage": r.stage} for r in rows]


def ids(
    connection: sa.Connection, condition: Condition, playbook: Playbook, *, now: Instant, after: int = 0
) -> Iterator[list[int]]:
    """Yield the audience's contact ids in pages, ascending, from behind `after`."""
    yes, _ = predicates(connection, condition, playbook, now)
    while True:
        statement = sa.select(t.contacts.c.id).where(yes, t.contacts.c.id > after)
        page = [int(row.id) for row in connection.execute(statement.order_by(t.contacts.c.id).limit(_PAGE))]
        if not page:
            return
        yield page
        after = page[-1]

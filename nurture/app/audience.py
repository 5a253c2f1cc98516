"""Audiences: count and list the contacts that a condition matches, in one pass over the table."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.condition_sql import three_valued
from nurture.domain.conditions import Condition, parse
from nurture.domain.conditions.nodes import reads_local_time
from nurture.domain.errors import ConditionError
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook

#: Contact ids in one page of `id_pages`.
PAGE = 2_000
#: In the sum of all answers a yes adds 1 and an unknown adds this: more than there are contacts, and an integer.
_UNKNOWN = 2**31 - 1


def parse_audience(playbook: Playbook, expression: str) -> Condition:
    """Parse an audience expression. Raises ConditionError with the column and how to correct it."""
    try:
        return parse(expression, playbook.vocabulary)
    except ConditionError as error:
        # On a command line nothing else shows where the fault stands.
        message = f"audience {expression!r}, column {error.column + 1}: {error}"
        raise ConditionError(message, column=error.column) from error


def living_contacts() -> sa.ColumnElement[bool]:
    """Return the SQL for contacts that are neither merged into another nor erased."""
    return sa.and_(t.contacts.c.survivor.is_(None), t.contacts.c.erased_at.is_(None))


def contact_zones(connection: sa.Connection, playbook: Playbook) -> list[str]:
    """Return the contacts' time zones. The playbook's zone comes first; it applies to contacts without one."""
    rows = connection.execute(sa.select(t.contacts.c.zone).distinct().where(t.contacts.c.zone.is_not(None)))
    return [playbook.default_zone, *sorted({row.zone for row in rows} - {playbook.default_zone})]


def condition_sql(
    connection: sa.Connection, condition: Condition, playbook: Playbook, now: Instant
) -> sa.ColumnElement[bool]:
    """Return a condition as SQL over rows of `contacts`: true, false, or NULL for unknown."""
    # Reading the zones is another pass over the table, so only conditions on local time pay for it.
    named = (
        contact_zones(connection, playbook) if reads_local_time(condition.root) else [playbook.default_zone]
    )
    found = {path: playbook.measures.get(path) for path in condition.measures}
    if unknown := sorted(path for path, measure in found.items() if measure is None):
        raise ConditionError(f"no measure `{unknown[0]}`; name one by its path")
    roots = {path: measure.root for path, measure in found.items() if measure is not None}
    return three_valued(condition, now=now, zones=named, measures=roots)


def count(services: Services, expression: str) -> dict[str, Any]:
    """Return how many contacts the condition matches, how many are unknown, and how many there are.

    Raises ConditionError.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        answer = condition_sql(
            connection, parse_audience(playbook, expression), playbook, services.clock.now()
        )
        # One sum holds both counts, so the condition is evaluated once a row and nothing is grouped.
        weight = sa.func.coalesce(sa.cast(answer, sa.Integer), _UNKNOWN)
        both = sa.cast(sa.func.coalesce(sa.func.sum(weight), 0), sa.BigInteger)
        people, counted = connection.execute(sa.select(sa.func.count(), both).where(living_contacts())).one()
    unknown, yes = divmod(counted, _UNKNOWN)
    return {"audience": expression, "yes": yes, "unknown": unknown, "people": people}


def count_living(connection: sa.Connection, matches: sa.ColumnElement[bool] | None = None) -> int:
    """Return how many living contacts there are, or how many of them match."""
    where = living_contacts() if matches is None else sa.and_(living_contacts(), matches)
    return connection.scalar(sa.select(sa.func.count()).select_from(t.contacts).where(where)) or 0


def sample(services: Services, expression: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the first `limit` contacts of the audience, by id. Raises ConditionError."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        yes = condition_sql(connection, parse_audience(playbook, expression), playbook, services.clock.now())
        columns = (t.contacts.c.id, t.contacts.c.email, t.contacts.c.track, t.contacts.c.stage)
        rows = connection.execute(
            sa.select(*columns).where(living_contacts(), yes).order_by(t.contacts.c.id).limit(limit)
        )
        return [{"contact": r.id, "email": r.email, "track": r.track, "stage": r.stage} for r in rows]


def id_pages(
    connection: sa.Connection, condition: Condition, playbook: Playbook, *, now: Instant, after: int = 0
) -> Iterator[list[int]]:
    """Yield pages of the audience's contact ids, ascending, beginning after the id `after`."""
    yes = condition_sql(connection, condition, playbook, now)
    while True:
        statement = sa.select(t.contacts.c.id).where(living_contacts(), yes, t.contacts.c.id > after)
        page = [int(row.id) for row in connection.execute(statement.order_by(t.contacts.c.id).limit(PAGE))]
        if not page:
            return
        yield page
        after = page[-1]

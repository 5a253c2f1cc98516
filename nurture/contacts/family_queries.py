"""Read a person's family of contacts: the living one and every contact merged into it, as a relation to join."""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import any_of, any_of_parameter, list_text
from nurture.database.schema import contacts


def family(connection: sa.Connection, ids: Sequence[int]) -> sa.CTE:
    """Return (id, person) of these living contacts and of all merged into them.

    `contacts.survivor` is one link long, so two index look-ups find the whole family.
    """
    return _family(partial(any_of, values=ids, connection=connection))


def family_statement(dialect: str) -> sa.CTE:
    """Return the same relation for a cached statement: each execution binds `ids` to `list_text(ids)`."""
    return _family(partial(any_of_parameter, dialect=dialect))


def members_of(connection: sa.Connection, ids: Collection[int]) -> dict[int, int]:
    """Return member -> person for these living contacts and all merged into them; without ids no statement runs.

    Use it to look rows up by member: the planner knows the length of a list, but might take a relation for half of
    the table.
    """
    members = {contact: contact for contact in ids}
    if members:
        rows = connection.execute(_merged(connection.dialect.name), {"ids": list_text(members)})
        members.update((member, person) for member, person in rows)
    return members


@lru_cache
def _merged(dialect: str) -> sa.Select[Any]:
    return sa.select(contacts.c.id, contacts.c.survivor).where(any_of_parameter(contacts.c.survivor, dialect))


def _family(is_wanted: Callable[[sa.Column[Any]], sa.ColumnElement[bool]]) -> sa.CTE:
    own = sa.select(contacts.c.id, contacts.c.id.label("person")).where(is_wanted(contacts.c.id))
    merged = sa.select(contacts.c.id, contacts.c.survivor.label("person")).where(
        is_wanted(contacts.c.survivor)
    )
    return sa.union_all(own, merged).cte("family")

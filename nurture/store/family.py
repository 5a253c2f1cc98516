"""A person's family of contacts: the living one and everything ever merged into it, as a relation to join."""

from collections.abc import Sequence

import sqlalchemy as sa

from nurture.store.bulk import any_of
from nurture.store.tables import contacts


def family(connection: sa.Connection, ids: Sequence[int]) -> sa.CTE:
    """Return (id, person) of these living contacts and of all merged into them.

    `contacts.survivor` is one link long, so two index look-ups find everybody.
    """
    own = sa.select(contacts.c.id, contacts.c.id.label("person")).where(
        any_of(contacts.c.id, ids, connection)
    )
    merged = sa.select(contacts.c.id, contacts.c.survivor.label("person")).where(
        any_of(contacts.c.survivor, ids, connection)
    )
    return sa.union_all(own, merged).cte("family")

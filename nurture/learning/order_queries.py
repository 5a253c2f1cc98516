"""Read the orders that models learn from, in one statement."""

from collections import Counter
from collections.abc import Collection

import sqlalchemy as sa

from nurture.database.schema import contacts, outcomes
from nurture.domain.instant import Instant
from nurture.learning.rows import OrderColumns

_PERSON = sa.func.coalesce(contacts.c.survivor, contacts.c.id)


def load_orders(connection: sa.Connection, names: Collection[str], *, before: Instant) -> OrderColumns:
    """Return the rows of entities of these names from before an instant, by person, without erased people."""
    o = outcomes.c
    statement = (
        sa.select(
            _PERSON.label("person"), o.name, o.entity_key, o.at, o.kind, o.number, o.value_minor, o.currency
        )
        .join(contacts, contacts.c.id == o.contact_id)
        .where(o.name.in_(sorted(names)), o.at < before, contacts.c.erased_at.is_(None))
    )
    rows = connection.execute(statement).all()
    currencies = Counter(row.currency for row in rows if row.currency)
    main = min(currencies, key=lambda name: (-currencies[name], name), default="")
    keys: dict[tuple[int, str, str], int] = {}
    return OrderColumns(
        person=[row.person for row in rows],
        key=[keys.setdefault((row.person, row.name, row.entity_key), len(keys)) for row in rows],
        at=[row.at for row in rows],
        is_counted=[row.kind == "counted" for row in rows],
        number=[row.number for row in rows],
        # Amounts of another currency cannot be added; the order counts all the same.
        amount=[row.value_minor if row.currency in ("", main) else 0 for row in rows],
        currency=main,
    )

"""Report what events told and nothing came of: unknown currencies and topics, refunds that may be one told twice."""

from collections.abc import Iterator, Mapping
from typing import Final

import sqlalchemy as sa

from nurture.database import fact_sql
from nurture.database.schema import contacts
from nurture.domain.conditions.nodes import Stored
from nurture.domain.consent.events import UNKNOWN_TOPICS
from nurture.domain.entities.doubts import EQUAL_REFUNDS, OTHER_CURRENCIES, OTHER_REFUNDS

_SHOWN: Final = 5
#: Fact -> the words before and after its values.
AMOUNTS: Final = {
    OTHER_CURRENCIES: ("amounts in", "are added to nothing; name the currency in brand.currencies"),
    OTHER_REFUNDS: (
        "a refund of",
        "is in another currency than the order and gives nothing back; tell it in the order's",
    ),
    EQUAL_REFUNDS: (
        "two equal refunds of",
        "within a day; give refunds a key, so that one told twice counts once",
    ),
}
TOPICS: Final = {
    UNKNOWN_TOPICS: ("consent to", "grants nothing; tell a topic of the playbook, or declare this one there")
}


def find_doubtful_values(connection: sa.Connection, words: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each of the newest contacts with such values, and for the number of the others."""
    for name, (before, after) in words.items():
        has_any = fact_sql.is_known(contacts.c.facts, Stored(name, name, "set", None))
        living = sa.and_(contacts.c.survivor.is_(None), has_any)
        rows = connection.execute(
            sa.select(contacts.c.id, contacts.c.facts)
            .where(living)
            .order_by(contacts.c.id.desc())
            .limit(_SHOWN)
        ).all()
        for row in rows:
            yield f"contact:{row.id}: {before} {', '.join(row.facts[name])} {after}"
        if len(rows) == _SHOWN:
            count = connection.execute(
                sa.select(sa.func.count()).select_from(contacts).where(living)
            ).scalar_one()
            if count > _SHOWN:
                yield f"{count - _SHOWN} more contacts have such values"

"""Read and write suppressions; a row is an address hash, a scope and a reason."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of_parameter, insert, list_text, relation
from nurture.database.schema import suppressions
from nurture.domain.instant import Instant


def add_suppressions(connection: sa.Connection, rows: Sequence[Row], *, weakest_first: Sequence[str]) -> None:
    """Add suppressions; one that exists keeps its reason unless the new reason is stronger."""
    columns = ("address_hash", "scope", "reason", "at", "source")
    new = relation(connection, [suppressions.c[name] for name in columns], rows)
    strength = {reason: place for place, reason in enumerate(weakest_first)}
    weaker = sa.select(new.c.address_hash).where(
        new.c.address_hash == suppressions.c.address_hash,
        new.c.scope == suppressions.c.scope,
        sa.case(strength, value=new.c.reason) > sa.case(strength, value=suppressions.c.reason),
    )
    connection.execute(sa.delete(suppressions).where(weaker.exists()))
    insert(connection, suppressions, rows, columns=columns, conflict=("address_hash", "scope"))


def lift_suppression(
    connection: sa.Connection, address_hash: str, *, scope: str, reason: str, before: Instant
) -> int:
    """Delete the suppression of this scope and reason if it was made before that instant; return how many."""
    statement = sa.delete(suppressions).where(
        suppressions.c.address_hash == address_hash,
        suppressions.c.scope == scope,
        suppressions.c.reason == reason,
        suppressions.c.at < before,
    )
    return connection.execute(statement).rowcount


def load_suppressions(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return address hash -> scope -> reason, for those of these hashes that are suppressed."""
    reasons: dict[str, dict[str, str]] = {}
    rows = connection.execute(_suppressions(connection.dialect.name), {"ids": list_text(hashes)}).all()
    for address_hash, scope, reason in rows:
        reasons.setdefault(address_hash, {})[scope] = reason
    return reasons


@lru_cache
def _suppressions(dialect: str) -> sa.Select[Any]:
    c = suppressions.c
    return sa.select(c.address_hash, c.scope, c.reason).where(any_of_parameter(c.address_hash, dialect))

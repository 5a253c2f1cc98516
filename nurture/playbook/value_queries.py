"""Queries of published values: their versions, and the numbers of values by key."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import any_of, insert
from nurture.database.schema import value_numbers, value_versions
from nurture.domain.instant import Instant
from nurture.domain.playbook import PublishedVersions


@dataclass(frozen=True, slots=True)
class Version:
    """One publication of one value."""

    name: str
    version: int
    published_at: Instant
    in_force_at: Instant
    numbers: int
    news: int
    actor: str


def lock_versions(connection: sa.Connection) -> None:
    """Let nobody else publish until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE value_versions IN SHARE ROW EXCLUSIVE MODE"))


def newest_versions(connection: sa.Connection) -> dict[str, Version]:
    """Return name -> its newest publication."""
    newest = sa.select(sa.func.max(value_versions.c.id)).group_by(value_versions.c.name)
    rows = connection.execute(sa.select(value_versions).where(value_versions.c.id.in_(newest)))
    return {row.name: _version(row) for row in rows}


def list_versions(connection: sa.Connection, name: str, *, limit: int) -> list[Version]:
    """Return the newest publications of a value, the newest first."""
    statement = (
        sa.select(value_versions)
        .where(value_versions.c.name == name)
        .order_by(value_versions.c.version.desc())
        .limit(limit)
    )
    return [_version(row) for row in connection.execute(statement)]


def _version(row: Any) -> Version:
    return Version(row.name, row.version, row.published_at, row.in_force_at, row.numbers, row.news, row.actor)


def add_version(connection: sa.Connection, version: Version) -> None:
    """Store a publication."""
    row = {name: getattr(version, name) for name in _COLUMNS}
    connection.execute(sa.insert(value_versions).values(**row))


_COLUMNS = ("name", "version", "published_at", "in_force_at", "numbers", "news", "actor")


def set_news(connection: sa.Connection, name: str, version: int, news: int) -> None:
    """Set how much of a publication is news."""
    mine = sa.and_(value_versions.c.name == name, value_versions.c.version == version)
    connection.execute(sa.update(value_versions).where(mine).values(news=news))


# ---- values by key ---------------------------------------------------------------------------------------


def newest_publication(connection: sa.Connection, names: Collection[str]) -> int:
    """Return the id of the newest publication of one of these values, 0 before the first."""
    mine = any_of(value_versions.c.name, sorted(names), connection)
    return connection.scalar(sa.select(sa.func.max(value_versions.c.id)).where(mine)) or 0


def load_published(connection: sa.Connection, names: Collection[str]) -> PublishedVersions:
    """Return every number of these values."""
    n = value_numbers.c
    statement = (
        sa.select(n.name, n.key, n.in_force_at, n.number)
        .where(any_of(n.name, sorted(names), connection))
        .order_by(n.name, n.key, n.version)
    )
    numbers: dict[tuple[str, str], list[tuple[Instant, int | None]]] = {}
    for name, key, at, number in connection.execute(statement):
        numbers.setdefault((name, key), []).append((at, number))
    return PublishedVersions(numbers)


def versions_in_force(connection: sa.Connection, names: Collection[str], at: Instant) -> dict[str, int]:
    """Return name -> the newest version of it that is in force at an instant."""
    v = value_versions.c
    statement = (
        sa.select(v.name, sa.func.max(v.version).label("version"))
        .where(any_of(v.name, sorted(names), connection), v.in_force_at <= at)
        .group_by(v.name)
    )
    return {row.name: row.version for row in connection.execute(statement)}


def newest_numbers(connection: sa.Connection, name: str) -> dict[str, tuple[int | None, int]]:
    """Return key -> (its newest number, the version that gave it)."""
    n = value_numbers.c
    statement = sa.select(n.key, n.number, n.version).where(n.name == name).order_by(n.key, n.version)
    return {row.key: (row.number, row.version) for row in connection.execute(statement)}


def numbers_of_key(connection: sa.Connection, name: str, key: str) -> Sequence[Any]:
    """Return the rows of one key, the newest first."""
    n = value_numbers.c
    statement = sa.select(value_numbers).where(n.name == name, n.key == key).order_by(n.version.desc())
    return connection.execute(statement).all()


def add_numbers(connection: sa.Connection, version: Version, numbers: Mapping[str, int | None]) -> None:
    """Store the numbers of a publication that differ from the ones before."""
    rows = [
        (version.name, key, version.version, version.in_force_at, numbers[key]) for key in sorted(numbers)
    ]
    insert(
        connection,
        value_numbers,
        rows,
        columns=("name", "key", "version", "in_force_at", "number"),
    )


def delete_superseded(
    connection: sa.Connection, *, before: Instant, kept: Collection[str], limit: int
) -> int:
    """Delete at most `limit` numbers in whose place another one was in force before an instant; return how many.

    kept: values that folds read; a purchase of any age may be folded anew, so all of their numbers stay.
    """
    n, newer = value_numbers.c, value_numbers.alias("newer")
    follows = sa.exists().where(
        newer.c.name == n.name,
        newer.c.key == n.key,
        newer.c.version > n.version,
        newer.c.in_force_at < before,
    )
    old = sa.select(n.name, n.key, n.version).where(follows, n.name.not_in(sorted(kept))).limit(limit)
    keys = [tuple(row) for row in connection.execute(old)]
    if not keys:
        return 0
    is_old = sa.tuple_(n.name, n.key, n.version).in_(keys)
    return connection.execute(sa.delete(value_numbers).where(is_old)).rowcount

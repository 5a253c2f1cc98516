"""Read and write `shop_things`: what the webhooks of shops said of their orders, customers and payments so far."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, update
from nurture.database.schema import shop_things
from nurture.domain.event import Identity
from nurture.domain.instant import Instant

_NAMES = ("user_id", "email", "phone")
_STATE = (*_NAMES, "state", "waits", "changed_at")


@dataclass(frozen=True, slots=True)
class ShopThing:
    """A row: the person whose thing it is, its state as JSON text, and whether events wait at it."""

    identities: tuple[Identity, ...]
    state: str
    waits: bool


def lock_things(
    connection: sa.Connection, source: str, keys: Collection[str], *, now: Instant
) -> dict[str, ShopThing]:
    """Lock the things in the order of their keys, creating those that are missing; two statements."""
    ordered = sorted(keys)
    empty: list[Row] = [
        {"source": source, "thing": key, "state": "{}", "waits": False, "changed_at": now} for key in ordered
    ]
    insert(connection, shop_things, empty, conflict=["source", "thing"])
    mine = sa.and_(shop_things.c.source == source, any_of(shop_things.c.thing, ordered, connection))
    rows = connection.execute(
        sa.select(shop_things).where(mine).order_by(shop_things.c.thing).with_for_update()
    )
    return {row.thing: ShopThing(_identities(row), row.state, row.waits) for row in rows}


def save_things(
    connection: sa.Connection, source: str, things: Mapping[str, ShopThing], *, now: Instant
) -> None:
    """Store things that the caller has locked, in one statement."""
    rows: list[Row] = []
    for key, thing in things.items():
        names: dict[str, str] = {identity.kind: identity.value for identity in thing.identities}
        named = {kind: names.get(kind) for kind in _NAMES}
        rows.append(
            {
                "source": source,
                "thing": key,
                "state": thing.state,
                "waits": thing.waits,
                "changed_at": now,
                **named,
            }
        )
    update(connection, shop_things, rows, key=["source", "thing"], columns=_STATE)


def load_person(connection: sa.Connection, source: str, key: str) -> tuple[Identity, ...]:
    """Return the identities of a thing's person; empty when nobody is known."""
    row = connection.execute(
        sa.select(shop_things).where(shop_things.c.source == source, shop_things.c.thing == key)
    ).one_or_none()
    return () if row is None else _identities(row)


def has_thing(connection: sa.Connection, source: str, key: str) -> bool:
    """Tell whether the thing is known."""
    mine = sa.select(shop_things.c.thing).where(shop_things.c.source == source, shop_things.c.thing == key)
    return connection.execute(mine).first() is not None


def load_things_of(connection: sa.Connection, names: Sequence[Identity]) -> list[dict[str, Any]]:
    """Return the rows of things whose person has one of these identities, in the order of their keys."""
    if not names:
        return []
    statement = sa.select(shop_things).where(_are_of(connection, names))
    ordered = statement.order_by(shop_things.c.source, shop_things.c.thing)
    return [dict(row) for row in connection.execute(ordered).mappings()]


def delete_things_of(connection: sa.Connection, names: Sequence[Identity]) -> int:
    """Delete the things whose person has one of these identities, and return how many."""
    if not names:
        return 0
    return connection.execute(sa.delete(shop_things).where(_are_of(connection, names))).rowcount


def lock_waiting(
    connection: sa.Connection, *, before: Instant, limit: int
) -> dict[tuple[str, str], ShopThing]:
    """Lock and return, by source and key, the oldest things unchanged since `before` at which events wait."""
    statement = (
        sa.select(shop_things)
        .where(shop_things.c.waits, shop_things.c.changed_at < before)
        .order_by(shop_things.c.changed_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {
        (row.source, row.thing): ShopThing(_identities(row), row.state, row.waits)
        for row in connection.execute(statement)
    }


def count_waiting(connection: sa.Connection, *, before: Instant) -> int:
    """Return how many things have had events waiting since before an instant."""
    statement = sa.select(sa.func.count()).where(shop_things.c.waits, shop_things.c.changed_at < before)
    return int(connection.execute(statement).scalar_one())


def _are_of(connection: sa.Connection, names: Sequence[Identity]) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.false(),
        *(
            any_of(shop_things.c[kind], [name.value for name in names if name.kind == kind], connection)
            for kind in _NAMES
            if any(name.kind == kind for name in names)
        ),
    )


def _identities(row: Any) -> tuple[Identity, ...]:
    return tuple(Identity(kind, getattr(row, kind)) for kind in _NAMES if getattr(row, kind) is not None)  # type: ignore[arg-type]

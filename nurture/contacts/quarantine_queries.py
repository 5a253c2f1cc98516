"""Read the quarantine, and take items out of it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import any_of
from nurture.database.schema import quarantine


def list_items(
    connection: sa.Connection, *, stage: str | None = None, source: str | None = None, limit: int
) -> list[sa.Row[Any]]:
    """Return items, the newest first, of this stage and this source where they are given."""
    statement = sa.select(quarantine).order_by(quarantine.c.id.desc()).limit(limit)
    if stage is not None:
        statement = statement.where(quarantine.c.stage == stage)
    if source is not None:
        statement = statement.where(quarantine.c.source == source)
    return list(connection.execute(statement))


def load_item(connection: sa.Connection, number: int) -> sa.Row[Any] | None:
    """Return one item; None when there is none of this number."""
    return connection.execute(sa.select(quarantine).where(quarantine.c.id == number)).one_or_none()


def lock_items(connection: sa.Connection, numbers: Sequence[int]) -> list[sa.Row[Any]]:
    """Return these items, the oldest first, locked until the transaction ends."""
    statement = sa.select(quarantine).where(any_of(quarantine.c.id, numbers, connection))
    return list(connection.execute(statement.order_by(quarantine.c.id).with_for_update()))


def find_numbers(connection: sa.Connection, *, stage: str) -> list[int]:
    """Return the numbers of all items of a stage, the oldest first."""
    statement = sa.select(quarantine.c.id).where(quarantine.c.stage == stage).order_by(quarantine.c.id)
    return list(connection.scalars(statement))


def delete_items(connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Delete these items."""
    connection.execute(sa.delete(quarantine).where(any_of(quarantine.c.id, numbers, connection)))

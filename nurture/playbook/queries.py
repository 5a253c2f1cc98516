"""Queries of published playbooks: their files, the active one, and the runs in flight.

Rows of `playbooks` never change. Every activation inserts a row, so the playbook before is always known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import decode, encode
from nurture.database.schema import active_playbook, playbooks, runs, set_aside_measures
from nurture.domain.instant import Instant

#: `active_playbook` has this one row.
_ONLY = 1
_ACTIVE_STATE = sa.select(active_playbook.c.playbook_id, active_playbook.c.in_force).where(
    active_playbook.c.id == _ONLY
)
_ACTIVE = sa.select(active_playbook.c.playbook_id).where(active_playbook.c.id == _ONLY)


@dataclass(frozen=True, slots=True)
class Publication:
    """One row of `playbooks`, without its files."""

    id: int
    name: str
    rules_hash: str
    content_hash: str
    published_at: Instant
    actor: str
    # none | enter
    backlog: str


_COLUMNS = tuple(column for column in playbooks.c if column.name != "files")


def insert(connection: sa.Connection, publication: Publication, files: Mapping[str, str]) -> int:
    """Insert a playbook; return its id (the id in `publication` is ignored)."""
    statement = (
        sa.insert(playbooks)
        .values(
            name=publication.name,
            rules_hash=publication.rules_hash,
            content_hash=publication.content_hash,
            files=encode(dict(files)),
            published_at=publication.published_at,
            actor=publication.actor,
            backlog=publication.backlog,
        )
        .returning(playbooks.c.id)
    )
    return int(connection.execute(statement).scalar_one())


def active_id(connection: sa.Connection) -> int | None:
    """Return the id of the active playbook, None before the first is published."""
    return connection.scalar(_ACTIVE)


def active_state(connection: sa.Connection) -> tuple[int, str] | None:
    """Return the id of the active playbook and what is in force in it (JSON text); None before the first."""
    row = connection.execute(_ACTIVE_STATE).one_or_none()
    return None if row is None else (row.playbook_id, row.in_force)


def save_in_force(connection: sa.Connection, text: str) -> None:
    """Set what is in force. The caller holds the lock of the active playbook."""
    connection.execute(sa.update(active_playbook).where(active_playbook.c.id == _ONLY).values(in_force=text))


def lock_active(connection: sa.Connection) -> Publication | None:
    """Return the active playbook and lock it: until the transaction ends, no other can become active."""
    if connection.dialect.name == "postgresql":
        # A row lock would not block the insert of the very first row.
        connection.execute(sa.text("LOCK TABLE active_playbook IN SHARE ROW EXCLUSIVE MODE"))
    active = active_id(connection)
    return None if active is None else publication(connection, active)


def publication(connection: sa.Connection, playbook_id: int) -> Publication | None:
    """Return a playbook without its files, or None."""
    row = connection.execute(sa.select(*_COLUMNS).where(playbooks.c.id == playbook_id)).one_or_none()
    return None if row is None else Publication(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping


def before(connection: sa.Connection, playbook_id: int) -> Publication | None:
    """Return the playbook that was active before this one, or None when it was the first."""
    statement = (
        sa.select(*_COLUMNS).where(playbooks.c.id < playbook_id).order_by(playbooks.c.id.desc()).limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else Publication(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping


def history(connection: sa.Connection, *, limit: int = 20) -> list[Publication]:
    """Return the newest publications, newest first."""
    statement = sa.select(*_COLUMNS).order_by(playbooks.c.id.desc()).limit(limit)
    return [Publication(**row._mapping) for row in connection.execute(statement)]  # noqa: SLF001


def files(connection: sa.Connection, playbook_id: int) -> dict[str, str] | None:
    """Return the files of a playbook as {path: text}, or None when there is no such playbook."""
    text = connection.scalar(sa.select(playbooks.c.files).where(playbooks.c.id == playbook_id))
    if text is None:
        return None
    return {str(path): str(content) for path, content in decode(text).items()}


def newest_files(connection: sa.Connection, *, limit: int) -> list[dict[str, str]]:
    """Return the files of the newest publications, newest first."""
    statement = sa.select(playbooks.c.files).order_by(playbooks.c.id.desc()).limit(limit)
    return [{str(path): str(content) for path, content in decode(text).items()} for text in
            connection.execute(statement).scalars()]  # fmt: skip


def activate(connection: sa.Connection, playbook_id: int, *, wake: bool) -> None:
    """Make a playbook the active one.

    wake: start to wake all contacts, because the rules have changed; otherwise a wake in progress continues.
    """
    row = {"id": _ONLY, "playbook_id": playbook_id, "woken": 0}
    changed = ("playbook_id", "woken") if wake else ("playbook_id",)
    bulk.insert(connection, active_playbook, [row], conflict=["id"], update=changed)


def has_set_aside(connection: sa.Connection) -> bool:
    """Tell whether a measure is set aside for any contact."""
    return bool(connection.scalar(sa.select(sa.exists(sa.select(set_aside_measures.c.measure)))))


def wake_again(connection: sa.Connection) -> None:
    """Start to wake contacts for the active playbook anew."""
    connection.execute(sa.update(active_playbook).values(woken=0))


def in_flight(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """Return the number of active runs by (measure, step)."""
    statement = (
        sa.select(runs.c.measure, runs.c.step, sa.func.count())
        .where(runs.c.status == "active")
        .group_by(runs.c.measure, runs.c.step)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(statement)}

"""Publishing a playbook, going back to the one before, and loading what is active.

The files travel in the database, so every worker decides by the same playbook; which one is active is read in
each batch's own transaction.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Protocol

import sqlalchemy as sa

from nurture.database.audit import record
from nurture.database.engine import Database
from nurture.database.notifications import ADVANCE, note
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import Instant
from nurture.playbook import queries as store
from nurture.playbook.built import LoadedPlaybook, build, rebuild
from nurture.playbook.queries import Publication

Backlog = Literal["none", "enter"]

#: The active one, the one before it, and what messages still on their way were frozen under.
_KEPT = 6


class PlaybookSource(Protocol):
    """Gives the playbook that a batch works by."""

    def active_id(self, connection: sa.Connection) -> int | None:
        """Return the active playbook's id, None before the first is published."""
        ...

    def active(self, connection: sa.Connection) -> LoadedPlaybook:
        """Return the active playbook. Raises NotFoundError before the first is published."""
        ...

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:
        """Return a playbook by its id. Raises NotFoundError when there is none."""
        ...


class PublishedPlaybooks:
    """The playbooks of a database, each loaded once per process. Thread-safe."""

    def __init__(self, *, has_template_cache: bool = True) -> None:
        """has_template_cache: setting TEMPLATE_CACHE; see `nurture.rendering.tracing`."""
        self._has_template_cache = has_template_cache
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, int], LoadedPlaybook] = OrderedDict()

    def active_id(self, connection: sa.Connection) -> int | None:
        """Return the active playbook's id: one row, read in the caller's transaction."""
        return store.active_id(connection)

    def active(self, connection: sa.Connection) -> LoadedPlaybook:
        """Return the active playbook. Raises NotFoundError before the first is published."""
        active = store.active_id(connection)
        if active is None:
            raise NotFoundError("no playbook is published; run `nurture playbook publish DIR`")
        return self.of(connection, active)

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:
        """Return a playbook by its id. Raises NotFoundError when there is none."""
        # Databases number their playbooks alike; a process may hold two of them (simulation).
        key = (str(connection.engine.url), playbook_id)
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
            loaded = _load(connection, playbook_id, has_template_cache=self._has_template_cache)
            self._loaded[key] = loaded
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
            return loaded


class GivenPlaybook:
    """One playbook that is always the active one, for previews, simulation and tests."""

    def __init__(self, loaded: LoadedPlaybook) -> None:
        """Give this one."""
        self._loaded = loaded

    def active_id(self, connection: sa.Connection) -> int | None:  # noqa: ARG002 - a source's shape
        """Return its id."""
        return self._loaded.id

    def active(self, connection: sa.Connection) -> LoadedPlaybook:  # noqa: ARG002 - a source's shape
        """Return it."""
        return self._loaded

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:  # noqa: ARG002 - a source's shape
        """Return it, whatever the id."""
        return self._loaded


def _load(connection: sa.Connection, playbook_id: int, *, has_template_cache: bool = True) -> LoadedPlaybook:
    files, row = store.files(connection, playbook_id), store.publication(connection, playbook_id)
    if files is None or row is None:
        raise NotFoundError(f"there is no playbook {playbook_id}; `nurture playbook history` lists them")
    return rebuild(
        files,
        id_=playbook_id,
        backlog="enter" if row.backlog == "enter" else "none",
        has_template_cache=has_template_cache,
    )


def publish(
    database: Database, files: Mapping[str, str], *, now: Instant, actor: str, backlog: Backlog = "none"
) -> int:
    """Check a playbook in full, keep it, make it the active one; return its id.

    backlog: `none` takes what already holds as everybody's past, `enter` lets those people in. Publishing what
    is active already changes nothing and returns its id. Only changed rules wake people. Writes an audit row.
    Raises PlaybookError with every fault, before anything is written.
    """
    loaded = build(files)

    def work(connection: sa.Connection) -> int:
        active = store.lock_active(connection)
        if active is not None and active.content_hash == loaded.playbook.content_hash and backlog == "none":
            return active.id
        return _activate(connection, loaded, active, now=now, actor=actor, backlog=backlog, action="publish")

    return database.run(work)


def rollback(database: Database, *, now: Instant, actor: str, to: int | None = None) -> int:
    """Make the playbook that was active before (or `to`) active again, as a new publication; return its id.

    Writes an audit row. Raises NotFoundError when there is none before.
    """

    def work(connection: sa.Connection) -> int:
        active = store.lock_active(connection)
        if active is None:
            raise NotFoundError("no playbook is published, so there is none to go back to")
        back = store.before(connection, active.id) if to is None else store.publication(connection, to)
        if back is None:
            which = "there was no playbook before this one" if to is None else f"there is no playbook {to}"
            raise NotFoundError(f"{which}; publish the one you want")
        loaded = _load(connection, back.id)
        return _activate(connection, loaded, active, now=now, actor=actor, backlog="none", action="rollback")

    return database.run(work)


def _activate(
    connection: sa.Connection,
    loaded: LoadedPlaybook,
    active: Publication | None,
    *,
    now: Instant,
    actor: str,
    backlog: Backlog,
    action: str,
) -> int:
    playbook = loaded.playbook
    row = Publication(0, playbook.name, playbook.rules_hash, playbook.content_hash, now, actor, backlog)
    row = replace(row, id=store.insert(connection, row, loaded.files))
    # Letting the backlog in is a change for everybody, even when no rule is another.
    wake = active is None or active.rules_hash != row.rules_hash or backlog == "enter"
    store.activate(connection, row.id, wake=wake)
    note(connection, ADVANCE, "")
    detail = {"playbook": row.id, "before": active.id if active else None, "rules_hash": row.rules_hash,
              "content_hash": row.content_hash, "backlog": backlog}  # fmt: skip
    record(connection, at=now, actor=actor, action=f"playbook.{action}", detail=detail)
    return row.id

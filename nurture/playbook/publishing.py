"""Publish a playbook, roll back to the one before, and load the active one.

The files are stored in the database, so that all workers use the same playbook. Each batch reads in its own
transaction which playbook is active.
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
from nurture.domain.errors import NotFoundError, PlaybookError
from nurture.domain.instant import Instant
from nurture.playbook import queries as playbook_queries
from nurture.playbook import value_queries
from nurture.playbook.epoch_queries import begin_epochs
from nurture.playbook.in_force import NOTHING_CHANGED, with_changes
from nurture.playbook.loaded_playbook import LoadedPlaybook, build, rebuild
from nurture.playbook.queries import Publication

Backlog = Literal["none", "enter"]

#: Playbooks kept in memory: the active one, the one before, and those that waiting messages were frozen with.
_LOADED_MAX = 6


class PlaybookSource(Protocol):
    """Returns the playbook that a batch uses."""

    def active_id(self, connection: sa.Connection) -> int | None:
        """Return the active playbook's id, None before the first is published."""
        ...

    def active(self, connection: sa.Connection) -> LoadedPlaybook:
        """Return the active playbook. Raises NotFoundError before the first is published."""
        ...

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:
        """Return a playbook by its id. Raises NotFoundError when there is none."""
        ...


class _PublishedNumbers:
    """The active playbook of each database with the published numbers that its folds read. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Database -> the newest publication that it has, the playbook without numbers, and with them.
        self._known: dict[str, tuple[int, LoadedPlaybook, LoadedPlaybook]] = {}

    def added_to(self, connection: sa.Connection, loaded: LoadedPlaybook) -> LoadedPlaybook:
        """Return the playbook with the numbers published by now; itself where its folds read none."""
        names = loaded.playbook.intervals_read
        if not names:
            return loaded
        newest, url = value_queries.newest_publication(connection, names), str(connection.engine.url)
        with self._lock:
            known, plain, numbered = self._known.get(url, (-1, loaded, loaded))
            if known == newest and plain is loaded:
                return numbered
        published = value_queries.load_published(connection, names)
        numbered = replace(loaded, playbook=replace(loaded.playbook, published=published))
        with self._lock:
            self._known[url] = newest, loaded, numbered
        return numbered


class PublishedPlaybooks:
    """The playbooks of a database, each loaded once per process. Thread-safe."""

    def __init__(self, *, has_template_cache: bool = True) -> None:
        """has_template_cache: setting TEMPLATE_CACHE; see `nurture.rendering.tracing`."""
        self._has_template_cache = has_template_cache
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, int], LoadedPlaybook] = OrderedDict()
        self._numbers = _PublishedNumbers()
        self._in_force: dict[tuple[str, int, str], LoadedPlaybook] = {}

    def active_id(self, connection: sa.Connection) -> int | None:
        """Return the active playbook's id: one row, read in the caller's transaction."""
        return playbook_queries.active_id(connection)

    def active(self, connection: sa.Connection) -> LoadedPlaybook:
        """Return the active playbook. Raises NotFoundError before the first is published."""
        state = playbook_queries.active_state(connection)
        if state is None:
            raise NotFoundError("no playbook is published; run `nurture playbook publish DIR`")
        active, in_force = state
        loaded = self.of(connection, active)
        if in_force == NOTHING_CHANGED:
            return self._numbers.added_to(connection, loaded)
        key = (str(connection.engine.url), active, in_force)
        with self._lock:
            found = self._in_force.get(key)
            if found is None:
                found = with_changes(loaded, in_force)
                self._in_force = {key: found}
        return self._numbers.added_to(connection, found)

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:
        """Return a playbook by its id. Raises NotFoundError when there is none."""
        # A process may use two databases (simulation), and both number their playbooks from 1.
        key = (str(connection.engine.url), playbook_id)
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
            loaded = _load(connection, playbook_id, has_template_cache=self._has_template_cache)
            self._loaded[key] = loaded
            while len(self._loaded) > _LOADED_MAX:
                self._loaded.popitem(last=False)
            return loaded


class FixedPlaybook:
    """One playbook that is always the active one, for previews, simulation and tests."""

    def __init__(self, loaded: LoadedPlaybook) -> None:
        self._loaded = loaded
        self._numbers = _PublishedNumbers()

    def active_id(self, connection: sa.Connection) -> int | None:  # noqa: ARG002 - a source's shape
        """Return the playbook's id."""
        return self._loaded.id

    def active(self, connection: sa.Connection) -> LoadedPlaybook:
        """Return the playbook."""
        return self._numbers.added_to(connection, self._loaded)

    def of(self, connection: sa.Connection, playbook_id: int) -> LoadedPlaybook:  # noqa: ARG002 - a source's shape
        """Return the playbook, for any id."""
        return self._loaded


def _load(connection: sa.Connection, playbook_id: int, *, has_template_cache: bool = True) -> LoadedPlaybook:
    files, row = (
        playbook_queries.files(connection, playbook_id),
        playbook_queries.publication(connection, playbook_id),
    )
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
    """Check a playbook in full, store it, make it the active one; return its id.

    backlog: `none` takes a condition that holds already as the contact's past, `enter` starts runs for it. Publishing
    the active playbook again returns its id; it only tries again what is set aside. Otherwise only changed rules wake
    contacts. Writes an audit row.
    Raises PlaybookError with every fault, before anything is written.
    """
    loaded = build(files)

    def work(connection: sa.Connection) -> int:
        active = playbook_queries.lock_active(connection)
        if active is not None and (faults := _rename_faults(_load(connection, active.id), loaded)):
            raise PlaybookError(faults)
        if active is not None and active.content_hash == loaded.playbook.content_hash and backlog == "none":
            if playbook_queries.has_set_aside(connection):
                playbook_queries.wake_again(connection)
                note(connection, ADVANCE, "")
                detail = {"playbook": active.id, "again": True}
                record(connection, at=now, actor=actor, action="playbook.publish", detail=detail)
            return active.id
        return _activate(connection, loaded, active, now=now, actor=actor, backlog=backlog, action="publish")

    return database.run(work)


def _rename_faults(active: LoadedPlaybook, new: LoadedPlaybook) -> list[str]:
    """Return the faults by which the new playbook would lose people whom the active one knows by an older name."""
    faults: list[str] = []
    for measure in new.playbook.measures.values():
        for path in (measure.path, *measure.was):
            before = dict(active.playbook.measures).get(path)
            if before is not None and before.root != measure.root:
                names = ", ".join((*before.was, path))
                faults.append(
                    f"{measure.path}/measure.yaml:1: `{path}` is known as {before.root} to people in flight: "
                    f"write `was: [{names}]`"
                )
    return faults


def rollback(database: Database, *, now: Instant, actor: str, to: int | None = None) -> int:
    """Make the playbook that was active before (or `to`) active again, as a new publication; return its id.

    Writes an audit row. Raises NotFoundError when there is none before.
    """

    def work(connection: sa.Connection) -> int:
        active = playbook_queries.lock_active(connection)
        if active is None:
            raise NotFoundError("no playbook is published, so there is none to go back to")
        previous = (
            playbook_queries.before(connection, active.id)
            if to is None
            else playbook_queries.publication(connection, to)
        )
        if previous is None:
            which = "there was no playbook before this one" if to is None else f"there is no playbook {to}"
            raise NotFoundError(f"{which}; publish the one you want")
        loaded = _load(connection, previous.id)
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
    row = replace(row, id=playbook_queries.insert(connection, row, loaded.files))
    # Entering the backlog concerns every contact, even when no rule has changed.
    wake = active is None or active.rules_hash != row.rules_hash or backlog == "enter"
    # A measure that failed under these very rules is tried again, too: the fault may have been ours.
    wake = wake or playbook_queries.has_set_aside(connection)
    playbook_queries.activate(connection, row.id, wake=wake)
    begin_epochs(connection, loaded, now=now)
    note(connection, ADVANCE, "")
    detail = {"playbook": row.id, "before": active.id if active else None, "rules_hash": row.rules_hash,
              "content_hash": row.content_hash, "backlog": backlog}  # fmt: skip
    record(connection, at=now, actor=actor, action=f"playbook.{action}", detail=detail)
    return row.id

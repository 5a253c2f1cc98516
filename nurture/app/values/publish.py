"""Publish numbers as a new version: those by key at once, those of people page by page."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.values.effects import Effects, Page, Planner, add_effects
from nurture.app.values.read_file import Number, NumbersFile, pages, read_numbers
from nurture.contacts.queries import is_living, lock_contacts
from nurture.contacts.value_queries import resolve_people, save_contact_values
from nurture.database.audit import record
from nurture.database.notifications import ADVANCE, note
from nurture.domain.errors import Transient
from nurture.domain.instant import MINUTE, to_iso
from nurture.domain.playbook import PublishedValue
from nurture.playbook import value_queries as store
from nurture.playbook.value_queries import Version

#: People of one transaction.
_PAGE: Final = 500
#: Folds read numbers by key from so long after they were stored: by then every worker knows them.
_LEAD: Final = MINUTE

Progress = Callable[[int, int], None]


def read(services: Services, path: Path, *, name: str | None) -> NumbersFile:
    """Read a file of numbers by the active playbook. Raises InputError."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    return read_numbers(path, playbook, name=name)


def preview(services: Services, file: NumbersFile, *, progress: Progress | None = None) -> dict[str, Any]:
    """Return what publishing the file would do, without any change: people who change, and what begins and ends."""
    now, rows = services.clock.now(), []
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        versions = store.newest_versions(connection)
        for name, numbers in sorted(file.numbers.items()):
            value, version = playbook.values[name], _next(versions.get(name))
            if not value.is_of_contacts:
                news = _changed(connection, name, numbers)
                rows.append({"value": name, "version": version, "rows": len(numbers), "news": len(news)})
                continue
            effects, planner, announced = Effects(), Planner(value, version), 0
            for place, page in enumerate(pages(numbers, _PAGE), start=1):
                planned = planner.plan(connection, page, file)
                planner.note(planned)
                add_effects(connection, planned, value, playbook, effects, now=now)
                announced += len(planned.news)
                if progress is not None:
                    progress(min(place * _PAGE, len(numbers)), len(numbers))
            rows.append(_effects_row(name, version, len(numbers), announced, effects))
    return _answer(file, rows)


def _effects_row(name: str, version: int, numbers: int, announced: int, effects: Effects) -> dict[str, Any]:
    return {
        "value": name,
        "version": version,
        "rows": numbers,
        "news": announced,
        "moves": dict(sorted(effects.moves.items())),
        "starts": dict(sorted(effects.starts.items())),
        "ends": dict(sorted(effects.ends.items())),
    }


def publish(
    services: Services, file: NumbersFile, *, actor: str, progress: Progress | None = None
) -> dict[str, Any]:
    """Publish the numbers of a file, each value as its next version; return the versions and what was news.

    Each person whose number is news gets an event, at a bounded rate. Audited.
    """

    def begin(connection: sa.Connection) -> list[tuple[Version, PublishedValue]]:
        store.lock_versions(connection)
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        newest = store.newest_versions(connection)
        begun = []
        for name, numbers in sorted(file.numbers.items()):
            value = playbook.values[name]
            in_force = now if value.is_of_contacts else now + _LEAD
            version = Version(name, _next(newest.get(name)), now, in_force, len(numbers), 0, actor)
            if not value.is_of_contacts:
                news = _changed(connection, name, numbers)
                version = replace(version, news=len(news))
                store.add_numbers(connection, version, news)
            store.add_version(connection, version)
            begun.append((version, value))
        detail = {"values": {version.name: version.version for version, _ in begun}}
        record(connection, at=now, actor=actor, action="values.publish", detail=detail)
        if services.clock.now() >= now + _LEAD:
            # A worker may have read a purchase after that instant without these numbers.
            raise Transient("the numbers took longer than a minute to store; publish them in smaller files")
        return begun

    rows = []
    for version, value in services.database.run(begin):
        row = {
            "value": version.name,
            "version": version.version,
            "rows": version.numbers,
            "news": version.news,
        }
        if value.is_of_contacts:
            announced, moves = _publish_people(services, file, version, value, progress)
            row |= {"news": announced, "moves": dict(sorted(moves.items()))}
        rows.append({**row, "in_force": to_iso(version.in_force_at)})
    return _answer(file, rows)


def _publish_people(
    services: Services,
    file: NumbersFile,
    version: Version,
    value: PublishedValue,
    progress: Progress | None,
) -> tuple[int, Counter[str]]:
    """Store the numbers of people page by page; return how many are news, and the moves between bands."""
    numbers, moves, announced = file.numbers[version.name], Counter[str](), 0
    planner = Planner(value, version.version)
    for place, rows in enumerate(pages(numbers, _PAGE), start=1):
        page, refused = services.database.run(
            partial(_publish_page, planner=planner, rows=rows, path=file.path)
        )
        planner.note(page)
        moves += page.moves
        announced += len(page.news)
        file.by_reason += refused.by_reason
        file.refused += refused.refused
        if progress is not None:
            progress(min(place * _PAGE, len(numbers)), len(numbers))
    services.database.run(
        lambda connection: store.set_news(connection, version.name, version.version, announced)
    )
    return announced, moves


def _publish_page(
    connection: sa.Connection, *, planner: Planner, rows: Sequence[Number], path: Path
) -> tuple[Page, NumbersFile]:
    """Store the numbers of some people, whose contacts are locked; return what was news, and what was refused."""
    refused = NumbersFile(path)
    people = resolve_people(connection, [row.key for row in rows])
    locked = lock_contacts(connection, sorted(set(people.values())))
    # Somebody may have been merged or erased before the lock; the statements below read everybody anew.
    for row in rows:
        if not _may_be_stored(people.get(row.key), locked):
            refused.refuse(row.line, "merged or erased just now", row.key)
    living = [row for row in rows if _may_be_stored(people.get(row.key), locked)]
    page = planner.plan(connection, living, refused)
    save_contact_values(connection, page.values)
    if page.news:
        note(connection, ADVANCE, "")
    return page, refused


def _may_be_stored(contact: int | None, locked: Mapping[int, Any]) -> bool:
    """Tell whether a row's contact lives; one that nobody is known by is refused later."""
    return contact is None or (contact in locked and is_living(locked[contact]))


def _changed(connection: sa.Connection, name: str, numbers: Sequence[Number]) -> dict[str, int | None]:
    """Return the numbers by key that differ from the ones published before."""
    before = {key: number for key, (number, _) in store.newest_numbers(connection, name).items()}
    return {row.key: row.number for row in numbers if before.get(row.key) != row.number}


def _next(newest: Version | None) -> int:
    return 1 if newest is None else newest.version + 1


def _answer(file: NumbersFile, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "values": [dict(row) for row in rows],
        "rejected": file.rejected,
        "by_reason": dict(sorted(file.by_reason.items())),
        "refused": list(file.refused),
    }

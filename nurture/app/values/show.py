"""Show published values: the versions, the numbers by key, and the people in each band."""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.contacts.queries import resolve_contact
from nurture.contacts.value_queries import count_bands, load_contact_values
from nurture.domain.errors import InputError
from nurture.domain.instant import Instant, to_iso
from nurture.domain.playbook import PublishedValue
from nurture.domain.published_values import write_number
from nurture.learning.run_queries import ModelRun, newest_runs
from nurture.playbook import value_queries as store
from nurture.playbook.value_queries import Version

_VERSIONS_MAX: Final = 20


def show_all(services: Services) -> list[dict[str, Any]]:
    """Return a row for each value of the active playbook, with its newest version."""
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        newest = store.newest_versions(connection)
        return [_row(value, newest.get(name), now=now) for name, value in sorted(playbook.values.items())]


def _row(value: PublishedValue, version: Version | None, *, now: Instant) -> dict[str, Any]:
    is_late = bool(value.refresh) and (version is None or now - version.published_at > value.refresh)
    return {
        "value": value.name,
        "of": value.of,
        "model": value.model or None,
        "version": None if version is None else version.version,
        "published": None if version is None else to_iso(version.published_at),
        "in_force": None if version is None else to_iso(version.in_force_at),
        "numbers": None if version is None else version.numbers,
        "news": None if version is None else version.news,
        "by": None if version is None else version.actor,
        "late": "yes" if is_late else "no",
    }


def find_late(services: Services) -> Iterator[str]:
    """Yield a line for each value whose newest version is older than the playbook expects."""
    for row in show_all(services):
        if row["late"] == "yes":
            since = (
                f"version {row['version']} is of {row['published']}"
                if row["version"]
                else "there is no version"
            )
            change = "hand in a new one by: nurture values publish FILE"
            if row["model"]:
                change = f"its model says why: nurture values show {row['value']}"
            yield f"{row['value']}: {since}; {change}"


def show(services: Services, name: str, *, key: str | None = None) -> dict[str, Any]:
    """Return one value: its rule, its versions, and its numbers or people by band. Raises InputError, NotFoundError.

    key: a key, or a person (WHO) of a value of contacts: only their numbers.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        value = playbook.values.get(name)
        if value is None:
            known = ", ".join(sorted(playbook.values)) or "none"
            raise InputError(f"no value {name!r} in the active playbook; there are: {known}")
        versions = store.list_versions(connection, name, limit=_VERSIONS_MAX)
        newest = versions[0] if versions else None
        run = newest_runs(connection).get(name)
        found = {**_row(value, newest, now=now), "versions": [_version(version) for version in versions]}
        if value.model:
            found["learnt"] = None if run is None else _run(run)
        if value.is_of_contacts:
            return found | _of_people(connection, value, key)
        return found | _of_keys(connection, name, key)


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "published": to_iso(version.published_at),
        "in_force": to_iso(version.in_force_at),
        "numbers": version.numbers,
        "news": version.news,
        "by": version.actor,
    }


def _run(run: ModelRun) -> dict[str, Any]:
    return {
        "at": to_iso(run.at),
        "result": run.result,
        "reason": run.reason,
        "version": run.version,
        **run.figures,
    }


def _of_people(connection: sa.Connection, value: PublishedValue, who: str | None) -> dict[str, Any]:
    bands = {name: write_number(bound) for name, bound in value.bands}
    rule = {"bands": bands, "margin": write_number(value.margin)}
    if who is None:
        return {**rule, "people": count_bands(connection, value.name, value.bands)}
    contact = resolve_contact(connection, who)
    known = load_contact_values(connection, [contact], [value.name]).get((contact, value.name))
    if known is None:
        return {**rule, "contact": contact, "number": None}
    return {
        **rule,
        "contact": contact,
        "number": write_number(known.number) or None,
        "number_version": known.version,
        "announced": write_number(known.announced) or None,
        "announced_version": known.announced_version or None,
        "is_waiting": known.is_waiting,
    }


def _of_keys(connection: sa.Connection, name: str, key: str | None) -> dict[str, Any]:
    if key is None:
        numbers = store.newest_numbers(connection, name)
        return {
            "numbers_by_key": {
                known: {"number": write_number(number) or None, "version": version}
                for known, (number, version) in numbers.items()
            }
        }
    rows = store.numbers_of_key(connection, name, key)
    return {
        "key": key,
        "history": [
            {
                "version": row.version,
                "number": write_number(row.number) or None,
                "in_force": to_iso(row.in_force_at),
            }
            for row in rows
        ],
    }

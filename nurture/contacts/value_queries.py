"""Rows of published values of contacts: the newest number of each, and the one announced to the contact."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import members_of
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.database.bulk import any_of, insert, update
from nurture.database.schema import contact_values, contacts, value_versions
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_user_id
from nurture.domain.playbook.published_values import Bands
from nurture.domain.values import read_row_id


@dataclass(frozen=True, slots=True)
class ContactValue:
    """A contact's newest number of a value, and the one that was announced; None: none, or taken back."""

    version: int
    number: int | None
    # 0: nothing was announced yet.
    announced_version: int = 0
    announced: int | None = None
    # True: the event that tells it is still to be handed in.
    is_waiting: bool = False


def resolve_people(connection: sa.Connection, names: Sequence[str]) -> dict[str, int]:
    """Return name -> the living contact of each e-mail address, `id:USER_ID` or `contact:N` that is known.

    Two statements for any number of names.
    """
    numbers = {name: number for name in names if (number := _number(name)) is not None}
    wanted = {name: _identity(name) for name in names if name not in numbers}
    owners = load_index_by_identities(
        connection, [identity for identity in wanted.values() if identity is not None]
    ).owners
    found = {name: owners[identity] for name, identity in wanted.items() if identity in owners}
    if numbers:
        statement = sa.select(contacts.c.id, contacts.c.survivor).where(
            any_of(contacts.c.id, sorted(set(numbers.values())), connection)
        )
        people = {row.id: row.survivor or row.id for row in connection.execute(statement)}
        found |= {name: people[number] for name, number in numbers.items() if number in people}
    return found


def _number(name: str) -> int | None:
    kind, _, rest = name.partition(":")
    return read_row_id(rest) if kind == "contact" and rest.isdigit() else None


def _identity(name: str) -> Identity | None:
    if name.startswith("id:"):
        value = canonical_user_id(name.removeprefix("id:"))
        return Identity("user_id", value) if value else None
    address = canonical_email(name)
    return Identity("email", address) if address else None


def load_contact_values(
    connection: sa.Connection, ids: Sequence[int], names: Iterable[str]
) -> dict[tuple[int, str], ContactValue]:
    """Return (living contact, value) -> the newest row of the contact and of all merged into it."""
    people = members_of(connection, ids)
    v = contact_values.c
    statement = (
        sa.select(contact_values)
        .where(
            any_of(v.contact_id, sorted(people), connection), any_of(v.name, sorted(set(names)), connection)
        )
        .order_by(v.version, v.contact_id)
    )
    known: dict[tuple[int, str], ContactValue] = {}
    for row in connection.execute(statement):
        place = people[row.contact_id], row.name
        before = known.get(place)
        announced = (row.announced_version, row.announced)
        if before is not None and before.announced_version > row.announced_version:
            announced = (before.announced_version, before.announced)
        known[place] = ContactValue(row.version, row.number, *announced, is_waiting=bool(row.is_waiting))
    return known


def save_contact_values(connection: sa.Connection, values: Mapping[tuple[int, str], ContactValue]) -> None:
    """Write these rows."""
    rows = [
        (
            contact,
            name,
            value.version,
            value.number,
            value.announced_version,
            value.announced,
            value.is_waiting,
        )
        for (contact, name), value in sorted(values.items())
    ]
    kept = ("version", "number", "announced_version", "announced", "is_waiting")
    insert(
        connection,
        contact_values,
        rows,
        columns=("contact_id", "name", *kept),
        conflict=["contact_id", "name"],
        update=kept,
    )


def load_numbered(connection: sa.Connection, name: str) -> set[int]:
    """Return the living people who have a number of a value now."""
    v = contact_values.c
    person = sa.func.coalesce(contacts.c.survivor, contacts.c.id)
    statement = (
        sa.select(person)
        .join(contacts, contacts.c.id == v.contact_id)
        .where(v.name == name, v.number.is_not(None), contacts.c.erased_at.is_(None))
    )
    return set(connection.execute(statement).scalars())


# ---- handing in ------------------------------------------------------------------------------------------


def has_waiting(connection: sa.Connection) -> bool:
    """Tell whether a number is still to be announced."""
    statement = sa.select(contact_values.c.contact_id).where(contact_values.c.is_waiting).limit(1)
    return connection.execute(statement).first() is not None


def lock_waiting(connection: sa.Connection, *, limit: int) -> Sequence[Any]:
    """Lock the next rows that are still to be announced, each with the living contact (`person`) and its instant."""
    v = contact_values.c
    statement = (
        sa.select(
            v.contact_id,
            v.name,
            v.announced,
            v.announced_version,
            sa.func.coalesce(contacts.c.survivor, contacts.c.id).label("person"),
            value_versions.c.published_at,
        )
        .join(contacts, contacts.c.id == v.contact_id)
        .join(
            value_versions,
            sa.and_(value_versions.c.name == v.name, value_versions.c.version == v.announced_version),
        )
        .where(v.is_waiting)
        .order_by(v.contact_id, v.name)
        .limit(limit)
        .with_for_update(of=contact_values, skip_locked=True)
    )
    return connection.execute(statement).all()


def mark_told(connection: sa.Connection, rows: Sequence[Any]) -> None:
    """Note that the numbers of these rows were handed in."""
    update(
        connection,
        contact_values,
        [(row.contact_id, row.name, False) for row in rows],
        key=["contact_id", "name"],
        columns=["is_waiting"],
    )


def count_bands(connection: sa.Connection, name: str, bands: Bands) -> dict[str, int]:
    """Return band -> to how many living people a number in it was announced, the lowest band first."""
    v = contact_values.c
    rising = sorted(bands, key=lambda band: band[1])
    band = sa.case(*((v.announced >= bound, text) for text, bound in reversed(rising)), else_=rising[0][0])
    statement = (
        sa.select(band, sa.func.count())
        .join(contacts, contacts.c.id == v.contact_id)
        .where(v.name == name, v.announced.is_not(None), contacts.c.survivor.is_(None))
        .group_by(band)
    )
    counts = {row[0]: row[1] for row in connection.execute(statement)}
    return {text: counts.get(text, 0) for text, _ in rising}

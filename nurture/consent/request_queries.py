"""Rows of requests made on the public pages: open until they are confirmed, replaced or past `valid_until`.

Also the addresses that were asked to confirm a topic lately.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import family
from nurture.database.bulk import Row, any_of, insert
from nurture.database.schema import contacts, events, requests
from nurture.domain.instant import Instant


def count_requests(connection: sa.Connection, contact_ids: Sequence[int], *, since: Instant) -> int:
    """Return how many requests these contacts have made since that instant."""
    mine = any_of(requests.c.contact_id, contact_ids, connection)
    statement = sa.select(sa.func.count()).select_from(requests).where(mine, requests.c.asked_at > since)
    return int(connection.execute(statement).scalar_one())


def add_request(
    connection: sa.Connection,
    contact_ids: Sequence[int],
    *,
    act: str,
    address: str | None,
    old_address: str | None,
    now: Instant,
    until: Instant,
) -> int:
    """Store a request of the first of these contacts, replacing open ones of the same act, and return its id."""
    same = sa.and_(any_of(requests.c.contact_id, contact_ids, connection), requests.c.act == act, _OPEN)
    connection.execute(sa.update(requests).where(same).values(replaced_at=now))
    row = {
        "contact_id": contact_ids[0],
        "act": act,
        "address": address,
        "old_address": old_address,
        "asked_at": now,
        "valid_until": until,
    }
    return int(connection.execute(sa.insert(requests).values(row).returning(requests.c.id)).scalar_one())


def load_recent_requests(
    connection: sa.Connection, contact_ids: Sequence[int], addresses: Sequence[str], *, since: Instant
) -> list[Any]:
    """Return (contact_id, address) of requests since then: by these contacts, or for these addresses."""
    mine = any_of(requests.c.contact_id, contact_ids, connection)
    same = any_of(requests.c.address, addresses, connection)
    statement = sa.select(requests.c.contact_id, requests.c.address)
    return list(connection.execute(statement.where(sa.or_(mine, same), requests.c.asked_at > since)))


def add_address_requests(
    connection: sa.Connection,
    addresses: Mapping[int, tuple[str | None, str]],
    *,
    now: Instant,
    until: Instant,
) -> dict[int, int]:
    """Store requests for another address in one statement; return contact -> request id.

    addresses: contact -> (present address, new address).
    """
    rows: list[Row] = [
        {
            "contact_id": contact,
            "act": "address",
            "address": new,
            "old_address": present,
            "asked_at": now,
            "valid_until": until,
        }
        for contact, (present, new) in addresses.items()
    ]
    added = insert(connection, requests, rows, returning=["contact_id", "id"])
    return {row.contact_id: row.id for row in sorted(added)}


def load_request(connection: sa.Connection, number: int, contact_ids: Sequence[int]) -> Any:
    """Return the request if one of these contacts made it, otherwise None."""
    mine = any_of(requests.c.contact_id, contact_ids, connection)
    statement = sa.select(requests).where(requests.c.id == number, mine)
    return connection.execute(statement).one_or_none()


def has_open_request(
    connection: sa.Connection, contact_ids: Sequence[int], *, act: str, now: Instant
) -> bool:
    """Tell whether one of these contacts has an open request of that act."""
    mine = any_of(requests.c.contact_id, contact_ids, connection)
    statement = sa.select(requests.c.id).where(
        mine, requests.c.act == act, _OPEN, requests.c.valid_until > now
    )
    return connection.execute(statement.limit(1)).first() is not None


def load_requests(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, Any]:
    """Return id -> request for those of these ids that exist."""
    statement = sa.select(requests).where(any_of(requests.c.id, numbers, connection))
    return {row.id: row for row in connection.execute(statement)}


def confirm_request(connection: sa.Connection, number: int, *, now: Instant, old_address: str | None) -> bool:
    """Mark an open request as confirmed; return False when it was no longer open."""
    statement = sa.update(requests).where(requests.c.id == number, _OPEN, requests.c.valid_until > now)
    return connection.execute(statement.values(done_at=now, old_address=old_address)).rowcount > 0


def object_to_request(connection: sa.Connection, number: int, *, now: Instant) -> Any:
    """Mark a request as objected to, and cancel it when it is open; return it as it was, None the second time."""
    row = connection.execute(sa.select(requests).where(requests.c.id == number).with_for_update()).one()
    if row.objected_at is not None:
        return None
    values: dict[str, Instant] = {"objected_at": now}
    if row.done_at is None and row.replaced_at is None:
        values["replaced_at"] = now
    connection.execute(sa.update(requests).where(requests.c.id == number).values(values))
    return row


def find_abandoned_addresses(
    connection: sa.Connection, addresses: Mapping[int, str], *, by_operator: Collection[int] = ()
) -> set[int]:
    """Return the contacts that changed away from this address by a request and did not change back to it.

    addresses: living contact -> address. by_operator: contacts whose address an operator names; such a word gives the
    address back when its owner objected to the change.
    """
    members = family(connection, sorted(addresses))
    statement = (
        sa.select(members.c.person, requests.c.address, requests.c.old_address, requests.c.objected_at)
        .join(members, members.c.id == requests.c.contact_id)
        .where(requests.c.act == "address", requests.c.done_at.is_not(None))
        .order_by(requests.c.done_at, requests.c.id)
    )
    is_abandoned: dict[int, bool] = {}
    for person, new, old, objected_at in connection.execute(statement):
        if addresses[person] in (new, old):
            is_restored = objected_at is not None and person in by_operator
            is_abandoned[person] = addresses[person] == old and not is_restored
    return {person for person, abandoned in is_abandoned.items() if abandoned}


def load_asked_addresses(
    connection: sa.Connection, addresses: Sequence[str], names: Sequence[str], *, since: Instant
) -> set[str]:
    """Return those of these addresses about which hints told events of these names since, and not as history."""
    living = sa.select(contacts.c.id, contacts.c.email).where(
        any_of(contacts.c.email, addresses, connection), contacts.c.survivor.is_(None)
    )
    emails = {row.id: row.email for row in connection.execute(living)}
    if not emails:
        return set()
    members = family(connection, sorted(emails))
    statement = (
        sa.select(members.c.person)
        .join(events, events.c.contact_id == members.c.id)
        .where(events.c.name.in_(names), events.c.received_at > since, events.c.historic.is_(False))
        # The word of a trusted source asks for another mail, or for none.
        .where(events.c.hint)
        .distinct()
    )
    return {emails[person] for person in connection.execute(statement).scalars()}


_OPEN = sa.and_(requests.c.done_at.is_(None), requests.c.replaced_at.is_(None))

"""Requests that a person makes on the public pages and confirms from a mailbox, above all a change of address.

A request stores a row and an event; the event starts the mail with the link (`domain.consent.requests`). The
page behind the link shows the request, and confirming it there carries it out once. After a change of address a
mail tells the old address.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.consent import request_queries
from nurture.consent.from_pages import SOURCE, PageContact, add_page_event
from nurture.consent.queries import lock_living_contact
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.family_queries import family
from nurture.contacts.identity_queries import (
    claim_identities,
    confirm_address,
    load_index_by_contacts,
    load_index_by_identities,
    renew_identity,
    set_newest_email,
)
from nurture.contacts.locking import LostRace
from nurture.domain.consent.requests import (
    ADDRESS_CHANGED_EVENT,
    ADDRESS_REQUESTED_EVENT,
    REQUEST_EVENT,
    REQUESTS_MAX,
    REQUESTS_WINDOW,
    VALID_FOR,
    RequestAct,
)
from nurture.domain.event import Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import Instant


def create_request(
    connection: sa.Connection,
    person: PageContact,
    act: RequestAct,
    *,
    address: str | None = None,
    message: int | None = None,
    now: Instant,
) -> bool:
    """Store a request and the event that starts its mail; return whether it was stored.

    It is not when the person made too many requests lately. address: canonical, for the act `address`. An open
    request of the same act is replaced.
    """
    lock_living_contact(connection, person.id)
    members = load_family_ids(connection, person)
    made = request_queries.count_requests(connection, members, since=now - REQUESTS_WINDOW)
    if made >= REQUESTS_MAX:
        return False
    number = request_queries.add_request(
        connection, members, act=act, address=address, now=now, until=now + VALID_FOR
    )
    mail = {"message": message} if message is not None else {}
    properties: dict[str, Any] = {"act": act, "request": number, **mail}
    add_page_event(connection, person, REQUEST_EVENT, properties, now=now, message_id=f"request:{number}")
    return True


def ask_to_confirm(
    connection: sa.Connection,
    addresses: Mapping[int, tuple[str, Sequence[Identity]]],
    *,
    now: Instant,
) -> int:
    """Ask the owners of these addresses to confirm them, because a browser key gave them for known people.

    addresses: contact -> (new address, its identities). Every address gets one such mail a day, and a person causes
    at most REQUESTS_MAX; returns how many are sent. A constant number of statements.
    """
    lately = request_queries.load_recent_requests(
        connection,
        list(addresses),
        [address for address, _ in addresses.values()],
        since=now - REQUESTS_WINDOW,
    )
    asked = {row.address for row in lately}
    made = Counter(row.contact_id for row in lately)
    rows: dict[int, str] = {}
    for contact, (address, _) in sorted(addresses.items()):
        if address not in asked and made[contact] < REQUESTS_MAX:
            rows[contact] = address
            asked.add(address)
    numbers = request_queries.add_address_requests(connection, rows, now=now, until=now + VALID_FOR)
    events = []
    for contact, number in numbers.items():
        name = strongest_first(addresses[contact][1])[0]
        properties = {"act": "address", "request": number}
        for event, message_id in (
            (REQUEST_EVENT, f"request:{number}"),
            (ADDRESS_REQUESTED_EVENT, f"asked:{number}"),
        ):
            events.append(
                NewEvent(
                    source=SOURCE,
                    message_id=message_id,
                    kind="track",
                    name=event,
                    occurred_at=now,
                    received_at=now,
                    identities=(name,),
                    properties=properties,
                )
            )
    if events:
        accept(connection, events)
    return len(numbers)


def find_request(connection: sa.Connection, person: PageContact, number: object) -> Any:
    """Return the person's own request with that number, None without one."""
    if not isinstance(number, int):
        return None
    return request_queries.load_request(connection, number, load_family_ids(connection, person))


def is_open(request: Any, *, now: Instant) -> bool:
    """Tell whether the request may still be confirmed."""
    return request.done_at is None and request.replaced_at is None and request.valid_until > now


def is_address_of_another(connection: sa.Connection, person: PageContact, address: str) -> bool:
    """Tell whether the address certainly belongs to another person: both have user ids, and none in common."""
    known = load_index_by_identities(connection, [Identity("email", address)])
    owner = known.owners.get(Identity("email", address))
    if owner is None or owner == person.id:
        return False
    mine = load_index_by_contacts(connection, [person.id]).names.get(person.id, set())
    theirs = known.names.get(owner, set())
    users = [{name for name in names if name.kind == "user_id"} for names in (mine, theirs)]
    return bool(users[0] and users[1] and users[0].isdisjoint(users[1]))


def change_address(connection: sa.Connection, person: PageContact, request: Any, *, now: Instant) -> None:
    """Carry out an open request for another sending address.

    The event merges a contact that is already known under that address. Suppressions of the person stay in force,
    because it is stored for the person too. Raises LostRace when another transaction took the address or
    confirmed the request first.
    """
    new = Identity("email", request.address)
    owner = load_index_by_identities(connection, [new]).owners.get(new)
    if owner is None and not claim_identities(connection, {new: (person.id, now, SOURCE)}):
        raise LostRace
    lock_living_contact(connection, person.id)
    if not request_queries.confirm_request(connection, request.id, now=now, old_address=person.email):
        raise LostRace
    # Mail goes to the newest address, also after a merge: make this one newer than all others of both contacts.
    since = load_index_by_contacts(connection, [person.id, owner or person.id]).since
    renew_identity(connection, new, since=max([now, *(at + 1 for name, at in since.items() if name != new)]))
    if owner is None or owner == person.id:
        set_newest_email(connection, person.id)
    confirm_address(connection, owner or person.id, request.address)
    add_page_event(
        connection,
        person,
        ADDRESS_CHANGED_EVENT,
        {"request": request.id},
        now=now,
        message_id=f"changed:{request.id}",
        also=(new,),
    )


def load_family_ids(connection: sa.Connection, person: PageContact) -> Sequence[int]:
    """Return the ids of the person's contacts, the living one first."""
    ids = connection.execute(sa.select(family(connection, [person.id]).c.id)).scalars()
    return [person.id, *sorted(set(ids) - {person.id})]

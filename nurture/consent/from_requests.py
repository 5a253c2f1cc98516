"""Requests that a person makes on the public pages and confirms from a mailbox, above all a change of address.

A request stores a row and an event; the event starts the mail with the link (`domain.consent.requests`). The
page behind the link shows the request, and confirming it there carries it out once. A request to change the
address is told to the present address at once, and the change itself to the old one; the link in both mails lets its
owner object.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from nurture.consent import request_queries
from nurture.consent.from_pages import SOURCE, PageContact, add_page_event
from nurture.consent.queries import lock_living_contact, raise_versions
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
    ADDRESS_OBJECTED_EVENT,
    ADDRESS_REQUESTED_EVENT,
    OBJECTION_WINDOW,
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
        connection,
        members,
        act=act,
        address=address,
        old_address=person.email if act == "address" else None,
        now=now,
        until=now + VALID_FOR,
    )
    mail = {"message": message} if message is not None else {}
    properties: dict[str, Any] = {"act": act, "request": number, **mail}
    for event, message_id in _events_of_request(act, number, present=person.email):
        add_page_event(connection, person, event, properties, now=now, message_id=message_id)
    return True


def _events_of_request(act: RequestAct, number: int, *, present: str | None) -> list[tuple[str, str]]:
    """Return (name, message id) of the events of a new request.

    present: the person's address, which is told of a change; None: there is none to tell.
    """
    is_told = act == "address" and present is not None
    notices = [(ADDRESS_REQUESTED_EVENT, f"asked:{number}")] if is_told else []
    return [(REQUEST_EVENT, f"request:{number}"), *notices]


class NewAddress(NamedTuple):
    """Another address that a browser key gave for a known contact."""

    present: str | None
    new: str
    # Of the contact.
    identities: Sequence[Identity]


def ask_to_confirm(
    connection: sa.Connection,
    addresses: Mapping[int, NewAddress],
    *,
    now: Instant,
) -> int:
    """Ask the owners of these addresses to confirm them, because a browser key gave them for known people.

    addresses: by contact. Every address gets one such mail a day, and a person causes at most REQUESTS_MAX; returns
    how many are sent. A constant number of statements.
    """
    lately = request_queries.load_recent_requests(
        connection,
        list(addresses),
        [address.new for address in addresses.values()],
        since=now - REQUESTS_WINDOW,
    )
    asked = {row.address for row in lately}
    made = Counter(row.contact_id for row in lately)
    rows: dict[int, tuple[str | None, str]] = {}
    for contact, address in sorted(addresses.items()):
        if address.new not in asked and made[contact] < REQUESTS_MAX:
            rows[contact] = (address.present, address.new)
            asked.add(address.new)
    numbers = request_queries.add_address_requests(connection, rows, now=now, until=now + VALID_FOR)
    events = []
    for contact, number in numbers.items():
        name = strongest_first(addresses[contact].identities)[0]
        properties = {"act": "address", "request": number}
        for event, message_id in _events_of_request("address", number, present=addresses[contact].present):
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


def has_open_address_request(connection: sa.Connection, person: PageContact, *, now: Instant) -> bool:
    """Tell whether a change of the person's address waits for its confirmation."""
    return request_queries.has_open_request(
        connection, load_family_ids(connection, person), act="address", now=now
    )


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
    # The new address may have become theirs in another way meanwhile; then the old one is that of the request.
    old_address = request.old_address if person.email == request.address else person.email
    if not request_queries.confirm_request(connection, request.id, now=now, old_address=old_address):
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


Standing = Literal["open", "changed", "unchanged", "over"]


def objection_standing(request: Any, *, now: Instant) -> Standing:
    """Return what an objection to a change of address would meet.

    open: the request can be cancelled. changed: the address was changed, and the owner of the old one may still
    object. unchanged: the request ended without a change. over: the time for objecting has passed.
    """
    if request.done_at is not None:
        return "changed" if request.done_at > now - OBJECTION_WINDOW else "over"
    return "open" if is_open(request, now=now) else "unchanged"


def object_to_change(connection: sa.Connection, person: PageContact, request: Any, *, now: Instant) -> bool:
    """Store that the owner of the old address objects; return False when they had done so before.

    An open request is cancelled. After the change it is for the caller to open a case: people decide, because the
    new address was confirmed too. Raises LostRace when the request was confirmed or replaced at the same time.
    """
    lock_living_contact(connection, person.id)
    before = request_queries.object_to_request(connection, request.id, now=now)
    if before is None:
        return False
    if (before.done_at, before.replaced_at) != (request.done_at, request.replaced_at):
        raise LostRace
    # Mail that the guard passed for this request goes back to the guard.
    raise_versions(connection, [person.id])
    add_page_event(
        connection,
        person,
        ADDRESS_OBJECTED_EVENT,
        {"request": request.id, "changed": request.done_at is not None},
        now=now,
        message_id=f"objected:{request.id}",
    )
    return True


def load_family_ids(connection: sa.Connection, person: PageContact) -> Sequence[int]:
    """Return the ids of the person's contacts, the living one first."""
    ids = connection.execute(sa.select(family(connection, [person.id]).c.id)).scalars()
    return [person.id, *sorted(set(ids) - {person.id})]

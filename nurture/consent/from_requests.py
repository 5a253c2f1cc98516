"""Requests: what somebody asks for on our pages and confirms from a mailbox, above all another address.

Asking stores a row and an event, which begins the mail with the link (`domain.consent.requests`). Following the link
shows, confirming it acts, once: nothing changes before. Who held the address until then is told.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.consent import request_queries as rows
from nurture.consent.from_pages import SOURCE, Person, tell
from nurture.consent.queries import lock_person, suppressed
from nurture.consent.record import Stop, SuppressionReason, address_hash, suppress_each
from nurture.contacts.family_queries import family
from nurture.contacts.identity_queries import (
    claim_identities,
    load_index_by_contacts,
    load_index_by_identities,
    renew_identity,
    set_newest_email,
)
from nurture.contacts.locking import LostRace
from nurture.domain.consent.requests import ASKED, ASKS_MAX, ASKS_WITHIN, CHANGED, VALID_FOR, RequestAct
from nurture.domain.event import Identity
from nurture.domain.instant import Instant

#: What a change of address does not shake off: said of the old one, it holds for the new one.
_FOLLOWS: Final[tuple[SuppressionReason, ...]] = ("unsubscribed", "ops", "complaint", "erased")


def ask(
    connection: sa.Connection,
    person: Person,
    act: RequestAct,
    *,
    address: str | None = None,
    message: int | None = None,
    now: Instant,
) -> set[int] | None:
    """Store a request and let its mail be sent; returns the shards, None when there were too many of late.

    address: canonical, of the act `address`. An open request of the same act is replaced.
    """
    lock_person(connection, person.id)
    members = members_of(connection, person)
    if rows.asked_since(connection, members, since=now - ASKS_WITHIN) >= ASKS_MAX:
        return None
    number = rows.add_request(connection, members, act=act, address=address, now=now, until=now + VALID_FOR)
    mail = {"message": message} if message is not None else {}
    properties: dict[str, Any] = {"act": act, "request": number, **mail}
    return tell(connection, person, ASKED, properties, now=now, message_id=f"request:{number}")


def find(connection: sa.Connection, person: Person, number: object) -> Any:
    """Return the person's own request of that number, None without one."""
    if not isinstance(number, int):
        return None
    return rows.request_of(connection, number, members_of(connection, person))


def is_open(request: Any, *, now: Instant) -> bool:
    """Tell whether the request may still be confirmed."""
    return request.done_at is None and request.replaced_at is None and request.valid_until > now


def is_taken(connection: sa.Connection, person: Person, address: str) -> bool:
    """Tell whether the address is another person's for certain: both have user ids, and not the same."""
    known = load_index_by_identities(connection, [Identity("email", address)])
    owner = known.owners.get(Identity("email", address))
    if owner is None or owner == person.id:
        return False
    mine = load_index_by_contacts(connection, [person.id]).names.get(person.id, set())
    theirs = known.names.get(owner, set())
    users = [{name for name in names if name.kind == "user_id"} for names in (mine, theirs)]
    return bool(users[0] and users[1] and users[0].isdisjoint(users[1]))


def change_address(
    connection: sa.Connection, person: Person, request: Any, *, now: Instant, suppression_key: bytes
) -> set[int]:
    """Let the person's mail go to the address of an open request from now on; returns the shards.

    The event joins whoever else is known under that address. What was suppressed for marketing at the old
    address stays so at the new one. Raises LostRace when somebody else was quicker to name the address.
    """
    new = Identity("email", request.address)
    owner = load_index_by_identities(connection, [new]).owners.get(new)
    if owner is None and not claim_identities(connection, {new: (person.id, now, SOURCE)}):
        raise LostRace
    lock_person(connection, person.id)
    if not rows.settle(connection, request.id, now=now, old_address=person.email):
        raise LostRace
    # The newest address is where mail goes, also after two have become one.
    since = load_index_by_contacts(connection, [person.id, owner or person.id]).since
    renew_identity(connection, new, since=max([now, *(at + 1 for name, at in since.items() if name != new)]))
    if owner is None or owner == person.id:
        set_newest_email(connection, person.id)
    _carry(connection, person.email, request.address, now=now, key=suppression_key)
    return tell(
        connection,
        person,
        CHANGED,
        {"request": request.id},
        now=now,
        message_id=f"changed:{request.id}",
        also=(new,),
    )


def members_of(connection: sa.Connection, person: Person) -> Sequence[int]:
    """Return the person's contacts, the living one first."""
    found = connection.execute(sa.select(family(connection, [person.id]).c.id)).scalars()
    return [person.id, *sorted(set(found) - {person.id})]


def _carry(connection: sa.Connection, old: str | None, new: str, *, now: Instant, key: bytes) -> None:
    hashed = address_hash(old, key) if old is not None else ""
    reason = suppressed(connection, [hashed]).get(hashed, {}).get("marketing")
    stops = [Stop(new, "marketing", word) for word in _FOLLOWS if word == reason]
    if stops:
        suppress_each(connection, stops, now=now, source=SOURCE, suppression_key=key)

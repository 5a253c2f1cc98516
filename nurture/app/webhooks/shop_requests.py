"""Requests that a shop passes on by law: a person's data, their erasure, the end of the shop's contract.

A request for data and the end of a shop open a case, for people to carry out. An erasure is done before the answer,
exactly as `nurture contact erase` does it. The same request is carried out once.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from nurture.app.inbound import build_reply_settings
from nurture.app.privacy import erase_contact
from nurture.app.services import Services
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.contacts.shop_queries import ShopThing, has_thing, load_person, lock_things, save_things
from nurture.domain.counts import Counts
from nurture.domain.event import Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import DAY, Duration, Instant
from nurture.feedback.legal_cases import LegalCase, open_legal_case
from nurture.inbound.shops.statement import LegalRequest
from nurture.inbound.shops.values import join_key

#: The time that Shopify gives for both.
_WITHIN: Final[Duration] = 30 * DAY
_DONE: Final = '{"states":["done"]}'


def process(services: Services, shop: str, request: LegalRequest, *, now: Instant) -> Counts:
    """Carry the request out and return what was done: `case`, `erased`, `nobody` or `repeated`."""
    key = join_key(request.shop, request.act, request.key)
    with services.database.read() as connection:
        person = find_person(connection, shop, request)
    if request.act == "redact":
        return _erase(services, shop, key, person, now=now)

    def open_case(connection: sa.Connection) -> Counts:
        if _is_done(connection, shop, key, now=now):
            return Counts(repeated=1)
        settings = build_reply_settings(services, services.playbooks.active(connection))
        case = LegalCase(request.act, request.shop or shop, person)
        open_legal_case(connection, settings, case, now=now, due_at=now + _WITHIN)
        return Counts(case=1)

    return services.database.run(open_case)


def find_person(connection: sa.Connection, shop: str, request: LegalRequest) -> int | None:
    """Return the living contact of the shop's customer: by what its webhooks said of them, else by the request."""
    known = load_person(connection, shop, request.customer) if request.customer else ()
    return _owner(connection, known) or _owner(connection, request.identities)


def _owner(connection: sa.Connection, identities: Sequence[Identity]) -> int | None:
    """Return the contact of the strongest identity that is known; a telephone may be shared, so it names nobody."""
    names = [name for name in strongest_first(identities) if name.kind != "phone"]
    owners = load_index_by_identities(connection, names).owners if names else {}
    return next((owners[name] for name in names if name in owners), None)


def _erase(services: Services, shop: str, key: str, person: int | None, *, now: Instant) -> Counts:
    """Erase the person, then note that the request is done: an interrupted erasure is begun again."""
    with services.database.read() as connection:
        is_done = has_thing(connection, shop, key)
    if is_done:
        return Counts(repeated=1)
    if person is not None:
        erase_contact(services, f"contact:{person}", actor=f"shop:{shop}")
    services.database.run(lambda connection: _is_done(connection, shop, key, now=now))
    return Counts(erased=1) if person is not None else Counts(nobody=1)


def _is_done(connection: sa.Connection, shop: str, key: str, *, now: Instant) -> bool:
    """Tell whether the request was carried out before, and note that it is now."""
    row = lock_things(connection, shop, [key], now=now)[key]
    save_things(connection, shop, {key: ShopThing((), _DONE, waits=False)}, now=now)
    return row.state == _DONE

"""Consents that `nurture import` reads from a file: evidence of what people said elsewhere.

Contacts that are not known yet are created here, so that the consent exists before their first event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.consent.file_grants import drop_grants_after_withdrawal
from nurture.consent.queries import add_consents, raise_versions
from nurture.contacts.identity_queries import IdentityIndex, claim_identities, load_index_by_identities
from nurture.contacts.locking import LostRace
from nurture.contacts.queries import NewContact, create_contacts
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.domain.event import Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook


@dataclass(frozen=True, slots=True)
class ImportedConsent:
    """One consent of a file: the person's identities, the topic, and when and where it was given."""

    identities: tuple[Identity, ...]
    topic: str
    # granted | withdrawn
    state: str
    # UNDATED: the file does not say when.
    at: Instant
    source: str


def import_consents(
    connection: sa.Connection, consents: Sequence[ImportedConsent], *, playbook: Playbook, now: Instant
) -> int:
    """Write the consents and return how many were written; a constant number of statements.

    A grant whose topic was ever withdrawn towards us is left out. A date after `now` counts as now. Raises
    LostRace when another transaction created one of these identities first: repeat the transaction.
    """
    owners = _find_or_create_owners(connection, consents, playbook, now)
    rows: list[Row] = [
        {
            "contact_id": owners[strongest_first(consent.identities)[0]],
            "topic": consent.topic,
            "state": consent.state,
            "at": min(consent.at, now),
            "source": "import",
            "evidence": encode({"source": consent.source, "imported_at": now}),
        }
        for consent in consents
    ]
    rows = drop_grants_after_withdrawal(connection, rows)
    add_consents(connection, rows)
    raise_versions(connection, sorted({row["contact_id"] for row in rows}))
    return len(rows)


def _find_or_create_owners(
    connection: sa.Connection, consents: Sequence[ImportedConsent], playbook: Playbook, now: Instant
) -> dict[Identity, int]:
    """Return the strongest identity of each consent -> contact, creating the contacts that are not known."""
    identities = sorted({identity for consent in consents for identity in consent.identities})
    known = load_index_by_identities(connection, identities)
    places, newcomers = _plan_newcomers(consents, known, now)
    ids = create_contacts(connection, newcomers, playbook) if newcomers else []
    claims = {
        identity: (ids[place], newcomers[place].first_seen_at, "import")
        for identity, place in places.items()
        if identity not in known.owners
    }
    if claims and not claim_identities(connection, claims):
        raise LostRace
    owners = {identity: ids[place] for identity, place in places.items()}
    strongest = (strongest_first(consent.identities) for consent in consents)
    return {names[0]: _owner(names, known) or owners[names[0]] for names in strongest}


def _plan_newcomers(
    consents: Sequence[ImportedConsent], known: IdentityIndex, now: Instant
) -> tuple[dict[Identity, int], list[NewContact]]:
    """Return the contacts to create, and identity -> place in that list.

    Consents that share an identity share a contact, unless both name a user id: two people of one address stay two.
    """
    places: dict[Identity, int] = {}
    newcomers: list[NewContact] = []
    user_of: list[Identity | None] = []
    for consent in consents:
        names = strongest_first(consent.identities)
        if names[0] in places or _owner(names, known) is not None:
            continue
        user = names[0] if names[0].kind == "user_id" else None
        fitting = (places[name] for name in names if name in places)
        place = next((place for place in fitting if user is None or user_of[place] in (None, user)), None)
        if place is None:
            place = len(newcomers)
            email = next((name.value for name in names if name.kind == "email"), None)
            newcomers.append(NewContact(consent.at or now, email))
            user_of.append(user)
        user_of[place] = user_of[place] or user
        for identity in names:
            places.setdefault(identity, place)
    return places, newcomers


def _owner(names: Sequence[Identity], known: IdentityIndex) -> int | None:
    """Return the contact of the strongest known identity that has no other user id; None without one.

    The drain merges contacts that the identities join.
    """
    user = names[0] if names[0].kind == "user_id" else None
    for name in names:
        owner = known.owners.get(name)
        users = {other for other in known.names.get(owner or 0, ()) if other.kind == "user_id"}
        if owner is not None and (user is None or not users or user in users):
            return owner
    return None

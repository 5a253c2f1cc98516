"""Consents that a file brings along: evidence that somebody said so, never stronger than what was said to us.

Imports add evidence and never resurrect: where a topic (or everything) was ever withdrawn, a grant from a file
is left out. Contacts nobody knew yet are made here, so that the consent is there before their first event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.consent.queries import add_consents, consent_rows, join_rows, raise_versions
from nurture.contacts.identity_queries import claim_identities, load_index_by_identities
from nurture.contacts.locking import LostRace
from nurture.contacts.queries import NewContact, create_contacts
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.domain.consent.permissions import EVERYTHING
from nurture.domain.event import Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook


@dataclass(frozen=True, slots=True)
class Hearsay:
    """One consent of a file: who, about what, when and where it was given."""

    identities: tuple[Identity, ...]
    topic: str
    # granted | withdrawn
    state: str
    at: Instant
    source: str


def import_consents(
    connection: sa.Connection, told: Sequence[Hearsay], *, playbook: Playbook, now: Instant
) -> int:
    """Write the consents down and return how many were; a constant number of statements.

    Raises LostRace when somebody else was first to name one of these people: repeat the transaction.
    """
    people = _people(connection, told, playbook)
    ids = sorted(set(people.values()))
    joins = join_rows(connection, ids)
    family = [*ids, *(join.merged for join in joins)]
    head = {join.merged: join.survivor for join in joins}
    withdrawn = {
        (head.get(row.contact_id, row.contact_id), row.topic)
        for row in consent_rows(connection, family)
        if row.state == "withdrawn"
    }
    rows: list[Row] = []
    for one in told:
        contact = people[strongest_first(one.identities)[0]]
        if one.state == "granted" and {(contact, one.topic), (contact, EVERYTHING)} & withdrawn:
            continue
        rows.append(
            {
                "contact_id": contact,
                "topic": one.topic,
                "state": one.state,
                "at": min(one.at, now),
                "source": "import",
                "evidence": encode({"source": one.source, "imported_at": now}),
            }
        )
    add_consents(connection, rows)
    raise_versions(connection, sorted({row["contact_id"] for row in rows}))
    return len(rows)


def _people(connection: sa.Connection, told: Sequence[Hearsay], playbook: Playbook) -> dict[Identity, int]:
    """Return name -> contact for every name told, making the contacts that none of the names is known of."""
    owners: dict[Identity, int] = dict(
        load_index_by_identities(connection, sorted({n for one in told for n in one.identities})).owners
    )
    new: dict[Identity, int] = {}
    newcomers: list[NewContact] = []
    for one in told:
        names = strongest_first(one.identities)
        if any(name in owners for name in names):
            continue
        place = next((new[name] for name in names if name in new), len(newcomers))
        if place == len(newcomers):
            email = next((name.value for name in names if name.kind == "email"), None)
            newcomers.append(NewContact(one.at, email))
        for name in names:
            new.setdefault(name, place)
    ids = create_contacts(connection, newcomers, playbook) if newcomers else []
    wanted = {name: (ids[place], newcomers[place].first_seen_at, "import") for name, place in new.items()}
    if wanted and not claim_identities(connection, wanted):
        raise LostRace
    owners.update({name: ids[place] for name, place in new.items()})
    return {strongest_first(one.identities)[0]: _owner(one, owners) for one in told}


def _owner(one: Hearsay, owners: dict[Identity, int]) -> int:
    """Return the contact of the strongest name that is known; the drain joins what the names join."""
    return next(owners[name] for name in strongest_first(one.identities) if name in owners)

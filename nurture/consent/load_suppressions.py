"""Load the suppressions of many people at once, each with the rows of their addresses and of their contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.consent.record import address_hash
from nurture.consent.suppression_queries import load_owned_addresses, load_rows
from nurture.domain.consent.suppressions import SuppressionRow, select_holding, strongest_by_scope


@dataclass(frozen=True, slots=True)
class PersonSuppressions:
    """The suppressions of one person's addresses and contacts."""

    owned_hashes: frozenset[str] = frozenset()
    member_ids: tuple[int, ...] = ()
    rows: Sequence[SuppressionRow] = ()

    def at(
        self, address: str | None, key: bytes, *, also: Sequence[SuppressionRow] = ()
    ) -> Mapping[str, str]:
        """Return scope -> strongest reason of what holds for mail to this address.

        also: the rows of an address that is not the person's yet.
        """
        rows = [*self.rows, *also]
        if not rows:
            return {}
        hashed = address_hash(address, key) if address else ""
        return strongest_by_scope(
            select_holding(
                rows, address_hash=hashed, owned_hashes=self.owned_hashes, member_ids=self.member_ids
            )
        )


def load_person_suppressions(
    connection: sa.Connection, people: Mapping[int, tuple[str | None, tuple[int, ...]]], key: bytes
) -> dict[int, PersonSuppressions]:
    """Return living contact -> its suppressions; two statements however many there are.

    people: living contact -> its sending address, and the ids of it and of all merged into it.
    """
    addresses = load_owned_addresses(connection, list(people))
    hashes = {
        contact: frozenset(address_hash(text, key) for text in (address, *addresses.get(contact, ())) if text)
        for contact, (address, _) in people.items()
    }
    members = [member for _, ids in people.values() for member in ids]
    rows = load_rows(connection, [hashed for of in hashes.values() for hashed in of], members)
    of_hash: dict[str, list[SuppressionRow]] = {}
    of_contact: dict[int, list[SuppressionRow]] = {}
    for row in rows:
        if row.contact_id:
            of_contact.setdefault(row.contact_id, []).append(row)
        else:
            of_hash.setdefault(row.address_hash, []).append(row)
    return {
        contact: PersonSuppressions(
            hashes[contact],
            ids,
            [
                *(row for hashed in hashes[contact] for row in of_hash.get(hashed, ())),
                *(row for member in ids for row in of_contact.get(member, ())),
            ],
        )
        for contact, (_, ids) in people.items()
    }

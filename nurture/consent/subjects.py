"""Find, suppress and free a subject that an operator or an application names: an address or a contact."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from nurture.consent.queries import load_family_ids, load_sending_address, lock_contacts_concerned
from nurture.consent.record import Suppression, address_hash, suppress_addresses
from nurture.consent.suppression_queries import lift_suppressions, load_owned_addresses, load_rows
from nurture.contacts.queries import resolve_contact
from nurture.domain.consent.suppressions import (
    SCOPES,
    SuppressionReason,
    SuppressionRow,
    SuppressionScope,
    select_holding,
)
from nurture.domain.errors import NotFoundError
from nurture.domain.identity import canonical_email
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class Subject:
    """An address and its owner, as far as they are known."""

    address: str | None
    contact_id: int | None
    # The contact and all merged into it; hashes of every address that is theirs.
    member_ids: tuple[int, ...]
    address_hash: str
    owned_hashes: frozenset[str]

    def load_holding(self, connection: sa.Connection) -> list[SuppressionRow]:
        """Return the suppressions that hold for mail to this address of this person."""
        rows = load_rows(connection, {self.address_hash, *self.owned_hashes}, self.member_ids)
        return select_holding(
            rows,
            address_hash=self.address_hash,
            owned_hashes=self.owned_hashes,
            member_ids=self.member_ids,
        )

    def lift(
        self,
        connection: sa.Connection,
        *,
        reasons: Collection[str],
        scopes: Collection[str] = SCOPES,
        before: Instant,
    ) -> list[int]:
        """Delete those suppressions with these reasons and scopes; return the contacts concerned."""
        addresses = [self.address] if self.address else []
        ids = lock_contacts_concerned(connection, addresses, self.member_ids)
        rows = self.load_holding(connection)
        lift_suppressions(
            connection,
            [row.address_hash for row in rows],
            [row.contact_id for row in rows],
            reasons=reasons,
            scopes=scopes,
            before=before,
        )
        return ids


def find_subject(connection: sa.Connection, who: str, *, suppression_key: bytes) -> Subject:
    """Return the subject of an address, `id:USER_ID` or `contact:N`. Raises NotFoundError for another text."""
    named = canonical_email(who)
    contact: int | None = None
    try:
        contact = resolve_contact(connection, who)
    except NotFoundError:
        if named is None:
            raise
    address = named or (load_sending_address(connection, contact) if contact is not None else None)
    members: list[int] = []
    addresses = {address} if address else set()
    if contact is not None:
        members = load_family_ids(connection, contact)
        addresses.update(load_owned_addresses(connection, [contact]).get(contact, ()))
        addresses.update(filter(None, [load_sending_address(connection, contact)]))
    hashes = {address: address_hash(address, suppression_key) for address in addresses}
    return Subject(
        address,
        contact,
        tuple(members),
        hashes[address] if address else "",
        frozenset(hashes.values()) if contact is not None else frozenset(),
    )


def suppress_person(
    connection: sa.Connection,
    who: str,
    *,
    scope: SuppressionScope,
    reason: SuppressionReason = "ops",
    now: Instant,
    source: str,
    suppression_key: bytes,
) -> list[int]:
    """Suppress the address and the person that `who` names; return the contacts concerned. Raises NotFoundError."""
    subject = find_subject(connection, who, suppression_key=suppression_key)
    suppression = Suppression(subject.address, scope, reason, subject.contact_id)
    return suppress_addresses(
        connection, [suppression], now=now, source=source, suppression_key=suppression_key
    )

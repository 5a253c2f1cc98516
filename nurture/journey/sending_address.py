"""Setting the address that a contact is mailed at after a batch, or asking its owner before it changes.

Proof changes the address at once; of two proofs the later wins. A hint gives an address only to a contact
without one that no proof knows; otherwise the owner of the new address is asked to confirm it. A merge keeps one of
the two addresses, and an un-merge gives each contact one of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from nurture.consent import from_requests, request_queries
from nurture.contacts import queries as people
from nurture.contacts.assignment import claims_of
from nurture.contacts.identity_queries import load_addresses
from nurture.contacts.inbox_queries import InboxRow
from nurture.contacts.locking import LockedBatch
from nurture.domain.event import OPERATOR, Identity
from nurture.domain.identity import proven_names
from nurture.domain.instant import NEVER, Instant


@dataclass(slots=True)
class _Addresses:
    """The addresses of the contacts of a batch, as its rows are read in the order of their instants."""

    # Contact -> (address, since).
    now: dict[int, tuple[str | None, Instant]]
    changed: dict[int, tuple[str, Instant]] = field(default_factory=dict)
    # Contact -> the newest other address that a hint gives.
    asked: dict[int, str] = field(default_factory=dict)
    # Contacts whose changed address an operator named.
    by_operator: set[int] = field(default_factory=set)

    def read(self, row: InboxRow, contact: int, owner: int | None, *, is_proven: bool) -> None:
        """Read one row.

        owner: the contact that has the row's address, if any. is_proven: of a hint's row, that proof knows its contact.
        """
        address = row.email
        present, since = self.now[contact]
        if address is None or address == present:
            return
        word = claims_of(row).word
        is_known = owner is not None
        # An address of another contact is a shared mailbox: this contact is mailed there too. A hint leads nobody there
        # whom proof knows.
        is_first = present is None and not (word == "hint" and is_proven and owner != contact)
        is_newer_proof = word == "proof" and row.occurred_at >= since
        if is_known and (is_first or is_newer_proof):
            self.now[contact] = self.changed[contact] = (address, row.occurred_at)
            self.asked.pop(contact, None)
            (self.by_operator.add if row.source == OPERATOR else self.by_operator.discard)(contact)
        elif word == "hint":
            self.asked[contact] = address


def set_sending_addresses(
    connection: sa.Connection,
    taken: LockedBatch,
    rows: Sequence[InboxRow],
    home: Mapping[int, int],
    *,
    now: Instant,
) -> None:
    """Store the addresses that these applied rows give, and the requests to confirm the others."""
    owners, since = taken.known.owners, taken.known.since
    addresses = _Addresses(
        {
            contact: (email, since.get(Identity("email", email), NEVER) if email is not None else NEVER)
            for contact, email in taken.emails.items()
        }
    )
    for row in sorted(rows, key=lambda row: (row.occurred_at, row.id)):
        # Events made here name an address we know, not one we were told.
        if row.email is not None and row.kind not in ("ops", "object"):
            contact, owner = home[row.id], owners.get(Identity("email", row.email))
            is_proven = row.hint and bool(proven_names(taken.known, contact))
            addresses.read(row, contact, owner, is_proven=is_proven)
    changed = addresses.changed
    if changed:
        # An address that the person left on our own page is not used again because an application still names it.
        gone = request_queries.find_abandoned_addresses(
            connection,
            {contact: email for contact, (email, _) in changed.items()},
            by_operator=addresses.by_operator,
        )
        changed = {contact: newest for contact, newest in changed.items() if contact not in gone}
    own_address = {
        contact for contact, (email, _) in changed.items() if owners[Identity("email", email)] == contact
    }
    people.set_emails(connection, changed, owners=own_address)
    if addresses.asked:
        from_requests.ask_to_confirm(
            connection,
            {
                contact: from_requests.NewAddress(
                    addresses.now[contact][0], address, sorted(taken.known.names.get(contact, ()))
                )
                for contact, address in addresses.asked.items()
            },
            now=now,
        )


# ---- merge and un-merge ----------------------------------------------------------------------------------


def keep_one_address(connection: sa.Connection, survivor: int, merged: int) -> None:
    """Let the survivor be mailed at one of the addresses of the two; the names of `merged` are its own already."""
    rows = people.lock_contacts(connection, (survivor, merged))
    _set_address(connection, survivor, [row.email for row in rows.values()])


def give_back_addresses(connection: sa.Connection, parted: int, survivor: int) -> None:
    """Mail each of two contacts that were one at an address of its own; names are given back already.

    `parted` has the address that it had before the merge, also where that is a mailbox which both share.
    """
    rows = people.lock_contacts(connection, (parted, survivor))
    _set_address(connection, parted, [rows[parted].email])
    present = rows[survivor].email
    _set_address(connection, survivor, [] if present in load_addresses(connection, parted, ()) else [present])


def _set_address(connection: sa.Connection, contact: int, present: Sequence[str | None]) -> None:
    """Mail the contact at the best of its present addresses and those that the person confirmed.

    Proof comes before a hint, then the newest is best. Without such an address it is the best of its names.
    """
    emails = {email for email in present if email is not None}
    known = load_addresses(connection, contact, emails)
    mine = {email for email, (owner, _, _) in known.items() if owner == contact}
    emails |= {email for email in mine if known[email][2] == "confirmed"}

    def rank(email: str) -> tuple[bool, Instant, str]:
        _, since, told = known.get(email, (contact, NEVER, "trusted"))
        return told != "hint", since, email

    people.set_email(connection, contact, max(emails or mine, key=rank, default=None))

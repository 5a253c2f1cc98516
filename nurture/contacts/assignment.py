"""Assign the pending rows of a batch to contacts, in order.

Enters: rows of the inbox in id order, and the owners of the identities in them. Leaves: for each contact its share,
a prefix of its pending rows; the new contacts and identities that must be stored first; the rows that join two
stored contacts, which need a transaction of their own. No I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nurture.contacts.identity_queries import IdentityIndex
from nurture.contacts.inbox_queries import InboxRow
from nurture.domain.event import Identity
from nurture.domain.identity import earlier_identities, home_of
from nurture.domain.instant import FOREVER, Instant


def previous_identities(row: InboxRow) -> tuple[Identity, ...]:
    """Return the identities an alias gives for its previous id; none for other rows."""
    return earlier_identities(row.previous_id) if row.previous_id is not None else ()


def all_identities(rows: Iterable[InboxRow]) -> list[Identity]:
    """Return every identity in the rows once, the previous ones of aliases included."""
    return list(
        dict.fromkeys(identity for row in rows for identity in (*row.named, *previous_identities(row)))
    )


@dataclass(slots=True)
class Share:
    """The rows of one contact in a batch."""

    contact: int
    rows: list[InboxRow] = field(default_factory=list)
    # When the first row left behind was received: alarms due later wait until it is applied.
    until: Instant = FOREVER


@dataclass(slots=True)
class Assignment:
    """Assigns rows to contacts. New contacts have negative numbers until they are stored."""

    known: IdentityIndex
    # False: nothing can be stored any more; a row with an unknown identity ends the shares of all its contacts.
    may_add: bool
    shares: dict[int, Share] = field(default_factory=dict)
    # New contact -> the row that needs it.
    new: dict[int, InboxRow] = field(default_factory=dict)
    # New identity -> the row that brought it.
    added: dict[Identity, InboxRow] = field(default_factory=dict)
    # Rows that join stored contacts and stand first in line for each of them.
    joins: list[InboxRow] = field(default_factory=list)
    # (row, its contact, contacts of other user ids that share an identity with it)
    conflicts: list[tuple[InboxRow, int, tuple[int, ...]]] = field(default_factory=list)
    # Contact -> when the first row left behind was received.
    ended: dict[int, Instant] = field(default_factory=dict)
    _made: int = 0

    def assign(self, rows: Sequence[InboxRow]) -> None:
        """Assign rows with a person, in order."""
        for row in rows:
            known, named, earlier = self.known, row.named, previous_identities(row)
            owner = known.owners.get(named[0])
            if owner is not None and not earlier and all(known.owners.get(name) == owner for name in named):
                # Nearly every event: all its identities belong to one contact.
                self._append(owner, row)
            else:
                self._assign_mixed(row, earlier)

    def _append(self, contact: int, row: InboxRow) -> None:
        if contact not in self.ended:
            share = self.shares.get(contact)
            if share is None:
                share = self.shares[contact] = Share(contact)
            share.rows.append(row)

    def _assign_mixed(self, row: InboxRow, earlier: Sequence[Identity]) -> None:
        """Assign a row whose identities are new, or belong to several contacts, or that is an alias."""
        known, named = self.known, row.named
        home = home_of(named, earlier, owners=known.owners, names=known.names)
        owners = [*((home.contact,) if home.contact is not None else ()), *home.joins]
        unknown = self._unknown(named, earlier)
        if any(contact in self.ended for contact in owners):
            self._end(owners, row)
            return
        stored = [contact for contact in owners if contact > 0]
        if len(stored) > 1:
            self._end(owners, row)
            self.joins.append(row)
            return
        if (unknown or not owners) and not self.may_add:
            self._end(owners, row)
            return
        contact = self._unite(owners, stored) if owners else self._create(row)
        for identity in unknown:
            known.add(identity, contact, row.occurred_at)
            self.added[identity] = row
        self.shares.setdefault(contact, Share(contact)).rows.append(row)
        if home.conflicts:
            self.conflicts.append((row, contact, home.conflicts))

    def _unknown(self, named: Sequence[Identity], earlier: Sequence[Identity]) -> list[Identity]:
        """Return the identities to add; for a previous id without an owner, its likeliest kind."""
        unknown = [name for name in named if name not in self.known.owners]
        if earlier and not any(name in self.known.owners for name in earlier):
            unknown.append(earlier[-1])
        return unknown

    def _end(self, contacts: Sequence[int], row: InboxRow) -> None:
        for contact in contacts:
            self.ended.setdefault(contact, row.received_at)

    def _create(self, row: InboxRow) -> int:
        self._made += 1
        contact = -self._made
        self.new[contact] = row
        self.known.names[contact] = set()
        return contact

    def _unite(self, owners: Sequence[int], stored: Sequence[int]) -> int:
        """Make one of contacts of which at most one is stored; nothing is written yet, so no merge is needed."""
        kept = stored[0] if stored else owners[0]
        for other in owners:
            if other == kept:
                continue
            for identity in self.known.names.pop(other):
                self.known.add(identity, kept, self.known.since[identity])
            rows = self.shares.pop(other, Share(other)).rows
            share = self.shares.setdefault(kept, Share(kept))
            share.rows = sorted([*share.rows, *rows], key=lambda row: row.id)
            first = self.new.pop(other)
            if kept in self.new:
                self.new[kept] = min(self.new[kept], first, key=lambda row: row.id)
        return kept

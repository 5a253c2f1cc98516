"""Whose rows are whose: the pending rows of a batch, shared out to contacts in order.

Enters: rows of the inbox in id order, and what is known of the names in them. Leaves: each contact's share, a
prefix of what is pending for it; the new contacts and names that must be stored first; the rows that join two
stored contacts, which wait for a transaction of their own. No I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nurture.contacts.identity_queries import IdentityIndex
from nurture.contacts.inbox_queries import InboxRow
from nurture.domain.event import Identity
from nurture.domain.identity import earlier_identities, home_of
from nurture.domain.instant import FOREVER, Instant


def previous_identities(row: InboxRow) -> tuple[Identity, ...]:
    """Return what an alias says the person was called before; nothing for other rows."""
    return earlier_identities(row.previous_id) if row.previous_id is not None else ()


def all_identities(rows: Iterable[InboxRow]) -> list[Identity]:
    """Return every identity the rows name in any way, each once."""
    return list(dict.fromkeys(name for row in rows for name in (*row.named, *previous_identities(row))))


@dataclass(slots=True)
class Share:
    """What one contact is given in a batch."""

    contact: int
    rows: list[InboxRow] = field(default_factory=list)
    # When the first row left behind was received: alarms due later must wait until it is applied.
    until: Instant = FOREVER


@dataclass(slots=True)
class Assignment:
    """Shares rows out. New contacts have negative numbers until they are stored."""

    known: IdentityIndex
    # False: nothing can be stored any more; a name that is not known ends the share of all the row names.
    may_add: bool
    shares: dict[int, Share] = field(default_factory=dict)
    # New contact -> the row that made it needed.
    new: dict[int, InboxRow] = field(default_factory=dict)
    # New name -> the row that brought it.
    added: dict[Identity, InboxRow] = field(default_factory=dict)
    # InboxRows that join stored contacts, and stand first in line for each of them.
    joins: list[InboxRow] = field(default_factory=list)
    # (row, its contact, contacts of other user ids that share a name with it)
    conflicts: list[tuple[InboxRow, int, tuple[int, ...]]] = field(default_factory=list)
    # Contact -> when the first row left behind was received.
    ended: dict[int, Instant] = field(default_factory=dict)
    _made: int = 0

    def give(self, rows: Sequence[InboxRow]) -> None:
        """Share out rows with a person, in order."""
        for row in rows:
            self._give(row)

    def _give(self, row: InboxRow) -> None:
        known, named, earlier = self.known, row.named, previous_identities(row)
        owner = known.owners.get(named[0])
        if owner is not None and not earlier and all(known.owners.get(name) == owner for name in named):
            # Nearly every event: all its names are one contact's.
            if owner not in self.ended:
                share = self.shares.get(owner)
                if share is None:
                    share = self.shares[owner] = Share(owner)
                share.rows.append(row)
            return
        home = home_of(named, earlier, owners=known.owners, names=known.names)
        everyone = [*((home.contact,) if home.contact is not None else ()), *home.joins]
        unknown = self._unknown(named, earlier)
        if any(contact in self.ended for contact in everyone):
            self._end(everyone, row)
            return
        stored = [contact for contact in everyone if contact > 0]
        if len(stored) > 1:
            self._end(everyone, row)
            self.joins.append(row)
            return
        if (unknown or not everyone) and not self.may_add:
            self._end(everyone, row)
            return
        contact = self._unite(everyone, stored) if everyone else self._create(row)
        for identity in unknown:
            known.add(identity, contact, row.occurred_at)
            self.added[identity] = row
        self.shares.setdefault(contact, Share(contact)).rows.append(row)
        if home.conflicts:
            self.conflicts.append((row, contact, home.conflicts))

    def _unknown(self, named: Sequence[Identity], earlier: Sequence[Identity]) -> list[Identity]:
        """Return the names to learn; of an earlier id that nobody has, the likeliest kind."""
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

    def _unite(self, everyone: Sequence[int], stored: Sequence[int]) -> int:
        """Make one of contacts of which at most one is stored: nothing has been written yet, so nothing is merged."""
        kept = stored[0] if stored else everyone[0]
        for other in everyone:
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

"""Assign the pending rows of a batch to contacts, in order.

Input: rows of the inbox in id order, and the owners of the identities in them. Output: for each contact its share,
a prefix of its pending rows; the new contacts and identities that must be stored first; the rows that join two
stored contacts, which need a transaction of their own. No I/O.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nurture.contacts.identity_queries import IdentityIndex
from nurture.contacts.inbox_queries import InboxRow
from nurture.domain.consent.requests import ADDRESS_CHANGED_EVENT
from nurture.domain.event import BY_COMMAND, OWN_PAGES, Identity
from nurture.domain.identity import Conflict, IdentityClaims, Link, Word, earlier_identities, find_event_owner
from nurture.domain.instant import FOREVER, Instant

#: Sources whose events name a contact by an identity that nurture knows already.
_OWN: Final = frozenset({OWN_PAGES, "feedback", BY_COMMAND, "object", "timer"})
#: The event name of an alias that merges two people on purpose (`merge_customers`).
MERGED: Final = "Merged"


def claims_of(row: InboxRow) -> IdentityClaims:
    """Return the claims of the row about a person's identities."""
    earlier = previous_identities(row)
    if row.source == OWN_PAGES and (earlier or row.name == ADDRESS_CHANGED_EVENT):
        # The person confirmed another address on our page: they own both, also where one is another contact's.
        return IdentityClaims(row.named, earlier, link="page", at=row.occurred_at)
    word: Word = "hint" if row.hint else "own" if row.source in _OWN else "proof"
    link: Link = "merge" if row.name == MERGED and word == "proof" else "alias"
    return IdentityClaims(row.named, earlier, word=word, link=link, at=row.occurred_at)


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
    # (row, its contact, contacts that it ties to it without proof)
    conflicts: list[tuple[InboxRow, int, tuple[Conflict, ...]]] = field(default_factory=list)
    # Identity that leaves a contact -> the first owner it had in this batch, since when, and whether by a hint.
    taken: dict[Identity, tuple[int, Instant, bool]] = field(default_factory=dict)
    # Identities told again: a browser on which somebody identified, or proof of what was a hint.
    renewed: set[Identity] = field(default_factory=set)
    # Without `may_add`: identities that may be taken, and contacts made for a row, both stored already.
    may_take: Collection[Identity] = ()
    made_for: Mapping[int, int] = field(default_factory=dict)
    # Contact -> when the first row left behind was received.
    ended: dict[int, Instant] = field(default_factory=dict)
    _made: int = 0

    def assign(self, rows: Sequence[InboxRow]) -> None:
        """Assign rows with a person, in order."""
        for row in rows:
            known, named = self.known, row.named
            owner = known.owners.get(named[0])
            if (
                owner is not None
                and row.previous_id is None
                and all(known.owners.get(name) == owner for name in named)
                and (not known.hints or known.hints.isdisjoint(named))
            ):
                # Nearly every event: all its identities belong to one contact.
                if row.kind == "identify" and named[-1].kind == "anonymous_id":
                    self._renew(named[-1], row.occurred_at)
                self._append(owner, row)
            else:
                self._assign_mixed(row)

    def _append(self, contact: int, row: InboxRow) -> None:
        if contact not in self.ended:
            share = self.shares.get(contact)
            if share is None:
                share = self.shares[contact] = Share(contact)
            share.rows.append(row)

    def _assign_mixed(self, row: InboxRow) -> None:
        """Assign a row whose identities are new, or hints, or belong to several contacts, or that is an alias."""
        known, claims = self.known, claims_of(row)
        owner = find_event_owner(claims, known)
        owners = [*((owner.contact,) if owner.contact is not None else ()), *owner.joins]
        if not owners and row.id in self.made_for:
            owners = [self.made_for[row.id]]
        unknown = self._unknown(claims, owner.withheld)
        if any(contact in self.ended for contact in owners):
            self._end(owners, row)
            return
        stored = [contact for contact in owners if contact > 0]
        if len(stored) > 1:
            self._end(owners, row)
            self.joins.append(row)
            return
        if not self.may_add and (unknown or not owners or not set(owner.takes) <= set(self.may_take)):
            self._end(owners, row)
            return
        contact = self._unite(owners, stored) if owners else self._create(row)
        for identity in unknown:
            known.add(identity, contact, row.occurred_at, hint=claims.word != "proof")
            self.added[identity] = row
        for identity in owner.takes:
            self._take(identity, contact, claims)
        if claims.word == "proof":
            self._prove(claims, contact)
        self.shares.setdefault(contact, Share(contact)).rows.append(row)
        if owner.conflicts:
            self.conflicts.append((row, contact, owner.conflicts))

    def _unknown(self, claims: IdentityClaims, withheld: Collection[Identity]) -> list[Identity]:
        """Return the identities to add; for a previous id without an owner, all that proof says it may be."""
        owners, earlier = self.known.owners, claims.earlier
        unknown = [name for name in claims.named if name not in owners and name not in withheld]
        if earlier and not any(name in owners for name in earlier):
            unknown += earlier if claims.word == "proof" else earlier[-1:]
        return unknown

    def _take(self, identity: Identity, contact: int, claims: IdentityClaims) -> None:
        """Move an identity from another contact to this one."""
        before = self.known
        self.taken.setdefault(
            identity, (before.owners[identity], before.since[identity], identity in before.hints)
        )
        self.known.add(identity, contact, claims.at, hint=claims.word != "proof")

    def _prove(self, claims: IdentityClaims, contact: int) -> None:
        """Record proof of identities that only a hint had tied to the contact."""
        for identity in self.known.hints.intersection(claims.named):
            if self.known.owners[identity] == contact:
                self.known.hints.discard(identity)
                self.renewed.add(identity)

    def _renew(self, device: Identity, at: Instant) -> None:
        """Record when a person last identified on a browser."""
        if at > self.known.since[device]:
            self.known.since[device] = at
            self.renewed.add(device)

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
                is_hint = identity in self.known.hints
                self.known.add(identity, kept, self.known.since[identity], hint=is_hint)
            for identity, (owner, since, is_hint) in list(self.taken.items()):
                if owner == other:
                    self.taken[identity] = (kept, since, is_hint)
            rows = self.shares.pop(other, Share(other)).rows
            share = self.shares.setdefault(kept, Share(kept))
            share.rows = sorted([*share.rows, *rows], key=lambda row: row.id)
            first = self.new.pop(other)
            if kept in self.new:
                self.new[kept] = min(self.new[kept], first, key=lambda row: row.id)
        return kept

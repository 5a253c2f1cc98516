"""Build the batch that a worker applies: find its inbox rows and lock their contacts, in one order for everybody.

The order is shard -> identities, sorted, missing ones inserted -> contacts by id, so no two workers wait for each
other in a circle. Rows are read before anything is locked. Where another transaction has changed an owner in
between, `LostRace` is raised and the transaction is repeated; nothing has been written by then.
`journey.apply_batch` applies the batch.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TypeVar

import sqlalchemy as sa

from nurture.contacts import inbox_queries
from nurture.contacts import queries as contact_queries
from nurture.contacts.assignment import Assignment, Share, all_identities, claims_of
from nurture.contacts.identity_queries import (
    IdentityIndex,
    claim_identities,
    load_index_by_identities,
    renew_identities,
    take_identities,
)
from nurture.contacts.inbox_queries import InboxRow
from nurture.database.engine import Database
from nurture.domain.errors import Transient
from nurture.domain.event import Identity
from nurture.domain.identity import Conflict
from nurture.domain.instant import FOREVER, Instant

T = TypeVar("T")

#: At most so many shards in one batch, where they hold few rows.
_SHARDS_MAX = 16
#: How often a transaction that lost a race is repeated before its work is left to a later task.
_RACES_MAX = 20

_by_id = attrgetter("id")


class LostRace(Exception):
    """Another transaction changed the owner of an identity between our reading and our locking."""


def run_without_lost_race(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` in a transaction of its own and repeat it after every lost race.

    Raises Transient after twenty lost races; a later task tries again.
    """
    for _ in range(_RACES_MAX):
        try:
            return database.run(work, by_index=True)
        except LostRace:
            continue
    message = f"lost {_RACES_MAX} races for the same names; the events stay in the inbox"
    raise Transient(message)


@dataclass(slots=True)
class LockedBatch:
    """The inbox rows of a batch; every contact in `shares` is locked."""

    shares: dict[int, Share]
    # Rows without a person.
    things: list[InboxRow] = field(default_factory=list)
    # Rows that join two stored contacts and stand first in line for each.
    joins: list[InboxRow] = field(default_factory=list)
    # (row, its contact, contacts that it ties to it without proof)
    conflicts: list[tuple[InboxRow, int, tuple[Conflict, ...]]] = field(default_factory=list)
    # Rows that were taken out of the shares: not applied, and deleted with the applied ones.
    set_aside: list[InboxRow] = field(default_factory=list)
    # Contact -> the address its mail goes to now.
    emails: dict[int, str | None] = field(default_factory=dict)
    # Contact -> when its alarm was due before it was put off.
    wakes: Mapping[int, Instant] = field(default_factory=dict)
    known: IdentityIndex = field(default_factory=IdentityIndex)
    # Contacts whose rows are still to be inserted.
    new: Mapping[int, contact_queries.NewContact] = field(default_factory=dict)
    # True: the inbox holds more rows for these shards or contacts.
    more: bool = False

    def rows(self) -> list[InboxRow]:
        """Return all rows in inbox order."""
        shared = [row for share in self.shares.values() for row in share.rows]
        return sorted([*self.things, *shared], key=_by_id)

    def emails_of_new(self) -> dict[int, str | None]:
        """Return new contact -> the address its mail goes to."""
        return {contact: email for contact, (_, email) in self.new.items()}

    def keep(self, wanted: Callable[[InboxRow], bool]) -> None:
        """Leave every unwanted row, and the later rows of its contact, in the inbox."""
        self.things = [row for row in self.things if wanted(row)]
        for share in self.shares.values():
            cut = next((place for place, row in enumerate(share.rows) if not wanted(row)), None)
            if cut is not None:
                share.until = min(share.until, share.rows[cut].received_at)
                share.rows = share.rows[:cut]


@dataclass(frozen=True, slots=True)
class LockedShards:
    """The locked shards that a batch begins with; the shard that was asked for is first."""

    shards: tuple[int, ...]
    # Their oldest rows, one more than a batch holds; None: not read yet.
    rows: list[InboxRow] | None = None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The rows that a batch may hold."""

    limit: int
    # The greatest row id of the batch.
    up_to: int = FOREVER
    # When the first row after it was received: alarms due later wait, because that row may change what they decide.
    until: Instant = FOREVER
    # Locked shards, and the id up to which all their rows have been read.
    shards: tuple[int, ...] = ()
    peeked_to: int = FOREVER


def lock_free_shards(
    connection: sa.Connection, shard: int, among: Collection[int], *, limit: int
) -> LockedShards:
    """Return the locked shard and, when it holds few rows, other free shards of its class in `among`, now locked too.

    A small batch costs nearly as much as a large one.
    """
    among = [other for other in among if other in inbox_queries.shards_of_class(shard)]
    if connection.dialect.name == "sqlite":
        # SQLite has one writer at a time, so no other worker could use the shards.
        others = inbox_queries.lock_other_shards(connection, among, most=inbox_queries.SHARDS - 1)
        return LockedShards((shard, *others))
    rows = inbox_queries.load_oldest(connection, shard, limit=limit + 1)
    if len(rows) >= max(1, limit // 2):
        return LockedShards((shard,), rows)
    others = inbox_queries.lock_other_shards(connection, among, most=_SHARDS_MAX - 1)
    return LockedShards((shard, *others)) if others else LockedShards((shard,), rows)


def lock_batch_of_shards(connection: sa.Connection, locked: LockedShards, *, limit: int) -> LockedBatch:
    """Return the oldest rows of locked shards with all pending rows of the same people, and lock the contacts.

    The rows of those people come from every shard. Identities without an owner are claimed; the caller inserts the
    rows of the new contacts. The batch holds at most twice `limit` rows, for each contact a prefix of its pending
    rows. Raises LostRace.
    """
    oldest = locked.rows
    if oldest is None:
        oldest = inbox_queries.load_oldest(connection, *locked.shards, limit=limit + 1)
    bounds = _bounds_of(locked.shards, oldest, limit)
    more, batch = len(oldest) > limit, oldest[:limit]
    things = [row for row in batch if not row.named]
    personal = {row.id: row for row in batch if row.named}
    if not personal:
        return LockedBatch({}, things=things, more=more)
    settled = _settle_identities(connection, personal, bounds)
    known, new = settled.known, settled.new
    emails = _lock_stored(connection, known, new)
    personal = _without_applied(connection, personal, known, new)
    locked_batch = _assign_rows(connection, sorted([*emails, *new]), settled, personal, bounds)
    locked_batch.new = new
    locked_batch.emails = emails | locked_batch.emails_of_new()
    locked_batch.things, locked_batch.more = things, locked_batch.more or more
    return locked_batch


def load_batch_of_contacts(
    connection: sa.Connection, emails: Mapping[int, str | None], *, limit: int
) -> LockedBatch:
    """Return the pending rows of contacts that the caller has locked; creates no contact and no identity.

    emails: contact -> the address its mail goes to.
    """
    batch = _assign_rows(connection, sorted(emails), None, {}, _Bounds(limit))
    batch.emails = dict(emails)
    return batch


def _bounds_of(shards: tuple[int, ...], oldest: Sequence[InboxRow], limit: int) -> _Bounds:
    """Return the bounds of a batch that begins with these rows, of which the last may be one too many."""
    bounds = _Bounds(2 * limit, shards=shards, peeked_to=oldest[-1].id if oldest else FOREVER)
    if len(oldest) > limit:
        return replace(bounds, up_to=oldest[limit - 1].id, until=oldest[limit].received_at)
    return bounds


def _lock_stored(
    connection: sa.Connection, known: IdentityIndex, new: Collection[int]
) -> dict[int, str | None]:
    """Lock the stored contacts among those known; return each with the address its mail goes to."""
    stored = contact_queries.lock_contacts(
        connection, [contact for contact in known.names if contact not in new]
    )
    if not all(map(contact_queries.is_living, stored.values())):
        raise LostRace
    return {contact: row.email for contact, row in stored.items()}


def _without_applied(
    connection: sa.Connection,
    personal: Mapping[int, InboxRow],
    known: IdentityIndex,
    new: Collection[int],
) -> dict[int, InboxRow]:
    """Return the rows that no other worker has applied since they were read.

    No other transaction can see a new contact, so only the rows of stored contacts are looked up again.
    """
    present = {row.id for row in personal.values() if known.owners.get(row.named[0]) in new}
    stored = [row_id for row_id in personal if row_id not in present]
    present.update(inbox_queries.find_remaining(connection, stored))
    return {row_id: row for row_id, row in personal.items() if row_id in present}


@dataclass(frozen=True, slots=True)
class _Settled:
    """The identities of a batch, stored, as they were before its first row; and what its rows do with them."""

    known: IdentityIndex
    new: dict[int, contact_queries.NewContact] = field(default_factory=dict)
    # Identities that leave a contact, and the contact that each row needed anew.
    taken: Collection[Identity] = ()
    made_for: Mapping[int, int] = field(default_factory=dict)


def _settle_identities(
    connection: sa.Connection, personal: Mapping[int, InboxRow], bounds: _Bounds
) -> _Settled:
    """Return the owners of all identities in the rows, claiming those without one, and the new contacts.

    The pending rows of the same people in other shards are read too: identities that stand only there must be
    inserted before contacts are locked, or two drains could wait for each other.
    """
    rows = dict(personal)
    identities = all_identities(rows.values())
    known = load_index_by_identities(connection, identities)
    found = []
    if known.names:
        found = inbox_queries.find_pending(
            connection, known.names, up_to=bounds.up_to, limit=bounds.limit, seen=bounds.shards
        )
    unknown = [identity for identity in identities if identity not in known.owners]
    if unknown and bounds.shards[0] in inbox_queries.LIVE:
        # Bulk rows of a new person, which may stand before a live one, come along as those of a known person do.
        found += inbox_queries.find_pending_by_identities(
            connection, unknown, up_to=bounds.up_to, limit=bounds.limit, seen=bounds.shards
        )
    if found:
        rows.update((row.id, row) for row in inbox_queries.load_rows(connection, found))
        further = set(all_identities(rows.values())).difference(known.owners, identities)
        index = load_index_by_identities(connection, sorted(further))
        for identity, owner in index.owners.items():
            known.add(identity, owner, index.since[identity], hint=identity in index.hints)
    before = _Before(dict(known.owners), dict(known.since), frozenset(known.hints))
    assignment = Assignment(known, may_add=True)
    assignment.assign(sorted(rows.values(), key=_by_id))
    return _claim_new(connection, assignment, before)


@dataclass(frozen=True, slots=True)
class _Before:
    """The identities as they were read, before the assignment changed the index."""

    owners: Mapping[Identity, int]
    since: Mapping[Identity, Instant]
    hints: AbstractSet[Identity]


def _claim_new(connection: sa.Connection, assignment: Assignment, before: _Before) -> _Settled:
    """Store what the assignment did to identities; return them as before, and the new contacts by reserved id.

    Raises LostRace.
    """
    known = assignment.known
    if not (assignment.added or assignment.taken or assignment.renewed):
        return _Settled(known)
    unstored = sorted(assignment.new, key=lambda contact: assignment.new[contact].id)
    new_contacts = [
        contact_queries.NewContact(
            min(row.occurred_at for row in assignment.shares[contact].rows), _newest_email(known, contact)
        )
        for contact in unstored
    ]
    ids = contact_queries.reserve_ids(connection, len(unstored)) if unstored else ()
    stored = dict(zip(unstored, ids, strict=True))
    wanted = {
        identity: (stored.get(known.owners[identity], known.owners[identity]), row.occurred_at, row.source)
        for identity, row in assignment.added.items()
    }
    if not claim_identities(connection, wanted, hints=known.hints):
        raise LostRace
    _store_changes(connection, assignment, stored, before)
    claimed = IdentityIndex()
    for identity, owner in known.owners.items():
        is_hint = identity in before.hints
        if (row := assignment.added.get(identity)) is not None:
            is_hint = claims_of(row).word != "proof"
        first, since = owner, known.since[identity]
        if identity in assignment.taken:
            first, since, is_hint = assignment.taken[identity]
        claimed.add(identity, stored.get(first, first), since, hint=is_hint)
    made_for = {assignment.new[contact].id: stored[contact] for contact in unstored}
    new = dict(zip(stored.values(), new_contacts, strict=True))
    return _Settled(claimed, new, assignment.taken, made_for)


def _store_changes(
    connection: sa.Connection, assignment: Assignment, stored: Mapping[int, int], before: _Before
) -> None:
    """Store which known identities went to another contact, and which were told again. Raises LostRace."""
    known, added, taken = assignment.known, assignment.added, assignment.taken
    moved = {
        name: (stored.get(known.owners[name], known.owners[name]), known.since[name], name in known.hints)
        for name in taken
        if name not in added
    }
    renewed = {
        name: (known.since[name], name in known.hints)
        for name in assignment.renewed
        if name not in added and name not in taken
    }
    held = {name: (before.owners[name], before.since[name]) for name in (*moved, *renewed)}
    is_as_read = take_identities(connection, moved, held) and renew_identities(connection, renewed, held)
    if not is_as_read:
        raise LostRace


def _newest_email(known: IdentityIndex, contact: int) -> str | None:
    """Return the newest address among a new contact's identities."""
    emails = [identity for identity in known.names[contact] if identity.kind == "email"]
    newest = max(emails, key=lambda identity: (known.since[identity], identity), default=None)
    return newest.value if newest is not None else None


def _assign_rows(
    connection: sa.Connection,
    contacts: Sequence[int],
    settled: _Settled | None,
    seen: Mapping[int, InboxRow],
    bounds: _Bounds,
) -> LockedBatch:
    """Assign the pending rows of locked contacts to them.

    settled: None reads the identities here. seen: the pending rows of the locked shards, up to where those were read.
    """
    found = inbox_queries.find_pending(
        connection,
        contacts,
        up_to=bounds.up_to,
        limit=bounds.limit + 1,
        seen=bounds.shards,
        seen_to=bounds.peeked_to,
    )
    rows = sorted([*seen.values(), *inbox_queries.load_rows(connection, found)], key=_by_id)
    more, until = len(rows) > bounds.limit, bounds.until
    if more:
        until = min(until, rows[bounds.limit].received_at)
        rows = rows[: bounds.limit]
    if settled is None:
        settled = _Settled(load_index_by_identities(connection, all_identities(rows)))
    index = settled.known
    assignment = Assignment(index, may_add=False, may_take=settled.taken, made_for=settled.made_for)
    assignment.assign(rows)
    shares = {contact: assignment.shares.get(contact, Share(contact)) for contact in contacts}
    for contact, share in shares.items():
        share.until = min(until, assignment.ended.get(contact, FOREVER))
    locked = set(contacts)
    conflicts = [conflict for conflict in assignment.conflicts if conflict[1] in locked]
    return LockedBatch(shares, joins=assignment.joins, conflicts=conflicts, known=index, more=more)

"""Taking: the rows of a batch found and their contacts locked, in the one order that everybody locks in.

shard -> names, sorted, missing ones inserted -> contacts by id. Looking comes first and without locks; where
the world has changed between looking and locking, `LostRace` is raised and the transaction is done again: nothing
has been written then. What is taken is applied by `journey.apply_batch`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TypeVar

import sqlalchemy as sa

from nurture.contacts import inbox_queries
from nurture.contacts import queries as people
from nurture.contacts.assignment import Assignment, Share, all_identities
from nurture.contacts.identity_queries import IdentityIndex, claim_identities, load_index_by_identities
from nurture.contacts.inbox_queries import InboxRow
from nurture.database.engine import Database
from nurture.domain.errors import Transient
from nurture.domain.instant import FOREVER, Instant

T = TypeVar("T")

#: Shards of one batch, where they hold little.
_TOGETHER = 16
#: How often a transaction that lost a race is begun again before the work is left for the next turn.
_RACES_MAX = 20


_by_id = attrgetter("id")


class LostRace(Exception):
    """Somebody else changed who is who between our looking and our locking."""


def run_without_lost_race(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Do `work` in a transaction of its own, anew after every lost race. Raises Transient when it never wins."""
    for _ in range(_RACES_MAX):
        try:
            return database.run(work, by_index=True)
        except LostRace:
            continue
    message = f"lost {_RACES_MAX} races for the same names; the events stay in the inbox"
    raise Transient(message)


@dataclass(slots=True)
class LockedBatch:
    """What a batch works on; every contact in `shares` is locked."""

    shares: dict[int, Share]
    # Rows without a person.
    things: list[InboxRow] = field(default_factory=list)
    # Rows that join two stored contacts, first in line.
    joins: list[InboxRow] = field(default_factory=list)
    # (row, its contact, contacts of other user ids that share a name with it)
    conflicts: list[tuple[InboxRow, int, tuple[int, ...]]] = field(default_factory=list)
    # contact -> where its mail goes now.
    emails: dict[int, str | None] = field(default_factory=dict)
    # contact -> when its alarm was due, where it has been put off since.
    wakes: Mapping[int, Instant] = field(default_factory=dict)
    known: IdentityIndex = field(default_factory=IdentityIndex)
    # New contacts, whose rows are still to be written.
    new: Mapping[int, people.NewContact] = field(default_factory=dict)
    # There are more rows than were taken.
    more: bool = False

    def rows(self) -> list[InboxRow]:
        """Return all rows, in order."""
        shared = [row for share in self.shares.values() for row in share.rows]
        return sorted([*self.things, *shared], key=_by_id)

    def emails_of_new(self) -> dict[int, str | None]:
        """Return where the mail of the new contacts goes."""
        return {contact: email for contact, (_, email) in self.new.items()}

    def keep(self, wanted: Callable[[InboxRow], bool]) -> None:
        """Leave every other row, and what comes after it for the same contact, in the inbox."""
        self.things = [row for row in self.things if wanted(row)]
        for share in self.shares.values():
            left = next((place for place, row in enumerate(share.rows) if not wanted(row)), None)
            if left is not None:
                share.until = min(share.until, share.rows[left].received_at)
                share.rows = share.rows[:left]


@dataclass(frozen=True, slots=True)
class LockedShards:
    """What a batch begins with: shards that are locked, the first one first."""

    shards: tuple[int, ...]
    # Their oldest rows, one more than a batch takes; None: not read yet.
    rows: list[InboxRow] | None = None


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How far a batch goes."""

    limit: int
    # The greatest row id, and when the first row left behind was received: alarms due later wait for it, since
    # it may change what they decide.
    up_to: int = FOREVER
    until: Instant = FOREVER
    # Locked shards, and the id up to which all their rows have been read.
    shards: tuple[int, ...] = ()
    peeked_to: int = FOREVER


def lock_batch_of_shards(connection: sa.Connection, reach: LockedShards, *, limit: int) -> LockedBatch:
    """Take the oldest rows of locked shards and, of whatever shard, all that is pending for the same people.

    Names that nobody has are claimed; the rows of their contacts are the caller's to insert. At most twice `limit`
    rows, each contact's a prefix of what is pending for it.
    """
    peeked = (
        reach.rows
        if reach.rows is not None
        else inbox_queries.load_oldest(connection, *reach.shards, limit=limit + 1)
    )
    more = len(peeked) > limit
    bounds = _Bounds(2 * limit, shards=reach.shards, peeked_to=peeked[-1].id if peeked else FOREVER)
    if more:
        bounds = replace(bounds, up_to=peeked[limit - 1].id, until=peeked[limit].received_at)
    things = [row for row in peeked[:limit] if not row.named]
    mine = {row.id: row for row in peeked[:limit] if row.named}
    if not mine:
        return LockedBatch({}, things=things, more=more)
    known, new = _settle_names(connection, mine, bounds)
    locked = people.lock_contacts(connection, [one for one in known.names if one not in new])
    if not all(map(people.is_living, locked.values())):
        raise LostRace
    # Of people whom nobody else knows of, nobody else has taken anything.
    safe = {row.id for row in mine.values() if known.owners.get(row.named[0]) in new}
    safe.update(inbox_queries.find_remaining(connection, [one for one in mine if one not in safe]))
    rows = {one: row for one, row in mine.items() if one in safe}
    taken = _share_out(connection, sorted([*locked, *new]), known, rows, bounds)
    taken.emails = {contact: row.email for contact, row in locked.items()}
    taken.emails.update({contact: email for contact, (_, email) in new.items()})
    taken.things, taken.new, taken.more = things, new, taken.more or more
    return taken


def lock_free_shards(
    connection: sa.Connection, shard: int, among: Collection[int], *, limit: int
) -> LockedShards:
    """Return the locked shard and, where it holds little, free ones of the others, locked too.

    A batch costs nearly the same however small it is.
    """
    if connection.dialect.name == "sqlite":
        # It has one writer at a time: there is nobody to leave shards to.
        return LockedShards(
            (shard, *inbox_queries.lock_other_shards(connection, among, most=inbox_queries.SHARDS - 1))
        )
    rows = inbox_queries.load_oldest(connection, shard, limit=limit + 1)
    if len(rows) >= max(1, limit // 2):
        return LockedShards((shard,), rows)
    others = inbox_queries.lock_other_shards(connection, among, most=_TOGETHER - 1)
    return LockedShards((shard, *others)) if others else LockedShards((shard,), rows)


def load_batch_of_contacts(
    connection: sa.Connection, emails: Mapping[int, str | None], *, limit: int
) -> LockedBatch:
    """Take what is pending for these contacts, which the caller has locked; makes no contact and no name.

    emails: contact -> where its mail goes.
    """
    taken = _share_out(connection, sorted(emails), None, {}, _Bounds(limit))
    taken.emails = dict(emails)
    return taken


def _settle_names(
    connection: sa.Connection, mine: Mapping[int, InboxRow], bounds: _Bounds
) -> tuple[IdentityIndex, dict[int, people.NewContact]]:
    """Find whose the rows are, claim the names that are missing, and return all names and the new contacts.

    What other shards hold for the same people is looked at too: names that only stand there must be inserted
    before contacts are locked, or two drains could wait for each other.
    """
    seen = dict(mine)
    named = all_identities(seen.values())
    known = load_index_by_identities(connection, named)
    if known.names:
        theirs = inbox_queries.find_pending(
            connection, known.names, up_to=bounds.up_to, limit=bounds.limit, seen=bounds.shards
        )
        seen.update((row.id, row) for row in inbox_queries.load_rows(connection, theirs))
        further = set(all_identities(seen.values())).difference(known.owners, named)
        found = load_index_by_identities(connection, sorted(further))
        for name, owner in found.owners.items():
            known.add(name, owner, found.since[name])
    sharing = Assignment(known, may_add=True)
    sharing.give(sorted(seen.values(), key=_by_id))
    return _claim_new(connection, sharing)


def _claim_new(
    connection: sa.Connection, sharing: Assignment
) -> tuple[IdentityIndex, dict[int, people.NewContact]]:
    """Claim the names that the sharing needs, for new contacts under reserved ids; return all names and those."""
    known = sharing.known
    if not sharing.added:
        return known, {}
    new = sorted(sharing.new, key=lambda contact: sharing.new[contact].id)
    newcomers = [
        people.NewContact(min(row.occurred_at for row in sharing.shares[one].rows), _email(known, one))
        for one in new
    ]
    stored = dict(zip(new, people.reserve_ids(connection, len(new)) if new else (), strict=True))
    wanted = {
        name: (stored.get(known.owners[name], known.owners[name]), row.occurred_at, row.source)
        for name, row in sharing.added.items()
    }
    if not claim_identities(connection, wanted):
        raise LostRace
    after = IdentityIndex()
    for name, owner in known.owners.items():
        after.add(name, stored.get(owner, owner), known.since[name])
    return after, dict(zip(stored.values(), newcomers, strict=True))


def _email(known: IdentityIndex, contact: int) -> str | None:
    """Return the newest address among a new contact's names."""
    names = [name for name in known.names[contact] if name.kind == "email"]
    newest = max(names, key=lambda name: (known.since[name], name), default=None)
    return newest.value if newest is not None else None


def _share_out(
    connection: sa.Connection,
    contacts: Sequence[int],
    known: IdentityIndex | None,
    seen: Mapping[int, InboxRow],
    bounds: _Bounds,
) -> LockedBatch:
    """Share the pending rows of locked contacts out to them.

    known None: it is still to be read. seen: what is pending in the locked shards, up to where they were read.
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
    sharing = Assignment(known or load_index_by_identities(connection, all_identities(rows)), may_add=False)
    sharing.give(rows)
    shares = {contact: sharing.shares.get(contact, Share(contact)) for contact in contacts}
    for contact, share in shares.items():
        share.until = min(until, sharing.ended.get(contact, FOREVER))
    mine = set(contacts)
    conflicts = [one for one in sharing.conflicts if one[1] in mine]
    return LockedBatch(shares, joins=sharing.joins, conflicts=conflicts, known=sharing.known, more=more)

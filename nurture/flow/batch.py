"""One batch under its locks: rows of the inbox found, contacts locked, the rule applied, everything written.

The lock order of every transaction here: shard -> names, sorted, missing ones inserted -> contacts by id ->
runs, messages, objects. A transaction that finds the world changed between looking and locking raises `Raced`
and is done again; nothing has been written then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import sqlalchemy as sa

from nurture.domain.advance import Happening
from nurture.domain.contact import Advance, Contact
from nurture.domain.counts import Counts
from nurture.domain.errors import Transient
from nurture.domain.event import Event, Identity
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.merging import followed_by, refit
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from nurture.flow.applied import Recorded, record, rejected
from nurture.flow.inbox import Rejected, quarantine
from nurture.flow.objects import fold_objects
from nurture.flow.replay import FOLDED, begin, definitions, replay_events
from nurture.flow.said import note_consents
from nurture.flow.sharing import Share, Sharing, all_named
from nurture.store import contacts as people
from nurture.store import inbox
from nurture.store.database import Database
from nurture.store.events import drop_events, load_events
from nurture.store.identity import Known, claim, known_by
from nurture.store.inbox import Pending
from nurture.store.saving import mark_told, save

T = TypeVar("T")

#: How often a transaction that lost a race is begun again before the work is left for the next turn.
_RACES_MAX = 20


class Rule(Protocol):
    """The pure rule: `domain.advance.advance`."""

    def __call__(
        self,
        contact: Contact,
        happenings: Sequence[Happening],
        *,
        now: Instant,
        playbook: Playbook,
        owned: bool,
    ) -> Advance:
        """Say what becomes of the contact."""
        ...


class Raced(Exception):
    """Somebody else changed who is who between our looking and our locking."""


def transact(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Do `work` in a transaction of its own, anew after every lost race. Raises Transient when it never wins."""
    for _ in range(_RACES_MAX):
        try:
            return database.run(work)
        except Raced:
            continue
    message = f"lost {_RACES_MAX} races for the same names; the events stay in the inbox"
    raise Transient(message)


# ---- taking ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Taken:
    """What a batch works on; every contact in `shares` is locked."""

    shares: dict[int, Share]
    # Rows without a person.
    things: list[Pending] = field(default_factory=list)
    # Rows that join two stored contacts, first in line.
    joins: list[Pending] = field(default_factory=list)
    # (row, its contact, contacts of other user ids that share a name with it)
    conflicts: list[tuple[Pending, int, tuple[int, ...]]] = field(default_factory=list)
    # contact -> where its mail goes now.
    emails: dict[int, str | None] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    created: int = 0
    # There are more rows in the shard.
    more: bool = False

    def rows(self) -> list[Pending]:
        """Return all rows, in order."""
        shared = (row for share in self.shares.values() for row in share.rows)
        return sorted([*self.things, *shared], key=lambda row: row.id)

    def keep(self, wanted: Callable[[Pending], bool]) -> None:
        """Leave every other row, and what comes after it for the same contact, in the inbox."""
        self.things = [row for row in self.things if wanted(row)]
        for share in self.shares.values():
            left = next((place for place, row in enumerate(share.rows) if not wanted(row)), None)
            if left is not None:
                share.until = min(share.until, share.rows[left].received_at)
                share.rows = share.rows[:left]


def take_shard(connection: sa.Connection, shard: int, *, limit: int, playbook: Playbook) -> Taken:
    """Take the oldest rows of a locked shard and, of whatever shard, all that is pending for the same people.

    At most twice `limit` rows, each contact's a prefix of what is pending for it.
    """
    peeked = inbox.peek(connection, shard, limit=limit + 1)
    if not peeked:
        return Taken({})
    # Alarms later than the first event left behind must wait for it: it may change what they decide.
    until, up_to = (
        (peeked[limit].received_at, peeked[limit - 1].id) if len(peeked) > limit else (FOREVER, FOREVER)
    )
    more = len(peeked) > limit
    things = [row for row in peeked[:limit] if not row.named]
    rows = [row for row in peeked[:limit] if row.named]
    if not rows:
        return Taken({}, things=things, more=more)
    known, created = _settle_names(connection, rows, shard=shard, up_to=up_to, limit=limit, playbook=playbook)
    emails = _lock(connection, known.names)
    taken = _share_out(connection, sorted(known.names), known, up_to=up_to, until=until, limit=2 * limit)
    taken.things, taken.emails, taken.created = things, emails, created
    taken.more = taken.more or more
    return taken


def take_locked(connection: sa.Connection, emails: Mapping[int, str | None], *, limit: int) -> Taken:
    """Take what is pending for these contacts, which the caller has locked; makes no contact and no name.

    emails: contact -> where its mail goes.
    """
    rows = inbox.pending(connection, sorted(emails), limit=limit + 1)
    known = known_by(connection, all_named(rows)) if rows else Known()
    taken = _share_out(connection, sorted(emails), known, rows=rows, limit=limit)
    taken.emails = dict(emails)
    return taken


def _settle_names(
    connection: sa.Connection,
    rows: Sequence[Pending],
    *,
    shard: int,
    up_to: int,
    limit: int,
    playbook: Playbook,
) -> tuple[Known, int]:
    """Find whose the rows are, store the contacts and names that are missing, and return all names, no lock yet.

    What other shards hold for the same people is looked at too: names that only stand there must be inserted
    before contacts are locked, or two drains could wait for each other.
    """
    named = all_named(rows)
    known = known_by(connection, named)
    if known.names:
        theirs = inbox.pending(connection, sorted(known.names), up_to=up_to, outside=shard, limit=2 * limit)
        rows = sorted([*rows, *theirs], key=lambda row: row.id)
        more = [name for name in all_named(rows) if name not in known.owners and name not in set(named)]
        found = known_by(connection, more)
        for name, owner in found.owners.items():
            known.learn(name, owner, found.since[name])
    sharing = Sharing(known, may_add=True)
    sharing.give(rows)
    first = sorted(sharing.new.items(), key=lambda item: item[1].id)
    seen = [
        (min(row.occurred_at for row in sharing.shares[new].rows), _email(sharing, new)) for new, _ in first
    ]
    ids = people.create_contacts(connection, seen, playbook) if seen else []
    stored = {new: contact for (new, _), contact in zip(first, ids, strict=True)}
    wanted = {
        name: (stored.get(known.owners[name], known.owners[name]), row.occurred_at, row.source)
        for name, row in sharing.added.items()
    }
    if wanted and not claim(connection, wanted):
        raise Raced
    after = Known()
    for name, owner in known.owners.items():
        after.learn(name, stored.get(owner, owner), known.since[name])
    return after, len(ids)


def _email(sharing: Sharing, contact: int) -> str | None:
    """Return the newest address among a new contact's names."""
    names = [name for name in sharing.known.names[contact] if name.kind == "email"]
    newest = max(names, key=lambda name: (sharing.known.since[name], name), default=None)
    return newest.value if newest is not None else None


def _lock(connection: sa.Connection, ids: Iterable[int]) -> dict[int, str | None]:
    locked = people.lock_contacts(connection, ids)
    if any(row.survivor is not None for row in locked.values()):
        raise Raced
    return {contact: row.email for contact, row in locked.items()}


def _share_out(
    connection: sa.Connection,
    ids: Sequence[int],
    known: Known,
    *,
    limit: int,
    rows: Sequence[Pending] | None = None,
    up_to: int = FOREVER,
    until: Instant = FOREVER,
) -> Taken:
    """Share the pending rows of locked contacts out to them."""
    if rows is None:
        rows = inbox.pending(connection, ids, up_to=up_to, limit=limit + 1)
    if len(rows) > limit:
        until = min(until, rows[limit].received_at)
    sharing = Sharing(known, may_add=False)
    sharing.give(rows[:limit])
    mine = set(ids)
    shares = {contact: sharing.shares.get(contact, Share(contact)) for contact in ids}
    for contact, share in shares.items():
        share.until = min(share.until, until, sharing.ended.get(contact, FOREVER))
    conflicts = [(row, home, others) for row, home, others in sharing.conflicts if home in mine]
    return Taken(shares, joins=sharing.joins, conflicts=conflicts, known=known, more=len(rows) > limit)


# ---- applying --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """A contact that the rule raised for, with the rows it was given; they are still in the inbox."""

    contact: int
    rows: tuple[int, ...]
    error: str


@dataclass(slots=True)
class Applied:
    """What a batch did."""

    counts: Counts
    failures: list[Failure] = field(default_factory=list)


def apply(
    connection: sa.Connection,
    taken: Taken,
    *,
    now: Instant,
    playbook: Playbook,
    rule: Rule,
    always: bool = False,
) -> Applied:
    """Apply what was taken: events numbered, contacts advanced, everything saved, the rows deleted.

    always: advance contacts for which nothing happened too (their alarms are due). A contact that the rule
    raises for is left as it was; the others are not disturbed.
    """
    home = {row.id: share.contact for share in taken.shares.values() for row in share.rows}
    recorded = record(connection, [(row, home.get(row.id)) for row in taken.rows()])
    advances, told, failures = _advance(
        connection, taken, recorded, now=now, playbook=playbook, rule=rule, always=always
    )
    lost = {row for failure in failures for row in failure.rows}
    drop_events(connection, [recorded.events.pop(row).seq for row in lost if row in recorded.events])
    counts = save(connection, advances) if advances else Counts()
    mark_told(connection, told)
    events = list(recorded.events.values())
    counts["objects"] = fold_objects(connection, events, playbook)
    owners = {event.seq: home[row] for row, event in recorded.events.items() if row in home}
    counts["consents"] = note_consents(connection, events, owners, playbook)
    done = [row for row in taken.rows() if row.id not in lost]
    _mail_to_newest(connection, taken, [row for row in done if row.id in recorded.events], home)
    set_aside = recorded.conflicts + _conflicts_of(connection, taken)
    quarantine(connection, set_aside)
    inbox.delete(connection, [row.id for row in done])
    counts.update(applied=len(events), duplicate=recorded.duplicates, quarantined=len(set_aside))
    counts.update(created=taken.created, contacts=len(advances))
    counts.more = taken.more
    return Applied(counts, failures)


def _advance(
    connection: sa.Connection,
    taken: Taken,
    recorded: Recorded,
    *,
    now: Instant,
    playbook: Playbook,
    rule: Rule,
    always: bool,
) -> tuple[list[Advance], list[int], list[Failure]]:
    happened = {
        contact: [recorded.events[row.id] for row in share.rows if row.id in recorded.events]
        for contact, share in taken.shares.items()
    }
    ids = [contact for contact, events in happened.items() if events or always]
    if not ids:
        return [], [], []
    states = people.load_contacts(connection, ids, playbook)
    settled = people.load_settled(connection, ids)
    refits = _refit(connection, states, recorded, now=now, playbook=playbook)
    advances: list[Advance] = []
    told: list[int] = []
    failures: list[Failure] = []
    for contact in ids:
        share = taken.shares[contact]
        events = happened[contact]
        ended = [one for one in settled.get(contact, ()) if one.at <= share.until]
        state = states[contact]
        if not state.clock and events:
            state = begin(contact, events[0], playbook)
        try:
            one = rule(
                state, in_order(events, ended), now=min(now, share.until), playbook=playbook, owned=True
            )
        except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this contact waits
            failures.append(
                Failure(contact, tuple(row.id for row in share.rows), f"{type(error).__name__}: {error}")
            )
        else:
            advances.append(followed_by(refits[contact], one) if contact in refits else one)
            told.extend(each.message_id for each in ended)
    return advances, told, failures


def _refit(
    connection: sa.Connection,
    states: Mapping[int, Contact],
    recorded: Recorded,
    *,
    now: Instant,
    playbook: Playbook,
) -> dict[int, Advance]:
    """Fold the facts of contacts anew whose facts were folded by other definitions, from their events so far."""
    wanted = definitions(playbook)
    stale = [state.id for state in states.values() if state.clock and state.memory.get(FOLDED) != wanted]
    if not stale:
        return {}
    mine = {event.seq for event in recorded.events.values()}
    return {
        contact: refit(
            states[contact],
            replay_events(contact, [event for event in events if event.seq not in mine], playbook),
            at=max(now, states[contact].clock),
            evidence="playbook",
            playbook=playbook,
        )
        for contact, events in load_events(connection, stale).items()
    }


def in_order(events: Sequence[Event], settled: Sequence[Settled]) -> list[Happening]:
    """Return both in order of effect: events in theirs, a message's end before the first event received later."""
    happenings: list[Happening] = []
    waiting = list(settled)
    for event in events:
        while waiting and waiting[0].at <= event.received_at:
            happenings.append(waiting.pop(0))
        happenings.append(event)
    return [*happenings, *waiting]


def _mail_to_newest(
    connection: sa.Connection, taken: Taken, rows: Sequence[Pending], home: Mapping[int, int]
) -> None:
    """Let mail go to the address that was named last (by occurred_at), when it is another than before."""
    now: dict[int, tuple[str | None, Instant]] = {}
    for contact, email in taken.emails.items():
        since = taken.known.since.get(Identity("email", email), NEVER) if email is not None else NEVER
        now[contact] = (email, since)
    newest: dict[int, tuple[str, Instant]] = {}
    for row in sorted(rows, key=lambda row: (row.occurred_at, row.id)):
        # Events made here name an address we know, not one we were told.
        if row.email is None or row.kind in ("ops", "object"):
            continue
        contact = home[row.id]
        email, since = now[contact]
        owner = taken.known.owners.get(Identity("email", row.email))
        if row.email != email and row.occurred_at >= since and owner == contact:
            now[contact] = newest[contact] = (row.email, row.occurred_at)
    people.set_emails(connection, newest)


def _conflicts_of(connection: sa.Connection, taken: Taken) -> list[Rejected]:
    """Return what people must look at, each pair of contacts once: two user ids, one name."""
    said = {(contact, other): row for row, contact, others in reversed(taken.conflicts) for other in others}
    found = [
        rejected(
            row,
            "conflict_identity",
            f"shares a name with contact {other}, another user id",
            contact_id=contact,
        )
        for (contact, other), row in said.items()
    ]
    known = (
        inbox.reasons_known(connection, "conflict_identity", [contact for contact, _ in said])
        if said
        else set()
    )
    return [item for item in found if (item.contact_id, item.reason) not in known]

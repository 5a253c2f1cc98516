"""Identity: two contacts that turn out to be one person become one, in a transaction of its own.

Input: a pending event that names two stored contacts, or an operator's decision. Output: one survivor with the
names of both, facts folded again from the events of both, one run per measure and key, and a row of `merges`
with the evidence. Messages, consents, events and runs keep the contact they began with; `contacts.survivor`
maps it, so caps, once, guard and reports read both. Consent: a merge makes the stricter of both hold, from its
own instant on, until the person says something newer (`domain.consent.permissions`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.consent.preference_queries import add_preferences
from nurture.consent.queries import add_consents
from nurture.contacts import identity_queries as store
from nurture.contacts import inbox_queries
from nurture.contacts import queries as people
from nurture.contacts.assignment import all_identities, claims_of
from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.conflict_queries import settle_pair
from nurture.contacts.event_queries import load_events
from nurture.contacts.locking import LostRace, run_without_lost_race
from nurture.contacts.save_queries import cancel_duplicate_messages, cancel_runs
from nurture.database.engine import Database, encode
from nurture.domain.counts import Counts
from nurture.domain.errors import NotFoundError
from nurture.domain.event import Event
from nurture.domain.identity import Candidate, find_event_owner, survivor_first
from nurture.domain.instant import Instant
from nurture.domain.journey.object_watches import open_watches
from nurture.domain.journey.refold import Merged, draw_alone, merge_states, refit
from nurture.domain.playbook import Playbook
from nurture.journey.accounts import update_accounts
from nurture.journey.carry_out import save_and_carry_out
from nurture.journey.due_alarms import ring_due_alarms
from nurture.journey.object_queries import hand_watches, return_watches
from nurture.journey.outcome_queries import record_outcomes
from nurture.journey.replay import replay_events
from nurture.journey.sending_address import give_back_addresses, keep_one_address
from nurture.playbook import PlaybookSource
from nurture.runtime.failpoints import failpoint


@dataclass(frozen=True, slots=True)
class Joined:
    """The effect of a merge."""

    survivor: int
    merged: int
    # Names the survivor gains.
    names: int
    # Measures whose run was given up because the other side's is further.
    given_up: tuple[str, ...]


def join(database: Database, row_id: int, *, now: Instant, playbooks: PlaybookSource) -> Counts:
    """Merge the contacts that a pending event shows to be one person; the event itself stays pending.

    Decided anew under the locks; a row that is gone, or joins nobody any more, changes nothing.
    """

    def work(connection: sa.Connection) -> Counts:
        rows = inbox_queries.load_rows(connection, [row_id])
        if not rows:
            return Counts()
        row = rows[0]
        claims = claims_of(row)
        known = store.load_index_by_identities(connection, all_identities(rows))
        owner = find_event_owner(claims, known)
        if owner.contact is None or not owner.joins:
            return Counts()
        everyone = (owner.contact, *owner.joins)
        first = _survivor(connection, everyone, known)
        missing = {
            name: (first, row.occurred_at, row.source)
            for name in row.named
            if name not in known.owners and name not in owner.withheld
        }
        hints = () if claims.word == "proof" else missing
        if missing and not store.claim_identities(connection, missing, hints=hints):
            raise LostRace
        locked = people.lock_contacts(connection, everyone)
        if not all(map(people.is_living, locked.values())):
            raise LostRace
        playbook = playbooks.active(connection).playbook
        evidence = {"source": row.source, "message_id": row.message_id, "event": row.name}
        for other in sorted(set(everyone) - {first}):
            _merge(connection, first, other, now=now, playbook=playbook, evidence=evidence)
        failpoint("identity.joined")
        counts = Counts(merged=len(everyone) - 1)
        counts.more = True
        return counts

    return run_without_lost_race(database, work)


def merge(
    connection: sa.Connection,
    one: int,
    two: int,
    *,
    now: Instant,
    playbook: Playbook,
    evidence: Mapping[str, Any],
) -> Joined:
    """Make one of two living contacts because an operator says so, also with two user ids.

    The one with a user id stays, else the older. Raises NotFoundError for a contact that does not live.
    """
    locked = people.lock_contacts(connection, (one, two))
    _require_living(locked, one, two)
    survivor, other = _ordered(connection, one, two)
    return _merge(connection, survivor, other, now=now, playbook=playbook, evidence=evidence)


def preview(connection: sa.Connection, one: int, two: int, *, now: Instant, playbook: Playbook) -> Joined:
    """Return the changes that `merge` would make now; write nothing."""
    survivor, other = _ordered(connection, one, two)
    merged = _merged(connection, survivor, other, now=now, playbook=playbook)
    names = store.load_index_by_contacts(connection, [other]).names.get(other, set())
    return Joined(survivor, other, len(names), tuple(run.measure for run in merged.given_up))


@dataclass(frozen=True, slots=True)
class Parted:
    """The effect of an un-merge."""

    contact: int
    # Whom it had been merged into.
    survivor: int
    # Names it has back.
    names: int


def unmerge(connection: sa.Connection, contact: int, *, now: Instant, playbook: Playbook) -> Parted:
    """Take a contact out of the one it was merged into, because an operator says that they are two people.

    It gets back the names and events it had; what came after the merge stays with the survivor, and so do runs
    begun since. Facts, track and stage of both are answered anew; nobody is mailed for it. Whatever the two together
    had withdrawn or wished holds for each of them, since nobody knows who of them claims it. Raises NotFoundError
    for a contact that is not merged.
    """
    survivor = people.survivor_of(connection, contact)
    if survivor is None:
        raise NotFoundError(f"contact:{contact} was not merged into another; there is nothing to undo")
    locked = people.lock_contacts(connection, (contact, survivor))
    if locked[contact].survivor != survivor:
        raise NotFoundError(f"contact:{contact} has just been merged into another; look again")
    _require_not_erased(locked[survivor])
    _keep_the_stricter(connection, contact, survivor, now=now)
    names = store.undo_merge(connection, contact, survivor, at=now)
    settle_pair(connection, contact, survivor, state="separate", actor="unmerge", at=now)
    states = people.load_contacts(connection, [contact, survivor], playbook)
    # Alarms that fell due while it was merged were the survivor's.
    states[contact].clock = max(states[contact].clock, now)
    draw_alone(states[survivor].memory, contact)
    advances = []
    kept = load_baselines(connection, [contact, survivor])
    histories = load_events(connection, [contact, survivor])
    for member, events in histories.items():
        state, replayed = states[member], replay_events(member, events, playbook, kept[member])
        advances.append(
            refit(state, replayed, at=max(now, state.clock), evidence="parted", playbook=playbook)
        )
        state.wake_at = now
    give_back_addresses(connection, contact, survivor)
    _give_back_watches(connection, contact, survivor, histories, playbook)
    save_and_carry_out(connection, advances, playbook)
    parted = [advance.contact for advance in advances]
    record_outcomes(connection, parted, (), playbook, now=now, refolded=[contact, survivor])
    update_accounts(connection, parted, (), playbook, now=now)
    return Parted(contact, survivor, names)


def _give_back_watches(
    connection: sa.Connection,
    contact: int,
    survivor: int,
    histories: Mapping[int, Sequence[Event]],
    playbook: Playbook,
) -> None:
    of_parted, of_survivor = (open_watches(histories[member], playbook) for member in (contact, survivor))
    shared = of_parted.keys() & of_survivor.keys()
    return_watches(connection, contact, survivor, of_parted=of_parted.keys(), shared=shared)


def _keep_the_stricter(connection: sa.Connection, contact: int, survivor: int, *, now: Instant) -> None:
    """Record for both contacts what held for the two together: withdrawn topics and preferences."""
    permissions = load_permissions(connection, [survivor])[survivor]
    wanted = permissions.preferences
    shared = {"at": now, "source": "ops", "evidence": encode({"unmerged": [contact, survivor]})}
    both = (contact, survivor)
    withdrawn = [topic for topic, state in permissions.consents.items() if state == "withdrawn"]
    add_consents(
        connection,
        [
            {"contact_id": member, "topic": topic, "state": "withdrawn", **shared}
            for member in both
            for topic in withdrawn
        ],
    )
    kinds = {"often": wanted.min_gap, "pause": wanted.paused_until, "tracking": int(wanted.untracked)}
    add_preferences(
        connection,
        [
            {"contact_id": member, "kind": kind, "value": value, **shared}
            for member in both
            for kind, value in kinds.items()
            if value
        ],
    )


def _merge(
    connection: sa.Connection,
    survivor: int,
    other: int,
    *,
    now: Instant,
    playbook: Playbook,
    evidence: Mapping[str, Any],
) -> Joined:
    ring_due_alarms(connection, (survivor, other), now=now, playbook=playbook)
    merged = _merged(connection, survivor, other, now=now, playbook=playbook)
    # Before the two are one family: the given-up run's mail only, not that of the run which stays.
    cancel_runs(connection, [run.id for run in merged.given_up], reason="merged", at=now)
    cancel_duplicate_messages(connection, survivor, other, at=now)
    names = store.move_identities(connection, other, survivor)
    store.record_merge(connection, survivor=survivor, merged=other, at=now, evidence=evidence)
    keep_one_address(connection, survivor, other)
    settle_pair(connection, survivor, other, state="merged", actor=str(evidence.get("actor", "")), at=now)
    hand_watches(connection, other, survivor)
    save_and_carry_out(connection, [merged.advance], playbook)
    record_outcomes(connection, [merged.advance.contact], (), playbook, now=now, refolded=[survivor])
    update_accounts(connection, [merged.advance.contact], (), playbook, now=now, gone=[other])
    return Joined(survivor, other, names, tuple(run.measure for run in merged.given_up))


def _merged(
    connection: sa.Connection, survivor: int, other: int, *, now: Instant, playbook: Playbook
) -> Merged:
    states = people.load_contacts(connection, [survivor, other], playbook)
    _require_living(states, survivor, other)
    events = load_events(connection, [survivor, other])
    together = sorted((*events[survivor], *events[other]), key=lambda event: event.seq)
    kept = load_baselines(connection, [survivor, other])
    replayed = replay_events(survivor, together, playbook, [*kept[survivor], *kept[other]])
    return merge_states(states[survivor], states[other], replayed, now=now, playbook=playbook)


def _ordered(connection: sa.Connection, one: int, two: int) -> tuple[int, int]:
    survivor = _survivor(connection, (one, two), store.load_index_by_contacts(connection, [one, two]))
    return survivor, two if survivor == one else one


def _survivor(connection: sa.Connection, contacts: tuple[int, ...], known: store.IdentityIndex) -> int:
    seen = people.load_first_seen(connection, contacts)
    candidates = [
        Candidate(
            contact,
            first_seen_at=seen.get(contact, 0),
            has_user_id=any(name.kind == "user_id" for name in known.names.get(contact, ())),
        )
        for contact in contacts
    ]
    return survivor_first(candidates)[0].contact


def _require_not_erased(survivor: Any) -> None:
    if survivor.erased_at is not None:
        raise NotFoundError(
            f"contact:{survivor.id} was erased with all merged into it; nothing can be undone"
        )


def _require_living(found: Mapping[int, Any], *ids: int) -> None:
    for contact in ids:
        row = found.get(contact)
        if row is None or getattr(row, "survivor", None) is not None or getattr(row, "erased_at", None):
            raise NotFoundError(f"there is no living contact:{contact}; it may have been merged or erased")

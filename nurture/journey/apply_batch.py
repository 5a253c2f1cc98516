"""Applying one locked batch: number its events, advance each contact, write the results.

Input: the batch that `contacts.locking` has built, with its contacts locked. Output: new state, runs, messages and
objects, in a constant number of statements; and the contacts that the rule raised for, which `journey.crash_counts`
handles.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import sqlalchemy as sa

from nurture.consent.from_events import record_event_consents
from nurture.consent.hinted_requests import bound_requests, request_confirmations
from nurture.contacts import inbox_queries
from nurture.contacts import queries as people
from nurture.contacts.accept import Rejected, quarantine
from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.conflict_queries import add_conflicts, contact_conflict
from nurture.contacts.event_queries import drop_events, load_events
from nurture.contacts.locking import LockedBatch
from nurture.contacts.save_queries import mark_outcomes_applied
from nurture.database.bulk import Row
from nurture.domain.contact import Advance, Contact
from nurture.domain.counts import Counts
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import Happening
from nurture.domain.journey.refold import followed_by
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from nurture.feedback.answers import open_answer_cases
from nurture.feedback.hooks import queue_posts
from nurture.journey.accounts import update_accounts
from nurture.journey.carry_out import save_and_carry_out
from nurture.journey.deduplicate import DeduplicatedRows, deduplicate, rejected
from nurture.journey.objects import fold_objects
from nurture.journey.outcome_queries import record_outcomes
from nurture.journey.replay import begin, definitions, refold
from nurture.journey.sending_address import set_sending_addresses
from nurture.journey.set_aside_events import set_aside_conflicts


class Rule(Protocol):
    """The pure rule: `domain.journey.advance.advance`."""

    def __call__(
        self,
        contact: Contact,
        happenings: Sequence[Happening],
        *,
        now: Instant,
        playbook: Playbook,
        in_place: bool,
    ) -> Advance:
        """Return the contact after these happenings, with the rows to write."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A contact that the rule raised for, with the rows it was given; they are still in the inbox."""

    contact: int
    rows: tuple[int, ...]
    error: str


@dataclass(slots=True)
class BatchResult:
    """The counts of an applied batch and the contacts that it left as they were."""

    counts: Counts
    failures: list[Failure] = field(default_factory=list)
    # Contacts whose alarm is still due: it waits for an event that this batch did not take.
    still_due: int = 0


def apply(
    connection: sa.Connection,
    taken: LockedBatch,
    *,
    now: Instant,
    playbook: Playbook,
    rule: Rule,
    always: bool = False,
) -> BatchResult:
    """Apply a locked batch: number its events, advance and save its contacts, delete its rows.

    always: also advance contacts without an event (their alarms are due). A contact for which the rule raises
    stays as it was; the others are not affected.
    """
    conflicts = set_aside_conflicts(connection, taken, playbook, now=now)
    contact_of_row = {row.id: share.contact for share in taken.shares.values() for row in share.rows}
    mine = [(row, contact_of_row[row.id]) for row in taken.rows() if row.id in contact_of_row]
    granted = bound_requests(connection, mine, taken.emails, now=now)
    deduplicated = deduplicate(connection, [(row, contact_of_row.get(row.id)) for row in taken.rows()])
    step = _Step(connection, taken, deduplicated, now=now, playbook=playbook, rule=rule)
    step.advance_contacts(always=always)
    lost = {row for failure in step.failures for row in failure.rows}
    drop_events(connection, [deduplicated.events.pop(row).seq for row in lost if row in deduplicated.events])
    counts = _save_contacts(connection, step, playbook)
    events = list(deduplicated.events.values())
    counts["objects"] = fold_objects(connection, events, playbook)
    counts["consents"] = _record_consents(connection, step, contact_of_row, granted=granted)
    events_of_contacts = [(event, contact_of_row.get(row)) for row, event in deduplicated.events.items()]
    states = [advance.contact for advance in step.advances]
    counts["outcomes"] = record_outcomes(
        connection, states, events_of_contacts, playbook, now=now, refolded=step.refolded
    )
    counts["shared"] = update_accounts(connection, states, events_of_contacts, playbook, now=now)
    counts["hooks"] = queue_posts(connection, events_of_contacts, now=now)
    counts["cases"] = open_answer_cases(connection, events_of_contacts, playbook, now=now)
    done = [row for row in taken.rows() if row.id not in lost]
    rows_with_event = [row for row in done if row.id in deduplicated.events]
    set_sending_addresses(connection, taken, rows_with_event, contact_of_row, now=now)
    set_aside = deduplicated.conflicts + step.too_old
    quarantine(connection, set_aside)
    conflicts += _conflicts_of(taken, now=now)
    add_conflicts(connection, conflicts)
    inbox_queries.delete_rows(connection, [row.id for row in (*done, *taken.set_aside)])
    counts.update(applied=len(events), duplicate=deduplicated.duplicates, quarantined=len(set_aside))
    counts.update(conflicts=len(conflicts))
    counts.update(created=len(taken.new), contacts=len(step.advances))
    counts.more = taken.more
    still_due = sum(advance.contact.wake_at <= now for advance in step.advances)
    return BatchResult(counts, step.failures, still_due=still_due)


def _hints_among(taken: LockedBatch, deduplicated: DeduplicatedRows) -> set[int]:
    """Return the numbers of the events that a hint reports and no proof."""
    return {
        deduplicated.events[row.id].seq for row in taken.rows() if row.hint and row.id in deduplicated.events
    }


@dataclass(slots=True)
class _Step:
    """The contacts of one batch, advanced one after another, with their results."""

    connection: sa.Connection
    taken: LockedBatch
    deduplicated: DeduplicatedRows
    now: Instant
    playbook: Playbook
    rule: Rule
    advances: list[Advance] = field(default_factory=list)
    # Ids of the ended messages that the runs now know of.
    outcomes: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    # Contacts whose facts and entities were folded anew by other definitions.
    refolded: list[int] = field(default_factory=list)
    too_old: list[Rejected] = field(default_factory=list)

    def advance_contacts(self, *, always: bool) -> None:
        """Advance each contact that has an event; with `always` every contact of the batch."""
        events_by_contact = self._events_by_contact()
        ids = [contact for contact, events in events_by_contact.items() if events or always]
        if not ids:
            return
        states = self._load_states(ids)
        if refused := _refuse(self.connection, self.taken, self.deduplicated, states):
            self.too_old.extend(refused.values())
            events_by_contact = self._events_by_contact()
        # A new contact has no messages yet.
        settled = people.load_settled_messages(
            self.connection, [contact for contact in ids if states[contact].clock]
        )
        refits = _refit(self.connection, states, self.deduplicated, now=self.now, playbook=self.playbook)
        self.refolded.extend(refits)
        for contact in ids:
            self._advance_contact(
                states[contact], events_by_contact[contact], settled.get(contact, ()), refits.get(contact)
            )

    def _events_by_contact(self) -> dict[int, list[Event]]:
        events = self.deduplicated.events
        return {
            contact: [events[row.id] for row in share.rows if row.id in events]
            for contact, share in self.taken.shares.items()
        }

    def _load_states(self, ids: Sequence[int]) -> dict[int, Contact]:
        new = self.taken.new
        known = [contact for contact in ids if contact not in new]
        states = people.load_contacts(self.connection, known, self.playbook)
        for contact, (at, _) in new.items():
            states[contact] = empty(contact, first_seen_at=at, playbook=self.playbook)
        return states

    def _advance_contact(
        self, state: Contact, events: Sequence[Event], settled: Sequence[Settled], refolded: Advance | None
    ) -> None:
        """Apply the rule to one contact; an exception of the rule is recorded as this contact's failure."""
        contact = state.id
        share = self.taken.shares[contact]
        ended = [message for message in settled if message.at <= share.until]
        state.wake_at = min(state.wake_at, self.taken.wakes.get(contact, state.wake_at))
        if not state.clock and events:
            state = begin(contact, events[0], self.playbook)
        try:
            advance = self.rule(
                state,
                in_order(events, ended),
                now=min(self.now, share.until),
                playbook=self.playbook,
                in_place=True,
            )
        except MemoryError:
            # The process has no memory left, which is no fault of this contact.
            raise
        except Exception as error:  # noqa: BLE001 - whatever the rule raises, only this contact waits
            rows = tuple(row.id for row in share.rows)
            self.failures.append(Failure(contact, rows, f"{type(error).__name__}: {error}"))
        else:
            self.advances.append(advance if refolded is None else followed_by(refolded, advance))
            self.outcomes.extend(message.message_id for message in ended)


def _record_consents(
    connection: sa.Connection, step: _Step, contact_of_row: Mapping[int, int], *, granted: Collection[int]
) -> int:
    """Write the consents that the events report, ask for those of hints, and return how many were written.

    granted: rows of hints about topics that their contacts have granted; they change nothing.
    """
    taken, events_by_row, playbook = step.taken, step.deduplicated.events, step.playbook
    hints = _hints_among(taken, step.deduplicated)
    owners = {event.seq: contact_of_row[row] for row, event in events_by_row.items() if row in contact_of_row}
    reported = [event for row, event in events_by_row.items() if row not in granted]
    request_confirmations(
        connection, reported, owners, taken.known.names, playbook, hints=hints, now=step.now
    )
    return record_event_consents(connection, reported, owners, playbook, hints=hints)


def _save_contacts(connection: sa.Connection, step: _Step, playbook: Playbook) -> Counts:
    """Save the advances, insert new contacts that were not advanced, and mark the outcomes as applied."""
    taken = step.taken
    counts = (
        save_and_carry_out(connection, step.advances, playbook, new=taken.emails_of_new())
        if step.advances
        else Counts()
    )
    advanced = {advance.contact.id for advance in step.advances}
    remaining = {contact: newcomer for contact, newcomer in taken.new.items() if contact not in advanced}
    people.create_reserved(connection, remaining, playbook)
    mark_outcomes_applied(connection, step.outcomes)
    return counts


def _refuse(
    connection: sa.Connection,
    taken: LockedBatch,
    deduplicated: DeduplicatedRows,
    states: Mapping[int, Contact],
) -> dict[int, Rejected]:
    """Reject events that occurred before the contact's events were removed for their age: seq -> the item.

    Nobody can tell any more whether such an event was counted before the removal.
    """
    refused: dict[int, Rejected] = {}
    for contact, state in states.items():
        kept_from = state.memory.events_kept_from
        if kept_from is None:
            continue
        for row in taken.shares[contact].rows:
            event = deduplicated.events.get(row.id)
            if event is not None and event.occurred_at < kept_from:
                reason = "it happened before the time from which this contact's events are kept"
                refused[event.seq] = rejected(row, "too_old", reason, contact_id=contact)
                del deduplicated.events[row.id]
    drop_events(connection, list(refused))
    return refused


def _refit(
    connection: sa.Connection,
    states: Mapping[int, Contact],
    deduplicated: DeduplicatedRows,
    *,
    now: Instant,
    playbook: Playbook,
) -> dict[int, Advance]:
    """Fold the facts of contacts anew whose facts were folded by other definitions, from their events so far."""
    wanted = definitions(playbook)
    stale = [state.id for state in states.values() if state.clock and state.memory.definitions != wanted]
    if not stale:
        return {}
    mine = {event.seq for event in deduplicated.events.values()}
    kept = load_baselines(connection, stale)
    return {
        contact: refold(
            states[contact],
            [event for event in events if event.seq not in mine],
            kept[contact],
            at=max(now, states[contact].clock),
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


def _conflicts_of(taken: LockedBatch, *, now: Instant) -> list[Row]:
    """Return the contacts that the batch tied together without proof."""
    return [
        contact_conflict(row, contact, conflict, at=now)
        for row, contact, conflicts in taken.conflicts
        for conflict in conflicts
    ]

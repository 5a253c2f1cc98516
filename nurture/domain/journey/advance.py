"""Advancing a contact: its state after the next events, with every mail and run that follows from them.

`advance` is a left fold over events, ended messages and due alarms by (effective time, sequence): every alarm that is
due before an event rings at its own instant first. So `advance(c, [a, b])` equals `advance(advance(c, [a]), [b])`,
and batching, simulation and replay give the same result.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nurture.domain.accounts import fold_account, fold_from_colleague, is_from_colleague
from nurture.domain.consent.events import ConsentStart, fold_consent
from nurture.domain.contact import Advance, Contact, MilestoneReached, Transition
from nurture.domain.errors import Poison
from nurture.domain.event import Event, depth_of
from nurture.domain.facts import fold
from nurture.domain.instant import NEVER, Instant
from nurture.domain.journey import steps, triggers, waits
from nurture.domain.journey.changes import FactsBefore, conditions_reading, note_changes
from nurture.domain.journey.earlier_events import start_by_earlier_events
from nurture.domain.journey.entity_dates import end_runs_of_moved_dates, start_by_entity_dates
from nurture.domain.journey.line_watches import lines_before, note_changed_lines
from nurture.domain.journey.next_alarm import next_alarm
from nurture.domain.journey.object_watches import watch_changes, without_ended
from nurture.domain.journey.person_requests import end_answered_requests, fold_requests
from nurture.domain.journey.position import (
    fold_conversion,
    fold_holds,
    fold_milestones,
    move_stage,
    move_track,
)
from nurture.domain.journey.run_ends import (
    Before,
    end_replaced_runs,
    end_runs_by_condition,
    end_runs_by_event,
    end_runs_of_entities,
    end_runs_of_restored,
    leave_place,
)
from nurture.domain.journey.set_aside import is_set_aside, retry_all, retry_mark, run_rule
from nurture.domain.journey.working_state import Work
from nurture.domain.labels import settle_label_defaults
from nurture.domain.measure import (
    Measure,
    OnCondition,
    StepOutcome,
)
from nurture.domain.message import ALREADY_SENT, Settled
from nurture.domain.playbook import Playbook

Happening = Event | Settled

#: More alarms than this in one advance mean that the rules form a loop.
_RINGS_MAX = 20_000


def advance(
    contact: Contact,
    happenings: Sequence[Happening],
    *,
    now: Instant,
    playbook: Playbook,
    mail: bool = True,
    in_place: bool = False,
) -> Advance:
    """Return the contact after these happenings and every alarm due up to `now`, with what it decided.

    happenings: events in the order of application, and ended messages. mail=False: facts, track, stage and
    milestones only, no alarms (replay). in_place: change the contact itself, not a copy.
    Raises Poison when alarms fall due again and again at one instant: the rules of the runs then form a loop.
    """
    state = contact if in_place else contact.copy()
    work = Work(state, playbook, Advance(state))
    if state.adopted == playbook.rules_hash and state.wake_at > state.clock:
        work.alarm = work.alarm_bound = state.wake_at
    work.is_judged = mail and state.clock > 0 and not state.memory.has_old_answers
    for happening in happenings:
        effective = happening.at if isinstance(happening, Settled) else happening.received_at
        at = max(effective, state.clock)
        if mail:
            _adopt(work, at)
            _ring_until(work, at)
        if isinstance(happening, Settled):
            _apply_ended_message(work, happening, at)
        else:
            _apply_event(work, happening, at, mail=mail)
            work.event, work.event_number, work.depth, work.is_historic = "", 0, 0, False
        state.clock = at
    if mail and state.clock:
        _adopt(work, max(now, state.clock))
        _ring_until(work, now)
        state.wake_at = _alarm(work)
        state.memory.has_old_answers = not work.is_judged
    state.version += 1
    work.result.events_applied = any(isinstance(happening, Event) for happening in happenings)
    return work.result


# ---- alarms ----------------------------------------------------------------------------------------------


def _ring_until(work: Work, until: Instant) -> None:
    """Ring every alarm due up to an instant, each at its own time."""
    contact = work.contact
    if contact.clock == 0:
        return
    for _ in range(_RINGS_MAX):
        if contact.clock >= until:
            return
        at = _alarm(work)
        if at > until:
            return
        _ring(work, at)
        contact.clock = at
        work.alarm = None
    message = f"contact {contact.id} rang {_RINGS_MAX} times without rest; look at the runs due at once"
    raise Poison(message)


def _alarm(work: Work) -> Instant:
    """Return when the next alarm is due; computed once after each change."""
    if work.alarm is None:
        work.alarm = work.alarm_bound = next_alarm(work, work.contact.clock)
        work.alarm_facts.clear()
    return work.alarm


def _ring(work: Work, at: Instant) -> None:
    end_runs_by_condition(work, at)
    for run in sorted(work.contact.runs.values(), key=lambda run: (run.due_at, run.measure, run.key)):
        if run.due_at <= at and run.status == "active":
            measure = work.playbook.measures.get(run.measure)
            if measure is not None:
                run_rule(work, measure, at, steps.end_wait, work, measure, run, at)
    triggers.start_by_calendar(work, at)
    start_by_entity_dates(work, at)
    triggers.start_by_silence(work, at)
    triggers.start_by_conditions(work, at, work.rules.moving if work.is_judged else work.index.conditions)
    _settle_runs(work, at)


def _adopt(work: Work, at: Instant) -> None:
    """Adopt a newly published playbook: take baselines on the present state and move active runs to its rules."""
    contact, playbook = work.contact, work.playbook
    if contact.adopted == playbook.rules_hash and contact.clock:
        return
    is_new = contact.clock == 0
    # A measure that was set aside has not judged what happened meanwhile.
    work.is_judged = work.is_judged and not contact.memory.set_aside
    retry_all(work)
    work.place_changed()
    if contact.adopted == retry_mark(playbook.rules_hash):
        # The same rules: no baseline is taken anew, so no chance that the failure left open is used up.
        contact.adopted = playbook.rules_hash
        _ring_until(work, at)
        triggers.start_by_conditions(work, at, work.index.conditions)
        return
    triggers.take_baseline(work, at, is_new=is_new)
    for run in list(contact.runs.values()):
        measure = playbook.measures.get(run.measure)
        if measure is None:
            work.stop(run, "measure_gone", at, status="cancelled")
        elif run.rules_hash != measure.rules_hash:
            run_rule(work, measure, at, steps.adopt_rules, work, measure, run, at)
    if not is_new and playbook.backlog == "enter":
        triggers.start_by_conditions(work, at, work.index.conditions)
    contact.adopted = playbook.rules_hash
    if work.runs_changed:
        _settle_runs(work, at)


# ---- happenings ------------------------------------------------------------------------------------------


def _apply_ended_message(work: Work, settled: Settled, at: Instant) -> None:
    """Continue the run that waited for this message."""
    if settled.status == "sent" and settled.measure in work.index.sent_roots:
        sent = work.contact.sent
        sent[settled.measure] = max(settled.at, sent.get(settled.measure, NEVER))
        work.facts_changed()
    run = work.contact.runs.get((settled.measure, settled.run_key))
    measure = work.playbook.measures.get(settled.measure)
    if run is None or measure is None or not run.mailing or run.step != settled.step:
        return
    # A mail that gave way to the one before a hand-over did reach the person.
    has_left = settled.reason == ALREADY_SENT
    outcome = StepOutcome("sent" if has_left else settled.status, settled.reason)
    run_rule(work, measure, at, steps.leave_step, work, measure, run, outcome, at)
    if is_set_aside(work, measure.root):
        steps.pass_mail(work, measure, work.contact.runs[run.measure, run.key], outcome, at)
    end_runs_by_condition(work, at)
    if isinstance(measure.trigger, OnCondition) and (run.measure, run.key) not in work.contact.runs:
        # The end of the run may be what re-entry has waited for.
        triggers.start_by_conditions(work, at, (measure,) if work.is_judged else work.index.conditions)
    _settle_runs(work, at)


def _apply_event(work: Work, event: Event, at: Instant, *, mail: bool) -> None:
    """Apply one event: fold facts, move track and stage, end runs, start runs."""
    contact, playbook = work.contact, work.playbook
    work.event, zone_before, affected = event.name, work.zone, work.index.affected_by(event.name)
    work.event_number, work.depth, work.is_historic = event.seq, depth_of(event), event.historic
    work.in_event.clear()
    before = Before.of(work, event) if mail and (affected.entities or affected.keys) else Before()
    lines = lines_before(work, affected, mail=mail)
    silences = triggers.silences_ahead(work) if event.historic and mail else ()
    folded = _fold(work, event, at)
    note_changed_lines(work, lines)
    work.result.transitions.extend(folded.moved)
    work.result.milestones.extend(folded.reached)
    if not mail:
        if not is_from_colleague(event):
            end_answered_requests(contact, event, playbook)
        return
    is_shared = is_from_colleague(event)
    if (affected.watches or event.kind == "object") and not is_shared:
        changes = without_ended(watch_changes(event, playbook), contact.memory.requests)
        work.result.watches.extend(changes)
    if affected.run_ends and not (event.historic or is_shared):
        end_replaced_runs(work, event, at)
    if folded.is_about_entities:
        end_runs_of_entities(work, before.standing, at)
        end_runs_of_restored(work, event, before.standing, at)
    if affected.run_ends:
        end_runs_by_event(work, event, before.concerned, at)
    end_runs_by_condition(work, at)
    if folded.is_about_entities:
        end_runs_of_moved_dates(work, at)
    leave_place(work, folded.moved, at)
    if affected.run_ends:
        waits.end_waits(work, event, before.concerned, at)
    has_new_zone = work.zone != zone_before
    waits.move_waits(work, at, has_new_zone=has_new_zone)
    if event.historic:
        _take_historic(work, event, folded, at, silences)
    else:
        _start_runs(work, event, folded, at, has_new_zone=has_new_zone)
    if not is_from_colleague(event):
        end_answered_requests(contact, event, playbook)
    _settle_runs(work, at, is_historic=event.historic)


@dataclass(slots=True)
class _Folded:
    """The effect of an event on a contact, before any run ends or starts."""

    moved: list[Transition]
    reached: list[MilestoneReached]
    consent: ConsentStart | None
    # The measures whose condition trigger may have another answer now.
    conditions: Sequence[Measure]
    # True: entities may have changed.
    is_about_entities: bool


def _fold(work: Work, event: Event, at: Instant) -> _Folded:
    """Fold the event into facts, holds and requests, and move track and stage by their evidence."""
    contact, playbook, affected = work.contact, work.playbook, work.index.affected_by(event.name)
    before = FactsBefore.of(work) if work.is_judged else None
    consent = None
    if is_from_colleague(event):
        fold_from_colleague(contact, event, playbook)
    else:
        fold(contact, event, playbook)
        if affected.conversions:
            fold_conversion(contact, event, playbook)
        if affected.holds:
            fold_holds(contact, event, playbook)
        if affected.watches:
            fold_requests(contact, event, playbook)
        fold_account(contact, event, playbook)
        consent = fold_consent(contact, event, playbook)
    moved: list[Transition] = []
    if affected.track:
        moved += move_track(contact, at=event.occurred_at, noticed_at=at, evidence=event.name)
    settle_label_defaults(contact, work.index)
    work.facts_changed()
    changed = None if before is None else before.changed(contact)
    if changed is None or not changed.isdisjoint(work.rules.stage_facts):
        reading = work.reading(at)
        moved += move_stage(contact, reading, at=event.occurred_at, evidence=event.name, playbook=playbook)
    if moved:
        settle_label_defaults(contact, work.index)
        work.facts_changed()
        changed = None
    is_about_entities = before is None or affected.entities
    note_changes(work, changed, is_about_entities=is_about_entities)
    only = _shared_milestones(event, playbook)
    reached = fold_milestones(contact, event, playbook, only=only) if affected.milestones else []
    return _Folded(moved, reached, consent, conditions_reading(work, changed), is_about_entities)


def _shared_milestones(event: Event, playbook: Playbook) -> frozenset[str] | None:
    """Return the milestones that the event may reach: of a colleague's event the shared ones, else None for all."""
    if not is_from_colleague(event):
        return None
    return playbook.accounts.milestones if playbook.accounts is not None else frozenset()


def _take_historic(
    work: Work, event: Event, folded: _Folded, at: Instant, before: Collection[triggers.Silence]
) -> None:
    """Take the state after a historic event as the contact's past, unless the import lets the backlog enter.

    before: the silences that were ahead before the event, and stay so.
    """
    if event.context.get("backlog") == "enter":
        work.is_judged = False
    else:
        # A repeated request of a browser key, which everybody can read, starts nothing and takes no silence away.
        triggers.take_baseline_after_import(
            work, at, folded.conditions, before=before, answers_only=event.hint
        )


def _start_runs(work: Work, event: Event, folded: _Folded, at: Instant, *, has_new_zone: bool) -> None:
    triggers.start_by_stages(work, folded.moved, event, at)
    triggers.start_by_milestones(work, folded.reached, event, at)
    if not is_from_colleague(event):
        triggers.start_by_event(work, event, at)
        start_by_earlier_events(work, folded.moved, event, at)
    triggers.start_by_consent(work, folded.consent, event, at)
    if folded.is_about_entities or has_new_zone:
        # An instant may be another day of the calendar where the person is now.
        start_by_entity_dates(work, at)
    if folded.is_about_entities:
        triggers.start_by_silence(work, at)
    triggers.start_by_conditions(work, at, folded.conditions)


def _settle_runs(work: Work, at: Instant, *, is_historic: bool = False) -> None:
    """End and begin what follows from the runs themselves, until nothing more follows.

    Exits that are conditions and queued series first; then condition triggers that ask for runs. is_historic: these
    start nothing, their answer is taken as it is.
    """
    for _ in range(len(work.index.asking) + 1):
        end_runs_by_condition(work, at)
        _begin_queued_series(work, at)
        if not work.runs_changed:
            return
        work.runs_changed = False
        if is_historic:
            if work.is_judged:
                triggers.take_baseline_after_import(work, at, work.index.asking)
        else:
            asking = work.index.asking if work.is_judged else work.index.conditions
            triggers.start_by_conditions(work, at, asking)


def _begin_queued_series(work: Work, at: Instant) -> None:
    """Begin the oldest queued series when no other is active; after one in the holdout, the next one too."""
    while work.contact.runs:
        runs = [run for run in work.contact.runs.values() if run.measure in work.index.series]
        if any(not (run.queued or run.holdout) for run in runs):
            return
        waiting = [run for run in runs if run.queued and not is_set_aside(work, run.measure)]
        if not waiting:
            return
        run = min(waiting, key=lambda run: (run.started_at, run.measure, run.key))
        measure = work.playbook.measures[run.measure]
        if measure.track not in ("any", work.contact.track):
            return
        # It is not queued any more then, or its rules failed and the measure is set aside.
        run_rule(work, measure, at, steps.begin_run, work, measure, run, at)

"""Ends of runs, in the order of `advance`: replaced, entity reversed or closed, exits, place left.

Each cancels the run's queued mail too, and that of runs that have ended with their last mail still queued.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from nurture.domain.accounts import is_from_colleague
from nurture.domain.contact import Contact, Run, Transition
from nurture.domain.entities import entity_of
from nurture.domain.event import Event
from nurture.domain.event_filter import holds_for
from nurture.domain.instant import Instant
from nurture.domain.journey.entry import end_replaced_run, firing_of, is_run_of
from nurture.domain.journey.hand_over import hand_over
from nurture.domain.journey.object_watches import object_keys
from nurture.domain.journey.run_entity import (
    EntityReason,
    entities_concerned,
    entity_reason,
    full_reversals,
    standing_of_entities,
)
from nurture.domain.journey.set_aside import evaluate_rule
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Exit, Measure, OnEvent
from nurture.domain.playbook import EntityKind

#: Kind -> key -> why runs about the entity end, None while it is open.
Standing = dict[str, dict[str, EntityReason | None]]
#: (kind, property) -> the keys of the entities that the event is about by it.
Concerned = dict[tuple[str, str], Collection[str]]
#: Why runs with `while: open` end about an entity that is not known any more.
_GONE: EntityReason = "entity_closed"


@dataclass(slots=True)
class Before:
    """The state of entities before an event, of which the event may take something away: a line, being open."""

    standing: Standing = field(default_factory=dict)
    concerned: Concerned = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, event: Event) -> "Before":
        """Return what `event` may change."""
        affected = work.index.affected_by(event.name)
        return cls(
            _standing_before(work) if affected.entities else {},
            _concerned_before(work, event) if affected.keys else {},
        )


def end_replaced_runs(work: Work, event: Event, at: Instant) -> None:
    """End the runs in whose place this event starts others (`again_on`), before it is judged for anything else."""
    for measure, match in work.index.replacing.get(event.name, ()):
        if measure.root in work.contact.memory.run_starts and evaluate_rule(
            work, measure, at, False, holds_for, match, event, work.playbook
        ):
            end_replaced_run(work, measure, firing_of(work, measure, event, at))


# ---- entities --------------------------------------------------------------------------------------------


def _standing_before(work: Work) -> Standing:
    """Return the standing of the entities that measures of this contact are about."""
    contact, index = work.contact, work.index
    run_starts = contact.memory.run_starts
    if not run_starts:
        return {}
    return {
        kind: standing_of_entities(contact, work.playbook.entities[kind])
        for kind, measures in index.about_roots.items()
        if kind in work.playbook.entities and not measures.isdisjoint(run_starts)
    }


def _concerned_before(work: Work, event: Event) -> Concerned:
    """Return the entities that the event is about by the keys of exits and waits, a bought line being still there."""
    contact = work.contact
    return {
        (entity, key): entities_concerned(contact, entity, event, key)
        for root, entity, key in work.index.keyed.get(event.name, ())
        if root in contact.memory.run_starts
    }


def end_runs_of_entities(work: Work, before: Standing, at: Instant) -> None:
    """End the runs about an entity that is reversed, or with `while: open` closed or empty."""
    contact = work.contact
    for run in list(contact.runs.values()):
        measure = work.playbook.measures.get(run.measure)
        reason = None if measure is None else entity_reason(contact, work.playbook, measure, run)
        if reason is not None:
            work.stop(run, reason, at)
    for kind, standing in before.items():
        now_standing = standing_of_entities(contact, work.playbook.entities[kind])
        # Lines go with the order that has them, and are not known afterwards.
        gone = {key: _GONE for key in standing if entity_of(contact, kind, key) is None}
        for key, reason in (now_standing | gone).items():
            if reason is not None and standing.get(key) != reason:
                _cancel_about(work, kind, key, reason, at)


def _cancel_about(work: Work, kind: str, key: str, reason: EntityReason, at: Instant) -> None:
    """Cancel the queued mail of ended runs about the entity; measures begun by its reversal keep theirs."""
    for measure in work.index.about.get(kind, ()):
        ends = (
            measure.while_open if reason == "entity_closed" else measure.root not in work.index.about_reversal
        )
        if ends and measure.root in work.contact.memory.run_starts:
            work.cancel(measure.root, None, reason, at, entity=kind, entity_key=key)


def end_runs_of_restored(work: Work, event: Event, before: Standing, at: Instant) -> None:
    """End the runs about a cancellation that this event takes back, and cancel their mail."""
    for kind, standing in before.items():
        rule = work.playbook.entities[kind]
        if not any(event.name in match.names for match in rule.restored_by):
            continue
        now_standing = standing_of_entities(work.contact, rule)
        for key, reason in standing.items():
            if reason == "entity_reversed" and now_standing.get(key) != "entity_reversed":
                _end_about_cancellation(work, rule, key, at)


def _end_about_cancellation(work: Work, kind: EntityKind, key: str, at: Instant) -> None:
    names = full_reversals(kind)
    for run in list(work.contact.runs.values()):
        if (run.entity, run.entity_key) == (kind.name, key) and run.origin.event in names:
            work.stop(run, "entity_restored", at)
    for measure in work.index.about.get(kind.name, ()):
        if not isinstance(measure.trigger, OnEvent) or measure.root not in work.contact.memory.run_starts:
            continue
        # The last mail of a run that has ended may still wait.
        for name in sorted(names.intersection(measure.trigger.names)):
            work.cancel(
                measure.root, None, "entity_restored", at, entity=kind.name, entity_key=key, begun_by=name
            )


# ---- exits -----------------------------------------------------------------------------------------------


def end_runs_by_event(work: Work, event: Event, before: Concerned, at: Instant) -> None:
    """End the runs that name this event as their exit; a colleague's event ends those alone that it is about."""
    run_starts, is_shared = work.contact.memory.run_starts, is_from_colleague(event)
    for measure, exit_rule in work.index.exits.get(event.name, ()):
        if measure.root not in run_starts or (is_shared and exit_rule.key is None):
            continue
        keys: Collection[str] | None = None
        if exit_rule.key is not None:
            keys = keys_concerned(work.contact, measure, event, exit_rule.key, before)
        for run in list(work.contact.runs.values()):
            if (
                run.measure == measure.root
                and (keys is None or is_concerned(run, keys))
                and _is_met(work, measure, exit_rule, at, run)
            ):
                work.stop(run, exit_rule.reason, at)
        if _is_met(work, measure, exit_rule, at, None):
            _cancel_ended_runs(work, measure, exit_rule, keys, at)


def _cancel_ended_runs(
    work: Work, measure: Measure, exit_rule: Exit, keys: Collection[str] | None, at: Instant
) -> None:
    """Cancel the last mail of runs that have ended, where it is still queued."""
    if keys is None:
        work.cancel(measure.root, None, exit_rule.reason, at)
        return
    if measure.entity is not None:
        for key in sorted(keys):
            work.cancel(measure.root, None, exit_rule.reason, at, entity=measure.entity, entity_key=key)
        return
    for key in work.contact.memory.run_starts[measure.root]:
        if is_run_of(key, keys):
            work.cancel(measure.root, key, exit_rule.reason, at)


def end_runs_by_condition(work: Work, at: Instant) -> None:
    """End the active runs whose exit is a condition that is yes."""
    if not work.index.exit_conditions:
        return
    for run in list(work.contact.runs.values()):
        measure = work.index.exit_conditions.get(run.measure)
        if measure is None:
            continue
        for exit_rule in measure.exits:
            if exit_rule.event is None and _is_met(work, measure, exit_rule, at, run):
                work.stop(run, exit_rule.reason, at)
                break


def _is_met(work: Work, measure: Measure, exit_rule: Exit, at: Instant, run: Run | None) -> bool:
    """Tell whether the exit's condition is yes; without a run it can read facts only."""
    if exit_rule.when is None:
        return True
    return evaluate_rule(work, measure, at, False, work.is_true, exit_rule.when, at, run)


def keys_concerned(
    contact: Contact, measure: Measure, event: Event, name: str, before: Concerned
) -> Collection[str]:
    """Return the keys of the entities, or without an entity the values, that the event names by its property."""
    if measure.entity is None:
        return set(object_keys(event, name))
    concerned = entities_concerned(contact, measure.entity, event, name)
    return {*concerned, *before.get((measure.entity, name), ())}


def is_concerned(run: Run, keys: Collection[str]) -> bool:
    """Tell whether the run is about one of the keys."""
    return (run.entity_key if run.entity else run.once_value) in keys


# ---- place -----------------------------------------------------------------------------------------------


def leave_place(work: Work, moved: list[Transition], at: Instant) -> None:
    """Stop or hand over the runs of the track or stage that the contact has left."""
    if not moved:
        return
    contact = work.contact
    for run in list(contact.runs.values()):
        measure = work.playbook.measures.get(run.measure)
        if measure is None:
            continue
        if measure.track not in ("any", contact.track):
            hand_over(work, measure, run, at)
        elif not measure.fits_stage(contact.stage) and measure.on_stage_change == "stop":
            work.stop(run, "stage_left", at)

"""Deciding the actions of a run: what an event of our own says, which consent ends, which owners are told."""

from collections.abc import Mapping
from typing import Any

from nurture.domain.conditions import Table
from nurture.domain.contact import Run
from nurture.domain.facts import entity_fields
from nurture.domain.instant import Instant, to_iso
from nurture.domain.journey.business_time import due_in_hours_of
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import (
    ActionStep,
    EmitStep,
    EmitValue,
    EndTopicStep,
    LetTable,
    Measure,
    NotifyStep,
    Reference,
)
from nurture.domain.measure.planned_actions import DEPTH_MAX, ActionKind, PlannedAction
from nurture.domain.owners import find_owner
from nurture.domain.playbook import Playbook
from nurture.domain.segments import look_up


def plan_action(work: Work, measure: Measure, run: Run, step: ActionStep, at: Instant) -> None:
    """Decide the step's action; the run does not wait for it."""
    run.acted.append(step.id)
    depth = max(work.depth, run.origin.depth) + 1
    kind, data = _decided(work, run, step, at)
    action = PlannedAction(
        measure=measure.root,
        run_key=run.key,
        step=step.id,
        kind=kind,
        decided_at=at,
        data=data,
        depth=depth,
    )
    if run.holdout:
        action.status, action.reason = "skipped", "holdout"
    elif work.is_historic:
        action.status, action.reason = "skipped", "historic"
    elif data.get("referrer", 0) is None:
        action.status, action.reason = "skipped", "no_referrer"
    elif depth > DEPTH_MAX:
        action.status, action.reason = "failed", "too_deep"
    work.result.actions.append(action)


def _decided(work: Work, run: Run, step: ActionStep, at: Instant) -> tuple[ActionKind, dict[str, Any]]:
    """Return the kind of the action, and what carrying it out needs to know."""
    match step:
        case EmitStep():
            return "emit", _emitted(work, run, step, at)
        case EndTopicStep():
            return "end_topic", {"topic": step.topic}
        case NotifyStep():
            return "notify", _notified(work, run, step, at)


def _notified(work: Work, run: Run, step: NotifyStep, at: Instant) -> dict[str, Any]:
    """Return the owners to tell; with a due time also until when, and the event that the case is about.

    That is the event by which the run came to the step, else the one that began it.
    """
    owners, names = work.playbook.owners, {"contact": work.contact.facts}
    found = [find_owner(owners, name, names) for name in step.to]
    to = list(dict.fromkeys(_usual_owner(work.playbook) if owner is None else owner.key for owner in found))
    data: dict[str, Any] = {"mail": step.mail, "to": to}
    if step.due is not None:
        data["due_at"] = due_in_hours_of(owners.get(to[0]), step.due, now=at)
        data["event_id"] = work.event_number or run.origin.number
    return data


def _usual_owner(playbook: Playbook) -> str:
    """Return the owner for whom a fact names nobody: that of the hold `open_case`, else the first one."""
    hold = playbook.holds.get("open_case")
    return (
        hold.owner if hold is not None and hold.owner in playbook.owners else next(iter(playbook.owners), "")
    )


def _emitted(work: Work, run: Run, step: EmitStep, at: Instant) -> dict[str, Any]:
    values = {name: _value(work, run, value, at) for name, value in step.properties}
    data: dict[str, Any] = {
        "event": step.event,
        "properties": {name: value for name, value in values.items() if value is not None},
    }
    if step.to_referrer:
        referral = work.contact.memory.referral
        data["referrer"] = None if referral is None else referral.contact
    return data


def _value(work: Work, run: Run, value: EmitValue, at: Instant) -> Any:
    """Return the value that a property gets; None for one that is unknown, which the event then does not have."""
    if isinstance(value, Table):
        return value.in_days(look_up(value, work.reading_of(run, at), work.playbook))
    if not isinstance(value, Reference):
        return value
    root, _, field = value.name.partition(".")
    if value.name == "run_id":
        return run.public_id(work.contact.id)
    if root == "contact":
        return work.contact.facts.get(field)
    if field:
        fields: Mapping[str, Any] = (
            entity_fields(work.contact, run, work.playbook) if root == "entity" else run.origin.properties
        )
        return fields.get(field)
    fixed = run.let.get(value.name)
    measure = work.playbook.measures.get(run.measure)
    is_plain = measure is not None and isinstance(measure.let.get(value.name), LetTable)
    return to_iso(fixed) if isinstance(fixed, int) and not is_plain else fixed

"""Deciding the actions of a run: what an event of our own says, and which consent ends."""

from collections.abc import Mapping
from typing import Any

from nurture.domain.contact import Run
from nurture.domain.facts import entity_fields
from nurture.domain.instant import Instant, to_iso
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import ActionStep, EmitStep, EmitValue, Measure, Reference
from nurture.domain.measure.planned_actions import DEPTH_MAX, PlannedAction


def plan_action(work: Work, measure: Measure, run: Run, step: ActionStep, at: Instant) -> None:
    """Decide the step's action; the run does not wait for it."""
    run.acted.append(step.id)
    depth = max(work.depth, run.origin.depth) + 1
    action = PlannedAction(
        measure=measure.root,
        run_key=run.key,
        step=step.id,
        kind="emit" if isinstance(step, EmitStep) else "end_topic",
        decided_at=at,
        data=_emitted(work, run, step) if isinstance(step, EmitStep) else {"topic": step.topic},
        depth=depth,
    )
    if run.holdout:
        action.status, action.reason = "skipped", "holdout"
    elif work.is_historic:
        action.status, action.reason = "skipped", "historic"
    elif depth > DEPTH_MAX:
        action.status, action.reason = "failed", "too_deep"
    work.result.actions.append(action)


def _emitted(work: Work, run: Run, step: EmitStep) -> dict[str, Any]:
    values = {name: _value(work, run, value) for name, value in step.properties}
    return {
        "event": step.event,
        "properties": {name: value for name, value in values.items() if value is not None},
    }


def _value(work: Work, run: Run, value: EmitValue) -> Any:
    """Return the value that a property gets; None for one that is unknown, which the event then does not have."""
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
    return to_iso(fixed) if isinstance(fixed, int) else fixed

"""Waits at which runs stand: the event for which one waits, and ends that a new date or another zone moves."""

from collections.abc import Collection

from nurture.domain.accounts import is_from_colleague
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey import steps
from nurture.domain.journey.run_ends import Concerned, is_concerned, keys_concerned
from nurture.domain.journey.set_aside import run_rule
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import StepOutcome, WaitUntilDate, WaitUntilMoment, WaitUntilSlot


def end_waits(work: Work, event: Event, before: Concerned, at: Instant) -> None:
    """End the waits for this event at which runs stand; a wait to which it brings a run is not ended by it."""
    awaiting, contact = work.index.waits.get(event.name, ()), work.contact
    if not awaiting:
        return
    standing = {place: run.step for place, run in contact.runs.items() if not (run.mailing or run.queued)}
    for measure, step in awaiting:
        keys: Collection[str] | None = None
        if step.key is None and is_from_colleague(event):
            continue
        for place, step_before in standing.items():
            run = contact.runs.get(place)
            if run is None or run.measure != measure.root or step_before != step.id or run.step != step.id:
                continue
            if step.key is not None and keys is None:
                keys = keys_concerned(contact, measure, event, step.key, before)
            if keys is None or is_concerned(run, keys):
                outcome = StepOutcome("event")
                run_rule(work, measure, at, steps.leave_step, work, measure, run, outcome, at)


def move_waits(work: Work, at: Instant, *, has_new_zone: bool) -> None:
    """Compute again the waits for a date that may have moved and, in another zone, those for a local time."""
    if not work.contact.runs:
        return
    moving = (WaitUntilDate, WaitUntilSlot, WaitUntilMoment) if has_new_zone else WaitUntilDate
    for run in list(work.contact.runs.values()):
        if run.measure not in work.index.moving_waits:
            continue
        measure = work.playbook.measures.get(run.measure)
        step = measure.step(run.step) if measure is not None else None
        if measure is not None and isinstance(step, moving) and not run.queued:
            run_rule(work, measure, at, steps.move_wait, work, measure, run, step, at)

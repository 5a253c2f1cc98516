"""Steps: moving a run from one mail or wait to the next.

A mail step decides a message and, unless it is the last, waits until that message has ended, so a later step
never overtakes an earlier one. The end of a wait is computed anew each time, so it follows a date that moves.
"""

from nurture.domain.contact import Run
from nurture.domain.facts import entity_fields
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import (
    MailStep,
    Measure,
    Step,
    Wait,
    WaitFor,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilSlot,
)
from nurture.domain.message import PlannedMessage
from nurture.domain.timing import at_time_of_local_day, next_slot
from nurture.domain.values import coerce


def begin(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Take a new (or no longer queued) run to its first mail or wait."""
    run.queued = False
    _stand(run, measure.steps[0], 0, at)
    proceed(work, measure, run, at)


def proceed(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Go on from the step the run stands at, as far as it goes at `at`; ends the run after the last step."""
    work.mark_changed(run)
    place = measure.position(run.step)
    while place is not None and place < len(measure.steps):
        step = measure.steps[place]
        if run.step != step.id:
            _stand(run, step, place, at)
        if not work.is_true(step.when, at, run):
            place += 1
            continue
        if isinstance(step, MailStep):
            _decide(work, measure, run, step, at)
            if place + 1 == len(measure.steps):
                work.end(run, "done", "", at)
            return
        until = wait_end(work, run, step)
        if until is None:
            work.stop(run, "date_unknown", at)
            return
        if until > at:
            run.due_at = until
            return
        place += 1
    work.end(run, "done", "", at)


def leave(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Leave the present step (its mail was settled, or the event it waited for came) and go on."""
    place = measure.position(run.step)
    run.mailing = False
    if place is None or place + 1 >= len(measure.steps):
        work.end(run, "done", "", at)
        return
    _stand(run, measure.steps[place + 1], place + 1, at)
    proceed(work, measure, run, at)


def pass_by(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Take a run past its mail, which was settled while the measure is set aside, without asking a rule.

    It goes on from there when the measure is tried again.
    """
    place = measure.position(run.step)
    run.mailing = False
    if place is None or place + 1 >= len(measure.steps):
        work.end(run, "done", "", at)
        return
    _stand(run, measure.steps[place + 1], place + 1, at)
    run.due_at = at
    work.mark_changed(run)


def take_over(work: Work, measure: Measure, run: Run, before: Run, at: Instant) -> None:
    """Put a run that was handed over at the step where the one before stood, with the time waited there.

    A mail already decided there is not decided again.
    """
    place = measure.position(before.step) or 0
    run.let = dict(before.let)
    _stand(run, measure.steps[place], place, before.step_since)
    if before.step in before.decided:
        leave(work, measure, run, at)
    else:
        proceed(work, measure, run, at)


def adopt(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Fit a run in flight to changed rules: the same step id continues, a removed step means the next one."""
    run.rules_hash = measure.rules_hash
    work.mark_changed(run)
    if measure.position(run.step) is None:
        place = run.position
        if place >= len(measure.steps):
            work.end(run, "done", "", at)
            return
        run.mailing = False
        _stand(run, measure.steps[place], place, at)
    if not run.mailing and not run.queued:
        proceed(work, measure, run, at)


def wait_end(work: Work, run: Run, step: Wait) -> Instant | None:
    """Return when the wait is over at the latest, None when its date is not known."""
    match step:
        case WaitFor(duration=duration):
            return run.step_since + duration
        case WaitUntilEvent(at_most=at_most):
            return run.step_since + at_most
        case WaitUntilSlot(slot=slot, at_least=at_least):
            return next_slot(slot, after=run.step_since + at_least, zone=work.zone)
        case WaitUntilDate():
            date = _date_of(work, run, step.date)
            if date is None:
                return None
            return at_time_of_local_day(date + step.offset, step.minute_of_day, work.zone)


def _date_of(work: Work, run: Run, name: str) -> Instant | None:
    root, _, field = name.partition(".")
    if root == "entity":
        value = entity_fields(work.contact, run, work.playbook).get(field)
    elif root == "event":
        value = run.origin.properties.get(field)
    elif name in run.let:
        value = run.let[name]
    else:
        value = work.contact.facts.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    found: Instant | None = value if isinstance(value, int) and name in run.let else coerce(value, "instant")
    return found


def _stand(run: Run, step: Step, place: int, at: Instant) -> None:
    run.step, run.step_since, run.due_at, run.position = step.id, at, FOREVER, place


def _decide(work: Work, measure: Measure, run: Run, step: MailStep, at: Instant) -> None:
    """Plan the step's message; the run then waits for its end."""
    earliest = at if run.origin.send_at is None else max(at, run.origin.send_at)
    due_at = earliest if step.send_at is None else next_slot(step.send_at, after=earliest, zone=work.zone)
    valid_for = measure.valid_for if step.valid_for is None else step.valid_for
    run.decided.append(step.id)
    run.mailing, run.due_at = True, FOREVER
    work.result.messages.append(
        PlannedMessage(
            measure=measure.path,
            run_key=run.key,
            step=step.id,
            mail=step.mail,
            track=measure.track,
            purpose=measure.purpose,
            topic=measure.topic,
            lane=measure.lane,
            priority=measure.priority,
            decided_at=at,
            due_at=due_at,
            valid_until=due_at + valid_for,
            holdout=run.holdout,
            request=run.origin.request,
        )
    )

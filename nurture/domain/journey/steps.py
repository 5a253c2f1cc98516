"""Steps: moving a run from one mail or wait to the next.

A mail step decides a message and, unless it is the last, waits until that message has ended, so a later step
never overtakes an earlier one. A branch is passed at once, into the first of its cases that is yes. The end of a
wait is computed anew each time, so it follows a date that moves.
"""

from nurture.domain.conditions import Truth
from nurture.domain.contact import Run
from nurture.domain.facts import entity_fields
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.journey.actions import plan_action
from nurture.domain.journey.business_time import add_business_time
from nurture.domain.journey.moments import moment_wait_end
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import (
    WHEN,
    ActionStep,
    Branch,
    MailStep,
    Measure,
    StepOutcome,
    StepPath,
    Wait,
    WaitBusinessTime,
    WaitFor,
    WaitFromTable,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilMoment,
    WaitUntilSlot,
)
from nurture.domain.message import PlannedMessage
from nurture.domain.owners import find_owner
from nurture.domain.segments import look_up
from nurture.domain.timing import at_time_of_local_day, next_slot
from nurture.domain.values import coerce


def begin_run(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Take a new run, or one that leaves the queue, to its first mail or wait."""
    run.queued = False
    _set_step(run, measure, 0, at)
    continue_run(work, measure, run, at)


def continue_run(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Continue from the run's step until a mail or a wait that is not over at `at`; end it after the last step."""
    work.mark_changed(run)
    outline = measure.outline
    place = measure.position(run.step)
    while place is not None and place < len(outline.steps):
        step = outline.steps[place]
        if run.step != step.id:
            _set_step(run, measure, place, at)
        following = outline.following[place]
        if step.id in run.passed:
            place = following
        elif not work.is_true(step.when, at, run):
            run.outcomes[step.id] = StepOutcome("skipped", WHEN)
            place = following
        elif isinstance(step, Branch):
            case, run.outcomes[step.id] = _choose_case(work, run, step, at)
            place = following if case is None else outline.enter_case(place, case)
        elif isinstance(step, ActionStep):
            plan_action(work, measure, run, step, at)
            place = following
        elif isinstance(step, MailStep):
            _plan_message(work, measure, run, step, at)
            # A run that may be handed over goes on until its last mail has ended, so that this is handed over too.
            if outline.is_last(place) and measure.handover is None:
                work.end(run, "done", "", at)
            return
        else:
            until = wait_end(work, run, step)
            if until is None:
                work.stop(run, "date_unknown", at)
                return
            if until > at:
                run.due_at = until
                return
            run.outcomes[step.id] = StepOutcome("timeout")
            place = following
    work.end(run, "done", "", at)


def _choose_case(work: Work, run: Run, branch: Branch, at: Instant) -> tuple[int | None, StepOutcome]:
    """Return the number (from 0) of the first case that is yes, None for none; and the same in words, for `why`."""
    unknown: list[str] = []
    for number, case in enumerate(branch.cases):
        truth = Truth.YES if case.when is None else work.truth_of(case.when, at, run)
        if truth is Truth.YES:
            return number, StepOutcome(
                "else" if case.when is None else f"case {number + 1}", "; ".join(unknown)
            )
        if truth is Truth.UNKNOWN:
            unknown.append(f"case {number + 1} was unknown")
    return None, StepOutcome("no case", "; ".join(unknown))


def leave_step(work: Work, measure: Measure, run: Run, outcome: StepOutcome, at: Instant) -> None:
    """Leave the present step, because its mail ended or its awaited event came, and continue."""
    if _move_on(work, measure, run, outcome, at):
        continue_run(work, measure, run, at)


def _move_on(work: Work, measure: Measure, run: Run, outcome: StepOutcome, at: Instant) -> bool:
    """Take the run to the step after the present one; end it and return False when there is none."""
    place = measure.position(run.step)
    run.mailing = False
    run.outcomes[run.step] = outcome
    if place is None or measure.outline.is_last(place):
        work.end(run, "done", "", at)
        return False
    _set_step(run, measure, measure.outline.following[place], at)
    return True


def end_wait(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Leave the wait whose end has come; the span that a table or an owner's hours gave as it began stands."""
    step = measure.step(run.step)
    if not isinstance(step, Wait) or run.due_at <= run.step_since:
        # The run has come to this step and was not yet taken on from it, as with a measure that was set aside.
        continue_run(work, measure, run, at)
    elif isinstance(step, WaitUntilDate | WaitUntilSlot | WaitUntilMoment):
        move_wait(work, measure, run, step, at)
    else:
        leave_step(work, measure, run, StepOutcome("timeout"), at)


def move_wait(work: Work, measure: Measure, run: Run, step: Wait, at: Instant) -> None:
    """Compute again when the wait ends at which a run stands; leave it where that is over."""
    until = wait_end(work, run, step)
    if until is None:
        work.stop(run, "date_unknown", at)
    elif until > at:
        run.due_at = until
        work.mark_changed(run)
    else:
        leave_step(work, measure, run, StepOutcome("timeout"), at)


def pass_mail(work: Work, measure: Measure, run: Run, outcome: StepOutcome, at: Instant) -> None:
    """Move a run past its mail that ended while the measure is set aside; no rule is used.

    The run continues from there when the measure is tried again.
    """
    if _move_on(work, measure, run, outcome, at):
        run.due_at = at
        work.mark_changed(run)


def continue_step_of(work: Work, measure: Measure, run: Run, earlier: Run, at: Instant) -> None:
    """Continue a run at the step of an earlier one, with the time already waited there."""
    _set_step(run, measure, measure.position(earlier.step) or 0, earlier.step_since)
    continue_run(work, measure, run, at)


def adopt_rules(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """Continue an active run under changed rules, at the step of the same id or, if it was removed, at the next."""
    run.rules_hash = measure.rules_hash
    work.mark_changed(run)
    place = measure.position(run.step)
    if place is not None:
        _set_place(run, measure, place)
    else:
        place = measure.outline.place_after_removal(run.path or StepPath((), run.position))
        if place >= len(measure.steps):
            work.end(run, "done", "", at)
            return
        run.mailing = False
        _set_step(run, measure, place, at)
    if not run.mailing and not run.queued:
        continue_run(work, measure, run, at)


def wait_end(work: Work, run: Run, step: Wait) -> Instant | None:
    """Return the latest end of the wait, None when its date is unknown."""
    match step:
        case WaitFor(duration=duration):
            return run.step_since + duration
        case WaitFromTable(table=table):
            span = look_up(table, work.reading_of(run, run.step_since), work.playbook)
            return run.step_since + span if isinstance(span, int) else None
        case WaitUntilEvent(at_most=at_most):
            return run.step_since + at_most
        case WaitUntilSlot(slot=slot, at_least=at_least):
            return next_slot(slot, after=run.step_since + at_least, zone=work.zone)
        case WaitUntilDate():
            date = _date_of(work, run, step.date)
            if date is None:
                return None
            return at_time_of_local_day(date + step.offset, step.minute_of_day, work.zone)
        case WaitUntilMoment():
            return moment_wait_end(work, step, run.step_since)
        case WaitBusinessTime():
            return _business_wait_end(work, run, step)


def _business_wait_end(work: Work, run: Run, step: WaitBusinessTime) -> Instant | None:
    """Return the end of a wait in an owner's hours; None where no owner with a calendar is named."""
    measure = work.playbook.measures.get(run.measure)
    name = step.owner or (measure.sender if measure is not None else "")
    owner = find_owner(work.playbook.owners, name, {"contact": work.contact.facts})
    if owner is None or owner.calendar is None:
        return None
    return add_business_time(run.step_since, step.days, step.rest, owner.calendar)


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
    instant: Instant | None = (
        value if isinstance(value, int) and name in run.let else coerce(value, "instant")
    )
    return instant


def _set_step(run: Run, measure: Measure, place: int, at: Instant) -> None:
    run.step, run.step_since, run.due_at = measure.steps[place].id, at, FOREVER
    _set_place(run, measure, place)


def _set_place(run: Run, measure: Measure, place: int) -> None:
    path = measure.outline.paths[place]
    run.position = place
    run.path = None if path == ((), place) else path


def _plan_message(work: Work, measure: Measure, run: Run, step: MailStep, at: Instant) -> None:
    """Plan the step's message; the run then waits until the message has ended."""
    earliest = at if run.origin.send_at is None else max(at, run.origin.send_at)
    due_at = earliest if step.send_at is None else next_slot(step.send_at, after=earliest, zone=work.zone)
    valid_for = measure.valid_for if step.valid_for is None else step.valid_for
    # One request, one mail: the run's first one.
    is_asked_for = measure.asked_for and run.origin.asked is not None and not (run.decided or run.passed)
    run.decided.append(step.id)
    run.mailing, run.due_at = True, FOREVER
    work.result.messages.append(
        PlannedMessage(
            measure=measure.root,
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
            began_as=run.began_as if run.began_as not in ("", run.measure) else None,
            asked_for=is_asked_for,
            has_code=measure.has_code,
            request=run.origin.request,
        )
    )

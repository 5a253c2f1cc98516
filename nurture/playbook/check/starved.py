"""Check that each mail can leave: no cap, gap or quiet hours shut it out for all of its `valid_for`.

All bounds are the longest ways through a run, so a mail that leaves now and then is no fault.
"""

from collections.abc import Iterator

from nurture.domain.guard.checks import SLOT_WINDOW
from nurture.domain.instant import DAY, HOUR, MINUTE, Duration, format_duration
from nurture.domain.measure import (
    Branch,
    EmitStep,
    EndTopicStep,
    LetEndOfMonth,
    LocalSlot,
    MailStep,
    Measure,
    NotifyStep,
    OnCondition,
    OnOps,
    Step,
    WaitFor,
    WaitFromTable,
    WaitUntilEvent,
    WaitUntilSlot,
)
from nurture.domain.playbook import Cap, QuietHours
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.hashes import canonical_value

#: A cause, and what to change.
_Reason = tuple[str, str]


def check_starved(check: MeasureCheck) -> None:
    """Report each mail step that can never leave."""
    if not check.has_all_steps or check.measure.purpose == "transactional":
        return
    for place, step in enumerate(check.measure.steps):
        reason = next(_find_reasons(check, place, step), None) if isinstance(step, MailStep) else None
        if reason is not None:
            check.fault(check.step_loc(place, "mail"), f"{step.id} can never leave: {reason[0]}", reason[1])


def _find_reasons(check: MeasureCheck, place: int, step: MailStep) -> Iterator[_Reason]:
    measure, quiet = check.measure, check.playbook.quiet_hours
    if measure.purpose not in quiet.exempt and _is_always_quiet(
        quiet, step.send_at, _valid_for(measure, step)
    ):
        yield "its time of day lies in the quiet hours", "choose another time, or raise valid_for"
    for cap in check.playbook.caps:
        if measure.purpose in cap.purposes and (measure.has_code or not cap.codes_only):
            yield from _shut_out_by_own_mails(measure, cap, place)
            yield from _shut_out_by_rivals(check, cap, place)


# ---- caps and gaps ---------------------------------------------------------------------------------------


def _shut_out_by_own_mails(measure: Measure, cap: Cap, place: int) -> Iterator[_Reason]:
    """Yield why the run's own earlier mails, where the cap counts mails, leave this one no room."""
    if cap.count == "runs":
        return
    change = "raise valid_for, or count runs"
    earlier = [
        other for other in measure.outline.passed_before(place) if _is_unconditional(measure.steps[other])
    ]
    # The mail that the person asked for is not counted.
    earlier = earlier[1:] if measure.asked_for else earlier
    if len(earlier) >= cap.at_most:
        left = _left_over(measure, cap.within, earlier[-cap.at_most], place)
        if left is not None:
            yield _is_full(measure, cap, place, left), change
    if earlier and cap.gap:
        left = _left_over(measure, cap.gap, earlier[-1], place)
        if left is not None:
            over = _over(measure, place)
            yield f"the gap of cap {cap.name} lasts {_spaced(left)} more when {over}", change


def _shut_out_by_rivals(check: MeasureCheck, cap: Cap, place: int) -> Iterator[_Reason]:
    """Yield why measures that start together with this one, and go first, leave its first mail no slot."""
    measure = check.measure
    before = measure.outline.on_the_way_to(place)
    is_first = not any(isinstance(measure.steps[other], MailStep) for other in before)
    if not is_first or measure.asked_for:
        return
    rivals = [other for other in check.playbook.measures.values() if _goes_first(other, measure)]
    left = _left_over(measure, cap.within, -1, place)
    if len(rivals) >= cap.at_most and left is not None:
        paths = ", ".join(other.path for other in rivals)
        what = (
            f"{_is_full(measure, cap, place, left)}, by {paths}, which always starts with it and goes first"
        )
        yield what, "raise valid_for, at_most or its priority"


def _goes_first(other: Measure, measure: Measure) -> bool:
    """Tell whether the other measure starts whenever this one does, and its first mail always takes a slot first."""
    first = other.steps[0]
    # The cheap questions first: every measure is compared with every other one.
    if other.priority <= measure.priority or not (_is_unconditional(first) and isinstance(first, MailStep)):
        return False
    passes_alike = (
        (other.purpose, other.topic, other.lane) == (measure.purpose, measure.topic, measure.lane)
        and other.to == "person"
        and not (other.holdout or other.asked_for or other.series)
        and not any(isinstance(rule, LetEndOfMonth) for rule in other.let.values())
    )
    return passes_alike and first.send_at is None and _starts_always(other, measure)


def _starts_always(other: Measure, measure: Measure) -> bool:
    """Tell whether the other measure starts whenever this one does."""
    return (
        not isinstance(measure.trigger, OnOps)
        and (other.audience.expanded == measure.audience.expanded or _takes_everybody(other))
        and other.track in ("any", measure.track)
        and all(other.fits_stage(stage) for stage in (measure.stage, *measure.later_stages))
        and (other.once, other.entity) == (measure.once, measure.entity)
        and other.horizon >= measure.horizon
        and canonical_value(other.trigger) == canonical_value(measure.trigger)
    )


def _takes_everybody(measure: Measure) -> bool:
    return measure.audience.text == "True" and not isinstance(measure.trigger, OnCondition)


def _is_full(measure: Measure, cap: Cap, place: int, left: Duration) -> str:
    return f"cap {cap.name} is full for {_spaced(left)} more when {_over(measure, place)}"


def _over(measure: Measure, place: int) -> str:
    step = measure.steps[place]
    return f"its {_spaced(_valid_for(measure, step) if isinstance(step, MailStep) else 0)} are over"


def _spaced(duration: Duration) -> str:
    """Return a duration with its units apart: `13 d`."""
    words = (f"{word[:-1]} {word[-1]}" for word in format_duration(duration).split())
    return " ".join(words)


# ---- the longest way -------------------------------------------------------------------------------------


def _left_over(measure: Measure, span: Duration, start: int, place: int) -> Duration | None:
    """Return how long the span, from the mail at `start`, outlasts the mail at `place`; None when it does not.

    start: -1 for the beginning of the run.
    """
    way = 0
    # Of a branch before, all cases together are a bound for each of them.
    for other in (*measure.outline.on_the_way_to(place), place):
        stay = _longest_stay(measure, measure.steps[other]) if other > start else 0
        if stay is None:
            return None
        way += stay
    return span - way if way <= span else None


def _longest_stay(measure: Measure, step: Step) -> Duration | None:
    """Return the longest time that a run stays at a step, None when there is no bound."""
    match step:
        case MailStep(send_at=slot):
            period = _period(slot)
            return None if period is None else period + _valid_for(measure, step)
        case WaitFor(duration=duration) | WaitUntilEvent(at_most=duration):
            return duration
        case WaitFromTable(table=table):
            return max(
                value for value in (*table.rows.values(), table.otherwise or 0) if isinstance(value, int)
            )
        case WaitUntilSlot(slot=slot, at_least=at_least):
            period = _period(slot)
            return None if period is None else period + at_least
        case Branch() | EmitStep() | EndTopicStep() | NotifyStep():
            return 0
        case _:
            return None


def _period(slot: LocalSlot | None) -> Duration | None:
    """Return the longest time to the next slot; None when there is no short one."""
    if slot is None:
        return 0
    if slot.month_day is not None:
        return 31 * DAY + HOUR if len(slot.weekdays) == 7 else None
    # A day of autumn has 25 hours.
    return (DAY if len(slot.weekdays) == 7 else 7 * DAY) + HOUR


def _valid_for(measure: Measure, step: MailStep) -> Duration:
    return measure.valid_for if step.valid_for is None else step.valid_for


def _is_unconditional(step: Step) -> bool:
    return isinstance(step, MailStep) and step.when is None and step.send_if is None


# ---- quiet hours -----------------------------------------------------------------------------------------


def _is_always_quiet(quiet: QuietHours, slot: LocalSlot | None, valid_for: Duration) -> bool:
    """Tell whether each minute in which the slot's mail may leave is quiet."""
    if slot is None or slot.minute_of_day is None:
        return False
    minutes = min(SLOT_WINDOW, max(valid_for, MINUTE)) // MINUTE
    return all(_is_quiet(quiet, (slot.minute_of_day + after) % (24 * 60)) for after in range(minutes))


def _is_quiet(quiet: QuietHours, minute: int) -> bool:
    if quiet.start <= quiet.end:
        return quiet.start <= minute < quiet.end
    return minute >= quiet.start or minute < quiet.end

"""The next alarm of a contact: the earliest instant at which time alone may change anything about it.

Every rule that depends on time gives its next instant here. An alarm may be too early but never too late:
a late one would lose a mail.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from nurture.domain.conditions import Truth
from nurture.domain.contact import Run
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.journey.entity_dates import pending_dates
from nurture.domain.journey.moments import next_moment_alarm
from nurture.domain.journey.set_aside import evaluate_rule
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import LocalSlot, Measure, OnDate, OnMoment, OnQuiet, OnSchedule
from nurture.domain.timing import at_local_time, at_time_of_local_day, date_in_year, next_slot, to_local

#: Calendar text of a date fact: `MM-DD` or `YYYY-MM-DD`.
_FULL_DATE = 10


def next_alarm(work: Work, at: Instant) -> Instant:
    """Return the first instant after `at` at which time alone may change the contact; FOREVER for none."""
    instants = [
        FOREVER,
        *_due_runs(work, at),
        *_due_entity_dates(work, at),
        *_due_silences(work, at),
        *_due_exits(work, at),
    ]
    timed = work.rules.timed
    if work.alarm_bound > at:
        # Rules that read nothing new are not due before the bound, so they are asked only for a later alarm.
        measures = timed.reading(work.alarm_facts, work.contact.memory.run_starts)
        first = _first_of(work, measures, at, instants)
        if first <= work.alarm_bound:
            return first
    return _first_of(work, timed.measures, at, instants)


def _first_of(work: Work, measures: Iterable[Measure], at: Instant, instants: Iterable[Instant]) -> Instant:
    """Return the first instant after `at` of these and of the measures'."""
    first = min(instant for instant in instants if instant > at)
    slots: dict[LocalSlot, Instant] = {}
    for measure in measures:
        trigger = measure.trigger
        if isinstance(trigger, OnSchedule):
            # Several measures have one slot, and most slots are later than something else: no audience is asked then.
            comes_at = slots.get(trigger.slot)
            if comes_at is None:
                comes_at = evaluate_rule(work, measure, at, FOREVER, _next_slot, work, trigger.slot, at)
                # A measure that is set aside says nothing about the others of its slot.
                if comes_at < FOREVER:
                    slots[trigger.slot] = comes_at
            if comes_at >= first:
                continue
        due = evaluate_rule(work, measure, at, FOREVER, _next_start, work, measure, at)
        if at < due < first:
            first = due
    return first


def _next_slot(work: Work, slot: LocalSlot, at: Instant) -> Instant:
    return next_slot(slot, after=at + 1, zone=work.zone)


def _due_runs(work: Work, at: Instant) -> Iterator[Instant]:
    """Yield when each run is due; one that became due during the decision, at the next instant."""
    set_aside = work.contact.memory.set_aside
    for run in work.contact.runs.values():
        if run.due_at < FOREVER and run.measure not in set_aside:
            yield max(run.due_at, at + 1)


def _due_silences(work: Work, at: Instant) -> Iterator[Instant]:
    memory = work.contact.memory
    if not memory.entities:
        return
    for measure, trigger in work.index.quiet:
        if measure.root not in memory.set_aside:
            if measure.root not in memory.silences:
                yield max(work.silent_since(trigger.entity) + trigger.quiet, at + 1)
            else:
                for _, _, fire_at in pending_silences(work, measure, trigger):
                    yield max(fire_at, at + 1)


def _due_entity_dates(work: Work, at: Instant) -> Iterator[Instant]:
    memory = work.contact.memory
    for measure, trigger in work.index.entity_dates if memory.entities else ():
        if measure.root not in memory.set_aside:
            for due in pending_dates(work, measure, trigger):
                yield max(due.fire_at, at + 1)


def _due_exits(work: Work, at: Instant) -> Iterator[Instant]:
    if not work.index.exit_conditions:
        return
    for run in work.contact.runs.values():
        if owner := work.index.exit_conditions.get(run.measure):
            yield evaluate_rule(work, owner, at, FOREVER, _next_exit, work, owner, run, at)


def _next_start(work: Work, measure: Measure, at: Instant) -> Instant:
    match measure.trigger:
        case OnDate():
            return next_date(work, measure.trigger, at)
        case OnSchedule():
            return _next_schedule(work, measure, measure.trigger, at)
        case OnMoment():
            return next_moment_alarm(work, measure, measure.trigger, at)
        case _:
            return _next_answer(work, measure, at)


def fits_contact(work: Work, measure: Measure) -> bool:
    """Tell whether the measure is for the contact's present track and stage; only an event changes those."""
    return measure.track in ("any", work.contact.track) and measure.fits_stage(work.contact.stage)


def pending_silences(work: Work, measure: Measure, trigger: OnQuiet) -> list[tuple[str, Instant, Instant]]:
    """Return (key, touched_at, fire_at) of each open entity whose silence has started no run yet."""
    memory = work.contact.memory
    acted_on = memory.silences.get(measure.root, {})
    return [
        (key, touched_at, touched_at + trigger.quiet)
        for key, touched_at in work.open_entities(trigger.entity)
        if acted_on.get(key) != touched_at
    ]


def next_date(work: Work, trigger: OnDate, after: Instant) -> Instant:
    """Return the first occurrence of the date trigger after an instant, FOREVER when there is none."""
    value = work.contact.facts.get(trigger.fact)
    if value is None or isinstance(value, bool):
        return FOREVER
    if not trigger.yearly:
        instant = _single_date(work, trigger, value)
        return instant if instant is not None and instant > after else FOREVER
    month_day = _month_day(work, value)
    if month_day is None:
        return FOREVER
    year = to_local(after, work.zone).year
    for ahead in range(-1, 3):
        day = date_in_year(*month_day, year=year + ahead)
        instant = _at_minute_of_day(work, at_local_time(day, 0, work.zone) + trigger.offset, trigger)
        if instant > after:
            return instant
    return FOREVER


def _at_minute_of_day(work: Work, instant: Instant, trigger: OnDate) -> Instant:
    return at_time_of_local_day(instant, trigger.minute_of_day, work.zone)


def _single_date(work: Work, trigger: OnDate, value: object) -> Instant | None:
    if isinstance(value, int):
        return _at_minute_of_day(work, value + trigger.offset, trigger)
    if isinstance(value, str) and len(value) == _FULL_DATE:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            return None
        return _at_minute_of_day(work, at_local_time(day, 0, work.zone) + trigger.offset, trigger)
    return None


def _month_day(work: Work, value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        local = to_local(value, work.zone)
        return local.month, local.day
    if isinstance(value, str):
        month, day = value[-5:].split("-")
        return int(month), int(day)
    return None


def _next_schedule(work: Work, measure: Measure, trigger: OnSchedule, at: Instant) -> Instant:
    """Return the next slot in which the audience may be yes."""
    after = at + 1
    reading = work.reading(at)
    if measure.audience.truth(reading) is not Truth.YES:
        change = measure.audience.next_change(reading)
        if change is None:
            return FOREVER
        after = max(after, change)
    return next_slot(trigger.slot, after=after, zone=work.zone)


def _next_exit(work: Work, measure: Measure, run: Run, at: Instant) -> Instant:
    """Return when the answer of a condition that ends the run may differ."""
    reading = work.reading_of(run, at)
    changes = [
        exit_rule.when.next_change(reading)
        for exit_rule in measure.exits
        if exit_rule.event is None and exit_rule.when is not None
    ]
    return min((change for change in changes if change is not None), default=FOREVER)


def _next_answer(work: Work, measure: Measure, at: Instant) -> Instant:
    """Return when the answer may differ, or when re-entry is allowed again."""
    change = measure.audience.next_change(work.reading(at))
    instant = FOREVER if change is None else change
    again_at = re_entry_at(work, measure)
    return min(instant, again_at) if again_at is not None and again_at > at else instant


def re_entry_at(work: Work, measure: Measure) -> Instant | None:
    """Return from when on the measure may start again while its condition stays yes; None for never."""
    again_after, starts = measure.once.again_after, work.contact.memory.run_starts.get(measure.root)
    if again_after is None or not starts:
        return None
    return max(starts.values()) + max(again_after, measure.once.gap or 0)

"""Dates of entities as triggers: `{date: contract.renews_at, offset: -30d}`.

An occasion is one entity on one local day of its date. It starts a run once; a date that moves to another day is
another occasion and ends the runs of the one before.
"""

from collections.abc import Callable
from datetime import date
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from nurture.domain.entities import entity_of, is_open, is_reversed
from nurture.domain.instant import Instant, to_iso
from nurture.domain.journey.entry import Firing, enter_measure
from nurture.domain.journey.set_aside import is_set_aside
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure, OnEntityDate
from nurture.domain.memory import Entity, Memory
from nurture.domain.playbook import EntityKind
from nurture.domain.timing import at_local_time, at_time_of_local_day, to_local
from nurture.domain.values import coerce

#: The value of a run's trigger that names its date, as ISO text.
DATE: Final = "date"
_FULL_DATE: Final = len("2027-03-31")
#: A date that is a day is kept as midnight of this zone, so that it stays the same day when the person's zone changes.
_ZONE_OF_DAYS: Final = "UTC"


class DueDate(NamedTuple):
    """The date of one entity, and when the measure starts for it."""

    entity_key: str
    date: Instant
    fire_at: Instant


def pending_dates(work: Work, measure: Measure, trigger: OnEntityDate) -> list[DueDate]:
    """Return the dates of standing entities that the measure has not acted upon, past ones included."""
    memory = work.contact.memory
    known, kind = memory.entities.get(trigger.entity), work.playbook.entities.get(trigger.entity)
    if not known or kind is None:
        return []
    acted_on = memory.entity_dates.get(measure.root, {})
    zone, read = work.zone, _reader(trigger, work.zone)
    pending: list[DueDate] = []
    for key, entity in known.items():
        # The cheap questions first: this is asked for every entity after every event about one.
        instants = read(entity.fields.get(trigger.field))
        if instants is None:
            continue
        noted = acted_on.get(key)
        if noted is not None and _is_same_day(noted, instants[0], trigger, zone):
            continue
        if _takes_part(measure, entity, kind):
            pending.append(DueDate(key, *instants))
    return pending


def start_by_entity_dates(work: Work, at: Instant) -> None:
    """Start the measures for dates that have come; each date starts a measure once."""
    memory = work.contact.memory
    if not memory.entities:
        return
    for measure, trigger in work.index.entity_dates:
        if is_set_aside(work, measure.root):
            continue
        for due in pending_dates(work, measure, trigger):
            if due.fire_at > at:
                continue
            enter_measure(work, measure, _firing(work, trigger, due, at))
            if is_set_aside(work, measure.root):
                break
            memory.entity_dates.setdefault(measure.root, {})[due.entity_key] = due.date
        _forget_dropped_entities(work, measure, trigger)


def take_past_dates(work: Work, measure: Measure, trigger: OnEntityDate, at: Instant) -> None:
    """Note the dates that have come by `at` as acted upon, so that only a later one starts the measure."""
    for due in pending_dates(work, measure, trigger):
        if due.fire_at <= at:
            work.contact.memory.entity_dates.setdefault(measure.root, {})[due.entity_key] = due.date


def end_runs_of_moved_dates(work: Work, at: Instant) -> None:
    """End the runs, and cancel the queued mail, of dates that have moved to another day."""
    if not work.index.entity_dates:
        return
    for run in list(work.contact.runs.values()):
        trigger = work.index.date_of_run.get(run.measure)
        noted = coerce(run.origin.properties.get(DATE), "instant") if trigger is not None else None
        if trigger is not None and noted is not None and _has_moved(work, trigger, run.entity_key, noted):
            work.stop(run, "date_moved", at)
    for measure, trigger in work.index.entity_dates:
        acted_on = work.contact.memory.entity_dates.get(measure.root, {})
        moved = [key for key, noted in acted_on.items() if _has_moved(work, trigger, key, noted)]
        for key in moved:
            del acted_on[key]
            work.cancel(measure.root, None, "date_moved", at, entity=trigger.entity, entity_key=key)


def name_occasion(work: Work, trigger: OnEntityDate, entity_key: str) -> tuple[str, dict[str, Any]]:
    """Return the name of the entity's present occasion and the values that a run keeps of it; "" without a date."""
    entity = entity_of(work.contact, trigger.entity, entity_key)
    due = None if entity is None else _due_date(entity_key, entity, trigger, work.zone)
    return ("", {}) if due is None else (_occasion(due, trigger, work.zone), {DATE: to_iso(due.date)})


def describe_dates(work: Work, measure: Measure, trigger: OnEntityDate) -> list[str]:
    """Return, for each entity of the trigger's kind, when the measure starts for it, or that its date has come."""
    entities = work.contact.memory.entities.get(trigger.entity, {})
    ahead = {due.entity_key: due for due in pending_dates(work, measure, trigger)}
    noted = work.contact.memory.entity_dates.get(measure.root, {})
    lines: list[str] = []
    for key in sorted(entities):
        if key in ahead:
            lines.append(f"{key}: {to_iso(ahead[key].date)}, starts at {to_iso(ahead[key].fire_at)}")
        elif key in noted:
            lines.append(f"{key}: {to_iso(noted[key])}, has come")
        else:
            lines.append(f"{key}: is not open, or has no {trigger.field}")
    return lines


def join_dates(work: Work, added: Memory) -> None:
    """Add the dates that another contact has acted upon; of two for one entity, the one of its present day stays."""
    mine = work.contact.memory.entity_dates
    for root, dates in added.entity_dates.items():
        known, trigger = mine.setdefault(root, {}), work.index.date_of_run.get(root)
        for key, noted in dates.items():
            before = known.get(key)
            if before is None or (trigger is not None and _has_moved(work, trigger, key, before)):
                known[key] = noted


def _firing(work: Work, trigger: OnEntityDate, due: DueDate, at: Instant) -> Firing:
    return Firing(
        at=at,
        occurred_at=due.fire_at,
        entity_key=due.entity_key,
        event=f"date:{trigger.entity}.{trigger.field}",
        properties={DATE: to_iso(due.date)},
        occasion=_occasion(due, trigger, work.zone),
    )


def _occasion(due: DueDate, trigger: OnEntityDate, zone: str) -> str:
    return f"{due.entity_key}@{_day_of(due.date, trigger, zone).isoformat()}"


def _takes_part(measure: Measure, entity: Entity, kind: EntityKind) -> bool:
    """Tell whether the entity is open; with `while: any`, whether it stands."""
    return is_open(entity, kind) if measure.while_open else not (entity.replaced or is_reversed(entity))


def _has_moved(work: Work, trigger: OnEntityDate, entity_key: str, noted: Instant) -> bool:
    """Tell whether the entity's date is on another day than the one that was acted upon, or is known no more."""
    entity = work.contact.memory.entities.get(trigger.entity, {}).get(entity_key)
    if entity is None:
        return False
    due = _due_date(entity_key, entity, trigger, work.zone)
    return due is None or not _is_same_day(noted, due.date, trigger, work.zone)


def _is_same_day(first: Instant, second: Instant, trigger: OnEntityDate, zone: str) -> bool:
    return first == second or _day_of(first, trigger, zone) == _day_of(second, trigger, zone)


def _day_of(noted: Instant, trigger: OnEntityDate, zone: str) -> date:
    return to_local(noted, _ZONE_OF_DAYS if trigger.is_day else zone).date()


def _due_date(key: str, entity: Entity, trigger: OnEntityDate, zone: str) -> DueDate | None:
    instants = _reader(trigger, zone)(entity.fields.get(trigger.field))
    return None if instants is None else DueDate(key, *instants)


@lru_cache(maxsize=1_024)
def _reader(trigger: OnEntityDate, zone: str) -> Callable[[Any], tuple[Instant, Instant] | None]:
    """Return a function that reads the values of the trigger's field, and remembers the newest of them."""
    read_text = lru_cache(maxsize=512)(partial(_instants, trigger=trigger, zone=zone))

    def read(value: Any) -> tuple[Instant, Instant] | None:
        if isinstance(value, str):
            return read_text(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return _instants(value, trigger, zone) if is_number else None

    return read


def _instants(value: str | float, trigger: OnEntityDate, zone: str) -> tuple[Instant, Instant] | None:
    """Return the date that a field holds, and when a measure starts for it; None where it holds none."""
    if not trigger.is_day:
        noted = coerce(value, "instant")
        begins = noted
    else:
        text = coerce(value, "date")
        if text is None or len(text) != _FULL_DATE:
            return None
        day = date.fromisoformat(text)
        noted, begins = at_local_time(day, 0, _ZONE_OF_DAYS), at_local_time(day, 0, zone)
    if noted is None or begins is None:
        return None
    return noted, at_time_of_local_day(begins + trigger.offset, trigger.minute_of_day, zone)


def _forget_dropped_entities(work: Work, measure: Measure, trigger: OnEntityDate) -> None:
    acted_on = work.contact.memory.entity_dates.get(measure.root)
    known = work.contact.memory.entities.get(trigger.entity, {})
    for key in [key for key in acted_on or () if key not in known]:
        del work.contact.memory.entity_dates[measure.root][key]

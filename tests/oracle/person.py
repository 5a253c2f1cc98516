"""A person as the oracle knows them: the history, and everything that is folded from it."""

import bisect
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import clock
from .conditions import View
from .entities import ZERO, Thing, Things, cost, parents_in
from .folds import fold_facts
from .rules import Event, Measure, Playbook
from .state import Mail, Merged, Run, consent_of
from .values import NEVER, as_list, key_of, typed

Moments = dict[int, list[tuple[dt.date, int]]]


class Known:
    """A person with one history and one state."""

    def __init__(
        self,
        book: Playbook,
        objects: dict[str, dict[str, dict[str, Any]]],
        name: str,
        moments_in: Callable[[clock.Zone], Moments],
    ) -> None:
        self.book = book
        self.objects = objects
        self.name = name
        self.address = ""
        self.user = ""
        self.moved = False
        self.suppressed: set[str] = set()
        self.paused_until = 0
        self.least_gap = 0
        self.lines_before: dict[tuple[str, str], set[str]] = {}
        self.history: dict[str, list[Event]] = {}
        self.facts: dict[str, Any] = {}
        self.things: Things = {}
        self.zone = clock.zone(book.default_zone)
        self.first_seen = 0
        self.track = "lead"
        self.stage = book.stages["lead"][0][0]
        self.woken: dict[tuple[str, str], int] = {}
        self.parts: list[Merged] = []
        self.answers: dict[str, bool] = {}
        # People and measures of which the engine's hash makes a run held back.
        self.in_holdout: frozenset[tuple[str, str]] = frozenset()
        # Events that actions hand in, until they are applied.
        self.emitted: list[tuple[str, dict[str, Any]]] = []
        self.handed_in = 0
        self.in_history = False
        self.runs_changed = False
        # Dates of entities that have counted: measure, key and date.
        self.dated: set[tuple[str, str, str | int]] = set()
        # When re-entry was open while an answer was taken as the past.
        self.past: dict[str, int] = {}
        self.runs: list[Run] = []
        self.active: list[Run] = []
        self.mails: list[Mail] = []
        self.waiting: list[Mail] = []
        self.reached: set[tuple[str, str]] = set()
        self.ringing: set[tuple[str, str, int]] = set()
        self.silent: list[tuple[Measure, Thing, int]] = []
        self.dates: list[tuple[Measure, int]] = []
        self.dated_ahead: list[tuple[Measure, Thing, str | int, int]] = []
        self.timed = [
            m for m in book.measures if by_condition(m) and (m.audience.by_time or m.again_after is not None)
        ]
        self.slotted = [
            m
            for m in book.measures
            if m.slot or is_moment(m) or (is_date(m) and not dated_kind(m) and "local_time" in m.trigger)
        ]
        self.by_entity_date = [m for m in book.measures if dated_kind(m)]
        self.asking = [m for m in book.measures if by_condition(m) and m.audience.asks]
        self.timed_here: list[Measure] = []
        self.moments_in = moments_in
        self.moments: Moments = {}
        self.plain = View({}, 0, self.zone, {})

    def view(self, now: int, run: Run | None = None, extra: dict[str, dict[str, Any]] | None = None) -> View:
        """The facts at an instant, with what a run adds."""
        scope: dict[str, dict[str, Any]] = dict(extra or {})
        if run is not None:
            scope["event"] = run.event.typed if run.event else {}
            thing = self.thing_of(run)
            if thing is not None and thing.typed is None:
                thing.typed = self.book.type_properties(thing.fields)
            scope["entity"] = (thing.typed or {}) if thing else {}
            scope["let"] = run.let
            scope["steps"] = run.outcomes
            if self.book.tables and thing is not None:
                scope["#lines"] = {
                    key: {**self.book.type_properties(line), "#cost": cost(line) or ZERO}
                    for key, line in thing.lines.items()
                }
        return View(self.facts, now, self.zone, scope)

    def thing_of(self, run: Run) -> Thing | None:
        """The entity that a run is about; for the key of its parent the newest part."""
        known, key = self.things.get(run.entity, {}), run.entity_key or ""
        kind = self.book.kinds.get(run.entity)
        if key in known or kind is None or kind.within not in self.book.kinds:
            return known.get(key)
        parts = [thing for thing in known.values() if key in parents_in(self.book.kinds[kind.within], thing)]
        return max(parts, key=lambda thing: (thing.updated, thing.opened), default=None)

    def fits(self, measure: Measure) -> bool:
        """Whether the person stands where a measure is for."""
        return measure.track in {"any", self.track} and bool(measure.stages & {"any", self.stage})

    def consent(self, topic: str) -> str:
        """The state of a topic's consent."""
        return consent_of(self.book, self.history, topic, self.parts)

    def remember(self, event: Event) -> None:
        """Put an event into the history by the instant at which it occurred."""
        self.first_seen = min(self.first_seen, event.occurred)
        result = self.history.setdefault(event.name, [])
        bisect.insort(result, event, key=lambda one: one.rank)

    def fold(self, now: int) -> None:
        """Facts, consent, track and stage from the whole history."""
        self.find_zone()
        self.facts, self.things = fold_facts(self.book, self.history)
        self.facts["first_seen_at"] = self.first_seen
        self.facts["zone"] = self.zone.name
        self.facts["locale"] = self.book.spec["locales"][0]
        self.facts["#in_measure"] = self.in_measure
        self.facts["#last_sent"] = self.last_sent
        self.track = "customer" if self.converted() else "lead"
        self.facts["track"] = self.track
        view = View(self.facts, now, self.zone, {})
        for name, when in self.book.stages[self.track]:
            if when.yes(view):
                self.stage = name
        self.facts["stage"] = self.stage
        for name, spec in self.book.facts.items():
            if "label" in spec and self.facts[name] is None and spec.get("else") in self.book.tables:
                self.facts[name] = self.book.looked_up[spec["else"]](view)
        self.plain = view
        self.moments = self.moments_in(self.zone)
        self.timed_here = [measure for measure in self.timed if self.fits(measure)]
        self.note_times()

    def in_measure(self, path: str) -> bool:
        """Whether a run of a measure is active."""
        return any(run.measure.path == path for run in self.active)

    def last_sent(self, path: str) -> int:
        """When a mail of a measure left last."""
        times = [mail.at for mail in self.mails if mail.status == "sent" and mail.run.measure.path == path]
        return max(times, default=NEVER)

    def entity_dates(self) -> Iterator[tuple[Measure, Thing, str | int, int]]:
        """The dates of entities that started nothing yet: measure, entity, date and when it fires."""
        for measure in self.by_entity_date:
            for thing in self.things[dated_kind(measure)].values():
                value = self.date_in(measure, thing)
                if value is None or self.is_past(measure, thing, value):
                    continue
                moment = self.instant_in(value) + offset_of(measure.trigger)
                if "local_time" in measure.trigger:
                    time = clock.time_of_day(measure.trigger["local_time"])
                    moment = self.zone.instant_of(self.zone.day(moment), time)
                yield measure, thing, value, moment

    def is_past(self, measure: Measure, thing: Thing, value: str | int) -> bool:
        """Whether an entity's date has counted."""
        return any(
            (path, key) == (measure.path, thing.key) and self.is_same_date(noted, value)
            for path, key, noted in self.dated
        )

    def is_same_date(self, one: str | int, two: str | int) -> bool:
        """Whether two dates are one: the same value, in whatever zone the person is, or of one local day."""
        return one == two or self.day_of(one) == self.day_of(two)

    def day_of(self, value: str | int) -> str:
        """The local day of a date."""
        return value if isinstance(value, str) else self.zone.day(value).isoformat()

    def instant_in(self, value: str | int) -> int:
        """The instant of a date; a day begins at local midnight."""
        return value if isinstance(value, int) else self.zone.instant_of(dt.date.fromisoformat(value), 0)

    def date_in(self, measure: Measure, thing: Thing) -> str | int | None:
        """An entity's date; none where it has none, or is not looked at."""
        if not (thing.is_open() if measure.while_open else not thing.reversed):
            return None
        name = measure.trigger["date"].partition(".")[2]
        value: str | int | None = thing.fields.get(name)
        if name != "due_at":
            value = typed(value, self.book.properties.get(name, "instant"))
        is_day_of_no_year = isinstance(value, str) and len(value) < len("2026-01-01")
        return None if is_day_of_no_year else value

    def note_times(self) -> None:
        """The silences and the dates that a later minute may bring."""
        self.silent = []
        self.dates = []
        self.dated_ahead = sorted(self.entity_dates(), key=lambda due: (due[0].path, due[3]))
        for measure in self.book.measures:
            if isinstance(measure.trigger, dict) and "quiet" in measure.trigger:
                quiet = quiet_of(measure)
                for thing in self.things[measure.trigger["entity"]].values():
                    if thing.is_open() and (measure.path, thing.key, thing.updated) not in self.ringing:
                        self.silent.append((measure, thing, quiet))
            elif is_date(measure) and not dated_kind(measure) and "local_time" not in measure.trigger:
                self.dates += [(measure, moment) for moment in self.moments_of(measure)]

    def moments_of(self, measure: Measure) -> list[int]:
        """The instants of a date trigger without a local time."""
        value = self.facts.get(measure.trigger["date"])
        if value is None or value == NEVER:
            return []
        offset = offset_of(measure.trigger)
        if isinstance(value, int):
            return [value + offset]
        near = self.zone.day(self.last_arrival())
        years = [near.year - 1, near.year, near.year + 1]
        if not measure.trigger.get("yearly") and len(value) > 5:
            years = [int(value[:4])]
        return [self.zone.instant_of(anniversary(value, year), 0) + offset for year in years]

    def last_arrival(self) -> int:
        """When the newest event arrived."""
        return max(event.arrived for result in self.history.values() for event in result)

    def days_of(self, measure: Measure, near: dt.date) -> set[dt.date]:
        """The local days around one on which a date trigger comes."""
        value = self.facts.get(measure.trigger["date"])
        if value is None or value == NEVER:
            return set()
        offset = offset_of(measure.trigger)
        if isinstance(value, int):
            return {self.zone.day(value + offset)}
        shift = dt.timedelta(seconds=offset)
        years = [near.year - 1, near.year, near.year + 1]
        if not measure.trigger.get("yearly") and len(value) > 5:
            years = [int(value[:4])]
        return {anniversary(value, year) + shift for year in years}

    def find_zone(self) -> None:
        """The person's zone: the newest that an event entry."""
        entry = [event for result in self.history.values() for event in result if zone_in(event)]
        newest = max(entry, key=lambda event: event.rank, default=None)
        self.zone = clock.zone(zone_in(newest) if newest else self.book.default_zone)

    def converted(self) -> bool:
        """Whether something counts that makes a lead a customer."""
        spec = self.book.conversion
        by = spec["by"] if isinstance(spec["by"], list) else [spec["by"]]
        if all(isinstance(name, str) and name in self.things for name in by):
            return any(thing.counts() for name in by for thing in self.things[name].values())
        events = self.book.events(spec["by"])
        taken = self.book.events(spec["reversed_by"]) if "reversed_by" in spec else None
        back = {key for event in self.all_of(taken) if (key := key_of(event.properties.get(spec["key"])))}
        return any(key_of(event.properties.get(spec["key"])) not in back for event in self.all_of(events))

    def reversals(self, hold: str) -> list[tuple[int, str | None]]:
        """When something that makes a customer was reversed, and its key, for the hold that this puts on."""
        spec = self.book.conversion
        if spec.get("hold") != hold:
            return []
        kinds = [name for name in as_list(spec["by"]) if isinstance(name, str) and name in self.things]
        result: list[tuple[int, str | None]] = [
            (thing.reversed_at, thing.key)
            for name in kinds
            for thing in self.things[name].values()
            if thing.counted is not None and thing.reversed_at is not None
        ]
        taken = self.book.events(spec["reversed_by"]) if "reversed_by" in spec else None
        return result + [
            (event.occurred, key_of(event.properties.get(spec["key"]))) for event in self.all_of(taken)
        ]

    def all_of(self, events: Any) -> Iterable[Event]:
        """The person's events that match."""
        if events is None:
            return []
        result = [event for name in events.names for event in self.history.get(name, ())]
        return [event for event in result if events.match(event)]


def by_condition(measure: Measure) -> bool:
    """Whether the audience itself is the trigger."""
    return isinstance(measure.trigger, dict) and "condition" in measure.trigger


def is_date(measure: Measure) -> bool:
    """Whether a date is the trigger."""
    return isinstance(measure.trigger, dict) and "date" in measure.trigger


def is_moment(measure: Measure) -> bool:
    """Whether a named day of the calendar is the trigger."""
    return isinstance(measure.trigger, dict) and "moment" in measure.trigger


def dated_kind(measure: Measure) -> str:
    """The kind of entity whose date is the trigger; nothing where none is."""
    return measure.entity if is_date(measure) and "." in measure.trigger["date"] else ""


def quiet_of(measure: Measure) -> int:
    """How long an entity must be silent."""
    return clock.seconds(measure.trigger["quiet"])


def offset_of(spec: dict[str, Any]) -> int:
    """The offset of a date."""
    return clock.seconds(spec.get("offset", "0s"))


def zone_in(event: Event) -> str:
    """The zone that an event tells, where it is one."""
    result = event.traits.get("timezone") or event.context.get("timezone") or ""
    return result if isinstance(result, str) and result and clock.is_zone(result) else ""


def anniversary(value: str, year: int) -> dt.date:
    """A date's day in a year; 29 February falls on the 28th in other years."""
    month, day = (int(part) for part in value.split("-")[-2:])
    if (month, day) == (2, 29) and not is_leap(year):
        day = 28
    return dt.date(year, month, day)


def is_leap(year: int) -> bool:
    """Whether a year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

"""How runs begin, go through their steps and end."""

from collections.abc import Callable
from typing import Any

from . import clock
from .calendars import Calendar
from .entities import Thing, key_in
from .guard import Guard
from .person import Known, Moments, offset_of
from .rules import Event, Measure, Playbook, Step
from .state import Mail, Run
from .values import NEVER, iso, key_of, typed

CALENDAR = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}


class Running(Known):
    """A person with runs and mails."""

    def __init__(
        self,
        book: Playbook,
        objects: dict[str, dict[str, dict[str, Any]]],
        name: str,
        moments_in: Callable[[clock.Zone], Moments],
    ) -> None:
        super().__init__(book, objects, name, moments_in)
        self.guard = Guard(self)

    def start(
        self,
        measure: Measure,
        now: int,
        evidence: int,
        *,
        event: Event | None = None,
        thing: Thing | None = None,
        request: Event | None = None,
        milestone_key: str = "",
        day: str = "",
        noted: str | int | None = None,
    ) -> None:
        """Start a run unless something says no."""
        entity_key = thing.key if thing else self.entity_key(measure, event)
        run = Run(measure, "", now, len(self.runs), event, measure.entity, entity_key)
        if self.refusal(measure, run, now, evidence):
            return
        key = self.key_for(measure, event, thing, now)
        if measure.per == "occasion" and day:
            key = f"{thing.key}@{day}" if thing else day
        run.noted = noted
        if key is None:
            key = milestone_key or None
        if key is None or not self.allowed(measure, key, event, now):
            return
        earlier = self.living() if self.reverses(measure, event) else list(self.active)
        for other in earlier:
            if other.measure is measure and other.value == key:
                self.end(other, "superseded", now)
        run.number = 1 + max(
            (other.number for other in self.runs if other.measure is measure and other.value == key),
            default=0,
        )
        run.key = f"{key}#{run.number}" if run.number > 1 else key
        asked = request or event
        if measure.asked_for and asked is not None and asked.name in self.book.requests:
            run.request = asked
        self.begin(run, now)

    def begin(self, run: Run, now: int) -> None:
        """Begin a run, or let it wait for its turn."""
        run.in_holdout = run.measure.in_holdout and self.is_in_holdout(run.measure)
        run.pending = run.measure.series and any(
            other.measure.series and not other.in_holdout for other in self.active
        )
        self.runs_changed = True
        run.entered = now
        self.runs.append(run)
        self.active.append(run)
        if not run.pending:
            self.enter(run, now)

    def refusal(self, measure: Measure, run: Run, now: int, evidence: int) -> str:
        """The reason against a run before its key is asked for."""
        if not self.fits(measure):
            return "other_stage"
        if now - evidence > measure.horizon:
            return "too_old"
        if run.event is not None and self.outdated(measure, run.event):
            return "older_event"
        thing = self.thing_of(run)
        if thing is not None and thing.reversed and not self.reverses(measure, run.event):
            return "entity_reversed"
        if thing is not None and measure.while_open and not thing.is_open():
            return "entity_closed"
        if self.taken_back(measure, run.event):
            return "entity_restored"
        if not measure.audience.yes(self.view(now, run)):
            return "audience"
        starts = [other.started for other in self.runs if other.measure is measure]
        return "gap" if measure.gap is not None and starts and now - max(starts) < measure.gap else ""

    def outdated(self, measure: Measure, event: Event) -> bool:
        """Whether a newer event of its name about the same entity was applied before."""
        key = self.entity_key(measure, event)
        return key is not None and any(
            other.rank > event.rank and self.entity_key(measure, other) == key
            for other in self.history.get(event.name, ())
        )

    def reverses(self, measure: Measure, event: Event | None) -> bool:
        """Whether an event takes back the entity of a measure."""
        kind = self.book.kinds.get(measure.entity)
        return kind is not None and event is not None and event.name in kind.reversed_by

    def allowed(self, measure: Measure, key: str, event: Event | None, now: int) -> bool:
        """Whether a run of this key is the first, or another one is allowed."""
        same = [run for run in self.runs if run.measure is measure and run.value == key]
        if not same:
            return True
        if event is not None and event.name in measure.again_on:
            return True
        last = max(run.started for run in same)
        if event is not None and self.reversed_again(measure, event, last):
            return True
        is_free = not any(run.active() for run in same)
        return is_free and measure.again_after is not None and now - last >= measure.again_after

    def reversed_again(self, measure: Measure, event: Event, last: int) -> bool:
        """Whether an event reverses an entity once more that was restored since the last run began."""
        key = self.entity_key(measure, event)
        if key is None or not self.reverses(measure, event):
            return False
        thing = self.things.get(measure.entity, {}).get(key)
        if thing is not None and not thing.reversed:
            return False
        # An entity may be known by what takes it back and restores it alone.
        return last < self.newest(measure, self.book.kinds[measure.entity].restored_by, key) <= event.occurred

    def newest(self, measure: Measure, names: Any, key: str) -> int:
        """When the newest event of these names about an entity of a measure occurred."""
        times = [
            other.occurred
            for name in names
            for other in self.history.get(name, ())
            if self.entity_key(measure, other) == key
        ]
        return max(times, default=NEVER)

    def taken_back(self, measure: Measure, event: Event | None) -> bool:
        """Whether an event cancels the entity of a measure, and that was taken back since."""
        key, names = self.entity_key(measure, event), self.cancelling(measure)
        if event is None or key is None or event.name not in names:
            return False
        thing = self.things.get(measure.entity, {}).get(key)
        restored = self.newest(measure, self.book.kinds[measure.entity].restored_by, key)
        reversed_now = thing.reversed if thing is not None else self.newest(measure, names, key) >= restored
        return restored > event.occurred and not reversed_now

    def cancelling(self, measure: Measure) -> set[str]:
        """The events that reverse the entity of a measure in full."""
        kind = self.book.kinds.get(measure.entity)
        return (
            set() if kind is None else {name for name, (amount, _) in kind.reversed_by.items() if not amount}
        )

    def end_restored(self, event: Event, now: int) -> None:
        """Runs that a cancellation began end when the event takes it back."""
        for run in self.living():
            kind = self.book.kinds.get(run.entity or "")
            if kind is None or event.name not in kind.restored_by or run.event is None:
                continue
            if self.entity_key(run.measure, event) == run.entity_key and self.taken_back(
                run.measure, run.event
            ):
                self.end(run, "entity_restored", now)

    def is_in_holdout(self, measure: Measure) -> bool:
        """Whether the hash of the measure and the person, which the page does not tell, keeps the person without it."""
        return (self.name, measure.root) in self.in_holdout

    def key_for(self, measure: Measure, event: Event | None, thing: Thing | None, now: int) -> str | None:
        """The key of a run; None where the trigger carries none."""
        per = measure.per
        if per == "contact":
            return ""
        if per == "event":
            return f"{event.source}:{event.message}" if event else self.zone.day(now).isoformat()
        if per in CALENDAR:
            return self.zone.day(now).strftime(CALENDAR[per])
        if per == "entity":
            return thing.key if thing else self.entity_key(measure, event)
        entry = key_of(event.properties.get(per)) if event else None
        kind = self.book.kinds.get(thing.kind if thing else measure.entity)
        own = (thing.key if thing else self.entity_key(measure, event)) if kind is not None else None
        if kind is not None and own is not None and per in {part for _, part in kind.reversed_by.values()}:
            return own if entry is None else f"{own} {entry}"
        return own if entry is None and kind is not None and per in kind.key else entry

    def entity_key(self, measure: Measure, event: Event | None) -> str | None:
        """The key of the entity that an event is about."""
        kind = self.book.kinds.get(measure.entity)
        if kind is None or event is None:
            return None
        parent = self.book.kinds.get(kind.within)
        return key_in(kind, event) or (key_in(parent, event) if parent else None)

    def end(self, run: Run, reason: str, now: int) -> None:
        """End a run and cancel its mail that has not left."""
        for mail in [mail for mail in self.waiting if mail.run is run]:
            self.settle(mail, "cancelled", reason, now)
        if run.active():
            run.ended, run.reason = True, reason
            self.runs_changed = True
            self.active = [other for other in self.active if other is not run]

    def settle(self, mail: Mail, status: str, reason: str, now: int) -> None:
        """A mail has ended."""
        mail.status, mail.reason, mail.at = status, reason, now
        self.waiting = [other for other in self.waiting if other is not mail]

    def living(self) -> list[Run]:
        """Runs that are under way, and runs that are done whose mail has not left."""
        late = [mail.run for mail in self.waiting if not mail.run.active()]
        return self.active + late

    def end_reversed(self, now: int) -> None:
        """Runs about an entity that is reversed or, where that matters, closed or empty end."""
        for run in self.living():
            thing = self.thing_of(run)
            if thing is not None and thing.reversed:
                if not self.reverses(run.measure, run.event):
                    self.end(run, "entity_reversed", now)
            elif run.entity and run.measure.while_open and (thing is None or not thing.is_open()):
                self.end(run, "entity_closed", now)

    def end_by_event(self, event: Event, now: int) -> None:
        """The exits by an event."""
        for run in self.living():
            for result in run.measure.exits:
                if (
                    result.events is not None
                    and result.events.match(event)
                    and self.about(run, result.key, event)
                ):
                    self.end(run, result.reason, now)
                    break

    def end_by_conditions(self, now: int) -> None:
        """The exits by a condition."""
        if not self.book.has_condition_exits:
            return
        for run in list(self.active):
            for result in run.measure.exits:
                if result.when is not None and result.when.yes(self.view(now, run)):
                    self.end(run, result.reason, now)
                    break

    def about(self, run: Run, key: str, event: Event) -> bool:
        """Whether an event is about a run's entity or about one of its lines; about its value, where it has none."""
        if not key:
            return True
        rows = event.properties.get("products")
        entry = {key_of(event.properties.get(key))}
        entry |= (
            {key_of(row.get(key)) for row in rows if isinstance(row, dict)}
            if isinstance(rows, list)
            else set()
        )
        return bool((entry - {None}) & self.meanings(run, key))

    def meanings(self, run: Run, key: str) -> set[str | None]:
        """The values by which an event may mean a run."""
        if not run.entity:
            return {run.value}
        thing = self.thing_of(run)
        result: set[str | None] = {run.entity_key}
        if thing is not None:
            result |= set(thing.lines) | self.lines_before.get((thing.kind, thing.key), set())
            result.add(key_of(thing.fields.get(key)))
        return result

    def place(self, before: tuple[str, str], now: int) -> None:
        """Runs of the other track and of a stage that was left."""
        for run in list(self.active):
            measure = run.measure
            if measure.track not in {"any", self.track}:
                target = self.book.by_path.get(measure.handover)
                self.hand_over(run, target, now)
            elif (
                not measure.stages & {"any", self.stage} and not measure.forwards and before[1] != self.stage
            ):
                self.end(run, "stage_left", now)

    def hand_over(self, run: Run, target: Measure | None, now: int) -> None:
        """The measure of the other track goes on in a run's place, or the run stops."""
        fits = (
            target is not None
            and run.active()
            and target.track in {"any", self.track}
            and not any(other.measure is target and other.key == run.key for other in self.runs)
        )
        mail = run.mail
        self.end(run, "handed_over" if fits else "track_changed", now)
        if not fits or target is None:
            return
        step = run.step()
        new = Run(
            target, run.key, now, len(self.runs), run.event, target.entity or run.entity, run.entity_key
        )
        new.number = run.number
        new.let = dict(run.let)
        new.heir_of = run
        new.request = run.request if target.asked_for else None
        new.in_holdout = run.in_holdout
        new.outcomes = dict(run.outcomes)
        new.noted = run.noted
        self.runs_changed = True
        new.decided = set(run.decided)
        if step is not None and mail is not None:
            new.decided.discard(step.id)
        self.runs.append(new)
        self.active.append(new)
        same = [place for place, result in enumerate(target.steps) if step and result.id == step.id]
        new.index = same[0] if same else 0
        if same and step and step.wait is not None:
            self.enter(new, now, since=run.entered)
        else:
            self.enter(new, now)

    def end_waits(self, event: Event, now: int, zone_before: clock.Zone) -> None:
        """Waits for this event end; waits for a date, or for a local time in another zone, are computed anew."""
        for run in list(self.active):
            step = run.step()
            if run.pending or step is None or step.wait is None or run.mail is not None or not run.active():
                continue
            if step.wait_for is not None:
                if step.wait_for.match(event) and self.about(run, step.wait.get("key", ""), event):
                    self.go_on(run, now, "event")
            elif isinstance(step.wait, dict) and "date" in step.wait:
                self.look_up(run, now)
            elif isinstance(step.wait, dict) and self.zone is not zone_before:
                run.until = self.wait_until(run)
                if run.until is not None and run.until <= now:
                    self.go_on(run, now)

    def look_up(self, run: Run, now: int) -> None:
        """Compute a wait for a date anew."""
        step = run.step()
        run.until = self.date_of(run, step.wait) if step else None
        if run.until is None:
            self.end(run, "date_unknown", now)
        elif run.until <= now:
            self.go_on(run, now)

    def go_on(self, run: Run, now: int, outcome: str = "timeout", reason: str = "") -> None:
        """Leave the step at which a run stands."""
        run.mail = None
        self.pass_step(run, outcome, reason)
        self.enter(run, now)

    def pass_step(self, run: Run, outcome: str = "", reason: str = "") -> None:
        """Go to the place behind a step, and note how it ended."""
        step = run.measure.steps[run.index]
        if outcome:
            run.outcomes[step.id] = (outcome, reason)
        run.index = step.behind

    def enter(self, run: Run, now: int, since: int | None = None) -> None:
        """Go through the steps at once until one holds the run."""
        self.moved = True
        while (step := run.step()) is not None and run.active():
            run.entered = now if since is None else since
            since = None
            run.until = None
            if step.when is not None and not step.when.yes(self.view(now, run)):
                self.pass_step(run, "skipped" if step.mail or step.wait is not None else "", "when")
            elif run.heir_of and step.id in run.decided and step.wait is None:
                self.pass_step(run)
            elif step.cases:
                run.index = self.case_of(run, step, now)
            elif step.is_action():
                self.act_for(run, step)
                self.pass_step(run)
            elif step.mail:
                self.decide(run, now)
                return
            elif self.is_held(run, step, now):
                return
        if run.active():
            run.done = True
            self.runs_changed = True
            self.active = [other for other in self.active if other is not run]

    def is_held(self, run: Run, step: Step, now: int) -> bool:
        """Whether a wait holds the run, or stops it because its date is unknown."""
        run.until = self.wait_until(run)
        if step.wait_for is None and run.until is None:
            self.end(run, "date_unknown", now)
            return True
        if run.until is not None and run.until > now:
            return True
        self.pass_step(run, "timeout")
        return False

    def case_of(self, run: Run, step: Step, now: int) -> int:
        """Where a branch leads: the first step of the first case that is yes, else of `else`, else behind it."""
        for when, inside in step.cases:
            if when is None or when.yes(self.view(now, run)):
                return inside[0].index if inside else step.behind
        return step.behind

    def act_for(self, run: Run, step: Step) -> None:
        """Carry out an action: the event that it hands in is applied after what is being applied now."""
        run.decided.add(step.id)
        if run.in_holdout or self.in_history:
            return
        if step.emit is None:
            self.emitted.append(("Consent Withdrawn", {"topic": step.end_topic}))
            return
        properties = {
            name: self.property_of(run, value) for name, value in step.emit.get("properties", {}).items()
        }
        known = {name: value for name, value in properties.items() if value is not None}
        self.emitted.append((step.emit["event"], known))

    def property_of(self, run: Run, value: Any) -> Any:
        """The value of a property that an action hands in."""
        if not isinstance(value, str):
            return value
        first, _, field = value.partition(".")
        if value == "run_id":
            line = run
            while line.heir_of is not None:
                line = line.heir_of
            return f"{line.measure.root}:{line.key}"
        if value in run.let:
            return iso(run.let[value]) if isinstance(run.let[value], int) else run.let[value]
        if field and first == "contact":
            return self.facts.get(field)
        if field and first in {"entity", "event"}:
            thing = self.thing_of(run)
            source = (thing.fields if thing else {}) if first == "entity" else run.event_properties()
            return source.get(field)
        return value

    def wait_until(self, run: Run) -> int | None:
        """When a wait is over."""
        step = run.step()
        wait: Any = step.wait if step else None
        if step is not None and step.table is not None:
            return run.entered + int(step.table(self.view(run.entered, run)))
        if isinstance(wait, str):
            return run.entered + clock.seconds(wait)
        if "for" in wait:
            return run.entered + clock.seconds(wait["at_most"])
        if "until" in wait:
            least = run.entered + clock.seconds(wait.get("at_least", "0s"))
            return clock.Slot(wait["until"]).next(self.zone, least)
        if "moment" in wait:
            time = clock.time_of_day(wait.get("local_time", "00:00"))
            return self.book.moments[wait["moment"]].next(self.zone, run.entered, time)
        if "business" in wait:
            calendar = self.calendar_of(run, wait.get("of"))
            return calendar.after(run.entered, wait["business"]) if calendar else None
        return self.date_of(run, wait)

    def calendar_of(self, run: Run, of: str | None) -> Calendar | None:
        """The calendar of an owner: the one named, or the one whose key or address a fact names."""
        named: Any = of or run.measure.sender
        if named.startswith("contact."):
            named = self.facts.get(named.removeprefix("contact."))
        for name, owner in self.book.owners.items():
            if named in {name, owner["address"]}:
                return self.book.calendars.get(owner.get("calendar", ""))
        return None

    def date_of(self, run: Run, wait: dict[str, Any]) -> int | None:
        """The instant of a wait for a date."""
        name = wait["date"]
        first, _, field = name.partition(".")
        view = self.view(0, run)
        if field and first in view.scope:
            value = (
                typed(view.scope[first].get(field), "instant")
                if not isinstance(view.scope[first].get(field), int)
                else view.scope[first].get(field)
            )
        else:
            value = run.let.get(name, self.facts.get(name))
        if value is None or value == NEVER:
            return None
        moment = int(value) + offset_of(wait)
        if "local_time" in wait:
            return self.zone.instant_of(self.zone.day(moment), clock.time_of_day(wait["local_time"]))
        return moment

    def decide(self, run: Run, now: int) -> None:
        """Decide the mail of the step at which a run stands."""
        step = run.measure.steps[run.index]
        due = step.slot.next(self.zone, now) if step.slot else now
        mail = Mail(run, step, len(self.mails), now, due, due + step.valid_for)
        mail.asked_for = run.request is not None and not run.decided
        run.decided.add(step.id)
        run.mail = mail
        self.mails.append(mail)
        self.waiting.append(mail)
        if step.behind == len(run.measure.steps) and not run.measure.handover:
            run.done = True
            self.runs_changed = True
            self.active = [other for other in self.active if other is not run]

    def next_series(self, now: int) -> None:
        """A series that waits for its turn begins when no other is active."""
        if not self.book.has_series:
            return
        while True:
            series = [run for run in self.active if run.measure.series]
            waiting = [run for run in series if run.pending]
            if not waiting or any(not (run.pending or run.in_holdout) for run in series):
                return
            first = min(waiting, key=lambda run: run.created)
            first.pending = False
            self.enter(first, now)

"""One person's journey: what a minute does, and what an event does."""

import datetime as dt
from typing import Any

from . import clock
from .entities import key_in, newest_about, parts_of
from .person import by_condition
from .rules import NO_EVENTS, Event, Measure, Milestone, Watched
from .runs import Running
from .state import Mail, Merged, Run, speaks_of, was_granted, watched_by
from .values import NEVER, as_list, key_of


class Person(Running):
    """A person to whom minutes and events happen."""

    def minute(self, now: int) -> None:
        """Everything that time alone changes at this minute, judged anew."""
        self.moved = False
        if self.book.has_timed_exits and (self.active or self.waiting):
            self.end_by_conditions(now)
        if any(run.until is not None and run.until <= now for run in self.active):
            self.runs_go_on(now)
        if now in self.moments:
            self.calendar(now, self.moments[now])
        for measure, moment in self.dates:
            if moment == now:
                self.start(measure, now, moment)
        if self.dated_ahead:
            self.dates_of_entities(now)
        if self.silent:
            self.silences(now)
        if self.timed_here:
            self.judge_by_time(now)
        if self.moved:
            self.settle_runs(now)

    def settle_runs(self, now: int) -> None:
        """End and begin all that follows from the runs themselves."""
        for _ in range(len(self.asking) + 1):
            self.end_by_conditions(now)
            self.next_series(now)
            if not self.runs_changed:
                return
            self.runs_changed = False
            for measure in self.asking:
                if self.in_history:
                    self.answers[measure.path] = self.fits(measure) and measure.audience.yes(self.view(now))
                else:
                    self.judge(measure, now, now)

    def dates_of_entities(self, now: int) -> None:
        """Dates of entities that have come; each counts once."""
        for due in [due for due in self.dated_ahead if due[3] <= now]:
            measure, thing, value, moment = due
            self.dated_ahead.remove(due)
            self.dated.add((measure.path, thing.key, value))
            self.start(measure, now, moment, thing=thing, day=self.day_of(value), noted=value)

    def end_moved_dates(self, now: int) -> None:
        """Runs about the date of an entity that has moved to another day end."""
        for run in self.living():
            thing = self.thing_of(run)
            if run.noted is None or thing is None:
                continue
            value = self.date_in(run.measure, thing)
            if value is None or not self.is_same_date(run.noted, value):
                self.end(run, "date_moved", now)

    def hand_in(self, now: int) -> list[Event]:
        """The events that actions have decided, as if a server told them."""
        result = []
        for name, properties in self.emitted:
            self.handed_in += 1
            typed = self.book.type_properties(properties)
            message = f"{self.name}:{self.handed_in}"
            result.append(Event(name, now, now, 0, "measure", message, properties, {}, {}, typed))
        self.emitted = []
        return result

    def judge_by_time(self, now: int) -> None:
        """The condition triggers whose answers time alone may change."""
        view = self.plain
        view.now = now
        for measure in self.timed_here:
            yes = measure.audience.answer(view) is True
            if yes is not self.answers.get(measure.path, False) or (yes and measure.again_after is not None):
                self.judge(measure, now, now)

    def runs_go_on(self, now: int) -> None:
        """The runs whose waits are over."""
        due = [run for run in self.active if run.until is not None and run.until <= now]
        due.sort(key=lambda run: (run.until or 0, run.measure.root, run.key))
        for run in due:
            if run.active():
                self.go_on(run, now)

    def calendar(self, now: int, moments: list[tuple[dt.date, int]]) -> None:
        """Dates with a local time, and schedules, at an instant that is one of the playbook's local times."""
        for measure in self.slotted:
            for day, time in moments:
                if self.comes(measure, day, time):
                    self.start(measure, now, now, day=day.isoformat())
                    break

    def comes(self, measure: Measure, day: dt.date, time: int) -> bool:
        """Whether a local day and time is one of a measure's."""
        if measure.slot is not None:
            return measure.slot.time in {time, None} and measure.slot.allows(day)
        spec = measure.trigger
        if "moment" in spec:
            at = clock.time_of_day(spec.get("local_time", "00:00"))
            return at == time and self.book.moments[spec["moment"]].has(day)
        return clock.time_of_day(spec["local_time"]) == time and day in self.days_of(measure, day)

    def silences(self, now: int) -> None:
        """Entities that have been silent long enough."""
        for measure, thing, quiet in [
            result for result in self.silent if now - result[1].updated >= result[2]
        ]:
            self.silent.remove((measure, thing, quiet))
            self.ringing.add((measure.path, thing.key, thing.updated))
            self.start(measure, now, thing.updated + quiet, thing=thing)

    def judge_conditions(self, now: int) -> None:
        """Ask all condition triggers."""
        for measure in self.book.measures:
            if by_condition(measure):
                self.judge(measure, now, now)

    def judge(self, measure: Measure, now: int, evidence: int) -> None:
        """Ask a condition trigger's audience; a turn to yes, or an allowed re-entry, starts a run."""
        yes = self.fits(measure) and measure.audience.yes(self.view(now))
        before = self.answers.get(measure.path, False)
        self.answers[measure.path] = yes
        if yes and (not before or self.may_enter_again(measure, now)):
            self.start(measure, now, evidence)

    def may_enter_again(self, measure: Measure, now: int) -> bool:
        """Whether the rest, and the gap, since the last start is over."""
        if measure.again_after is None:
            return False
        starts = [run.started for run in self.runs if run.measure is measure]
        if not starts:
            return False
        again_at = max(starts) + max(measure.again_after, measure.gap or 0)
        return self.past.get(measure.path, NEVER) < again_at <= now

    def could_start_again(self, measure: Measure, now: int) -> bool:
        """Whether re-entry would begin a run at this instant."""
        key = self.key_for(measure, None, None, now)
        return (
            key is not None and self.may_enter_again(measure, now) and self.allowed(measure, key, None, now)
        )

    def deliver(self, now: int) -> None:
        """Judge the mails that are due until none is."""
        while due := [mail for mail in self.waiting if mail.due <= now]:
            due.sort(key=lambda mail: (-mail.run.measure.priority, mail.due, mail.number))
            for mail in due:
                if mail.waits():
                    self.guard.judge(mail, now)
                    if not mail.waits() and mail.run.active() and mail.run.mail is mail:
                        self.go_on(mail.run, now, mail.status, mail.reason)
                    self.end_by_conditions(now)
                    if by_condition(mail.run.measure) and not mail.run.active():
                        self.judge(mail.run.measure, now, now)
                    self.settle_runs(now)
            self.next_series(now)

    def apply(self, event: Event, now: int) -> None:
        """Apply one event, in the order of the page."""
        before, zone_before = (self.track, self.stage), self.zone
        counts = {name: set(result) for name, result in self.reached_now().items()}
        silent = {(measure.path, thing.key, thing.updated) for measure, thing, _ in self.silent}
        event.is_dropped = self.asks_for_what_is_granted(event)
        self.remember(event)
        self.lines_before = {
            (thing.kind, thing.key): set(thing.lines)
            for result in self.things.values()
            for thing in result.values()
        }
        self.fold(now)
        self.in_history = event.historic
        if not event.historic:
            self.supersede(event, now)
        self.end_reversed(now)
        self.end_restored(event, now)
        self.end_by_event(event, now)
        self.end_by_conditions(now)
        self.end_moved_dates(now)
        self.place(before, now)
        self.end_waits(event, now, zone_before)
        if event.historic:
            self.take_as_past(event, silent)
        elif event.name == "Ops Send":
            self.send_by_hand(event, now)
        else:
            self.fire(event, before, now, counts)
        self.settle_runs(now)
        self.in_history = False

    def asks_for_what_is_granted(self, event: Event) -> bool:
        """Whether a browser key asks for a topic that the person has granted."""
        if not event.hint or event.name != "Consent Given":
            return False
        asked = [topic for topic in self.book.double if speaks_of(self.book, event, topic)]
        return any(self.consent(topic) == "granted" for topic in asked)

    def take_as_past(self, event: Event, silent: set[tuple[str, str, int]]) -> None:
        """Old data: the answers of conditions and the silences that begin are taken as they are; nothing starts.

        silent: the silences that were ahead before.
        """
        self.milestones(event)
        for measure in self.book.measures:
            if by_condition(measure):
                yes = self.fits(measure) and measure.audience.yes(self.view(self.plain.now))
                self.answers[measure.path] = yes
                if yes and self.could_start_again(measure, event.arrived):
                    self.past[measure.path] = event.arrived
        self.ringing |= {
            (measure.path, thing.key, thing.updated) for measure, thing, _ in self.silent
        } - silent
        self.note_times()
        for measure, thing, value, moment in self.dated_ahead:
            if moment <= event.arrived:
                self.dated.add((measure.path, thing.key, value))
        self.dated_ahead = [due for due in self.dated_ahead if due[3] > event.arrived]

    def send_by_hand(self, event: Event, now: int) -> None:
        """Somebody of the house sends a measure, perhaps once more."""
        measure = self.book.by_path[event.properties["measure"]]
        occasion = event.properties["occasion"]
        if measure.per == "occasion" and not occasion:
            return
        value = occasion if measure.per == "occasion" else ""
        run = Run(measure, value, now, len(self.runs), event, measure.entity, None)
        same = [other for other in self.runs if other.measure is measure and other.value == value]
        again = event.properties["again"]
        if self.refusal(measure, run, now, event.occurred) or (same and not again):
            return
        for other in same if again else ():
            if other.active():
                self.end(other, "superseded", now)
        if same:
            run.key, run.number = f"{value}#ops:{event.properties['request']}", 2
        self.begin(run, now)

    def act(self, name: str, values: dict[str, Any], now: int) -> None:
        """A preference of the person, or that the company writes to the address no more."""
        if name == "$suppress":
            self.suppressed.add(values["scope"])
            return
        if values["kind"] == "pause":
            self.paused_until = now + values["hours"] * 3600 if values["hours"] else 0
        else:
            self.least_gap = values["hours"] * 3600
        for mail in self.waiting:
            if mail.reason in {"own_pause", "own_cap"}:
                mail.due = now

    def supersede(self, event: Event, now: int) -> None:
        """Runs that this event begins anew end."""
        for run in self.living():
            measure = run.measure
            if event.name not in measure.again_on or self.key_for(measure, event, None, now) != run.value:
                continue
            if self.begins(measure, event, now):
                self.end(run, "superseded", now)

    def begins(self, measure: Measure, event: Event, now: int) -> bool:
        """Whether an event of `again_on` begins a run."""
        if (
            measure.trigger_events is None
            or not measure.trigger_events.match(event)
            or not self.fits(measure)
        ):
            return False
        run = Run(measure, "", now, 0, event, measure.entity, self.entity_key(measure, event))
        return self.refusal(measure, run, now, event.occurred) == ""

    def take_over(self, other: "Person", now: int) -> None:
        """Two people turn out to be one: their histories, runs and mails are joined."""
        others = {id(mail) for mail in other.mails}
        their_events = frozenset(
            (event.source, event.message) for events in other.history.values() for event in events
        )
        self.parts.append(
            Merged(now, {topic: other.consent(topic) for topic in self.book.double}, their_events)
        )
        for result in other.history.values():
            for event in result:
                self.remember(event)
        self.first_seen = min(self.first_seen, other.first_seen)
        for run in other.runs:
            run.created += len(self.runs)
        self.runs += other.runs
        self.active += other.active
        self.mails += other.mails
        self.waiting += other.waiting
        self.guard.sent += other.guard.sent
        self.reached |= other.reached
        self.ringing |= other.ringing
        self.dated |= other.dated
        for thing, moment in other.woken.items():
            self.woken[thing] = max(moment, self.woken.get(thing, moment))
        for path, moment in other.past.items():
            self.past[path] = max(moment, self.past.get(path, moment))
        for path, yes in other.answers.items():
            self.answers[path] = self.answers.get(path, False) or yes
        self.keep_one_run(now)
        self.keep_one_mail(others, now)
        places = {(self.track, self.stage), (other.track, other.stage)}
        self.fold(now)
        for before in places - {(self.track, self.stage)}:
            self.place(before, now)
        self.reach_together()

    def reach_together(self) -> None:
        """Milestones that two people have only together are reached by the merge, and start nothing."""
        for result in self.book.milestones:
            if result.entity:
                self.entities_reached(result)
            elif result.nth and len(list(self.all_of(result.of))) >= result.nth:
                self.reached.add((result.name, ""))

    def keep_one_run(self, now: int) -> None:
        """Per measure and key one run stays."""
        kept: dict[tuple[str, str], Run] = {}
        for run in self.runs:
            place = (run.measure.path, run.key)
            kept[place] = max(kept.get(place, run), run, key=staying)
        for run in list(self.active):
            if kept[run.measure.path, run.key] is not run:
                self.end(run, "merged", now)

    def keep_one_mail(self, others: set[int], now: int) -> None:
        """Of one mail that both have, the one that left stays; of two that wait, the survivor's."""
        kept: dict[tuple[str, str, str], Mail] = {}
        for mail in sorted(self.mails, key=lambda mail: (mail.status != "sent", id(mail) in others)):
            if mail.status == "sent" or mail.waits():
                kept.setdefault((mail.run.measure.path, mail.run.key, mail.step.id), mail)
        for mail in list(self.waiting):
            if kept[mail.run.measure.path, mail.run.key, mail.step.id] is not mail:
                self.settle(mail, "cancelled", "merged", now)

    def reached_now(self) -> dict[str, set[str]]:
        """The topics whose consent counts before an event is folded, and those that were granted at any time."""
        topics = self.book.double
        return {
            "consent": {topic for topic in topics if self.consent(topic) == "granted"},
            "granted": {topic for topic in topics if was_granted(self.book, self.history, topic)},
        }

    def fire(self, event: Event, before: tuple[str, str], now: int, counts: dict[str, set[str]]) -> None:
        """The triggers of an event, kind by kind."""
        self.fire_stage(event, before, now)
        self.fire_milestones(event, now)
        for measure in self.book.measures:
            if (
                measure.trigger_events is not None
                and not is_object(measure)
                and measure.trigger_events.match(event)
            ):
                self.start(measure, now, event.occurred, event=event)
        if before[0] == "lead" and self.track == "customer":
            self.fire_earlier_events(event, now)
        for measure in self.book.measures:
            topic = measure.trigger.get("consent") if isinstance(measure.trigger, dict) else None
            if not topic or topic in counts["consent"] or self.consent(topic) != "granted":
                continue
            if topic not in counts["granted"] or measure.again_after is not None:
                self.start(measure, now, event.occurred, event=event)
        self.dates_of_entities(now)
        self.silences(now)
        self.judge_conditions(now)

    def fire_earlier_events(self, event: Event, now: int) -> None:
        """Earlier events of the entity that makes a customer, and of its parts."""
        concerned = {
            (thing.kind, thing.key): thing
            for name in as_list(self.book.conversion["by"])
            if isinstance(name, str) and (kind := self.book.kinds.get(name))
            if event.name in (kind.counts_from or kind.of or NO_EVENTS).names
            for thing in parts_of(kind, key_in(kind, event), self.book, self.things)
        }
        for measure in self.book.measures:
            if measure.track != "customer" or measure.per == "event" or is_object(measure):
                continue
            earlier = [
                (newest.occurred, newest.name, key, thing if name == measure.entity else None, newest)
                for (name, key), thing in concerned.items()
                if measure.entity in {"", None, name, self.book.kinds[name].within} and measure.trigger_events
                for newest in newest_about(self.book.kinds[name], thing, self.book, self.history)
                if newest.name != event.name and measure.trigger_events.match(newest)
            ]
            for occurred, _, _, thing, newest in sorted(earlier, key=lambda start: start[:3]):
                self.start(measure, now, occurred, event=newest, thing=thing)

    def fire_stage(self, event: Event, before: tuple[str, str], now: int) -> None:
        """The triggers of a stage that was entered, not of one to which the person fell back."""
        if before == (self.track, self.stage) or (before[0] == "customer") > (self.track == "customer"):
            return
        order = [name for name, _ in self.book.stages[self.track]]
        if (
            before[0] == self.track
            and before[1] in order
            and order.index(before[1]) > order.index(self.stage)
        ):
            return
        for measure in self.book.measures:
            if isinstance(measure.trigger, dict) and measure.trigger.get("stage") == self.stage:
                self.start(measure, now, event.occurred, event=event)

    def fire_milestones(self, event: Event, now: int) -> None:
        """The triggers of milestones that were reached, each once."""
        reached = self.milestones(event)
        for measure in self.book.measures:
            name = measure.trigger.get("milestone") if isinstance(measure.trigger, dict) else None
            if name in reached:
                self.start(measure, now, event.occurred, event=event, milestone_key=reached[name])

    def milestones(self, event: Event) -> dict[str, str]:
        """The milestones that this event reaches, with their keys."""
        names: dict[str, str] = {}
        for result in self.book.milestones:
            if result.entity:
                names |= self.entities_reached(result)
                continue
            hit = result.of is not None and result.of.match(event)
            if hit and result.nth:
                hit = len(list(self.all_of(result.of))) >= result.nth
            key = (key_of(event.properties.get(result.per)) or event.message) if result.per else ""
            if hit and (result.name, key) not in self.reached:
                self.reached.add((result.name, key))
                names[result.name] = key
        return names

    def entities_reached(self, result: Milestone) -> dict[str, str]:
        """A milestone over entities and its key, where it is reached: at the nth that stands, else once per key."""
        standing = [thing.key for thing in self.things[result.entity].values() if thing.counts()]
        reached = [""] if result.nth and len(standing) >= result.nth else []
        new = {(result.name, key) for key in (reached if result.nth else standing)} - self.reached
        self.reached |= new
        return dict(new)

    def object_event(self, watched: Watched, event: Event, now: int) -> None:
        """An object's event that wakes who watches the object."""
        key = key_of(event.properties.get(watched.key)) or ""
        meant = [
            measure
            for measure in self.book.measures
            if is_object(measure)
            and measure.trigger["object"] == watched.name
            and measure.trigger_events
            and measure.trigger_events.match(event)
        ]
        titles = {title for measure in meant for title in measure.trigger.get("watchers", [])}
        watches = {
            title: watched_by(entry, self.history, key, now, self.woken)
            for title, entry in {"": watched, **watched.lists}.items()
            if title == "" or title in titles
        }
        for measure in meant:
            mine = {title: watches[title] for title in measure.trigger.get("watchers", [""])}
            asked = [watch for title, watch in mine.items() if watch and title not in self.standing(watched)]
            if any(mine.values()):
                request = asked[0] if asked else None
                self.start(measure, now, event.occurred, event=event, request=request)

    @staticmethod
    def standing(watched: Watched) -> set[str]:
        """The lists on which people stay when they were told."""
        return {title for title, entry in watched.lists.items() if entry.standing}


def staying(run: Run) -> tuple[bool, int, int, int]:
    """Which of two runs of a key stays when people are merged: the greater one."""
    return not run.active(), len(run.decided), run.index, -run.started


def is_object(measure: Measure) -> bool:
    """Whether an object's event is the trigger."""
    return isinstance(measure.trigger, dict) and "object" in measure.trigger

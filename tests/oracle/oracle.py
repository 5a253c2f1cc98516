"""Simulate a playbook on a history, minute by minute, and say which mails it decides."""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from . import clock
from .journey import Person
from .person import Moments, is_moment
from .rules import Event, Playbook
from .state import Mail
from .values import TRUSTED, instant, iso, key_of


def simulate(
    folder: Path, history: dict[str, Any], in_holdout: frozenset[tuple[str, str]] = frozenset()
) -> list[dict[str, Any]]:
    """The mails that a playbook decides. `in_holdout`: people and measures that the engine's hash chose."""
    world = World(Playbook(folder), in_holdout)
    world.run(history)
    return world.mails()


class World:
    """All people, all objects and the clock."""

    def __init__(self, book: Playbook, in_holdout: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.book = book
        self.in_holdout = in_holdout
        self.objects: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in book.watched}
        self.people: list[Person] = []
        self.by_identity: dict[str, Person] = {}
        self.known: set[tuple[str, str]] = set()
        self.moments: dict[str, Moments] = {}
        self.times = sorted(local_times(book))
        self.span = (0, 0)
        self.number = 0

    def run(self, history: dict[str, Any]) -> None:
        """Step from the first to the last minute."""
        start, until = instant(history["start"]) or 0, instant(history["until"]) or 0
        self.span = (start, until)
        arriving: dict[int, list[dict[str, Any]]] = {}
        for entry in history["events"]:
            arriving.setdefault((instant(entry["received_at"]) or 0) // 60 * 60, []).append(entry)
        for now in range(start, until + 1, 60):
            for person in self.people:
                person.minute(now)
            self.hand_in(now)
            for entry in arriving.get(now, ()):
                self.receive(entry, now)
                self.hand_in(now)
            for person in self.people:
                if person.waiting:
                    person.deliver(now)
            self.hand_in(now)

    def hand_in(self, now: int) -> None:
        """Apply the events that actions have handed in, and deliver what follows."""
        for person in [person for person in self.people if person.emitted]:
            while person.emitted:
                for event in person.hand_in(now):
                    person.apply(event, now)

    def moments_in(self, zone: clock.Zone) -> Moments:
        """The instants of the playbook's local times in a zone."""
        if zone.name not in self.moments:
            result: Moments = {}
            first, last = (zone.day(moment) for moment in self.span)
            for ahead in range(-1, (last - first).days + 2):
                day = first + dt.timedelta(days=ahead)
                for time in self.times:
                    result.setdefault(zone.instant_of(day, time), []).append((day, time))
            self.moments[zone.name] = result
        return self.moments[zone.name]

    def receive(self, entry: dict[str, Any], now: int) -> None:
        """One event arrives."""
        source, message = entry.get("source", "server"), str(entry["message_id"])
        if (source, message) in self.known:
            return
        self.known.add((source, message))
        if entry["name"].startswith("$"):
            self.by_identity[entry["who"]].act(entry["name"], entry["properties"], now)
            return
        self.number += 1
        properties = entry.get("properties") or {}
        event = Event(
            name=entry["name"],
            occurred=min(instant(entry["occurred_at"]) or now, now),
            arrived=now,
            number=self.number,
            source=source,
            message=message,
            properties=properties,
            traits=entry.get("traits") or {},
            context=entry.get("context") or {},
            typed=self.book.type_properties(properties),
            historic=entry.get("historic", False),
            hint=entry.get("hint", False),
        )
        self.update_objects(event, now)
        if entry.get("who"):
            self.person(entry["who"], event).apply(event, now)

    def update_objects(self, event: Event, now: int) -> None:
        """An object's event sets its fields and wakes who watches it."""
        for name, watched in self.book.watched.items():
            key = key_of(event.properties.get(watched.key))
            if event.name in watched.of and key:
                self.objects[name].setdefault(key, {}).update(event.properties)
                for person in self.people if event.name in watched.wakes else ():
                    person.object_event(watched, event, now)

    def person(self, who: Any, event: Event) -> Person:
        """The person of an event; an address and a user id entry together by a trusted source are one."""
        names = identities(who)
        known = list(dict.fromkeys(self.by_identity[name] for name in names if name in self.by_identity))
        if len(known) > 1 and event.source not in TRUSTED:
            known, names = known[:1], names[:1]
        if not known:
            person = Person(self.book, self.objects, names[0], self.moments_in)
            person.first_seen = event.occurred
            person.in_holdout = self.in_holdout
            self.people.append(person)
            known = [person]
        survivor = min(known, key=lambda person: (not person.user, person.first_seen))
        for other in known:
            if other is not survivor:
                self.merge(survivor, other, event.arrived)
        for name in names:
            self.by_identity[name] = survivor
            if name.startswith("id:"):
                survivor.user = name
            else:
                survivor.address = survivor.name = name
        return survivor

    def merge(self, survivor: Person, other: Person, now: int) -> None:
        """Two people turn out to be one."""
        self.people.remove(other)
        for name, person in self.by_identity.items():
            if person is other:
                self.by_identity[name] = survivor
        survivor.take_over(other, now)

    def mails(self) -> list[dict[str, Any]]:
        """All mails that were decided."""
        result = [(person, mail) for person in self.people for mail in person.mails]
        return [line(person, mail) for person, mail in result]


def identities(who: Any) -> list[str]:
    """An event's identities: addresses as they are, user ids with `id:`."""
    if isinstance(who, dict):
        result = [who.get("email"), f"id:{who['user_id']}" if who.get("user_id") else None]
        return [name for name in result if name]
    return [who]


def line(person: Person, mail: Mail) -> dict[str, Any]:
    """One mail as the comparison wants it."""
    return {
        "who": person.name,
        "measure": mail.run.measure.root,
        "step": mail.step.id,
        "status": mail.status,
        "reason": mail.reason,
        "at": iso(mail.at or mail.due),
    }


def local_times(book: Playbook) -> set[int]:
    """The local times at which a date or a schedule may come."""
    result = set()
    for measure in book.measures:
        if measure.slot is not None:
            result.add(measure.slot.time or 0)
        elif is_moment(measure):
            result.add(clock.time_of_day(measure.trigger.get("local_time", "00:00")))
        elif (
            isinstance(measure.trigger, dict)
            and "date" in measure.trigger
            and "local_time" in measure.trigger
        ):
            result.add(clock.time_of_day(measure.trigger["local_time"]))
    return result


def main() -> None:
    """Print the mails of a playbook on a history, one JSON line each."""
    folder, history = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8"))
    for result in simulate(folder, history):
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

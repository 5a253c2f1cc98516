"""Entities: what a person's history says about their things, folded anew from the whole of it.

Each mark of an entity only grows, so the order in which events arrived plays no part here.
"""

import dataclasses
import decimal
import fractions
from typing import Any

from .rules import Event, Kind, Playbook, Rank
from .values import NEVER, TRUSTED, key_of, money, typed

History = dict[str, list[Event]]
ZERO = decimal.Decimal(0)
NO_PART = fractions.Fraction(0)
CENT = fractions.Fraction(1, 100)


@dataclasses.dataclass(slots=True)
class Thing:
    """One entity of a person."""

    kind: str
    key: str
    rank: Rank
    opened: int
    updated: int
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    counted: int | None = None
    closed: bool = False
    reversed_at: int | None = None
    restored_at: int = NEVER
    amount: decimal.Decimal | None = None
    currency: str | None = None
    given_back: fractions.Fraction = NO_PART
    lines: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    told_lines: frozenset[str] = frozenset()
    times: list[int] = dataclasses.field(default_factory=list)
    may_be_empty: bool = False
    resting: bool = False
    typed: dict[str, Any] | None = None

    @property
    def reversed(self) -> bool:
        """Whether it was taken back."""
        return self.reversed_at is not None

    def take_back(self, moment: int) -> None:
        """It is reversed from the earliest instant on."""
        self.reversed_at = moment if self.reversed_at is None else min(self.reversed_at, moment)

    def is_open(self) -> bool:
        """Neither closed, reversed nor at rest, and its list, where it has one, not empty."""
        empty = self.may_be_empty and not self.lines
        return not (self.closed or self.reversed or self.resting or empty)

    def counts(self) -> bool:
        """Whether it counts in facts."""
        return self.counted is not None and not self.reversed


Things = dict[str, dict[str, Thing]]


def fold_entities(book: Playbook, history: History) -> Things:
    """All entities of a person, kind by kind; kinds that read other kinds come after these."""
    things: Things = {}
    waiting = list(book.kinds.values())
    while waiting:
        ready = [kind for kind in waiting if needs(kind) <= set(things)]
        for kind in ready or waiting:
            things[kind.name] = Folder(book, kind, history, things).fold()
            if not kind.of_lines:
                rest(kind, things[kind.name])
        waiting = [kind for kind in waiting if kind.name not in things]
    return things


def rest(kind: Kind, things: dict[str, Thing]) -> None:
    """One whose newest event is too long before the newest of its kind is at rest."""
    newest = max((thing.updated for thing in things.values()), default=0)
    for thing in things.values():
        thing.resting = newest - thing.updated > kind.remember


def needs(kind: Kind) -> set[str]:
    """The kinds that must be folded before."""
    needed = {name for name in (kind.of_lines, kind.within) if name}
    return needed | set(kind.lines.removed_by_lines if kind.lines else ())


def key_in(kind: Kind, event: Event) -> str | None:
    """The key that an event names: of several properties the first that it has."""
    return next((key for name in kind.key if (key := key_of(event.properties.get(name)))), None)


def parents_in(parent: Kind | None, thing: Thing) -> set[str]:
    """The keys of the parent that an entity names."""
    names = parent.key if parent else ()
    return {key for name in names if (key := key_of(thing.fields.get(name)))}


def parts_of(kind: Kind, key: str | None, book: Playbook, things: Things) -> list[Thing]:
    """The entity of a key and the parts within it."""
    if key is None or key not in things[kind.name]:
        return []
    parts = [
        thing
        for part in book.kinds.values()
        if part.within == kind.name
        for thing in things[part.name].values()
        if key in parents_in(kind, thing)
    ]
    return [things[kind.name][key], *parts]


def newest_about(kind: Kind, thing: Thing, book: Playbook, history: History) -> list[Event]:
    """The newest event of each name about an entity, with the fields of the entity as its properties."""
    folder = Folder(book, kind, history, {})
    result = []
    for name in kind.of.names if kind.of else ():
        about = [event for event in folder.named([name]) if folder.own_key(event) == thing.key]
        if about:
            typed_fields = book.type_properties(thing.fields)
            result.append(dataclasses.replace(about[-1], properties=dict(thing.fields), typed=typed_fields))
    return result


class Folder:
    """Folds the entities of one kind."""

    def __init__(self, book: Playbook, kind: Kind, history: History, things: Things) -> None:
        self.book = book
        self.kind = kind
        self.history = history
        self.things = things
        self.parent = book.kinds.get(kind.within)
        self.entries: dict[str, list[Event]] = {}

    def fold(self) -> dict[str, Thing]:
        """All entities of the kind."""
        kind = self.kind
        if kind.of_lines:
            return self.over_lines(self.things[kind.of_lines])
        entry: dict[str, list[Event]] = {}
        for event in self.named(kind.of.names if kind.of else ()):
            if (
                kind.of is not None
                and kind.of.match(event)
                and (key := self.own_key(event) or self.made_key(event))
            ):
                entry.setdefault(key, []).append(event)
        self.entries = entry
        result = {key: self.thing(key, events) for key, events in entry.items() if self.stands(key, entry)}
        self.close(result)
        if kind.lines and not kind.lines.inside:
            for thing in result.values():
                self.single_lines(thing)
        for thing in result.values():
            self.take_back(thing)
        return result

    def named(self, names: Any) -> list[Event]:
        """Events of these names by the instant at which they occurred."""
        result = [event for name in names for event in self.history.get(name, ())]
        return sorted(result, key=lambda event: (event.occurred, event.message))

    def own_key(self, event: Event) -> str | None:
        """An event's key; for a part that names only its parent, the parent's."""
        return key_in(self.kind, event) or (key_in(self.parent, event) if self.parent else None)

    def made_key(self, event: Event) -> str | None:
        """The message id as the key of what counts without one."""
        kind = self.kind
        counts = kind.counts_from is None or kind.counts_from.match(event)
        return event.message if kind.keyless and counts else None

    def stands(self, key: str, entry: dict[str, list[Event]]) -> bool:
        """Whether it is more than a placeholder: one named by its parent gives way to a part with its own key."""
        if self.parent is None or any(key_in(self.kind, event) for event in entry[key]):
            return True
        parts = [event for events in entry.values() for event in events if key_in(self.kind, event)]
        return not any(key_in(self.parent, event) == key for event in parts)

    def thing(self, key: str, events: list[Event]) -> Thing:
        """One entity from its events, the oldest first."""
        kind = self.kind
        counting = [event for event in events if kind.counts_from is None or kind.counts_from.match(event)]
        first = counting[0] if counting else events[0]
        thing = Thing(kind.name, key, first.rank, events[0].occurred, events[-1].occurred)
        thing.counted = counting[0].occurred if counting else None
        thing.may_be_empty = kind.lines is not None and not kind.lines.inside
        for event in events:
            thing.fields.update(self.own_fields(event))
        self.lists_in(thing, events)
        thing.told_lines = frozenset(thing.lines)
        self.amount(thing, events)
        return thing

    def own_fields(self, event: Event) -> dict[str, Any]:
        """The properties that are the entity's own; those of an event about one line are the line's."""
        lines, fields = self.kind.lines, event.properties
        if lines is not None and event.name in lines.added_by | lines.removed_by:
            own = {*self.kind.key, *(self.parent.key if self.parent else ()), "currency"}
            fields = {name: fields[name] for name in own if name in fields}
        return {name: value for name, value in fields.items() if name != "currency" or currency_of(fields)}

    def lists_in(self, thing: Thing, events: list[Event]) -> None:
        """Take over the lists that events carry; those of a browser key only where nobody else has told one."""
        counts_from = self.kind.counts_from
        lists = [(event, rows) for event in events if (rows := self.rows_in(event))]
        counted = [(event, rows) for event, rows in lists if not event.hint] or lists
        since = max(
            (event.occurred for event, _ in counted if counts_from is None or not counts_from.match(event)),
            default=NEVER,
        )
        for event, rows in counted:
            if event.occurred >= since:
                thing.lines.update(rows)

    def rows_in(self, event: Event) -> dict[str, dict[str, Any]]:
        """The lines of an event's list by their keys; without a list the event may be one line itself."""
        lines = self.kind.lines
        if lines is None or not lines.inside:
            return {}
        rows = event.properties.get(lines.inside)
        if not isinstance(rows, list):
            rows = [event.properties] if key_of(event.properties.get(lines.key)) else []
        result: dict[str, dict[str, Any]] = {}
        for row in rows:
            key = key_of(row.get(lines.key)) if isinstance(row, dict) else None
            if key in result:
                result[key] = {**row, "quantity": quantity(result[key]) + quantity(row)}
            elif key is not None:
                result[key] = dict(row)
        return result

    def amount(self, thing: Thing, events: list[Event]) -> None:
        """Its money, from the newest event that names it; else what its lines cost."""
        name = self.kind.amount
        newest = newest_naming(events, name) if name else None
        if newest:
            thing.amount = money(newest.properties.get(name))
            thing.currency = currency_of(newest.properties)
        elif name and thing.lines:
            thing.amount = total([cost(line) for line in thing.lines.values()])
            thing.currency = currency_of(thing.fields)
        if thing.amount is not None and not thing.currency:
            thing.currency = currency_of(thing.fields) or next(iter(self.book.currencies), "")

    # ---- closing

    def close(self, result: dict[str, Thing]) -> None:
        """Close by key for ever, else unless it was updated after the closing."""
        for event in self.named(self.kind.closed_by):
            how, key = self.kind.closed_by[event.name], key_in(self.kind, event)
            for thing in result.values():
                names_none = key is None and (self.parent is None or key_in(self.parent, event) is None)
                if how == "all" or names_none:
                    thing.closed = thing.closed or thing.updated <= event.occurred
                elif key is not None:
                    thing.closed = thing.closed or thing.key == key
                elif self.parent is not None and key_in(self.parent, event) in self.parents(thing):
                    thing.closed = thing.closed or thing.updated <= event.occurred

    def parents(self, thing: Thing) -> set[str]:
        """The keys of the parent that an entity names."""
        return parents_in(self.parent, thing)

    # ---- a list to which events add

    def single_lines(self, thing: Thing) -> None:
        """The lines that the newest event about them did not remove."""
        lines = self.kind.lines
        if lines is None:
            return
        newest: dict[str, tuple[tuple[int, str], Event]] = {}
        for event in self.named(lines.added_by | lines.removed_by):
            line = key_of(event.properties.get(lines.key))
            if line is not None and key_in(self.kind, event) == thing.key:
                newest[line] = ((event.occurred, event.message), event)
        for line, ((moment, _), event) in newest.items():
            if event.name in lines.added_by and not self.bought(line, moment) and not self.swept(moment):
                thing.lines[line] = dict(event.properties)

    def bought(self, line: str, since: int) -> bool:
        """Whether an entity that told that line, or no line at all, counted at or after an instant."""
        return any(
            thing.counted is not None
            and thing.counted >= since
            and (line in thing.told_lines or not thing.told_lines)
            for other in (self.kind.lines.removed_by_lines if self.kind.lines else ())
            for thing in self.things[other].values()
        )

    def swept(self, since: int) -> bool:
        """Whether a closing without a key came at or after an instant."""
        return any(
            event.occurred >= since
            for event in self.named(self.kind.closed_by)
            if self.kind.closed_by[event.name] == "all" or key_in(self.kind, event) is None
        )

    # ---- reversal

    def take_back(self, thing: Thing) -> None:
        """Reverse it by a cancellation, by refunds that reach its amount, or with its parent."""
        kind = self.kind
        thing.restored_at = max(
            (event.occurred for event in self.named(kind.restored_by) if key_in(kind, event) == thing.key),
            default=NEVER,
        )
        single: dict[str, tuple[Event, str]] = {}
        sums: dict[str, tuple[Event, str]] = {}
        for event in self.named(kind.reversed_by):
            if key_in(kind, event) != thing.key:
                continue
            amount, part_key = kind.reversed_by[event.name]
            if not amount:
                if event.occurred >= thing.restored_at:
                    thing.take_back(event.occurred)
                continue
            name = key_of(event.properties.get(part_key)) or f"#{event.message}"
            if event.properties.get("cumulative") is not True:
                single[name] = (event, amount)
            elif name not in sums or self.size(event, amount) >= self.size(*sums[name]):
                sums[name] = (event, amount)
        refunds = [*(single[name] for name in single if name not in sums), *sums.values()]
        self.refund_all(thing, sorted(refunds, key=lambda refund: refund[0].rank))
        if self.parent is not None:
            parents = self.things[self.parent.name]
            for key in self.parents(thing):
                moment = parents[key].reversed_at if key in parents else None
                if moment is not None:
                    thing.take_back(moment)

    @staticmethod
    def size(event: Event, name: str) -> decimal.Decimal:
        """How much a sum of refunds tells."""
        return abs(money(event.properties.get(name)) or ZERO)

    def refund_all(self, thing: Thing, refunds: list[tuple[Event, str]]) -> None:
        """Give back the sum of the single refunds, or the greatest sum that was told, whichever is more."""
        own = largest = NO_PART
        whole = max((self.whole(thing, name) or ZERO for _, name in refunds), default=ZERO)
        for event, name in refunds:
            part = self.refund(thing, event, name)
            if event.properties.get("cumulative") is True:
                largest = max(largest, part)
            else:
                own += part
            thing.given_back = min(max(own, largest), fractions.Fraction(1))
            if thing.given_back and (1 - thing.given_back) * fractions.Fraction(whole) <= CENT:
                thing.take_back(event.occurred)

    def whole(self, thing: Thing, name: str) -> decimal.Decimal | None:
        """The total of which a refund that names this property is a part."""
        events = self.entries.get(thing.key, [])
        total = newest_naming(events, name)
        amount = newest_naming(events, self.kind.amount)
        if total is None or (amount is not None and strength(amount) > strength(total)):
            return thing.amount
        return money(total.properties.get(name))

    def refund(self, thing: Thing, event: Event, name: str) -> fractions.Fraction:
        """Give back a part, or all of it; the share is returned."""
        properties = event.properties
        currency = currency_of(properties)
        if currency and thing.currency and currency != thing.currency:
            return NO_PART
        rows = self.products(properties)
        part = money(properties.get(name))
        whole = properties.get("full")
        if whole is True or (part is None and not rows and whole is not False):
            thing.take_back(event.occurred)
            return fractions.Fraction(1)
        own = (
            total([cost({**thing.lines.get(key, {}), **row}) for key, row in rows.items()]) if rows else None
        )
        part = None if part is None else abs(part)
        if part is None or own is None or part >= own:
            for key, row in rows.items():
                self.less(thing, key, row)
        whole = thing.amount if part is None else self.whole(thing, name)
        value = own or ZERO if part is None else part
        return fractions.Fraction(value) / fractions.Fraction(whole) if whole else NO_PART

    def products(self, properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The lines that a refund names."""
        lines = self.kind.lines
        rows = properties.get(lines.inside) if lines and lines.inside else None
        result = {}
        for row in rows if isinstance(rows, list) else ():
            key = key_of(row.get(lines.key)) if lines and isinstance(row, dict) else None
            if key is not None:
                result[key] = row
        return result

    @staticmethod
    def less(thing: Thing, key: str, row: dict[str, Any]) -> None:
        """Take a refunded product out of the lines."""
        line = thing.lines.get(key)
        if line is None:
            return
        left = quantity(line) - quantity(row)
        if left > 0:
            thing.lines[key] = {**line, "quantity": left}
        else:
            del thing.lines[key]

    # ---- entities of lines

    def over_lines(self, outers: dict[str, Thing]) -> dict[str, Thing]:
        """One for each line key over the entities that stand."""
        kind = self.kind
        result: dict[str, Thing] = {}
        for outer in sorted(
            (thing for thing in outers.values() if thing.counts()), key=lambda thing: thing.rank
        ):
            moment = outer.counted or 0
            for line in outer.lines.values():
                key = next((key for name in kind.key if (key := key_of(line.get(name)))), None)
                if key is None:
                    continue
                thing = result.setdefault(
                    key, Thing(kind.name, key, outer.rank, moment, moment, counted=moment)
                )
                thing.updated = moment
                thing.fields.update(line)
                thing.times.append(moment)
        for thing in result.values():
            thing.fields |= {"times": len(thing.times), "last_at": thing.updated}
            if kind.due:
                thing.fields["due_at"] = thing.updated + interval(thing.times, *kind.due)
        return result


def quantity(line: dict[str, Any]) -> int:
    """How many; missing is one."""
    result: int | None = typed(line.get("quantity"), "integer")
    return 1 if result is None else max(result, 0)


def newest_naming(events: list[Event], name: str) -> Event | None:
    """The newest event that names an amount; a browser key's only while nobody else has named one."""
    naming = [event for event in events if money(event.properties.get(name)) is not None]
    return max(naming, key=strength, default=None)


def strength(event: Event) -> tuple[bool, int, str]:
    """Which of two words about an amount counts: the greater."""
    return event.source in TRUSTED, event.occurred, event.message


def cost(line: dict[str, Any]) -> decimal.Decimal | None:
    """The price of a line."""
    price = money(line.get("price"))
    return None if price is None else price * quantity(line)


def currency_of(properties: dict[str, Any]) -> str:
    """The currency, in capitals."""
    currency = properties.get("currency")
    return currency.strip().upper()[:8] if isinstance(currency, str) else ""


def total(costs: list[decimal.Decimal | None]) -> decimal.Decimal | None:
    """The sum, where each part is known."""
    known = [part for part in costs if part is not None]
    return sum(known, ZERO) if len(known) == len(costs) else None


def interval(times: list[int], usual: int, weight: int) -> int:
    """The person's own interval, drawn toward the usual one."""
    return int((weight * usual + max(times) - min(times)) / (weight + len(times) - 1))


def last_at(things: dict[str, Thing]) -> int:
    """The instant of the newest event of any."""
    return max((thing.updated for thing in things.values()), default=NEVER)

"""Facts: folded anew from the whole history, by the instants at which events occurred."""

import decimal
import fractions
from typing import Any

from .clock import zone
from .conditions import View
from .entities import (
    ZERO,
    History,
    Thing,
    Things,
    cost,
    currency_of,
    fold_entities,
    interval,
    last_at,
    quantity,
)
from .rules import Event, Events, Playbook, Rank
from .values import NEVER, UNKNOWN, as_list, seconds, typed

Row = tuple[int, Rank, dict[str, Any]]


def fold_facts(book: Playbook, history: History) -> tuple[dict[str, Any], Things]:
    """All facts of a person, and their entities."""
    things = fold_entities(book, history)
    facts: dict[str, Any] = {
        "#count": {name: len(result) for name, result in history.items()},
        "#last": {name: result[-1].occurred for name, result in history.items() if result},
        "#first": {name: result[0].occurred for name, result in history.items() if result},
    }
    for name, result in things.items():
        facts[f"{name}.open"] = sum(1 for thing in result.values() if thing.is_open())
        facts[f"{name}.ever"] = sum(1 for thing in result.values() if thing.counts())
        facts[f"{name}.last_at"] = last_at(result)
    source = Source(book, history, things)
    for name, spec in book.facts.items():
        fold = next(FOLDS[word] for word in FOLDS if word in spec)
        facts.update(fold(source, name, spec))
    if book.personas:
        facts["persona"] = persona(book, history)
    return facts, things


class Source:
    """The events and entities that facts are folded from."""

    def __init__(self, book: Playbook, history: History, things: Things) -> None:
        self.book = book
        self.history = history
        self.things = things
        traited = [event for result in history.values() for event in result if event.traits]
        self.entry = sorted(traited, key=lambda event: event.rank)

    def rows(self, of: Any) -> list[Row]:
        """The events, entities or lines that a fact is of, in the order of their instants."""
        result: list[Row] = []
        for part in as_list(of):
            result += self.part(part)
        return sorted(result, key=lambda row: row[:2])

    def part(self, of: Any) -> list[Row]:
        """The rows of one named thing."""
        where = None
        if isinstance(of, dict) and "event" not in of:
            where, of = of.get("where"), of["entity"] if "entity" in of else of["lines"] + ".lines"
        if isinstance(of, str) and of in self.things:
            return self.entities(of, where)
        if isinstance(of, str) and of.endswith(".lines") and of.split(".")[0] in self.things:
            return self.lines(of.split(".")[0], where)
        events = self.book.events(of)
        return [
            (event.occurred, event.rank, event.properties)
            for name in events.names
            for event in self.history.get(name, ())
            if events.match(event)
        ]

    def entities(self, kind: str, where: Any) -> list[Row]:
        """The entities of a kind that count."""
        rows = []
        for thing in standing(self.things[kind]):
            fields = self.book.type_properties(thing.fields)
            if self.fits(where, fields, thing.updated):
                rows.append((thing.counted or 0, thing.rank, {**thing.fields, "#thing": thing}))
        return rows

    def lines(self, kind: str, where: Any) -> list[Row]:
        """The lines of the entities of a kind that count."""
        rows = []
        for thing in standing(self.things[kind]):
            for entry in thing.lines.values():
                line = {**entry, "quantity": quantity(entry), "amount": cost(entry)}
                fields = self.book.type_properties(line)
                if self.fits(where, fields, thing.updated):
                    rows.append((thing.counted or 0, thing.rank, line))
        return rows

    def fits(self, where: Any, fields: dict[str, Any], moment: int) -> bool:
        """Whether the fields of an entity or a line answer yes."""
        if where is None:
            return True
        return self.book.where(where).yes(View({}, moment, zone("UTC"), {"event": fields}))

    def is_in_first_currency(self, properties: dict[str, Any]) -> bool:
        """Whether an event names the brand's first currency, or none."""
        return not self.book.currencies or currency_of(properties) in {"", self.book.currencies[0]}

    def type_of(self, spec: dict[str, Any], name: str, default: str) -> str:
        """The type of a folded property."""
        return spec.get("type") or self.book.properties.get(name) or default


def fold_count(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """How many; with `within`, their instants, of which a condition counts the newest."""
    rows = source.rows(spec["count"])
    if "within" not in spec:
        return {name: len(rows)}
    return {name: tuple(row[0] for row in rows)[-spec.get("keep", 1000) :]}


def values_of(source: Source, spec: dict[str, Any], word: str, default: str) -> list[tuple[int, Any]]:
    """The known values of a property, each with its instant."""
    kind = source.type_of(spec, spec[word], default)
    result = [
        (row[0], typed(row[2].get(spec[word]), kind, spec.get("scale", 2))) for row in source.rows(spec["of"])
    ]
    return [(moment, value) for moment, value in result if value is not None]


def fold_sum(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A sum; of an entity's amount one for each currency."""
    of = spec["of"]
    kind = source.book.kinds.get(
        of if isinstance(of, str) else of.get("entity", "") if isinstance(of, dict) else ""
    )
    if kind and kind.amount and spec["sum"] in {"amount", kind.amount}:
        return sum_by_currency(source, name, spec)
    if source.type_of(spec, spec["sum"], "decimal") == "integer":
        return {name: sum(value for _, value in values_of(source, spec, "sum", "decimal"))}
    rows = [row for row in source.rows(spec["of"]) if source.is_in_first_currency(row[2])]
    amounts = [typed(row[2].get(spec["sum"]), "decimal", spec.get("scale", 2)) for row in rows]
    return {name: sum((amount for amount in amounts if amount is not None), ZERO)}


def sum_by_currency(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The amounts of the entities that count, without what was refunded, per currency of the brand."""
    currencies = source.book.currencies
    sums = dict.fromkeys(currencies, ZERO)
    for _, _, fields in source.rows(spec["of"]):
        thing = fields["#thing"]
        currency = thing.currency or currency_of(fields) or (currencies[0] if currencies else "")
        if thing.amount is not None and currency in sums:
            cents = round(fractions.Fraction(thing.amount) * 100 * (1 - thing.given_back))
            sums[currency] += (
                typed(str(decimal.Decimal(cents) / 100), "decimal", spec.get("scale", 2)) or ZERO
            )
    result: dict[str, Any] = {f"{name}.{currency}": value for currency, value in sums.items()}
    if len(currencies) == 1:
        result[name] = sums[currencies[0]]
    return result


def standing(things: dict[str, Thing]) -> list[Thing]:
    """The entities that count, and are not reversed."""
    return [thing for thing in things.values() if thing.counts()]


def fold_min(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The smallest value."""
    return {name: min((value for _, value in values_of(source, spec, "min", "decimal")), default=UNKNOWN)}


def fold_max(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The largest value."""
    return {name: max((value for _, value in values_of(source, spec, "max", "decimal")), default=UNKNOWN)}


def fold_first(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The instant of the first."""
    rows = source.rows(spec["first"])
    return {name: rows[0][0] if rows else NEVER}


def fold_last(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The instant of the last."""
    rows = source.rows(spec["last"])
    return {name: rows[-1][0] if rows else NEVER}


def fold_latest(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The value in the newest event that has the property, also where it is of a wrong type."""
    kind = source.type_of(spec, spec["latest"], "text")
    rows = [row for row in source.rows(spec["of"]) if spec["latest"] in row[2]]
    return {name: typed(rows[-1][2][spec["latest"]], kind, spec.get("scale", 2)) if rows else UNKNOWN}


def fold_set(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The different values, of which the ones seen last are kept, of one instant the greater."""
    newest: dict[str, int] = {}
    for moment, value in values_of(source, {**spec, "type": "text"}, "set", "text"):
        newest[value] = max(newest.get(value, moment), moment)
    kept = sorted(newest, key=lambda value: (newest[value], value))
    return {name: tuple(kept)[-spec.get("keep", 1000) :]}


def fold_ever(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """True once so many fell within one span."""
    times = [row[0] for row in source.rows(spec["ever"])]
    least = spec.get("at_least", 1)
    span = seconds(spec["within"]) if "within" in spec else 10**12
    pairs = zip(times, times[least - 1 :], strict=False)
    return {name: any(end - start <= span for start, end in pairs)}


def fold_trait(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The newest trait that was entry."""
    for event in reversed(source.entry):
        if spec["trait"] not in event.traits:
            continue
        value = typed(event.traits[spec["trait"]], spec.get("type", "text"), spec.get("scale", 2))
        return {name: value}
    return {name: UNKNOWN}


def fold_label(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The text with the strongest evidence; of equal strength the newest."""
    best: tuple[int, int, Rank, str] | None = None
    for label, evidence in spec["label"].items():
        for part in as_list(evidence):
            strength = part.get("strength", 1) if isinstance(part, dict) else 1
            plain = {key: part[key] for key in part if key != "strength"} if isinstance(part, dict) else part
            for moment, order, _ in source.rows(plain):
                if best is None or (strength, moment, order) > best[:3]:
                    best = (strength, moment, order, label)
    last = spec.get("else", UNKNOWN)
    return {name: best[3] if best else UNKNOWN if last in source.book.tables else last}


def fold_rhythm(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The instant by which the person has been silent by their own measure."""
    times = [row[0] for row in source.rows(spec["rhythm"])]
    if not times:
        return {name: UNKNOWN}
    own = interval(times, seconds(spec["usual"]), spec.get("weight", 3))
    lapsed = max(times) + spec.get("times", 1) * own
    return {name: -(-lapsed // 60) * 60}  # the oracle steps in whole minutes: the first one at or after it


def fold_verdict(source: Source, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Yes, no or unknown by the newest sign, of one instant the no; an open entity of `open_no` means no."""
    signs = spec["verdict"]
    yes = [row[0] for row in source.rows(signs["yes"])]
    no = [row[0] for row in source.rows(signs["no"])]
    newest = ("no" if max(no, default=NEVER) >= max(yes, default=NEVER) else "yes") if yes or no else UNKNOWN
    is_open = any(
        thing.is_open() for kind in signs.get("open_no", ()) for thing in source.things[kind].values()
    )
    return {name: "no" if is_open else newest, f"{name}.yes_at": max(yes, default=NEVER)}


FOLDS = {
    "count": fold_count,
    "sum": fold_sum,
    "min": fold_min,
    "max": fold_max,
    "first": fold_first,
    "last": fold_last,
    "latest": fold_latest,
    "set": fold_set,
    "ever": fold_ever,
    "trait": fold_trait,
    "label": fold_label,
    "rhythm": fold_rhythm,
    "verdict": fold_verdict,
}


def persona(book: Playbook, history: History) -> str | None:
    """The persona of the latest match."""
    matches = [
        (event.rank, name) for name, events in book.personas.items() for event in matching(events, history)
    ]
    return max(matches)[1] if matches else UNKNOWN


def matching(events: Events, history: History) -> list[Event]:
    """The events of a history that match."""
    return [event for name in events.names for event in history.get(name, ()) if events.match(event)]

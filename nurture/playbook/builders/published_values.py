"""Build the published values of `playbook.yaml`: the bands of contacts, and the intervals that folds read."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

from nurture.domain.conditions import Table
from nurture.domain.event import VALUE_PUBLISHED
from nurture.domain.instant import DAY, Duration
from nurture.domain.playbook import BandFact, EntityKind, EventMatch, Fact, PublishedValue, RhythmFact
from nurture.domain.playbook.published_values import CONTACT, MODEL_HORIZONS, UsualInterval
from nurture.domain.published_values import default_margin
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.facts import RhythmFact as RhythmFile
from nurture.playbook.schema.programme import ProgrammeFile
from nurture.playbook.schema.published_values import ValueFile

#: A model cannot be judged on a shorter period.
_HORIZON_MIN: Final = 7 * DAY


def band_facts(values: Mapping[str, PublishedValue]) -> dict[str, Fact]:
    """Return a fact for each value of contacts."""
    match = EventMatch((VALUE_PUBLISHED,))
    return {
        name: BandFact(name, "band", "text", (match,), bands=value.bands)
        for name, value in values.items()
        if value.is_of_contacts
    }


class ValueBuilder:
    """Builds the values, and the intervals of rhythms and supplies that name a value or a table."""

    def __init__(
        self, model: ProgrammeFile, document: Document, faults: Faults, *, entities: Mapping[str, EntityKind]
    ) -> None:
        self._model = model
        self._document = document
        self._faults = faults
        self._entities = entities

    def build(self, facts: Collection[str]) -> dict[str, PublishedValue]:
        """Return the values by name, those by key without their `else`."""
        taken = {**dict.fromkeys(facts, "a fact"), **dict.fromkeys(self._entities, "an entity")}
        values: dict[str, PublishedValue] = {}
        for name, model in self._model.values.items():
            loc = ("values", name)
            if name in taken:
                self._fault(loc, f"`{name}` is {taken[name]} already", "give the value another name")
            elif name in RESERVED:
                self._fault(loc, f"`{name}` has a meaning already", "rename it")
            else:
                values[name] = self._value(name, model)
        return values

    def _value(self, name: str, model: ValueFile) -> PublishedValue:
        self._check_model(name, model)
        bands = tuple((model.bands or {}).items())
        if model.of == CONTACT:
            self._check_bands(name, model)
        else:
            self._check_key(name, model)
        margin = default_margin(bands) if model.margin is None else model.margin
        by = model.of if model.of == CONTACT else self._key_property(model.of)
        horizon = MODEL_HORIZONS.get(model.model or "", 0) if model.horizon is None else model.horizon
        return PublishedValue(
            name, by, bands, margin, model.refresh or 0, model=model.model or "", horizon=horizon
        )

    def _check_model(self, name: str, model: ValueFile) -> None:
        loc = ("values", name)
        if model.model is None:
            if model.horizon is not None:
                what = f"{name} has a horizon and no model"
                self._fault((*loc, "horizon"), what, "add `model:`, or remove `horizon`")
            return
        if model.model not in MODEL_HORIZONS:
            change = f"write one of: {format_names(MODEL_HORIZONS)}"
            self._fault((*loc, "model"), f"there is no model `{model.model}`", change)
        elif model.of != CONTACT:
            what = f"model {model.model} gives each contact a number"
            self._fault((*loc, "model"), what, "write `of: contact`")
        if model.horizon is not None and model.horizon < _HORIZON_MIN:
            self._fault((*loc, "horizon"), "a horizon of less than a week", "write for example 91d")

    def _check_bands(self, name: str, model: ValueFile) -> None:
        loc, bounds = ("values", name), list((model.bands or {}).values())
        if not bounds:
            self._fault(loc, f"{name} has no bands", "write bands: {low: 0%, medium: 30%, high: 60%}")
        elif any(high <= low for low, high in pairwise(bounds)):
            self._fault((*loc, "bands"), f"the bands of {name} do not rise", "write the lowest one first")
        if model.margin is not None and model.margin < 0:
            self._fault((*loc, "margin"), "a margin below 0", "write for example 5%")
        if model.otherwise is not None:
            what = f"{name} is of contacts: without a number the person is unknown"
            self._fault((*loc, "else"), what, "remove `else`")

    def _check_key(self, name: str, model: ValueFile) -> None:
        loc = ("values", name)
        for key in ("bands", "margin"):
            if getattr(model, key) is not None:
                what = f"`{key}` of a value by {model.of}"
                self._fault((*loc, key), what, "remove it; only values of contacts have bands")
        known = {CONTACT, *self._model.objects, *self._texts(), *self._line_keys()}
        if model.of not in known:
            change = f"known: {format_names(known, most=30)}"
            self._fault((*loc, "of"), f"no kind of object or text property `{model.of}`", change)

    def _key_property(self, of: str) -> str:
        kind = self._model.objects.get(of)
        return of if kind is None else kind.key

    def _texts(self) -> set[str]:
        return {name for name, kind in self._model.properties.items() if kind == "text"}

    def _line_keys(self) -> set[str]:
        return {key for kind in self._entities.values() if kind.lines is not None for key in kind.lines.keys}

    # ---- intervals -------------------------------------------------------------------------------------------

    def with_intervals(
        self, values: Mapping[str, PublishedValue], tables: Mapping[str, Table]
    ) -> dict[str, PublishedValue]:
        """Return the values with the intervals of their `else`."""
        return {
            name: replace(value, otherwise=self._otherwise(name, value, tables))
            for name, value in values.items()
        }

    def _otherwise(
        self, name: str, value: PublishedValue, tables: Mapping[str, Table]
    ) -> Duration | Table | None:
        written = self._model.values[name].otherwise
        if value.is_of_contacts or written is None:
            return None
        if isinstance(written, int):
            return written
        return self._table(written, tables, ("values", name, "else"))

    def _table(self, name: str, tables: Mapping[str, Table], loc: Loc) -> Table | None:
        """Return a table of durations that looks up by what was bought; report another one."""
        table = tables.get(name)
        if table is None:
            if name not in self._faults.broken_names(self._document.path, "tables"):
                known = format_names(tables)
                self._fault(loc, f"no table `{name}`", f"known: {known}, or write a duration such as 45d")
            return None
        if table.type != "duration":
            self._fault(loc, f"table {name} holds no durations", "write rows such as beans: 30d")
        elif not table.property_name:
            what = f"table {name} looks up by `{table.by}`, which may change while nothing is bought"
            self._fault(loc, what, "look up by a property of the lines, such as category")
        elif table.otherwise is None or any(value == 0 for value in (*table.rows.values(), table.otherwise)):
            self._fault(
                loc, f"table {name} gives no interval for some", "add `else:`, and rows longer than 0d"
            )
        else:
            return table
        return None

    def facts(
        self, facts: Mapping[str, Fact], values: Mapping[str, PublishedValue], tables: Mapping[str, Table]
    ) -> dict[str, Fact]:
        """Return the facts; a rhythm whose `usual` names a value or a table has it."""
        named = dict(facts)
        for name, fact in facts.items():
            model = self._model.facts.get(name)
            if isinstance(fact, RhythmFact) and isinstance(model, RhythmFile):
                usual = self._usual(model.usual, values, tables, ("facts", name, "usual"))
                named[name] = replace(fact, usual=usual)
        return named

    def entities(
        self, values: Mapping[str, PublishedValue], tables: Mapping[str, Table]
    ) -> dict[str, EntityKind]:
        """Return the kinds of entities; one whose `due` names a value or a table has it."""
        kinds = dict(self._entities)
        for name, kind in self._entities.items():
            model = self._model.entities.get(name)
            if kind.due is not None and model is not None and model.due is not None:
                usual = self._usual(model.due.usual, values, tables, ("entities", name, "due", "usual"))
                kinds[name] = replace(kind, due=replace(kind.due, usual=usual))
        return kinds

    def _usual(
        self,
        usual: Duration | str,
        values: Mapping[str, PublishedValue],
        tables: Mapping[str, Table],
        loc: Loc,
    ) -> Duration | UsualInterval:
        if not isinstance(usual, str):
            return usual
        value = values.get(usual)
        if value is None:
            table = None
            if usual in tables or not values:
                table = self._table(usual, tables, loc)
            else:
                self._report_neither(usual, values, loc)
            return 1 if table is None else UsualInterval(table.property_name, "", table)
        if value.is_of_contacts:
            what = f"{usual} is a value of contacts, no interval"
            self._fault(loc, what, "name a value by category or product, or a table of durations")
            return 1
        if value.otherwise is None:
            if self._model.values[usual].otherwise is None:
                what = f"{usual} has no else, and no interval is known before its first publication"
                self._fault(loc, what, f"add `else: 45d`, or a table of durations, to {usual}")
            return 1
        return UsualInterval(value.of, usual, value.otherwise)

    def _report_neither(self, name: str, values: Mapping[str, PublishedValue], loc: Loc) -> None:
        known = format_names({*values, *self._model.tables})
        self._fault(loc, f"no table or value `{name}`", f"known: {known}")

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)

"""Build facts, and the vocabularies with the names and types that conditions may use."""

import keyword
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from nurture.domain.conditions import BUILT_INS, Term, Vocabulary
from nurture.domain.consent.events import UNKNOWN_TOPICS
from nurture.domain.entities.doubts import EQUAL_REFUNDS, OTHER_CURRENCIES
from nurture.domain.instant import DAY, Duration
from nurture.domain.playbook import (
    EntityKind,
    EntityMatch,
    EventMatch,
    Fact,
    FactType,
    FoldFact,
    LabelEvidence,
    LabelFact,
    RhythmFact,
    TraitFact,
    VerdictFact,
)
from nurture.domain.referral import REFERRER
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema import facts as schema
from nurture.playbook.schema.events import MatcherValue, names_of
from nurture.playbook.schema.values import ValueType

#: Words of the condition language and of templates, which no fact, let value or object may use as its name.
RESERVED = frozenset(
    {
        *BUILT_INS, *keyword.kwlist, "yes", "no", "unknown", "known", "days_since", "days_until", "silent_days",
        "last", "first", "count", "min", "max", "local_weekday", "local_month", "local_day", "local_hour",
        "persona", "event", "entity", "entity_key", "generation", "contact", "brand", "links", "strings", "locale",
        "subject", "preheader", "now", "in_measure", "last_sent", "run_id", OTHER_CURRENCIES, EQUAL_REFUNDS,
        UNKNOWN_TOPICS,
    }
)  # fmt: skip
Counted = schema.CountFact | schema.EverFact | schema.FirstFact | schema.LastFact | schema.SetFact
Valued = schema.SumFact | schema.MinFact | schema.MaxFact | schema.LatestFact
Folded = Counted | Valued | schema.TraitFact | schema.VerdictFact | schema.LabelFact | schema.RhythmFact
_VALUED: Mapping[type, Literal["sum", "min", "max", "latest"]] = MappingProxyType(
    {schema.SumFact: "sum", schema.MinFact: "min", schema.MaxFact: "max", schema.LatestFact: "latest"}
)
#: Fold -> types of the values that it can fold.
_FOLDABLE: Mapping[str, tuple[ValueType, ...]] = MappingProxyType(
    {
        "sum": ("integer", "decimal"),
        "min": ("integer", "decimal", "instant"),
        "max": ("integer", "decimal", "instant"),
        "latest": ("bool", "integer", "decimal", "instant", "date", "text"),
    }
)
#: Values that every entity with an amount, and every line, has: name -> type.
_LINE_VALUES: Mapping[str, ValueType] = MappingProxyType({"quantity": "integer", "amount": "decimal"})
#: So many intervals of a person's own the usual one weighs unless the file says otherwise.
_WEIGHT: Final = 3
_TERM_TYPES: Mapping[str, FactType] = MappingProxyType({"date": "text"})


def property_terms(types: Mapping[str, str]) -> Vocabulary:
    """Return the vocabulary of event properties; a property that an event lacks is unknown."""
    return Vocabulary({name: _term(name, kind) for name, kind in types.items()}, built_ins=False)


def prefixed(vocabulary: Vocabulary, prefix: str) -> dict[str, Term]:
    """Return the properties as `PREFIX.NAME`."""
    return {
        f"{prefix}.{term.name}": Term(f"{prefix}.{term.name}", term.type, term.absent, term.scale)
        for term in vocabulary.terms.values()
    }


def _term(name: str, kind: str, *, scale: int = 2) -> Term:
    return Term(name, _TERM_TYPES.get(kind, kind), "unknown", scale if kind == "decimal" else 0)  # type: ignore[arg-type]


class FactBuilder:
    """Builds the facts of `playbook.yaml`."""

    def __init__(
        self,
        document: Document,
        types: Mapping[str, ValueType],
        matchers: MatcherBuilder,
        faults: Faults,
        *,
        entities: Mapping[str, EntityKind],
        currencies: Sequence[str],
    ) -> None:
        """types: event property -> its declared type."""
        self._document = document
        self._types = types
        self._matchers = matchers
        self._faults = faults
        self._entities = entities
        self._currencies = currencies

    def build(self, model: Mapping[str, schema.AnyFact]) -> dict[str, Fact]:
        """Return the facts by name; entities in the older form are no facts."""
        folds = {name: fact for name, fact in model.items() if not isinstance(fact, schema.EntityFact)}
        facts = {name: self._fact(name, fact, ("facts", name)) for name, fact in folds.items()}
        for name in model:
            if name in RESERVED and not (name == "persona" and isinstance(facts.get(name), LabelFact)):
                self._fault(("facts", name), f"`{name}` has a meaning already", "rename it")
        for name in self._entities:
            if name in facts:
                self._fault(("facts", name), f"`{name}` is an entity too", "rename the fact")
            if name in RESERVED:
                self._fault(("entities", name), f"`{name}` has a meaning already", "rename it")
        self._check_open_no(facts)
        return facts

    def _check_open_no(self, facts: Mapping[str, Fact]) -> None:
        path = self._document.path
        entities = self._faults.known(path, "entities", self._entities)
        entities |= self._faults.broken_names(path, "facts")
        for name, fact in facts.items():
            for unknown in fact.open_no if isinstance(fact, VerdictFact) else ():
                if unknown not in entities:
                    loc = ("facts", name, "verdict", "open_no")
                    self._fault(loc, f"no entity `{unknown}`", f"known: {format_names(entities)}")

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)

    def _of(self, value: MatcherValue, loc: Loc) -> tuple[tuple[EventMatch, ...], tuple[EntityMatch, ...]]:
        """Return the matchers of a fact: of events, or of entities and lines."""
        events, over = self._matchers.split(value, loc)
        if events and over:
            self._fault(
                loc, "events and entities in one fact", "write two facts, and add them where they are read"
            )
        return events, over

    def _fact(self, name: str, model: Folded, loc: Loc) -> Fact:
        match model:
            case schema.TraitFact():
                return TraitFact(name, model.trait, model.type or "text", _scale(model.scale))
            case schema.VerdictFact(verdict=signs):
                yes, yes_over = self._matchers.split(signs.yes, (*loc, "verdict", "yes"))
                no, no_over = self._matchers.split(signs.no, (*loc, "verdict", "no"))
                return VerdictFact(name, yes, no, tuple(signs.open_no), yes_over, no_over)
            case schema.LabelFact():
                return self._label(name, model, (*loc, "label"))
            case schema.RhythmFact():
                return self._rhythm(name, model, loc)
            case schema.SumFact() | schema.MinFact() | schema.MaxFact() | schema.LatestFact():
                return self._valued(name, model, loc)
            case (
                schema.CountFact()
                | schema.EverFact()
                | schema.FirstFact()
                | schema.LastFact()
                | schema.SetFact()
            ):
                return self._counted(name, model, loc)

    def _label(self, name: str, model: schema.LabelFact, loc: Loc) -> LabelFact:
        """Build a label; each entry of its lists is one piece of evidence."""
        evidence: list[LabelEvidence] = []
        for text, entries in model.label.items():
            for place, entry in enumerate(entries):
                here = (*loc, text, place)
                if isinstance(entry, schema.Evidence):
                    where = self._matchers.condition(entry.where, (*here, "where"))
                    match = EventMatch(names_of(entry.event), where)
                    evidence.append(LabelEvidence(match, text, entry.strength or 1))
                else:
                    evidence.append(LabelEvidence(EventMatch((entry,)), text))
        return LabelFact(name, tuple(evidence), model.otherwise)

    def _rhythm(self, name: str, model: schema.RhythmFact, loc: Loc) -> RhythmFact:
        """Build a rhythm over one kind of entity."""
        _, over = self._matchers.split(model.rhythm, (*loc, "rhythm"))
        if not over:
            known = format_names(self._entities)
            self._fault((*loc, "rhythm"), f"no entity `{model.rhythm}`", f"known: {known}")
        weight = _WEIGHT if model.weight is None else model.weight
        return RhythmFact(name, over, model.times, fixed_interval(model.usual), weight)

    def _counted(self, name: str, model: Counted, loc: Loc) -> FoldFact:
        """Build a fact that counts or dates events or entities, or collects the values of a property."""
        match model:
            case schema.CountFact(within=None):
                if model.keep is not None:
                    self._fault((*loc, "keep"), "`keep` without `within`", "remove it")
                of, over = self._of(model.count, (*loc, "count"))
                return FoldFact(name, "count", "integer", of, over=over)
            case schema.CountFact(within=within):
                of, over = self._of(model.count, (*loc, "count"))
                return FoldFact(
                    name, "window", "window", of, within=within or 0, keep=model.keep or 100, over=over
                )
            case schema.EverFact(within=within):
                of, over = self._of(model.ever, (*loc, "ever"))
                at_least = model.at_least or 1
                return FoldFact(name, "ever", "bool", of, within=within or 0, at_least=at_least, over=over)
            case schema.FirstFact():
                of, over = self._of(model.first, (*loc, "first"))
                return FoldFact(name, "first", "instant", of, over=over)
            case schema.LastFact():
                of, over = self._of(model.last, (*loc, "last"))
                return FoldFact(name, "last", "instant", of, over=over)
            case schema.SetFact():
                of, over = self._of(model.of, (*loc, "of"))
                return FoldFact(
                    name, "set", "set", of, property=model.source, keep=model.keep or 100, over=over
                )

    def _valued(self, name: str, model: Valued, loc: Loc) -> FoldFact:
        """Build a fact that folds a property's values, of its own `type` or of the property's."""
        fold = _VALUED[type(model)]
        of, over = self._of(model.of, (*loc, "of"))
        is_money = (
            bool(over) and fold != "latest" and all(self._is_amount(model.source, match) for match in over)
        )
        kind = model.type or self._types.get(model.source)
        if over:
            kind = "decimal" if is_money else kind or _LINE_VALUES.get(model.source)
        if kind is None and fold == "sum" and not over:
            kind = "decimal"
        if kind not in _FOLDABLE[fold]:
            self._report_type(model, kind, loc)
            kind = "decimal"
        if is_money and not self._currencies:
            self._fault(loc, "money without a currency", "add `currencies: [EUR]` under `brand`")
        scale = 2 if is_money else _scale(model.scale)
        is_plain_sum = fold == "sum" and kind == "decimal" and not over
        currency = self._currencies[0] if is_plain_sum and self._currencies else ""
        return FoldFact(
            name,
            fold,
            kind,
            of,
            property=model.source,
            scale=scale,
            over=over,
            money=is_money,
            currency=currency,
        )

    def _is_amount(self, source: str, match: EntityMatch) -> bool:
        kind = self._entities.get(match.kind)
        return source == "amount" or (kind is not None and not match.lines and source == kind.amount)

    def _report_type(self, model: Valued, kind: str | None, loc: Loc) -> None:
        if kind is not None:
            fitting = " or ".join(_FOLDABLE[_VALUED[type(model)]])
            what = f"`{model.source}` is {kind}, which cannot be folded so"
            self._fault(loc, what, f"use a property of type {fitting}")
        elif model.source not in self._faults.broken_names(self._document.path, "properties"):
            change = "add `type:`, or declare the property under `properties`"
            self._fault(loc, f"no type for `{model.source}`", change)


def fixed_interval(usual: int | str) -> Duration:
    """Return the usual interval of the file, a stand-in for one that `builders.published_values` looks up."""
    return usual if isinstance(usual, int) else DAY


def _scale(model: int | None) -> int:
    return 2 if model is None else model


def vocabulary_of(
    facts: Iterable[Fact], entities: Iterable[str], *, currencies: Sequence[str] = (), personas: bool = False
) -> Vocabulary:
    """Return the vocabulary of these facts and entities, with `persona` when there are personas."""
    terms: dict[str, Term] = {}
    for fact in facts:
        terms.update({term.name: term for term in _terms(fact, currencies)})
    for name in entities:
        terms[f"{name}.open"] = Term(f"{name}.open", "integer", "zero")
        terms[f"{name}.ever"] = Term(f"{name}.ever", "integer", "zero", grows=True)
        terms[f"{name}.last_at"] = Term(f"{name}.last_at", "instant", "never", grows=True)
    terms.setdefault(REFERRER, Term(REFERRER, "integer"))
    if personas:
        terms["persona"] = Term("persona", "text")
    return Vocabulary(terms)


def _terms(fact: Fact, currencies: Sequence[str]) -> list[Term]:
    """Return the terms of one fact. grows: its value never shrinks by time or silence, only by a reversal."""
    name = fact.name
    match fact:
        case TraitFact():
            return [_term(name, fact.type, scale=fact.scale)]
        case LabelFact():
            return [Term(name, "text")]
        case RhythmFact():
            return [Term(name, "instant")]
        case VerdictFact():
            return [Term(name, "verdict"), Term(f"{name}.yes_at", "instant", "never")]
        case FoldFact():
            return _fold_terms(fact, currencies)


def _fold_terms(fact: FoldFact, currencies: Sequence[str]) -> list[Term]:
    name = fact.name
    match fact:
        case FoldFact(money=True):
            # With one currency the plain name says enough.
            names = [f"{name}.{currency}" for currency in currencies]
            return [_money_term(fact, text) for text in (*names, *([name] if len(names) <= 1 else []))]
        case FoldFact(fold="count"):
            return [Term(name, "integer", "zero", grows=True)]
        case FoldFact(fold="window"):
            return [Term(name, "window", "zero", within=fact.within)]
        case FoldFact(fold="first" | "last"):
            return [Term(name, "instant", "never", grows=True)]
        case FoldFact(fold="set"):
            return [Term(name, "set", "empty")]
        case FoldFact(fold="ever"):
            return [Term(name, "bool", "no", grows=True)]
        case FoldFact():
            term = _term(name, fact.type, scale=fact.scale)
            if fact.fold == "sum":
                return [Term(name, term.type, "zero", term.scale, grows=bool(fact.over))]
            return [Term(name, term.type, "unknown", term.scale, grows=fact.fold == "max")]


def _money_term(fact: FoldFact, name: str) -> Term:
    absent: Literal["zero", "unknown"] = "zero" if fact.fold == "sum" else "unknown"
    return Term(name, "decimal", absent, fact.scale, grows=fact.fold != "min")

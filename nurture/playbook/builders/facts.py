"""Build facts, and the vocabularies with the names and types that conditions may use."""

import keyword
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from nurture.domain.conditions import BUILT_INS, Term, Vocabulary
from nurture.domain.playbook import EntityFact, Fact, FactType, FoldFact, TraitFact, VerdictFact
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema import facts as schema
from nurture.playbook.schema.values import ValueType

#: Words of the condition language and of templates, which no fact, let value or object may use as its name.
RESERVED = frozenset(
    {
        *BUILT_INS, *keyword.kwlist, "yes", "no", "unknown", "known", "days_since", "days_until", "silent_days",
        "last", "first", "count", "min", "max", "local_weekday", "local_month", "local_day", "local_hour",
        "persona", "event", "entity", "entity_key", "generation", "contact", "brand", "links", "strings", "locale",
        "subject", "preheader", "now",
    }
)  # fmt: skip
Counted = schema.CountFact | schema.EverFact | schema.FirstFact | schema.LastFact | schema.SetFact
Valued = schema.SumFact | schema.MinFact | schema.MaxFact | schema.LatestFact
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
        self, document: Document, types: Mapping[str, ValueType], matchers: MatcherBuilder, faults: Faults
    ) -> None:
        """types: event property -> its declared type."""
        self._document = document
        self._types = types
        self._matchers = matchers
        self._faults = faults

    def build(self, model: Mapping[str, schema.AnyFact]) -> dict[str, Fact]:
        """Return the facts by name."""
        facts = {name: self._fact(name, fact, ("facts", name)) for name, fact in model.items()}
        for name in facts:
            if name in RESERVED:
                self._faults.at(
                    self._document, ("facts", name), f"`{name}` has a meaning already", "rename it"
                )
        self._check_open_no(facts)
        return facts

    def _check_open_no(self, facts: Mapping[str, Fact]) -> None:
        entities = {name for name, fact in facts.items() if isinstance(fact, EntityFact)}
        entities |= self._faults.broken_names(self._document.path, "facts")
        for name, fact in facts.items():
            if isinstance(fact, VerdictFact):
                for unknown in sorted(set(fact.open_no) - entities):
                    loc = ("facts", name, "verdict", "open_no")
                    self._faults.at(
                        self._document, loc, f"no entity `{unknown}`", f"known: {format_names(entities)}"
                    )

    def _fact(self, name: str, model: schema.AnyFact, loc: Loc) -> Fact:
        match model:
            case schema.TraitFact():
                return TraitFact(name, model.trait, model.type or "text", _scale(model.scale))
            case schema.EntityFact():
                return self._entity(name, model, loc)
            case schema.VerdictFact(verdict=signs):
                yes = self._matchers.all(signs.yes, (*loc, "verdict", "yes"))
                no = self._matchers.all(signs.no, (*loc, "verdict", "no"))
                return VerdictFact(name, yes, no, tuple(signs.open_no))
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

    def _counted(self, name: str, model: Counted, loc: Loc) -> FoldFact:
        """Build a fact that counts or dates events, or collects the values of a property."""
        all_of = self._matchers.all
        match model:
            case schema.CountFact(within=None):
                if model.keep is not None:
                    self._faults.at(self._document, (*loc, "keep"), "`keep` without `within`", "remove it")
                return FoldFact(name, "count", "integer", all_of(model.count, (*loc, "count")))
            case schema.CountFact():
                of = all_of(model.count, (*loc, "count"))
                return FoldFact(
                    name, "window", "window", of, within=model.within or 0, keep=model.keep or 100
                )
            case schema.EverFact():
                of = all_of(model.ever, (*loc, "ever"))
                return FoldFact(
                    name, "ever", "bool", of, within=model.within or 0, at_least=model.at_least or 1
                )
            case schema.FirstFact():
                return FoldFact(name, "first", "instant", all_of(model.first, (*loc, "first")))
            case schema.LastFact():
                return FoldFact(name, "last", "instant", all_of(model.last, (*loc, "last")))
            case schema.SetFact():
                of = all_of(model.of, (*loc, "of"))
                return FoldFact(name, "set", "set", of, property=model.source, keep=model.keep or 100)

    def _valued(self, name: str, model: Valued, loc: Loc) -> FoldFact:
        """Build a fact that folds a property's values, of its own `type` or of the property's."""
        fold = _VALUED[type(model)]
        kind = model.type or self._types.get(model.source) or ("decimal" if fold == "sum" else None)
        if kind not in _FOLDABLE[fold]:
            self._report_type(model, kind, loc)
            kind = "decimal"
        of = self._matchers.all(model.of, (*loc, "of"))
        return FoldFact(name, fold, kind, of, property=model.source, scale=_scale(model.scale))

    def _report_type(self, model: Valued, kind: str | None, loc: Loc) -> None:
        if kind is not None:
            fitting = " or ".join(_FOLDABLE[_VALUED[type(model)]])
            what = f"`{model.source}` is {kind}, which cannot be folded so"
            self._faults.at(self._document, loc, what, f"use a property of type {fitting}")
        elif model.source not in self._faults.broken_names(self._document.path, "properties"):
            change = "add `type:`, or declare the property under `properties`"
            self._faults.at(self._document, loc, f"no type for `{model.source}`", change)

    def _entity(self, name: str, model: schema.EntityFact, loc: Loc) -> EntityFact:
        lines = model.lines
        of = self._matchers.all(model.of, (*loc, "of"))
        if lines is not None:
            entity_events = {event for match in of for event in match.names}
            for event in (*lines.added_by, *lines.removed_by):
                if event not in entity_events:
                    what = f"lines change by `{event}`, which does not touch `{name}`"
                    self._faults.at(self._document, (*loc, "lines"), what, "add it to `of`")
        kept = {"keep": model.keep, "remember": model.remember}
        return EntityFact(
            name,
            model.key,
            of,
            closed_by=dict(model.closed_by or {}),
            line_key=lines.key if lines else None,
            added_by=tuple(lines.added_by) if lines else (),
            removed_by=tuple(lines.removed_by) if lines else (),
            **{key: value for key, value in kept.items() if value is not None},
        )


def _scale(model: int | None) -> int:
    return 2 if model is None else model


def vocabulary_of(facts: Iterable[Fact], *, personas: bool) -> Vocabulary:
    """Return the vocabulary of these facts, with `persona` when there are personas."""
    terms: dict[str, Term] = {}
    for fact in facts:
        terms.update({term.name: term for term in _terms(fact)})
    if personas:
        terms["persona"] = Term("persona", "text")
    return Vocabulary(terms)


def _terms(fact: Fact) -> list[Term]:
    """Return the terms of one fact. grows: its value never shrinks by time or silence."""
    name = fact.name
    match fact:
        case TraitFact():
            return [_term(name, fact.type, scale=fact.scale)]
        case VerdictFact():
            return [Term(name, "verdict"), Term(f"{name}.yes_at", "instant", "never")]
        case EntityFact():
            return [
                Term(f"{name}.open", "integer", "zero"),
                Term(f"{name}.ever", "integer", "zero", grows=True),
                Term(f"{name}.last_at", "instant", "never", grows=True),
            ]
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
                return [Term(name, term.type, "zero", term.scale)]
            return [Term(name, term.type, "unknown", term.scale, grows=fact.fold == "max")]

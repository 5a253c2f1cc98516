"""Build the kinds of entities of `playbook.yaml`, from its `entities` and from the older form among its facts."""

from collections.abc import Iterable, Mapping
from typing import Final

from nurture.domain.instant import DAY
from nurture.domain.playbook import DueRule, EntityKind, EventMatch, LineRule, Reversal
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.builders.facts import fixed_interval
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema import entities as schema
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.facts import AnyFact, EntityFact

_LINES: Final = ".lines"
_KEEP: Final = 20
_REMEMBER: Final = 30 * DAY
#: So many intervals of a person's own the usual one weighs unless the file says otherwise.
_WEIGHT: Final = 3


class EntityBuilder:
    """Builds the kinds of entities."""

    def __init__(
        self,
        document: Document,
        matchers: MatcherBuilder,
        faults: Faults,
        *,
        entities: Mapping[str, schema.EntityFile],
        facts: Mapping[str, AnyFact],
    ) -> None:
        """facts: those of the form `{entity: KEY}` are kinds, as before."""
        self._document = document
        self._matchers = matchers
        self._faults = faults
        self._models = entities
        self._facts = {name: fact for name, fact in facts.items() if isinstance(fact, EntityFact)}

    def build(self) -> dict[str, EntityKind]:
        """Return the kinds by name."""
        kinds = {name: self._kind_of_fact(name, fact) for name, fact in self._facts.items()}
        for name, model in self._models.items():
            if name in kinds:
                self._fault(
                    ("entities", name), f"`{name}` is an entity among the facts too", "remove it there"
                )
            kinds[name] = self._kind(name, model)
        for name in self._models:
            self._check_parents(kinds, name)
        return kinds

    def _kind(self, name: str, model: schema.EntityFile) -> EntityKind:
        loc = ("entities", name)
        lines_of = self._lines_of(name, model)
        of = () if lines_of else self._matchers.all(model.of, (*loc, "of"))
        counts_from = self._matchers.all(model.counts_from, (*loc, "counts_from"))
        self._require_of(of, (name for match in counts_from for name in match.names), (*loc, "counts_from"))
        if model.restored_by is not None and not model.reversed_by:
            what = f"nothing reverses {name}, so nothing restores it"
            self._fault((*loc, "restored_by"), what, "add `reversed_by:`, or remove this")
        lines = model.lines
        if lines is not None:
            changing = [
                *_names(lines.added_by),
                *(n for n in _names(lines.removed_by) if not self._kind_in(n)),
            ]
            self._require_of(of, changing, (*loc, "lines"))
        return EntityKind(
            name,
            names_of(model.key),
            of,
            counts_from=counts_from,
            amount=model.amount,
            closed_by=dict(model.closed_by or {}),
            reversed_by=tuple(self._reversals(name, model)),
            restored_by=self._matchers.all(model.restored_by, (*loc, "restored_by")),
            within=model.within or "",
            parent_keys=self._parent_keys(model.within),
            lines=None if lines is None else self._line_rule(lines, (*loc, "lines")),
            lines_of=lines_of,
            due=None
            if model.due is None
            else DueRule(fixed_interval(model.due.usual), model.due.weight or _WEIGHT),
            keep=model.keep or _KEEP,
            remember=model.remember or _REMEMBER,
        )

    def _lines_of(self, name: str, model: schema.EntityFile) -> str:
        """Return the kind whose lines are the entities, "" where events are."""
        loc = ("entities", name)
        kind = self._kind_in(model.of) if isinstance(model.of, str) else None
        if kind is None:
            if isinstance(model.of, str) and model.of.endswith(_LINES):
                known = format_names([*self._models, *self._facts])
                self._fault((*loc, "of"), f"no entity `{model.of.removesuffix(_LINES)}`", f"known: {known}")
            if model.due is not None:
                self._fault(
                    (*loc, "due"), "`due` is for the lines of another entity", "write `of: order.lines`"
                )
            return ""
        if kind == name or not self._has_lines(kind):
            self._fault((*loc, "of"), f"{kind}.lines needs lines on {kind}", "add `lines:` to it")
        given = model.model_dump(exclude_none=True, by_alias=True)
        for key in sorted(set(given) - {"key", "of", "due", "keep", "remember"}):
            self._fault((*loc, key), f"`{key}` has no meaning for the lines of {kind}", "remove it")
        return kind

    def _reversals(self, name: str, model: schema.EntityFile) -> Iterable[Reversal]:
        for event, reversal in (model.reversed_by or {}).items():
            loc = ("entities", name, "reversed_by", event)
            if isinstance(reversal, str):
                yield Reversal(EventMatch((event,)))
                continue
            where = self._matchers.condition(reversal.where, (*loc, "where"))
            if isinstance(reversal, schema.Cancellation):
                yield Reversal(EventMatch((event,), where))
                continue
            if model.amount is None:
                what = f"`{event}` gives an amount back, and {name} has no amount"
                self._fault(loc, what, "write full, or add `amount:`")
            yield Reversal(EventMatch((event,), where), reversal.amount, reversal.key)

    def _line_rule(self, model: schema.LineList, loc: Loc) -> LineRule:
        if model.source is None and model.added_by is None:
            self._fault(loc, "nothing puts a line into this list", "add `in: products` or `added_by:`")
        removing = _names(model.removed_by)
        kinds = [kind for name in removing if (kind := self._kind_in(name)) is not None]
        for kind in kinds:
            if not self._has_lines(kind):
                self._fault((*loc, "removed_by"), f"{kind}.lines needs lines on {kind}", "add `lines:` to it")
        return LineRule(
            names_of(model.key),
            source=model.source or "",
            added_by=_names(model.added_by),
            removed_by=tuple(name for name in removing if self._kind_in(name) is None),
            removed_by_kinds=tuple(kinds),
        )

    def _kind_in(self, name: str) -> str | None:
        """Return the kind of `KIND.lines`, None for the name of an event."""
        kind = name.removesuffix(_LINES)
        return kind if kind != name and (kind in self._models or kind in self._facts) else None

    def _has_lines(self, kind: str) -> bool:
        model = self._models.get(kind) or self._facts.get(kind)
        return model is not None and model.lines is not None

    def _parent_keys(self, parent: str | None) -> tuple[str, ...]:
        if parent is not None and parent in self._models:
            return names_of(self._models[parent].key)
        return (self._facts[parent].key,) if parent is not None and parent in self._facts else ()

    def _check_parents(self, kinds: Mapping[str, EntityKind], name: str) -> None:
        """Check that a kind is part of another one that exists, and not of itself."""
        loc, seen, parent = ("entities", name, "within"), [name], kinds[name].within
        while parent:
            if parent not in kinds:
                if len(seen) == 1:
                    known = self._faults.known(self._document.path, "entities", kinds)
                    if parent not in known:
                        self._fault(loc, f"no entity `{parent}`", f"known: {format_names(kinds)}")
                return
            if parent in seen:
                self._fault(loc, f"{name} is a part of itself", "remove `within`")
                return
            seen.append(parent)
            parent = kinds[parent].within

    def _kind_of_fact(self, name: str, model: EntityFact) -> EntityKind:
        loc, lines = ("facts", name), model.lines
        of = self._matchers.all(model.of, (*loc, "of"))
        if lines is not None:
            self._require_of(of, (*lines.added_by, *lines.removed_by), (*loc, "lines"))
        rule = None
        if lines is not None:
            rule = LineRule((lines.key,), added_by=tuple(lines.added_by), removed_by=tuple(lines.removed_by))
        return EntityKind(
            name,
            (model.key,),
            of,
            closed_by=dict(model.closed_by or {}),
            lines=rule,
            keep=model.keep or _KEEP,
            remember=model.remember or _REMEMBER,
        )

    def _require_of(self, of: Iterable[EventMatch], events: Iterable[str], loc: Loc) -> None:
        known = {event for match in of for event in match.names}
        section, name = str(loc[-1]), str(loc[1])
        for event in events:
            if event not in known:
                change = "lines change by" if section == "lines" else "it counts from"
                self._fault(loc, f"{change} `{event}`, which does not touch `{name}`", "add it to `of`")

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)


def _names(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else names_of(value)

"""Build matchers: events, entities or lines, with an optional condition on their properties."""

from collections.abc import Collection
from typing import Final

from nurture.domain.conditions import Condition, Vocabulary
from nurture.domain.feedback import EVENTS
from nurture.domain.playbook import EntityMatch, EventMatch
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema import events as schema
from nurture.playbook.schema.events import EventMatcherValue, MatcherValue, OneMatcherValue, matchers_of

_OPENED: Final = EVENTS["open"]
_LINES: Final = ".lines"


class MatcherBuilder:
    """Builds event matchers of one document."""

    def __init__(
        self, document: Document, properties: Vocabulary, conditions: ConditionParser, faults: Faults
    ) -> None:
        """properties: the names that `where` may read."""
        self.document = document
        self._properties = properties
        self._conditions = conditions
        self._faults = faults
        self._kinds: frozenset[str] = frozenset()
        self._kinds_with_lines: Collection[str] = ()

    def know_entities(self, kinds: frozenset[str], with_lines: Collection[str]) -> None:
        """Take the names of entities, and of those with lines, as matchers from now on."""
        self._kinds, self._kinds_with_lines = kinds, with_lines

    def split(self, value: MatcherValue, loc: Loc) -> tuple[tuple[EventMatch, ...], tuple[EntityMatch, ...]]:
        """Return the matchers at `loc` of events, and those of entities and lines."""
        entries = value if isinstance(value, list) else [value]
        events: list[str | schema.Match] = []
        over: list[EntityMatch] = []
        for place, entry in enumerate(entries):
            here = (*loc, place) if isinstance(value, list) else loc
            entity = self._entity(entry, here)
            if entity is not None:
                over.append(entity)
            elif isinstance(entry, str | schema.Match):
                events.append(entry)
        matches = self.all(events if isinstance(value, list) else events[0], loc) if events else ()
        return matches, tuple(over)

    def _entity(self, entry: OneMatcherValue, loc: Loc) -> EntityMatch | None:
        match entry:
            case schema.EntityMatch(entity=kind, where=where):
                lines = False
            case schema.LinesMatch(lines=kind, where=where):
                lines = True
            case str() if entry in self._kinds:
                kind, lines, where = entry, False, None
            case str() if entry.endswith(_LINES) and entry.removesuffix(_LINES) in self._kinds:
                kind, lines, where = entry.removesuffix(_LINES), True, None
            case _:
                return None
        if kind not in self._kinds:
            self.fault(loc, f"no entity `{kind}`", f"known: {format_names(self._kinds)}")
        elif lines and kind not in self._kinds_with_lines:
            self.fault(
                loc, f"{kind}.lines needs lines on {kind}", "add `lines: {in: products, key: product_id}`"
            )
        return EntityMatch(kind, lines, self.condition(where, (*loc, "where")))

    def all(self, value: EventMatcherValue | None, loc: Loc) -> tuple[EventMatch, ...]:
        """Return all matchers at `loc`; only opens are a fault, because mail proxies open mail."""
        if value is None:
            return ()
        matches = tuple(
            EventMatch(
                names, self._conditions.parse_optional(where, self._properties, self.document, (*loc, *place))
            )
            for place, names, where in matchers_of(value)
        )
        if any(match.names == (_OPENED,) for match in matches):
            self.fault(
                loc,
                f"only `{_OPENED}` decides here, and proxies open mail that nobody reads",
                "take `Email Link Clicked`, a reply or an act on your pages, or name one beside it",
            )
        return matches

    def one(self, value: EventMatcherValue, loc: Loc) -> EventMatch:
        """Return the single matcher at `loc`; more than one is a fault."""
        matches = self.all(value, loc)
        if len(matches) > 1:
            change = "write {event: [NAME, NAME], where: CONDITION}"
            self.fault(loc, "more than one `where` here", change)
        return matches[0]

    def condition(self, text: str | None, loc: Loc) -> Condition | None:
        """Return a condition over the properties of events; None for None."""
        return self._conditions.parse_optional(text, self._properties, self.document, loc)

    def fault(self, loc: Loc, what: str, change: str) -> None:
        """Add a fault of this document."""
        self._faults.at(self.document, loc, what, change)

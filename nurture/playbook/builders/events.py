"""Build event matchers: event names with an optional condition on the properties."""

from typing import Final

from nurture.domain.conditions import Vocabulary
from nurture.domain.feedback import EVENTS
from nurture.domain.playbook import EventMatch
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.schema.events import EventMatcherValue, matchers_of

_OPENED: Final = EVENTS["open"]


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

    def fault(self, loc: Loc, what: str, change: str) -> None:
        """Add a fault of this document."""
        self._faults.at(self.document, loc, what, change)

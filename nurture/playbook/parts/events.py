"""Event matchers to domain values."""

from nurture.domain.conditions import Vocabulary
from nurture.domain.playbook import EventMatch
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.parts.conditions import Conditions
from nurture.playbook.schema.events import EventMatcherValue, matchers_of


class Matchers:
    """Builds event matchers of one document."""

    def __init__(
        self, document: Document, properties: Vocabulary, conditions: Conditions, faults: Faults
    ) -> None:
        """Read `where` over these properties."""
        self.document = document
        self._properties = properties
        self._conditions = conditions
        self._faults = faults

    def all(self, value: EventMatcherValue | None, loc: Loc) -> tuple[EventMatch, ...]:
        """Return every matcher written at `loc`."""
        if value is None:
            return ()
        return tuple(
            EventMatch(names, self._conditions.read(where, self._properties, self.document, (*loc, *place)))
            for place, names, where in matchers_of(value)
        )

    def one(self, value: EventMatcherValue, loc: Loc) -> EventMatch:
        """Return the single matcher that may stand at `loc`; several are a fault."""
        found = self.all(value, loc)
        if len(found) > 1:
            change = "write {event: [NAME, NAME], where: CONDITION}"
            self.fault(loc, "more than one `where` here", change)
        return found[0]

    def fault(self, loc: Loc, what: str, change: str) -> None:
        """Report a fault of this document."""
        self._faults.at(self.document, loc, what, change)

"""Event matchers to domain values."""

from typing import Final

from nurture.domain.conditions import Vocabulary
from nurture.domain.feedback import EVENTS
from nurture.domain.playbook import EventMatch
from nurture.playbook.builders.conditions import Conditions
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.schema.events import EventMatcherValue, matchers_of

_OPENED: Final = EVENTS["open"]


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
        found = tuple(
            EventMatch(names, self._conditions.read(where, self._properties, self.document, (*loc, *place)))
            for place, names, where in matchers_of(value)
        )
        if any(names == (_OPENED,) for each in found if (names := each.names)):
            self.fault(
                loc,
                f"only `{_OPENED}` decides here, and proxies open mail that nobody reads",
                "take `Email Link Clicked`, a reply or an act on your pages, or name one beside it",
            )
        return found

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

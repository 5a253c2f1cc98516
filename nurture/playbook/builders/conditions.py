"""Conditions inside files: parsed against a vocabulary, their errors placed at file and line."""

import re

from nurture.domain.conditions import ALWAYS, Condition, Vocabulary, parse
from nurture.domain.errors import ConditionError
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, list_of
from nurture.playbook.folder import PROGRAMME


class Conditions:
    """Parses conditions; each fault goes where the text stands."""

    def __init__(self, faults: Faults) -> None:
        """Report into `faults`."""
        self._faults = faults
        self._unread: frozenset[str] | None = None

    def read(
        self, text: str | None, vocabulary: Vocabulary, document: Document, loc: Loc
    ) -> Condition | None:
        """Return the parsed condition; None for None."""
        return None if text is None else self.need(text, vocabulary, document, loc)

    def need(self, text: str, vocabulary: Vocabulary, document: Document, loc: Loc) -> Condition:
        """Return the parsed condition, ALWAYS in place of one that does not parse."""
        try:
            return parse(text, vocabulary)
        except ConditionError as error:
            if not self._mentions_unread(text):
                what, change = _words(str(error), vocabulary)
                self._faults.at(document, loc, f"condition: {what}", change, column=error.column)
            return ALWAYS

    def _mentions_unread(self, text: str) -> bool:
        """Tell whether the condition uses a fact or property that is itself broken: that fault is enough."""
        if self._unread is None:
            facts = self._faults.broken_names(PROGRAMME, "facts")
            self._unread = facts | self._faults.broken_names(PROGRAMME, "properties")
        return any(re.search(rf"\b{re.escape(name)}\b", text) for name in self._unread)


def _words(message: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return what is wrong and what to change out of a condition's error message."""
    what, _, change = message.partition("; ")
    if change:
        return what, change
    if message.startswith("there is no fact"):
        own = [name for name in vocabulary.names() if not name.startswith(("event.", "entity."))]
        return message, f"known: {list_of(own, most=20)}"
    what, _, change = message.rpartition(": ")
    if what and not message.startswith("cannot be read"):
        return what, change
    return message, "see docs/playbook.md, Conditions"

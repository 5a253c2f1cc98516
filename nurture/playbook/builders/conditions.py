"""Parse the conditions of files against a vocabulary; their errors become faults with file and line."""

import re

from nurture.domain.conditions import ALWAYS, Condition, Vocabulary
from nurture.domain.conditions import parse as parse_condition
from nurture.domain.errors import ConditionError
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.folder import PROGRAMME


class ConditionParser:
    """Parses conditions; a fault has the line of the condition's text."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._broken_names: frozenset[str] | None = None

    def parse_optional(
        self, text: str | None, vocabulary: Vocabulary, document: Document, loc: Loc
    ) -> Condition | None:
        """Return the parsed condition; None for None."""
        return None if text is None else self.parse(text, vocabulary, document, loc)

    def parse(self, text: str, vocabulary: Vocabulary, document: Document, loc: Loc) -> Condition:
        """Return the parsed condition; ALWAYS, and a fault, when it does not parse."""
        try:
            return parse_condition(text, vocabulary)
        except ConditionError as error:
            if not self._uses_broken_name(text):
                what, change = _split_message(str(error), vocabulary)
                self._faults.at(document, loc, f"condition: {what}", change, column=error.column)
            return ALWAYS

    def _uses_broken_name(self, text: str) -> bool:
        """Tell whether the condition uses a broken fact or property, whose own fault is reported already."""
        if self._broken_names is None:
            sections = ("facts", "properties", "segments")
            self._broken_names = frozenset().union(
                *(self._faults.broken_names(PROGRAMME, section) for section in sections)
            )
        return any(re.search(rf"\b{re.escape(name)}\b", text) for name in self._broken_names)


def _split_message(message: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return the two parts of a condition's error message: the fault, and what to change."""
    if message.startswith("there is no fact steps."):
        return _unknown_step(message, vocabulary)
    what, _, change = message.partition("; ")
    if change:
        return what, change
    if message.startswith("there is no fact"):
        own = [name for name in vocabulary.names() if not name.startswith(("event.", "entity.", "contact."))]
        return message, f"known: {format_names(own, most=20)}"
    what, _, change = message.rpartition(": ")
    if what and not message.startswith("cannot be read"):
        return what, change
    return message, "see docs/playbook.md, Conditions"


def _unknown_step(message: str, vocabulary: Vocabulary) -> tuple[str, str]:
    known = [name for name in vocabulary.names() if name.startswith("steps.") and name.endswith(".outcome")]
    name = message.removeprefix("there is no fact ").partition(";")[0]
    if not known:
        change = "ask it in the `when` or `send_if` of a step, in a case of a branch, or in an exit"
        return f"{name} is known inside a run only", change
    return f"there is no {name}", f"known: {format_names(known, most=20)}"

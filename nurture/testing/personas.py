"""The event that gives a person a persona: the strongest evidence that the programme accepts for it."""

import re
from collections.abc import Iterator
from typing import Any

from nurture.domain.errors import InputError
from nurture.domain.playbook import EventMatch, LabelFact, Playbook

#: The comparisons of a `where` that its event must meet: `answer == "office"`, `score >= 9`.
_COMPARED = re.compile(r"(\w+)\s*(==|>=|<=)\s*(?:\"([^\"]*)\"|(-?\d+(?:\.\d+)?)|(True|False))")


def find_evidence(playbook: Playbook, persona: str) -> tuple[str, dict[str, Any]]:
    """Return name and properties of an event after which the person has the persona. Raises InputError."""
    known = sorted({text for text, _, _ in _evidence(playbook)})
    if persona not in known:
        raise InputError(f"no persona {persona!r} in the programme; it has {', '.join(known) or 'none'}")
    matches = [(strength, match) for text, strength, match in _evidence(playbook) if text == persona]
    _, match = max(matches, key=lambda pair: pair[0])
    return match.names[0], _properties(match)


def _evidence(playbook: Playbook) -> Iterator[tuple[str, int, EventMatch]]:
    fact = playbook.facts.get("persona")
    for evidence in fact.evidence if isinstance(fact, LabelFact) else ():
        yield evidence.text, evidence.strength, evidence.match


def _properties(match: EventMatch) -> dict[str, Any]:
    text = "" if match.where is None else match.where.text
    return {
        name: words if not number and not truth else truth == "True" if truth else _number(number)
        for name, _, words, number, truth in _COMPARED.findall(text)
    }


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)

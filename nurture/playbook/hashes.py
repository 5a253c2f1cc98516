"""Two hashes of a playbook: rules (what decides who gets what, and when) and content (every character).

A change of words - copy, goal, brand, senders, links, calendar texts, comments - changes the content hash only,
and wakes nobody. A measure's rules hash covers its own rules and the definitions of what its conditions read:
a fact counted differently asks a different question.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from nurture.domain.conditions import Condition
from nurture.domain.measure import MailStep, Measure, OnDate, OnMilestone, OnStage, WaitUntilDate
from nurture.domain.playbook import Playbook

#: Raised when the hash's own making changes, so that everybody is judged anew once.
_VERSION = "1"
#: Fields that are words: they decide nothing.
WORDS: Mapping[type, frozenset[str]] = {
    Measure: frozenset({"goal", "audience_source", "form", "action", "kind", "metric", "rules_hash"}),
    MailStep: frozenset({"calendar"}),
    Playbook: frozenset(
        {"name", "brand", "senders", "measures", "vocabulary", "backlog", "rules_hash", "content_hash"}
    ),
}


def content_hash(files: Mapping[str, str]) -> str:
    """Return the hash of every file's path and text."""
    return _digest(sorted(files.items()))


def measure_rules_hash(measure: Measure, playbook: Playbook) -> str:
    """Return the hash of what decides in this measure, with the definitions of what it reads."""
    return _digest([plain(measure), {name: plain(value) for name, value in read_by(measure, playbook)}])


def rules_hash(playbook: Playbook) -> str:
    """Return the hash of all rules; the measures must carry theirs."""
    measures = {path: measure.rules_hash for path, measure in playbook.measures.items()}
    return _digest([plain(playbook), measures])


def _digest(value: Any) -> str:
    text = msgspec.json.encode([_VERSION, value], order="sorted")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def plain(value: Any) -> Any:
    """Return a domain value as plain JSON values in one canonical form."""
    if isinstance(value, Condition):
        return canonical(value.text)
    if is_dataclass(value) and not isinstance(value, type):
        left_out = WORDS.get(type(value), frozenset())
        kept = {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name not in left_out}
        return {"": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        # Order matters nowhere but in `closed_by`-like choices, which are by key.
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def canonical(condition: str) -> str:
    """Return a condition without the accidents of spacing, quotes and brackets."""
    try:
        return ast.unparse(ast.parse(f"({condition}\n)", mode="eval"))
    except (SyntaxError, ValueError, RecursionError):
        return condition


def conditions_of(measure: Measure) -> list[Condition]:
    """Return every condition of the measure."""
    found: list[Condition | None] = [measure.audience, getattr(measure.trigger, "where", None)]
    for step in measure.steps:
        found += [step.when, step.send_if if isinstance(step, MailStep) else None]
    return [condition for condition in found if condition is not None]


def read_by(measure: Measure, playbook: Playbook) -> Iterable[tuple[str, Any]]:
    """Return (name, definition) of what the measure reads: facts, property types, stages, milestones, objects."""
    names = {term for condition in conditions_of(measure) for term in condition.terms}
    names |= {measure.entity or "", measure.trigger.fact if isinstance(measure.trigger, OnDate) else ""}
    names |= {step.date for step in measure.steps if isinstance(step, WaitUntilDate)}
    for name in sorted(names):
        root, _, field = name.partition(".")
        if root in playbook.facts:
            yield f"fact {root}", playbook.facts[root]
        elif (field or root) in playbook.properties.terms:
            yield f"property {field or root}", playbook.properties.terms[field or root]
    if "persona" in names:
        yield "personas", playbook.personas
    if "stage" in names or measure.stage != "any" or isinstance(measure.trigger, OnStage):
        yield "stages", playbook.stages
    if isinstance(measure.trigger, OnMilestone):
        yield "milestones", playbook.milestones
    for binding in measure.objects.values():
        if binding.kind in playbook.objects:
            yield f"object {binding.kind}", playbook.objects[binding.kind]

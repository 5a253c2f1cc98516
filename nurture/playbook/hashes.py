"""Two hashes of a playbook: of its rules (they decide which mail a contact gets, and when) and of its content.

A change of wording (copy, goal, brand, senders, links, calendar texts, comments) changes the content hash only, and no
contact is judged again. A measure's rules hash covers its own rules and the definitions of everything that its
conditions read, because a fact that is counted differently changes the condition's meaning.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

import msgspec

from nurture.domain.accounts import CUSTOMERS, ROLE
from nurture.domain.conditions import Condition, Vocabulary
from nurture.domain.measure import (
    EmitStep,
    MailStep,
    Measure,
    ObjectList,
    OnDate,
    OnEntityDate,
    OnMilestone,
    OnMoment,
    OnObject,
    OnStage,
    Variant,
    WaitBusinessTime,
    WaitUntilDate,
    WaitUntilMoment,
    conditions_of_step,
)
from nurture.domain.playbook import Fact, FoldFact, ObjectKind, Playbook, RhythmFact, Touchpoint, VerdictFact

#: A change of this number changes every hash, so that every contact is judged again once.
_VERSION = "1"
#: Fields that hold wording, or that the rules hash must not contain.
WORDING_FIELDS: Mapping[type, frozenset[str]] = {
    Measure: frozenset(
        {
            *(
                "goal",
                "audience_source",
                "early",
                "other_track",
                "form",
                "action",
                "kind",
                "metric",
                "sender",
            ),
            # In force now, while the files say what is meant.
            *("trial", "is_closed"),
            *("was", "rules_hash", "root", "outline"),
        }
    ),
    MailStep: frozenset({"calendar"}),
    Touchpoint: frozenset({"service", "metric", "by_stage", "wanted_in"}),
    Playbook: frozenset(
        {
            "name",
            "brand",
            "senders",
            "owners",
            "measures",
            # Conditions, steps and facts that read them are hashed with the conditions and rows in place.
            "segments",
            "tables",
            # Their bands and intervals stand in the facts and entities that read them.
            "values",
            "published",
            "vocabulary",
            "backlog",
            # The guard reads it from the active playbook; nothing of a person is answered anew.
            "holdout",
            "rules_hash",
            "content_hash",
        }
    ),
}

#: Fields that a later release added: while one has its default it is left out, so that the hashes of what is published
#: stay, and nobody is judged again because of an upgrade.
ADDED_FIELDS: Mapping[type, frozenset[str]] = {
    EmitStep: frozenset({"to_referrer"}),
    Measure: frozenset({"later_stages", "holdout_then"}),
    ObjectKind: frozenset({"lists", "read_by"}),
    OnObject: frozenset({"lists", "to_audience"}),
    Variant: frozenset({"is_ended"}),
    Playbook: frozenset({"accounts", "moments", "price_bounds"}),
    Vocabulary: frozenset({"segments", "tables"}),
}


def content_hash(files: Mapping[str, str]) -> str:
    """Return the hash of every file's path and text."""
    return _digest(sorted(files.items()))


def measure_rules_hash(measure: Measure, playbook: Playbook) -> str:
    """Return the hash of a measure's rules and of the definitions that it reads."""
    rules = canonical_value(measure)
    successor = playbook.measures.get(measure.handover or "")
    if successor is not None:
        rules["handover"] = successor.root
    return _digest(
        [
            rules,
            {name: canonical_value(value) for name, value in definitions_read(measure, playbook)},
        ]
    )


def rules_hash(playbook: Playbook) -> str:
    """Return the hash of all rules. Every measure must have its `rules_hash` already."""
    measures = {measure.root: measure.rules_hash for measure in playbook.measures.values()}
    return _digest([canonical_value(playbook), measures])


def _digest(value: Any) -> str:
    text = msgspec.json.encode([_VERSION, value], order="sorted")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def canonical_value(value: Any) -> Any:
    """Return a domain value as JSON values, in the same form for equal rules."""
    if isinstance(value, Condition):
        return canonical_condition(value.expanded)
    if is_dataclass(value) and not isinstance(value, type):
        left_out = WORDING_FIELDS.get(type(value), frozenset()) | _unused(value)
        kept = {
            f.name: canonical_value(getattr(value, f.name)) for f in fields(value) if f.name not in left_out
        }
        if isinstance(value, Measure):
            # The identity: another name alone changes no rule.
            kept["path"] = value.root
        return {"": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        # The order of keys has no meaning; the digest sorts them.
        return {str(key): canonical_value(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(canonical_value(item) for item in value)
    if isinstance(value, list | tuple):
        return [canonical_value(item) for item in value]
    return value


def _unused(value: Any) -> frozenset[str]:
    """Return the added fields of a value that have their defaults."""
    added = ADDED_FIELDS.get(type(value), frozenset())
    return frozenset(
        f.name for f in fields(value) if f.name in added and getattr(value, f.name) == _default_of(f)
    )


def _default_of(field: Field[Any]) -> Any:
    """Return the default of a field of a dataclass."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def canonical_condition(condition: str) -> str:
    """Return a condition with normalised spacing, quotes and brackets."""
    try:
        return ast.unparse(ast.parse(f"({condition}\n)", mode="eval"))
    except (SyntaxError, ValueError, RecursionError):
        return condition


def conditions_of(measure: Measure) -> list[Condition]:
    """Return every condition of the measure."""
    conditions: list[Condition | None] = [measure.audience, getattr(measure.trigger, "where", None)]
    conditions += [rule.when for rule in measure.exits]
    for step in measure.steps:
        conditions += conditions_of_step(step)
    return [condition for condition in conditions if condition is not None]


def _names_read(measure: Measure) -> set[str]:
    """Return the names of facts and properties that the measure's conditions, entity, dates and lists read."""
    names = {term for condition in conditions_of(measure) for term in condition.terms}
    names |= {term for rule in measure.lists.values() for term in _names_of_list(rule)}
    names |= {measure.entity or "", measure.trigger.fact if isinstance(measure.trigger, OnDate) else ""}
    if isinstance(measure.trigger, OnEntityDate):
        names.add(f"entity.{measure.trigger.field}")
    return names | {step.date for step in measure.steps if isinstance(step, WaitUntilDate)}


def _names_of_list(rule: ObjectList) -> set[str]:
    """Return the names that a list reads: facts without `contact.`, fields and properties as they are."""
    terms = rule.where.terms if rule.where is not None else frozenset()
    return {term.removeprefix("contact.") for term in (*terms, rule.keys)}


def _kinds_of(fact: Fact) -> list[str]:
    """Return the kinds of entities from which a fact follows."""
    match fact:
        case FoldFact(over=over) | RhythmFact(over=over):
            return [match.kind for match in over]
        case VerdictFact():
            return [*fact.open_no, *(match.kind for match in (*fact.yes_over, *fact.no_over))]
        case _:
            return []


def _calendars_read(measure: Measure, playbook: Playbook) -> Iterable[tuple[str, Any]]:
    """Yield the hours that the measure's waits count, and the moments that start it or end its waits."""
    steps, trigger = measure.steps, measure.trigger
    owners = {step.owner or measure.sender for step in steps if isinstance(step, WaitBusinessTime)}
    moments = {step.moment for step in steps if isinstance(step, WaitUntilMoment)}
    moments |= {trigger.moment} if isinstance(trigger, OnMoment) else set()
    yield from (
        (f"calendar of {name}", playbook.owners[name].calendar)
        for name in sorted(owners & set(playbook.owners))
    )
    yield from (
        (f"moment {name}", playbook.moments[name]) for name in sorted(moments & set(playbook.moments))
    )


def definitions_read(measure: Measure, playbook: Playbook) -> Iterable[tuple[str, Any]]:
    """Yield (name, definition) of all that the measure reads: facts, property types, stages, milestones, objects."""
    names = _names_read(measure)
    for name in sorted(names):
        root, _, field = name.partition(".")
        if root in playbook.facts:
            yield f"fact {root}", playbook.facts[root]
            yield from (
                (f"entity {kind}", playbook.entities[kind]) for kind in _kinds_of(playbook.facts[root])
            )
        elif root in playbook.entities:
            yield f"entity {root}", playbook.entities[root]
        elif (field or root) in playbook.properties.terms:
            yield f"property {field or root}", playbook.properties.terms[field or root]
    if "persona" in names:
        yield "personas", playbook.personas
    if not names.isdisjoint((ROLE, CUSTOMERS)):
        yield "accounts", playbook.accounts
    if "stage" in names or measure.stage != "any" or isinstance(measure.trigger, OnStage):
        yield "stages", playbook.stages
    yield from _calendars_read(measure, playbook)
    if isinstance(measure.trigger, OnMilestone):
        yield "milestones", playbook.milestones
    kinds = {binding.kind for binding in measure.objects.values()}
    kinds |= (
        {measure.trigger.kind} if isinstance(measure.trigger, OnObject) and measure.trigger.lists else set()
    )
    for kind in sorted(kinds & playbook.objects.keys()):
        yield f"object {kind}", playbook.objects[kind]

"""The lists of objects in a mail: which objects stand in one, in which order, and the guard's check of their length."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.contact import Contact, Run
from nurture.domain.facts import readable, reading, run_names
from nurture.domain.guard.input import CheckContext, Refusal
from nurture.domain.instant import Instant
from nurture.domain.measure import ObjectList
from nurture.domain.measure.object_lists import AS_NAMED, OLDEST
from nurture.domain.playbook import Playbook
from nurture.domain.segments import segment_values
from nurture.domain.values import coerced

REASON = "too_few"
#: Below every number that can be published.
_LOWEST: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object that may stand in a list, with its values and the instant of the event that told of it first."""

    key: str
    values: Mapping[str, Any]
    first_at: Instant


def choose_objects(
    rule: ObjectList,
    candidates: Iterable[Candidate],
    names: Mapping[str, Any],
    *,
    playbook: Playbook,
    now: Instant,
    zone: str,
    left_out: Collection[str] = (),
    numbers: Mapping[str, int] = MappingProxyType({}),
) -> list[Candidate]:
    """Return the objects of a list, in its order. The same state gives the same list.

    candidates: in the order in which they are named. names: what `where` reads beside the object (`names_of`).
    left_out: keys that are not fresh. numbers: key -> the number by which a ranking orders it.
    """
    where, chosen = rule.where, list[Candidate]()
    terms = playbook.properties.terms
    asked = {name: terms[name] for name in where.terms if name in terms} if where is not None else {}
    for candidate in _in_order(rule, candidates, numbers):
        if candidate.key in left_out:
            continue
        if where is not None:
            facts = {**names, **coerced(candidate.values, asked)}
            if where.truth(Reading(facts, now, zone)) is not Truth.YES:
                continue
        chosen.append(candidate)
        if len(chosen) == rule.top:
            break
    return chosen


def _in_order(
    rule: ObjectList, candidates: Iterable[Candidate], numbers: Mapping[str, int]
) -> list[Candidate]:
    if rule.order == AS_NAMED:
        return list(candidates)
    by_key = sorted(candidates, key=lambda candidate: candidate.key)
    by_age = sorted(by_key, key=lambda candidate: candidate.first_at, reverse=rule.order != OLDEST)
    if not rule.ranking:
        return by_age
    # Those without a number come last, the newest of them first.
    return sorted(by_age, key=lambda candidate: -numbers.get(candidate.key, _LOWEST))


def names_of(
    where: Condition | None, contact: Contact, run: Run | None, playbook: Playbook, *, now: Instant
) -> dict[str, Any]:
    """Return the values of the names `contact.`, `entity.` and `event.` that a list's `where` reads."""
    asked = {name for name in where.terms if "." in name} if where is not None else set()
    if not asked:
        return {}
    person = readable(contact, playbook)
    if any(name.removeprefix("contact.") in playbook.segments for name in asked):
        person |= segment_values(reading(contact, playbook, now=now), playbook)
    names = {f"contact.{name}": value for name, value in person.items() if f"contact.{name}" in asked}
    if run is not None and not asked <= names.keys():
        names.update(run_names(contact, run, playbook))
    return names


def check_object_lists(context: CheckContext) -> str | Refusal:
    """Skip a mail with fewer objects in one of its lists than that list needs."""
    lists = context.measure.lists if context.measure is not None else {}
    counts = {name: len(context.input.objects.get(name, ())) for name in lists}
    for name, rule in lists.items():
        if counts[name] < rule.at_least:
            return Refusal("skip", REASON, f"{name}: {counts[name]} of at least {rule.at_least}")
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "no list"

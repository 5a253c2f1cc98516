"""Index the parts of a playbook by the names of the events they need. Built once per playbook."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from nurture.domain.conditions import Condition
from nurture.domain.measure import (
    Exit,
    MailStep,
    Measure,
    OnCondition,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnQuiet,
    OnSchedule,
    OnStage,
    WaitUntilEvent,
)
from nurture.domain.memory import Sign
from nurture.domain.playbook import (
    EntityFact,
    EventMatch,
    FoldFact,
    Hold,
    Milestone,
    ObjectKind,
    Persona,
    Playbook,
    Stage,
    TraitFact,
    VerdictFact,
)

T = TypeVar("T")


@dataclass(slots=True)
class Index:
    """Event name -> what takes an interest in it."""

    folds: dict[str, list[tuple[FoldFact, EventMatch]]] = field(default_factory=dict)
    opens: dict[str, list[tuple[EntityFact, EventMatch]]] = field(default_factory=dict)
    closes: dict[str, list[EntityFact]] = field(default_factory=dict)
    # (fact, its sign, match)
    signs: dict[str, list[tuple[VerdictFact, Sign, EventMatch]]] = field(default_factory=dict)
    personas: dict[str, list[tuple[Persona, EventMatch]]] = field(default_factory=dict)
    converts: dict[str, list[EventMatch]] = field(default_factory=dict)
    reverses: dict[str, list[EventMatch]] = field(default_factory=dict)
    milestones: dict[str, list[Milestone]] = field(default_factory=dict)
    hold_starts: dict[str, list[tuple[Hold, EventMatch]]] = field(default_factory=dict)
    hold_ends: dict[str, list[tuple[Hold, EventMatch]]] = field(default_factory=dict)
    watch_from: dict[str, list[ObjectKind]] = field(default_factory=dict)
    watch_until: dict[str, list[ObjectKind]] = field(default_factory=dict)
    triggers: dict[str, list[tuple[Measure, OnEvent]]] = field(default_factory=dict)
    objects: dict[str, list[tuple[Measure, OnObject]]] = field(default_factory=dict)
    exits: dict[str, list[tuple[Measure, Exit]]] = field(default_factory=dict)
    waits: dict[str, list[tuple[Measure, WaitUntilEvent]]] = field(default_factory=dict)
    traits: tuple[TraitFact, ...] = ()
    entities: tuple[EntityFact, ...] = ()
    verdicts: tuple[VerdictFact, ...] = ()
    # Names of which count, first and last are kept because some condition asks.
    remembered: frozenset[str] = frozenset()
    # Track -> its stages, the furthest first.
    stages: dict[str, tuple[Stage, ...]] = field(default_factory=dict)
    by_milestone: dict[str, list[Measure]] = field(default_factory=dict)
    by_stage: dict[str, list[Measure]] = field(default_factory=dict)
    quiet: tuple[tuple[Measure, OnQuiet], ...] = ()
    dates: tuple[tuple[Measure, OnDate], ...] = ()
    schedules: tuple[tuple[Measure, OnSchedule], ...] = ()
    conditions: tuple[Measure, ...] = ()
    series: frozenset[str] = frozenset()


@lru_cache(maxsize=16)
def index_of(playbook: Playbook) -> Index:
    """Return the playbook's index."""
    index = Index()
    _add_facts(index, playbook)
    _add_measures(index, playbook)
    index.remembered = frozenset(name for condition in conditions_of(playbook) for name in condition.events)
    return index


def conditions_of(playbook: Playbook) -> list[Condition]:
    """Return every condition that reads facts of a contact."""
    conditions = [stage.when for stage in playbook.stages]
    for measure in playbook.measures.values():
        conditions.append(measure.audience)
        conditions.extend(step.when for step in measure.steps if step.when is not None)
        conditions.extend(
            step.send_if for step in measure.steps if isinstance(step, MailStep) and step.send_if
        )
    return conditions


def _by_name(pairs: Iterable[tuple[EventMatch, T]]) -> dict[str, list[T]]:
    """Group interests by the names of the events they match."""
    grouped: dict[str, list[T]] = {}
    for match, interest in pairs:
        for name in dict.fromkeys(match.names):
            grouped.setdefault(name, []).append(interest)
    return grouped


def _of(names: Iterable[str]) -> EventMatch:
    return EventMatch(tuple(names))


def _add_facts(index: Index, playbook: Playbook) -> None:
    facts, objects = playbook.facts.values(), playbook.objects.values()
    folded = [fact for fact in facts if isinstance(fact, FoldFact)]
    index.traits = tuple(fact for fact in facts if isinstance(fact, TraitFact))
    index.entities = tuple(fact for fact in facts if isinstance(fact, EntityFact))
    index.verdicts = tuple(fact for fact in facts if isinstance(fact, VerdictFact))
    index.folds = _by_name((match, (fact, match)) for fact in folded for match in fact.of)
    index.opens = _by_name((match, (fact, match)) for fact in index.entities for match in fact.of)
    index.closes = _by_name((_of(fact.closed_by), fact) for fact in index.entities)
    index.signs = _by_name(
        (match, (fact, sign, match))
        for fact in index.verdicts
        for sign, matches in _signs_of(fact)
        for match in matches
    )
    index.personas = _by_name(
        (match, (persona, match)) for persona in playbook.personas for match in persona.of
    )
    index.converts = _by_name((match, match) for match in playbook.conversion.by)
    index.reverses = _by_name((match, match) for match in playbook.conversion.reversed_by)
    index.milestones = _by_name((milestone.of, milestone) for milestone in playbook.milestones)
    holds = playbook.holds.values()
    index.hold_starts = _by_name((match, (hold, match)) for hold in holds for match in hold.starts)
    index.hold_ends = _by_name((match, (hold, match)) for hold in holds for match in hold.ends)
    index.stages = {track: playbook.stages_of(track)[::-1] for track in ("lead", "customer")}
    index.watch_from = _by_name((_of(kind.watched_from), kind) for kind in objects)
    index.watch_until = _by_name((_of(kind.watched_until), kind) for kind in objects)


def _signs_of(fact: VerdictFact) -> tuple[tuple[Sign, tuple[EventMatch, ...]], ...]:
    return ("yes", fact.yes), ("no", fact.no)


def _add_measures(index: Index, playbook: Playbook) -> None:
    measures = playbook.measures.values()
    on = [(measure, measure.trigger) for measure in measures]
    index.triggers = _by_name((_of(t.names), (m, t)) for m, t in on if isinstance(t, OnEvent))
    index.objects = _by_name((_of(t.names), (m, t)) for m, t in on if isinstance(t, OnObject))
    index.by_milestone = _by_name((_of([t.milestone]), m) for m, t in on if isinstance(t, OnMilestone))
    index.by_stage = _by_name((_of([t.stage]), m) for m, t in on if isinstance(t, OnStage))
    index.quiet = tuple((m, t) for m, t in on if isinstance(t, OnQuiet))
    index.dates = tuple((m, t) for m, t in on if isinstance(t, OnDate))
    index.schedules = tuple((m, t) for m, t in on if isinstance(t, OnSchedule))
    index.conditions = tuple(m for m, t in on if isinstance(t, OnCondition))
    index.series = frozenset(measure.path for measure in measures if measure.series)
    index.exits = _by_name((_of([e.event]), (m, e)) for m in measures for e in m.exits)
    index.waits = _by_name(
        (_of(s.names), (m, s)) for m in measures for s in m.steps if isinstance(s, WaitUntilEvent)
    )

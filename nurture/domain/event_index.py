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
    """The parts of a playbook by the names of the events they need, and its measures by the kind of trigger."""

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
    for add in (
        *(_add_facts, _add_verdicts, _add_place, _add_objects),
        *(_add_triggers, _add_alarms, _add_steps),
    ):
        add(index, playbook)
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
    """Group the second values by the names of the events that the first ones match."""
    grouped: dict[str, list[T]] = {}
    for match, part in pairs:
        for name in dict.fromkeys(match.names):
            grouped.setdefault(name, []).append(part)
    return grouped


def _of(names: Iterable[str]) -> EventMatch:
    return EventMatch(tuple(names))


def _add_facts(index: Index, playbook: Playbook) -> None:
    facts = playbook.facts.values()
    folds = [fact for fact in facts if isinstance(fact, FoldFact)]
    index.traits = tuple(fact for fact in facts if isinstance(fact, TraitFact))
    index.entities = tuple(fact for fact in facts if isinstance(fact, EntityFact))
    index.folds = _by_name((match, (fact, match)) for fact in folds for match in fact.of)
    index.opens = _by_name((match, (fact, match)) for fact in index.entities for match in fact.of)
    index.closes = _by_name((_of(fact.closed_by), fact) for fact in index.entities)
    index.personas = _by_name(
        (match, (persona, match)) for persona in playbook.personas for match in persona.of
    )


def _add_verdicts(index: Index, playbook: Playbook) -> None:
    index.verdicts = tuple(fact for fact in playbook.facts.values() if isinstance(fact, VerdictFact))
    index.signs = _by_name(
        (match, (fact, sign, match))
        for fact in index.verdicts
        for sign, matches in _signs_of(fact)
        for match in matches
    )


def _signs_of(fact: VerdictFact) -> tuple[tuple[Sign, tuple[EventMatch, ...]], ...]:
    return ("yes", fact.yes), ("no", fact.no)


def _add_place(index: Index, playbook: Playbook) -> None:
    """Add what decides on track, stage, milestones and holds."""
    holds = playbook.holds.values()
    index.converts = _by_name((match, match) for match in playbook.conversion.by)
    index.reverses = _by_name((match, match) for match in playbook.conversion.reversed_by)
    index.milestones = _by_name((milestone.of, milestone) for milestone in playbook.milestones)
    index.hold_starts = _by_name((match, (hold, match)) for hold in holds for match in hold.starts)
    index.hold_ends = _by_name((match, (hold, match)) for hold in holds for match in hold.ends)
    index.stages = {track: playbook.stages_of(track)[::-1] for track in ("lead", "customer")}


def _add_objects(index: Index, playbook: Playbook) -> None:
    kinds = playbook.objects.values()
    index.watch_from = _by_name((_of(kind.watched_from), kind) for kind in kinds)
    index.watch_until = _by_name((_of(kind.watched_until), kind) for kind in kinds)


def _add_triggers(index: Index, playbook: Playbook) -> None:
    """Add the measures that an event starts."""
    pairs = [(measure, measure.trigger) for measure in playbook.measures.values()]
    index.triggers = _by_name((_of(on.names), (m, on)) for m, on in pairs if isinstance(on, OnEvent))
    index.objects = _by_name((_of(on.names), (m, on)) for m, on in pairs if isinstance(on, OnObject))
    index.by_milestone = _by_name((_of([on.milestone]), m) for m, on in pairs if isinstance(on, OnMilestone))
    index.by_stage = _by_name((_of([on.stage]), m) for m, on in pairs if isinstance(on, OnStage))


def _add_alarms(index: Index, playbook: Playbook) -> None:
    """Add the measures that time or a changed answer starts."""
    pairs = [(measure, measure.trigger) for measure in playbook.measures.values()]
    index.quiet = tuple((measure, on) for measure, on in pairs if isinstance(on, OnQuiet))
    index.dates = tuple((measure, on) for measure, on in pairs if isinstance(on, OnDate))
    index.schedules = tuple((measure, on) for measure, on in pairs if isinstance(on, OnSchedule))
    index.conditions = tuple(measure for measure, on in pairs if isinstance(on, OnCondition))


def _add_steps(index: Index, playbook: Playbook) -> None:
    """Add what an event does to runs: exits, and the ends of waits."""
    measures = playbook.measures.values()
    index.series = frozenset(measure.path for measure in measures if measure.series)
    index.exits = _by_name(
        (_of([ending.event]), (measure, ending)) for measure in measures for ending in measure.exits
    )
    index.waits = _by_name(
        (_of(step.names), (measure, step))
        for measure in measures
        for step in measure.steps
        if isinstance(step, WaitUntilEvent)
    )

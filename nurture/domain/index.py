"""What a playbook wants to know of an event, looked up by the event's name. Built once per playbook."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache

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
from nurture.domain.playbook import (
    EntityFact,
    EventMatch,
    FoldFact,
    ObjectKind,
    Persona,
    Playbook,
    TraitFact,
    VerdictFact,
)


@dataclass(slots=True)
class Index:
    """Event name -> what takes an interest in it."""

    folds: dict[str, list[tuple[FoldFact, EventMatch]]] = field(default_factory=dict)
    opens: dict[str, list[tuple[EntityFact, EventMatch]]] = field(default_factory=dict)
    closes: dict[str, list[EntityFact]] = field(default_factory=dict)
    # (fact, its sign, match)
    signs: dict[str, list[tuple[VerdictFact, str, EventMatch]]] = field(default_factory=dict)
    personas: dict[str, list[tuple[Persona, EventMatch]]] = field(default_factory=dict)
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
    found = [stage.when for stage in playbook.stages]
    for measure in playbook.measures.values():
        found.append(measure.audience)
        found.extend(step.when for step in measure.steps if step.when is not None)
        found.extend(step.send_if for step in measure.steps if isinstance(step, MailStep) and step.send_if)
    return found


def _add_facts(index: Index, playbook: Playbook) -> None:
    folds, opens, closes = defaultdict(list), defaultdict(list), defaultdict(list)
    signs = defaultdict(list)
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact):
            for match in fact.of:
                for name in match.names:
                    folds[name].append((fact, match))
        elif isinstance(fact, EntityFact):
            for match in fact.of:
                for name in match.names:
                    opens[name].append((fact, match))
            for name in fact.closed_by:
                closes[name].append(fact)
        elif isinstance(fact, VerdictFact):
            for sign, matches in (("yes", fact.yes), ("no", fact.no)):
                for match in matches:
                    for name in match.names:
                        signs[name].append((fact, sign, match))
    index.folds, index.opens, index.closes, index.signs = dict(folds), dict(opens), dict(closes), dict(signs)
    facts = playbook.facts.values()
    index.traits = tuple(fact for fact in facts if isinstance(fact, TraitFact))
    index.entities = tuple(fact for fact in facts if isinstance(fact, EntityFact))
    index.verdicts = tuple(fact for fact in facts if isinstance(fact, VerdictFact))
    for persona in playbook.personas:
        for match in persona.of:
            for name in match.names:
                index.personas.setdefault(name, []).append((persona, match))
    for kind in playbook.objects.values():
        for name in kind.watched_from:
            index.watch_from.setdefault(name, []).append(kind)
        for name in kind.watched_until:
            index.watch_until.setdefault(name, []).append(kind)


def _add_measures(index: Index, playbook: Playbook) -> None:
    quiet, dates, schedules, conditions = [], [], [], []
    for measure in playbook.measures.values():
        match measure.trigger:
            case OnEvent() as trigger:
                for name in trigger.names:
                    index.triggers.setdefault(name, []).append((measure, trigger))
            case OnObject() as trigger:
                for name in trigger.names:
                    index.objects.setdefault(name, []).append((measure, trigger))
            case OnMilestone(milestone):
                index.by_milestone.setdefault(milestone, []).append(measure)
            case OnStage(stage):
                index.by_stage.setdefault(stage, []).append(measure)
            case OnQuiet() as trigger:
                quiet.append((measure, trigger))
            case OnDate() as trigger:
                dates.append((measure, trigger))
            case OnSchedule() as trigger:
                schedules.append((measure, trigger))
            case OnCondition():
                conditions.append(measure)
            case _:
                pass
        for ending in measure.exits:
            index.exits.setdefault(ending.event, []).append((measure, ending))
        for step in measure.steps:
            if isinstance(step, WaitUntilEvent):
                for name in step.names:
                    index.waits.setdefault(name, []).append((measure, step))
    index.quiet, index.dates, index.schedules = tuple(quiet), tuple(dates), tuple(schedules)
    index.conditions = tuple(conditions)
    index.series = frozenset(measure.path for measure in playbook.measures.values() if measure.series)

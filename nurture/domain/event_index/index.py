"""Index the parts of a playbook by the names of the events they need. Built once per playbook."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from nurture.domain.conditions import Condition, Table, last_sent_key, stored_keys
from nurture.domain.event_index.affected_parts import NO_PARTS, AffectedParts, parts_by_event
from nurture.domain.event_index.entity_rules import (
    Effect,
    FoldGroup,
    effects_by_event,
    fold_groups,
    in_order,
    is_over,
    needs_of,
    net_folds,
    reversing_events,
)
from nurture.domain.event_index.place_rules import PlaceRules, rules_of_place
from nurture.domain.measure import (
    Exit,
    Measure,
    OnCondition,
    OnConsent,
    OnEntityDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnQuiet,
    OnStage,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilMoment,
    WaitUntilSlot,
    conditions_of_step,
)
from nurture.domain.memory import Sign
from nurture.domain.playbook import (
    EntityKind,
    EventMatch,
    FoldFact,
    Hold,
    LabelEvidence,
    LabelFact,
    Milestone,
    Persona,
    Playbook,
    RhythmFact,
    Stage,
    TraitFact,
    VerdictFact,
    WatchList,
)

T = TypeVar("T")


@dataclass(slots=True)
class Index:
    """The parts of a playbook by the names of the events they need, and its measures by the kind of trigger."""

    folds: dict[str, list[tuple[FoldFact, EventMatch]]] = field(default_factory=dict)
    effects: dict[str, tuple[Effect, ...]] = field(default_factory=dict)
    # (fact, its sign, match)
    signs: dict[str, list[tuple[VerdictFact, Sign, EventMatch]]] = field(default_factory=dict)
    personas: dict[str, list[tuple[Persona, EventMatch]]] = field(default_factory=dict)
    converts: dict[str, list[EventMatch]] = field(default_factory=dict)
    reverses: dict[str, list[EventMatch]] = field(default_factory=dict)
    # Event -> the kinds of converting entities that it is about.
    converting: dict[str, tuple[EntityKind, ...]] = field(default_factory=dict)
    milestones: dict[str, list[Milestone]] = field(default_factory=dict)
    # Kind of entity -> the milestones that its entities reach.
    entity_milestones: dict[str, tuple[Milestone, ...]] = field(default_factory=dict)
    hold_starts: dict[str, list[tuple[Hold, EventMatch]]] = field(default_factory=dict)
    hold_ends: dict[str, list[tuple[Hold, EventMatch]]] = field(default_factory=dict)
    watch_from: dict[str, list[WatchList]] = field(default_factory=dict)
    watch_until: dict[str, list[WatchList]] = field(default_factory=dict)
    # Lists of watchers over the lines of entities.
    line_lists: tuple[WatchList, ...] = ()
    triggers: dict[str, list[tuple[Measure, EventMatch]]] = field(default_factory=dict)
    objects: dict[str, list[tuple[Measure, OnObject]]] = field(default_factory=dict)
    exits: dict[str, list[tuple[Measure, Exit]]] = field(default_factory=dict)
    waits: dict[str, list[tuple[Measure, WaitUntilEvent]]] = field(default_factory=dict)
    traits: tuple[TraitFact, ...] = ()
    # Kinds of entities, each after the ones that it depends on; and kind -> the kinds that depend on it.
    kinds: tuple[EntityKind, ...] = ()
    dependents: dict[str, frozenset[str]] = field(default_factory=dict)
    # Facts that are amounts, kept per currency.
    money: tuple[str, ...] = ()
    # Kind -> the folds over its entities; the name of one that is no fact begins with `@`.
    net_folds: dict[str, tuple[FoldFact, ...]] = field(default_factory=dict)
    fold_groups: dict[str, tuple[FoldGroup, ...]] = field(default_factory=dict)
    kinds_with_amount: tuple[str, ...] = ()
    verdicts: tuple[VerdictFact, ...] = ()
    labels: tuple[LabelFact, ...] = ()
    labels_by_table: tuple[tuple[LabelFact, Table], ...] = ()
    label_evidence: dict[str, list[tuple[LabelFact, LabelEvidence]]] = field(default_factory=dict)
    rhythms: tuple[RhythmFact, ...] = ()
    # Names of which count, first and last are kept because some condition asks.
    remembered: frozenset[str] = frozenset()
    # Track -> its stages, the furthest first.
    stages: dict[str, tuple[Stage, ...]] = field(default_factory=dict)
    by_milestone: dict[str, list[Measure]] = field(default_factory=dict)
    by_stage: dict[str, list[Measure]] = field(default_factory=dict)
    by_consent: dict[str, list[Measure]] = field(default_factory=dict)
    quiet: tuple[tuple[Measure, OnQuiet], ...] = ()
    entity_dates: tuple[tuple[Measure, OnEntityDate], ...] = ()
    # The same by identity, to look up the date that a run is about.
    date_of_run: dict[str, OnEntityDate] = field(default_factory=dict)
    conditions: tuple[Measure, ...] = ()
    # Identities of the measures that are a series.
    series: frozenset[str] = frozenset()
    # Event -> measures in which it starts a run in place of an earlier one.
    replacing: dict[str, list[tuple[Measure, EventMatch]]] = field(default_factory=dict)
    # Kind of entity -> the measures whose runs are about one.
    about: dict[str, list[Measure]] = field(default_factory=dict)
    # The same, their identities.
    about_roots: dict[str, frozenset[str]] = field(default_factory=dict)
    # Identities of those that a reversal of the entity starts: a reversed entity does not end their runs.
    about_reversal: frozenset[str] = frozenset()
    # Kind of entity -> the events that reverse it.
    reversing: dict[str, frozenset[str]] = field(default_factory=dict)
    # Event -> (identity of a measure, its kind of entity, key) of its exits and waits for the event that name a key.
    keyed: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    # Identity -> measure with an exit that is a condition.
    exit_conditions: dict[str, Measure] = field(default_factory=dict)
    # Identities of the measures with a wait for a date or a local time, which may move.
    moving_waits: frozenset[str] = frozenset()
    measures: tuple[Measure, ...] = ()
    # Event -> the parts that it can touch.
    affected: dict[str, AffectedParts] = field(default_factory=dict)
    # Path -> identity of the measures whose runs or mails some condition asks for.
    asked_measures: dict[str, str] = field(default_factory=dict)
    # Identities of those among them of which a condition asks when a mail left last.
    sent_roots: frozenset[str] = frozenset()
    # Measures with a condition trigger that asks for runs.
    asking: tuple[Measure, ...] = ()
    # (track, stage) -> the rules that judge contacts there, as far as somebody was there.
    _places: dict[tuple[str, str], PlaceRules] = field(default_factory=dict)

    def affected_by(self, event: str) -> AffectedParts:
        """Return the parts of the playbook that events of this name can touch."""
        return self.affected.get(event, NO_PARTS)

    def rules_at(self, track: str, stage: str) -> PlaceRules:
        """Return the rules that judge contacts on this track and stage after any event."""
        rules = self._places.get((track, stage))
        if rules is None:
            rules = rules_of_place(self.measures, self.stages[track], track=track, stage=stage)
            self._places[track, stage] = rules
        return rules


@lru_cache(maxsize=16)
def index_of(playbook: Playbook) -> Index:
    """Return the playbook's index."""
    index = Index(measures=tuple(playbook.measures.values()))
    for add in (
        *(_add_facts, _add_verdicts, _add_entities, _add_place, _add_objects),
        *(_add_triggers, _add_alarms, _add_steps, _add_measures_about_entities, _add_asked_measures),
    ):
        add(index, playbook)
    index.remembered = frozenset(name for condition in conditions_of(playbook) for name in condition.events)
    index.affected = parts_by_event(
        {
            "entities": (index.effects,),
            "conversions": (index.converts, index.reverses, index.converting),
            "holds": (index.hold_starts, index.hold_ends),
            "milestones": (index.milestones, index.effects),
            "watches": (index.watch_from, index.watch_until),
            "keys": (index.keyed,),
            "run_ends": (index.replacing, index.exits, index.waits),
        }
    )
    return index


def _add_asked_measures(index: Index, playbook: Playbook) -> None:
    """Add the measures whose runs and mails conditions ask for; a name given up finds its measure."""
    measures, conditions = playbook.measures, conditions_of(playbook)
    index.asked_measures = {
        path: measures[path].root if measures.get(path) else path
        for path in sorted({path for condition in conditions for path in condition.measures})
    }
    keys = {key for condition in conditions for key in stored_keys(condition.root)}
    index.sent_roots = frozenset(
        root for path, root in index.asked_measures.items() if last_sent_key(path) in keys
    )
    index.asking = tuple(measure for measure in index.conditions if measure.audience.measures)


def conditions_of(playbook: Playbook) -> list[Condition]:
    """Return every condition that reads facts of a contact."""
    conditions = [stage.when for stage in playbook.stages]
    conditions += [when for segment in playbook.segments.values() for _, when in segment.rungs]
    for measure in playbook.measures.values():
        conditions.append(measure.audience)
        conditions.extend(ending.when for ending in measure.exits if ending.when is not None)
        asked = (condition for step in measure.steps for condition in conditions_of_step(step))
        conditions.extend(condition for condition in asked if condition is not None)
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
    index.labels = tuple(fact for fact in facts if isinstance(fact, LabelFact))
    index.labels_by_table = tuple(
        (fact, fact.otherwise) for fact in index.labels if isinstance(fact.otherwise, Table)
    )
    index.label_evidence = _by_name(
        (evidence.match, (fact, evidence)) for fact in index.labels for evidence in fact.evidence
    )
    index.rhythms = tuple(fact for fact in facts if isinstance(fact, RhythmFact))
    index.folds = _by_name((match, (fact, match)) for fact in folds for match in fact.of)
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


def _add_entities(index: Index, playbook: Playbook) -> None:
    """Add what events do to entities, and the facts that follow from entities."""
    kinds = playbook.entities
    index.kinds = tuple(in_order(kinds.values(), playbook))
    depends = [(needed, kind.name) for kind in index.kinds for needed in needs_of(kind)]
    index.dependents = {
        name: frozenset(kind for needed, kind in depends if needed == name) for name, _ in depends
    }
    index.effects = effects_by_event(index.kinds, playbook)
    index.kinds_with_amount = tuple(kind.name for kind in index.kinds if kind.amount is not None)
    folds = tuple(net_folds(playbook))
    index.money = tuple(
        fact.name for fact in playbook.facts.values() if isinstance(fact, FoldFact) and fact.money
    )
    index.net_folds = {
        name: tuple(fold for fold in folds if any(match.kind == name for match in fold.over))
        for name in kinds
    }
    groups = fold_groups(folds)
    index.fold_groups = {name: tuple(group for group in groups if name in group.kinds) for name in kinds}


def _signs_of(fact: VerdictFact) -> tuple[tuple[Sign, tuple[EventMatch, ...]], ...]:
    return ("yes", fact.yes), ("no", fact.no)


def _add_place(index: Index, playbook: Playbook) -> None:
    """Add what decides on track, stage, milestones and holds."""
    holds = playbook.holds.values()
    index.converts = _by_name((match, match) for match in playbook.conversion.by)
    index.reverses = _by_name((match, match) for match in playbook.conversion.reversed_by)
    index.converting = {
        event: tuple(kinds)
        for event, effects in index.effects.items()
        if (kinds := [e.kind for e in effects if is_over(playbook.conversion.over, e.kind.name)])
    }
    index.milestones = _by_name((milestone.of, milestone) for milestone in playbook.milestones)
    index.entity_milestones = {
        kind: tuple(milestone for milestone in playbook.milestones if is_over(milestone.over, kind))
        for kind in playbook.entities
    }
    index.hold_starts = _by_name((match, (hold, match)) for hold in holds for match in hold.starts)
    index.hold_ends = _by_name((match, (hold, match)) for hold in holds for match in hold.ends)
    index.stages = {track: playbook.stages_of(track)[::-1] for track in ("lead", "customer")}


def _add_objects(index: Index, playbook: Playbook) -> None:
    lists = [watch for kind in playbook.objects.values() for watch in kind.all_lists]
    index.watch_from = _by_name((_of(watch.begun_by), watch) for watch in lists)
    index.watch_until = _by_name((_of(watch.ended_by), watch) for watch in lists)
    index.line_lists = tuple(watch for watch in lists if watch.lines_of)


def _add_triggers(index: Index, playbook: Playbook) -> None:
    """Add the measures that an event starts."""
    pairs = [(measure, measure.trigger) for measure in playbook.measures.values()]
    by_event = [(m, EventMatch(on.names, on.where)) for m, on in pairs if isinstance(on, OnEvent)]
    index.triggers = _by_name((match, (measure, match)) for measure, match in by_event)
    index.objects = _by_name((_of(on.names), (m, on)) for m, on in pairs if isinstance(on, OnObject))
    index.by_milestone = _by_name((_of([on.milestone]), m) for m, on in pairs if isinstance(on, OnMilestone))
    index.replacing = _by_name(
        (_of(name for name in measure.once.again_on if name in match.names), (measure, match))
        for measure, match in by_event
    )
    index.by_consent = _by_name((_of([on.topic]), m) for m, on in pairs if isinstance(on, OnConsent))
    index.by_stage = _by_name((_of([on.stage]), m) for m, on in pairs if isinstance(on, OnStage))


def _add_alarms(index: Index, playbook: Playbook) -> None:
    """Add the measures that time or a changed answer starts."""
    pairs = [(measure, measure.trigger) for measure in playbook.measures.values()]
    index.quiet = tuple((measure, on) for measure, on in pairs if isinstance(on, OnQuiet))
    index.entity_dates = tuple((measure, on) for measure, on in pairs if isinstance(on, OnEntityDate))
    index.date_of_run = {measure.root: on for measure, on in index.entity_dates}
    index.conditions = tuple(measure for measure, on in pairs if isinstance(on, OnCondition))


def _add_steps(index: Index, playbook: Playbook) -> None:
    """Add what an event does to runs: exits, and the ends of waits."""
    measures = playbook.measures.values()
    index.series = frozenset(measure.root for measure in measures if measure.series)
    index.exits = _by_name(
        (_of([ending.event] if ending.event else []), (measure, ending))
        for measure in measures
        for ending in measure.exits
    )
    index.exit_conditions = {
        measure.root: measure for measure in measures if any(ending.event is None for ending in measure.exits)
    }
    index.moving_waits = frozenset(
        measure.root
        for measure in measures
        if any(isinstance(step, WaitUntilDate | WaitUntilSlot | WaitUntilMoment) for step in measure.steps)
    )
    index.keyed = _by_name(
        (_of(names), (measure.root, measure.entity, key))
        for measure in measures
        if measure.entity is not None
        for names, key in _keyed_events(measure)
    )
    index.waits = _by_name(
        (_of(step.names), (measure, step))
        for measure in measures
        for step in measure.steps
        if isinstance(step, WaitUntilEvent)
    )


def _keyed_events(measure: Measure) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield (events, key) of each exit and wait of the measure that compares a key."""
    for ending in measure.exits:
        if ending.event is not None and ending.key is not None:
            yield (ending.event,), ending.key
    for step in measure.steps:
        if isinstance(step, WaitUntilEvent) and step.key is not None:
            yield step.names, step.key


def _add_measures_about_entities(index: Index, playbook: Playbook) -> None:
    """Add the measures whose runs are about an entity, and those among them that its reversal starts."""
    for measure in playbook.measures.values():
        if measure.entity is not None:
            index.about.setdefault(measure.entity, []).append(measure)
    index.about_roots = {
        kind: frozenset(measure.root for measure in about) for kind, about in index.about.items()
    }
    index.reversing = {kind: reversing_events(playbook, kind) for kind in playbook.entities}
    index.about_reversal = frozenset(
        measure.root
        for kind, measures in index.about.items()
        for measure in measures
        if isinstance(measure.trigger, OnEvent)
        and not index.reversing.get(kind, frozenset()).isdisjoint(measure.trigger.names)
    )

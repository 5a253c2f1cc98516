"""The rules of a playbook about entities: what events do to them, and which facts follow from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nurture.domain.measure import MailStep, Measure
from nurture.domain.playbook import (
    EntityKind,
    EntityMatch,
    EventMatch,
    FoldFact,
    Milestone,
    Playbook,
    Reversal,
    RhythmFact,
    VerdictFact,
)

#: Folds that need no value of the entity, only its date.
DATED: frozenset[str] = frozenset({"count", "first", "last", "window", "ever"})

#: A fold of which a dropped entity keeps its text, and of which nothing is stored: `@usual:FACT:PROPERTY`.
USUAL: Final = "@usual:"


def usual_fold(fact: RhythmFact, name: str) -> str:
    """Return the name of the fold that keeps a property's text for a rhythm."""
    return f"{USUAL}{fact.name}:{name}"


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect that events of one name have on entities of one kind."""

    kind: EntityKind
    of: tuple[EventMatch, ...]
    counts: tuple[EventMatch, ...]
    reversals: tuple[Reversal, ...]
    restores: tuple[EventMatch, ...] = ()
    # A calendar is sent about entities of the kind.
    in_calendar: bool = False
    # True: a counting event without a key stands for an entity of its own, so that no order is lost for its number.
    needs_no_key: bool = False


def needs_of(kind: EntityKind) -> tuple[str, ...]:
    """Return the kinds from whose entities those of this kind follow."""
    bought = kind.lines.removed_by_kinds if kind.lines is not None else ()
    return tuple(name for name in (kind.within, kind.lines_of, *bought) if name)


def in_order(kinds: Iterable[EntityKind], playbook: Playbook) -> list[EntityKind]:
    """Return the kinds, each after the ones that it depends on."""
    ordered: dict[str, EntityKind] = {}

    def add(kind: EntityKind, below: tuple[str, ...]) -> None:
        for name in needs_of(kind):
            if name not in below and name in playbook.entities:
                add(playbook.entities[name], (*below, kind.name))
        ordered.setdefault(kind.name, kind)

    for kind in kinds:
        add(kind, (kind.name,))
    return list(ordered.values())


def events_of(kind: EntityKind) -> dict[str, None]:
    """Return the names of the events that change entities of a kind."""
    matches = (*kind.of, *kind.counts_from, *kind.restored_by, *(part.match for part in kind.reversed_by))
    return dict.fromkeys([*(name for match in matches for name in match.names), *kind.closed_by])


def _has_calendar(measure: Measure) -> bool:
    return any(isinstance(step, MailStep) and step.calendar is not None for step in measure.steps)


def effects_by_event(kinds: Iterable[EntityKind], playbook: Playbook) -> dict[str, tuple[Effect, ...]]:
    """Return the effects of each event on entities of these kinds, in the order of the kinds."""
    dated = {measure.entity for measure in playbook.measures.values() if _has_calendar(measure)}
    effects: dict[str, tuple[Effect, ...]] = {}
    for kind in kinds:
        for name in events_of(kind):
            effect = _effect(kind, name, playbook, in_calendar=kind.name in dated)
            effects[name] = (*effects.get(name, ()), effect)
    return effects


def _effect(kind: EntityKind, name: str, playbook: Playbook, *, in_calendar: bool) -> Effect:
    return Effect(
        kind,
        tuple(match for match in kind.of if name in match.names),
        tuple(match for match in kind.counts_from if name in match.names),
        tuple(reversal for reversal in kind.reversed_by if name in reversal.match.names),
        tuple(match for match in kind.restored_by if name in match.names),
        in_calendar,
        needs_no_key=bool(kind.counts_from) or is_over(playbook.conversion.over, kind.name),
    )


def net_folds(playbook: Playbook) -> Iterable[FoldFact]:
    """Yield every fold over entities: facts, `KIND.ever`, and those that decide on track, milestones and verdicts."""
    for kind in playbook.entities:
        yield _count(f"{kind}.ever", (EntityMatch(kind),))
    for fact in playbook.facts.values():
        if isinstance(fact, FoldFact) and fact.over:
            yield fact
        elif isinstance(fact, RhythmFact):
            yield _count(f"@count:{fact.name}", fact.over)
            yield FoldFact(f"@first:{fact.name}", "first", "instant", (), over=fact.over)
            yield FoldFact(f"@last:{fact.name}", "last", "instant", (), over=fact.over)
            for name in () if isinstance(fact.usual, int) else fact.usual.properties:
                yield FoldFact(usual_fold(fact, name), "latest", "text", (), property=name, over=fact.over)
        elif isinstance(fact, VerdictFact):
            for sign, over in (("yes", fact.yes_over), ("no", fact.no_over)):
                if over:
                    yield FoldFact(f"@{sign}:{fact.name}", "last", "instant", (), over=over)
    if playbook.conversion.over:
        yield _count("@track", playbook.conversion.over)
    for milestone in playbook.milestones:
        if milestone.over:
            yield milestone_fold(milestone)


@dataclass(frozen=True, eq=False, slots=True)
class FoldGroup:
    """Folds over the same entities that read the same value of each: what an entity adds is worked out once for all."""

    # The kinds of the entities, each once.
    kinds: tuple[str, ...]
    folds: tuple[FoldFact, ...]


def fold_groups(folds: Iterable[FoldFact]) -> tuple[FoldGroup, ...]:
    """Return the folds in groups; each fold is in one group."""
    groups: dict[tuple[object, ...], list[FoldFact]] = {}
    for fold in (fold for fold in folds if not fold.name.startswith(USUAL)):
        groups.setdefault((fold.over, *_value_read(fold)), []).append(fold)
    return tuple(
        FoldGroup(tuple(dict.fromkeys(match.kind for match in group[0].over)), tuple(group))
        for group in groups.values()
    )


def _value_read(fold: FoldFact) -> tuple[object, ...]:
    """Return what distinguishes the value that the fold reads of an entity or a line."""
    if fold.fold in DATED:
        return ("date",)
    if fold.money:
        return ("amount",)
    return fold.fold == "set", fold.property, fold.type, fold.scale


def milestone_fold(milestone: Milestone) -> FoldFact:
    """Return the fold that counts the standing entities of a milestone."""
    return _count(f"@milestone:{milestone.name}", milestone.over)


def _count(name: str, over: tuple[EntityMatch, ...]) -> FoldFact:
    return FoldFact(name, "count", "integer", (), over=over)


def is_over(over: Iterable[EntityMatch], kind: str) -> bool:
    """Tell whether one of them is about entities of the kind."""
    return any(match.kind == kind for match in over)


def reversing_events(playbook: Playbook, kind_name: str) -> frozenset[str]:
    """Return the names of the events that reverse an entity of the kind, or the one that it is a part of."""
    names: set[str] = set()
    kind, seen = playbook.entities.get(kind_name), {kind_name}
    while kind is not None:
        names.update(name for reversal in kind.reversed_by for name in reversal.match.names)
        kind = None if kind.within in seen else playbook.entities.get(kind.within)
        seen.add(kind.name if kind is not None else "")
    return frozenset(names)

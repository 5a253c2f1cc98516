"""The rules that judge a contact after any event, by its place and by the facts that they read.

An event that changes no fact that a rule reads cannot change the rule's answer, so the rule is not asked again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nurture.domain.conditions import stored_keys
from nurture.domain.measure import Measure, OnCondition, OnDate, OnMoment, OnSchedule
from nurture.domain.playbook import Stage


@dataclass(frozen=True, eq=False, slots=True)
class RulesByFact:
    """Measures whose rule is judged again when one of the facts that it reads changes, in the playbook's order."""

    measures: tuple[Measure, ...]
    # Fact -> the places in `measures` of those that read it.
    readers: Mapping[str, tuple[int, ...]]
    # Places of those that read their own runs too.
    repeating: tuple[int, ...]

    def reading(self, facts: Iterable[str], started: Mapping[str, object]) -> Sequence[Measure]:
        """Return the measures that read one of the facts, or that repeat and have started."""
        places = {place for fact in facts for place in self.readers.get(fact, ())}
        places.update(place for place in self.repeating if self.measures[place].root in started)
        return [self.measures[place] for place in sorted(places)] if places else ()


@dataclass(frozen=True, eq=False, slots=True)
class PlaceRules:
    """The rules for contacts on one track and stage."""

    # Every fact that one of the rules reads.
    facts: frozenset[str]
    # The facts that the evidence of the track's stages reads.
    stage_facts: frozenset[str]
    # Measures that a change of their audience's answer starts, and those of them whose answer changes with time.
    conditions: RulesByFact
    moving: tuple[Measure, ...]
    # Measures that time alone may start: on a date, on a schedule, or by an answer that changes with time.
    timed: RulesByFact
    dates: tuple[tuple[Measure, OnDate], ...]
    schedules: tuple[tuple[Measure, OnSchedule], ...]
    moments: tuple[tuple[Measure, OnMoment], ...]


def rules_of_place(
    measures: Iterable[Measure], stages: Iterable[Stage], *, track: str, stage: str
) -> PlaceRules:
    """Return the rules for contacts on this track and stage. stages: those of the track."""
    here = [m for m in measures if m.track in ("any", track) and m.fits_stage(stage)]
    conditions = [measure for measure in here if isinstance(measure.trigger, OnCondition)]
    timed = [measure for measure in here if _is_timed(measure)]
    stage_facts = frozenset(key for rule in stages for key in stored_keys(rule.when.root))
    facts = {*stage_facts, *(key for measure in (*conditions, *timed) for key in _facts_read(measure))}
    return PlaceRules(
        facts=frozenset(facts),
        stage_facts=stage_facts,
        conditions=_by_fact(conditions),
        moving=tuple(measure for measure in conditions if _is_timed(measure)),
        timed=_by_fact(timed),
        dates=tuple((m, m.trigger) for m in timed if isinstance(m.trigger, OnDate)),
        schedules=tuple((m, m.trigger) for m in timed if isinstance(m.trigger, OnSchedule)),
        moments=tuple((m, m.trigger) for m in timed if isinstance(m.trigger, OnMoment)),
    )


def _is_timed(measure: Measure) -> bool:
    """Tell whether time alone may start the measure, apart from the silence of an entity."""
    match measure.trigger:
        case OnDate() | OnSchedule() | OnMoment():
            return True
        case OnCondition():
            return measure.audience.moving or _repeats(measure)
        case _:
            return False


def _by_fact(measures: Sequence[Measure]) -> RulesByFact:
    readers: dict[str, list[int]] = {}
    for place, measure in enumerate(measures):
        for key in _facts_read(measure):
            readers.setdefault(key, []).append(place)
    return RulesByFact(
        tuple(measures),
        {key: tuple(places) for key, places in readers.items()},
        tuple(place for place, measure in enumerate(measures) if _repeats(measure)),
    )


def _repeats(measure: Measure) -> bool:
    """Tell whether the end of a rest may start the measure again."""
    return isinstance(measure.trigger, OnCondition) and measure.once.again_after is not None


def _facts_read(measure: Measure) -> Iterable[str]:
    """Return the facts that decide when the measure starts by time or by its audience's answer."""
    if isinstance(measure.trigger, OnDate):
        return (measure.trigger.fact,)
    return sorted(stored_keys(measure.audience.root))

"""The map of a programme: which measure serves which stage, touchpoint and topic, and where nothing does."""

from collections.abc import Iterator
from dataclasses import dataclass

from nurture.domain.measure import Measure, Track
from nurture.domain.playbook import LabelFact, Playbook
from nurture.playbook.check.compared_texts import compared_texts
from nurture.playbook.check.other_track import has_twin_trigger, twin_of
from nurture.playbook.check.steps import is_never
from nurture.playbook.check.touchpoints import NONE, measure_by_stage
from nurture.playbook.hashes import conditions_of

_TRACKS: tuple[Track, ...] = ("lead", "customer")


@dataclass(frozen=True, slots=True)
class StageRow:
    """One measure that serves a stage; without a measure, a stage that none serves."""

    track: str
    stage: str
    measure: str
    # Personas that it names; (): it is for all of them.
    personas: tuple[str, ...] = ()
    kind: str = ""
    action: str = ""
    # Why it sells to a whole track.
    early: str = ""


@dataclass(frozen=True, slots=True)
class TouchpointRow:
    """The measure that acts on a touchpoint in one stage, or the reason; both empty: nothing is said."""

    touchpoint: str
    channel: str
    stage: str
    measure: str
    reason: str
    # True where the stage wants this touchpoint most.
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class TopicRow:
    """The measures by which a topic reaches people of one track."""

    topic: str
    track: str
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TwinRow:
    """A measure whose trigger has no measure on the other track, and the reason; empty: none is given."""

    measure: str
    reason: str


def stage_rows(playbook: Playbook) -> Iterator[StageRow]:
    """Yield a row for each stage and each measure that serves it."""
    for stage in playbook.stages:
        serving = [
            measure
            for _, measure in sorted(playbook.measures.items())
            if measure.track in ("any", stage.track) and measure.fits_stage(stage.name)
        ]
        for measure in serving:
            yield StageRow(
                stage.track,
                stage.name,
                measure.path,
                _personas_named(measure),
                measure.kind,
                measure.action.kind,
                measure.early,
            )
        if not any(measure.track != "any" for measure in serving):
            yield StageRow(stage.track, stage.name, "")


def personas_of(playbook: Playbook) -> tuple[str, ...]:
    """Return the personas that the playbook tells apart."""
    fact = playbook.facts.get("persona")
    if isinstance(fact, LabelFact):
        return tuple(sorted({*fact.texts, *fact.default_texts}))
    return tuple(persona.name for persona in playbook.personas)


def _personas_named(measure: Measure) -> tuple[str, ...]:
    texts = (condition.text for condition in conditions_of(measure))
    named = {value for text in texts for name, value in compared_texts(text) if name == "persona"}
    return tuple(sorted(named))


def touchpoint_rows(playbook: Playbook) -> Iterator[TouchpointRow]:
    """Yield a row for each touchpoint and each stage."""
    for point in playbook.touchpoints:
        for stage, chosen in measure_by_stage(point, playbook).items():
            is_reason = chosen.startswith(NONE)
            reason = chosen.removeprefix(NONE).strip() if is_reason else ""
            measure = "" if is_reason else chosen
            is_wanted = stage in point.wanted_in
            yield TouchpointRow(point.name, point.channel, stage, measure, reason, is_wanted)


def topic_rows(playbook: Playbook) -> Iterator[TopicRow]:
    """Yield a row for each topic and track; one without measures reaches nobody there."""
    for topic in playbook.topics:
        for track in _TRACKS:
            measures = (
                measure.path
                for measure in playbook.measures.values()
                if measure.topic == topic and measure.track == track and not is_never(measure.audience)
            )
            yield TopicRow(topic, track, tuple(sorted(measures)))


def twin_rows(playbook: Playbook) -> Iterator[TwinRow]:
    """Yield the measures whose trigger exists on both tracks and has a measure on one alone."""
    for path, measure in sorted(playbook.measures.items()):
        if has_twin_trigger(measure) and twin_of(measure, playbook) is None:
            yield TwinRow(path, measure.other_track.removeprefix(NONE).strip())

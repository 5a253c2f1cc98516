"""Check the touchpoints of playbook.yaml: what each promises, its metric, the measure of each stage, and its events."""

from collections.abc import Iterator, Mapping

from nurture.domain.measure import Track
from nurture.domain.playbook import Playbook, Touchpoint
from nurture.playbook.check.essentials import metric_faults
from nurture.playbook.document import Document
from nurture.playbook.events_used import events_used
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.programme import ProgrammeFile

#: The form of a reason.
NONE = "none:"
_TRACKS: tuple[Track, ...] = ("lead", "customer")


def check_touchpoints(
    playbook: Playbook, programme: ProgrammeFile, document: Document, faults: Faults
) -> None:
    """Check every touchpoint; a playbook without any declares none and is not checked for it."""
    for point in playbook.touchpoints:
        _check_essentials(point, playbook, programme, document, faults)
        if not faults.has_broken(document.path, "stages"):
            _check_acts(point, playbook, document, faults)
    if playbook.touchpoints and not faults.has_broken(document.path):
        _check_events(playbook, document, faults)


def measure_by_stage(point: Touchpoint, playbook: Playbook) -> Mapping[str, str]:
    """Return stage -> the measure that acts on the touchpoint, or its reason; "" where nothing is said."""
    return {
        stage.name: point.by_stage.get(stage.name, point.by_stage.get(stage.track, ""))
        for stage in playbook.stages
    }


def _check_essentials(
    point: Touchpoint, playbook: Playbook, programme: ProgrammeFile, document: Document, faults: Faults
) -> None:
    loc, model = ("touchpoints", point.name), programme.touchpoints[point.name]
    if model.service is None:
        what = f"{point.name} promises no service"
        faults.at(document, loc, what, "say what people may expect there: service: answered within a minute")
    if model.metric is None:
        advice = 'write metric: {event: ..., within: 7d, expect: "25%"}'
        faults.at(document, loc, f"{point.name} has no metric", advice)
        return
    for key, *fault in metric_faults(model.metric, playbook, is_compared=False):
        faults.at(document, (*loc, "metric", key), *fault)


def _check_acts(point: Touchpoint, playbook: Playbook, document: Document, faults: Faults) -> None:
    loc, chosen = ("touchpoints", point.name), measure_by_stage(point, playbook)
    known = {*chosen, *_TRACKS}
    for name in (name for name in (*point.by_stage, *point.wanted_in) if name not in known):
        faults.at(document, loc, f"no stage `{name}`", f"known: {format_names(known, most=40)}")
    missing = [stage for stage, act in chosen.items() if not act]
    if missing:
        change = f'under `acts`, name the measure that acts on it, or "none: why" ({missing[0]}: ...)'
        faults.at(document, loc, f"{point.name} says nothing for {', '.join(missing)}", change)
    for stage, act in chosen.items():
        fault = _act_fault(stage, act, playbook, faults) if act else None
        if fault is not None:
            faults.at(document, (*loc, "acts", stage), *fault)


def _act_fault(stage: str, act: str, playbook: Playbook, faults: Faults) -> tuple[str, str] | None:
    if act.startswith(NONE):
        has_reason = bool(act.removeprefix(NONE).strip())
        return None if has_reason else ("no reason after `none:`", 'write "none: why"')
    measure = playbook.measures.get(act)
    if measure is None:
        is_broken = faults.is_broken(f"{act}/measure.yaml", ())
        return (
            None if is_broken else (f"no measure `{act}`", 'name a measure by its path, or write "none: why"')
        )
    track = next(known.track for known in playbook.stages if known.name == stage)
    if measure.track not in ("any", track) or not measure.fits_stage(stage):
        return f"`{act}` does not reach {stage}", "name a measure that does"
    return None


def _check_events(playbook: Playbook, document: Document, faults: Faults) -> None:
    for name, user in events_without_touchpoint(playbook):
        what = f"the event `{name}` ({user}) belongs to no touchpoint"
        faults.at(document, ("touchpoints",), what, "add it to `events` of the one where it happens")


def events_without_touchpoint(playbook: Playbook) -> Iterator[tuple[str, str]]:
    """Yield (event, where it is used first) of the events of people that no touchpoint names."""
    named = {name for point in playbook.touchpoints for name in point.events}
    for name, user in sorted(events_used(playbook).items()):
        if name not in named:
            yield name, user

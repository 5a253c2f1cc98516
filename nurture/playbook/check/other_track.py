"""Check that each trigger has a measure on both tracks with its own words, or a reason why not."""

from nurture.domain.measure import (
    Measure,
    OnCondition,
    OnConsent,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnOps,
    OnQuiet,
    OnStage,
    Trigger,
)
from nurture.domain.playbook import Playbook
from nurture.playbook.check.measure_check import MeasureCheck

#: The form of a reason.
NONE = "none:"


def has_twin_trigger(measure: Measure) -> bool:
    """Tell whether people of the other track can meet the measure's trigger too.

    A stage belongs to one track; a condition and a send by hand already say whom they are for.
    """
    return measure.track != "any" and not isinstance(measure.trigger, OnCondition | OnStage | OnOps)


def twin_of(measure: Measure, playbook: Playbook) -> Measure | None:
    """Return the measure of the other track that starts on the same trigger, as named or by the same name."""
    if measure.other_track and not measure.other_track.startswith(NONE):
        return playbook.measures.get(measure.other_track)
    name = measure.path.rpartition("/")[2]
    return next((other for other in playbook.measures.values() if _is_twin(other, measure, name)), None)


def _is_twin(other: Measure, measure: Measure, name: str) -> bool:
    is_elsewhere = other.track not in ("any", measure.track)
    return is_elsewhere and other.path.endswith(f"/{name}") and are_alike(other.trigger, measure.trigger)


def check_other_track(check: MeasureCheck) -> None:
    """Check `other_track` of one measure, and that it is there where the trigger exists on both tracks."""
    measure, named = check.measure, check.measure.other_track
    loc = ("other_track",)
    if check.is_broken("trigger") or check.is_broken("other_track"):
        return
    if measure.track == "any":
        if named:
            check.fault(loc, "`other_track` under any/", "remove it: this measure serves both tracks")
    elif named.startswith(NONE):
        if not named.removeprefix(NONE).strip():
            check.fault(
                loc, "no reason after `none:`", 'write "none: why", for example "none: leads have no parcels"'
            )
    elif named:
        _check_named(check, named)
    elif has_twin_trigger(measure) and twin_of(measure, check.playbook) is None:
        other = "customer" if measure.track == "lead" else "lead"
        path = f"{other}/any/{measure.path.rpartition('/')[2]}"
        if not check.faults.is_broken(f"{path}/measure.yaml", ()):
            change = f'write {path}, or other_track: "none: why"'
            check.fault(("trigger",), "this trigger exists on both tracks", change)


def _check_named(check: MeasureCheck, named: str) -> None:
    other, loc = check.playbook.measures.get(named), ("other_track",)
    if other is None:
        if not check.faults.is_broken(f"{named}/measure.yaml", ()):
            check.fault(
                loc, f"no measure `{named}`", 'name a measure of the other track, or write "none: why"'
            )
    elif other.track in ("any", check.measure.track):
        check.fault(loc, f"`{named}` is not on the other track", 'name one that is, or write "none: why"')
    elif not are_alike(other.trigger, check.measure.trigger):
        what = f"`{named}` starts on something else than this measure"
        check.fault(loc, what, 'name one with the same trigger, or write "none: why"')


def are_alike(trigger: Trigger, other: Trigger) -> bool:
    """Tell whether two triggers listen to the same: an event, a silence, a milestone, a date, a topic, an object."""
    match trigger, other:
        case OnEvent(names=names), OnEvent(names=others):
            return not set(names).isdisjoint(others)
        case OnQuiet(entity=entity), OnQuiet(entity=other_entity):
            return entity == other_entity
        case OnMilestone(milestone=name), OnMilestone(milestone=other_name):
            return name == other_name
        case OnDate(fact=fact), OnDate(fact=other_fact):
            return fact == other_fact
        case OnConsent(topic=topic), OnConsent(topic=other_topic):
            return topic == other_topic
        case OnObject(kind=kind), OnObject(kind=other_kind):
            return kind == other_kind
        case _:
            return type(trigger) is type(other)

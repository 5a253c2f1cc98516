"""Check what a measure's runs are about, how often they start, what ends them, and its former names."""

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.event_index import events_of
from nurture.domain.measure import Exit, OnConsent, OnEntityDate, OnEvent, OnMoment, OnOps
from nurture.domain.playbook import EntityKind
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.document import Loc
from nurture.playbook.hashes import canonical_condition


def check_run(check: MeasureCheck) -> None:
    """Check the entity, `while`, exits, consent trigger, ops trigger and `was` of one measure."""
    kind = check.playbook.entities.get(check.measure.entity or "")
    if kind is not None:
        _check_entity(check, kind)
    elif check.model.while_ == "open" and not check.is_broken("entity"):
        check.fault(("while",), "`while: open`, but the run has no entity", "add `entity:`, or remove it")
    _check_trigger(check)
    for place, exit_ in enumerate(check.measure.exits):
        _check_exit(check, ("exit", place), exit_, kind)
    _check_was(check)


def _check_entity(check: MeasureCheck, kind: EntityKind) -> None:
    measure = check.measure
    if not isinstance(measure.trigger, OnEvent):
        return
    names, about = measure.trigger.names, _events_about(check, kind)
    if about.isdisjoint(names):
        what = f"`entity: {kind.name}`, but `{names[0]}` is no event of {kind.name}"
        change = f"add it to `of` of {kind.name} in playbook.yaml, so that it carries {kind.key}"
        check.fault(("entity",), what, change)
    for name in names:
        if measure.while_open and name in kind.closed_by:
            what = f"`while: open`, but `{name}` closes the {kind.name}, so the run ends as it begins"
            check.fault(("while",), what, "write `while: any`, or start on another event")


def _events_about(check: MeasureCheck, kind: EntityKind) -> set[str]:
    """Return the events of a kind, of the kinds that lie within it and of the one that it lies within."""
    kinds = check.playbook.entities
    family = [kind, *(other for other in kinds.values() if other.within == kind.name)]
    if kind.within in kinds:
        family.append(kinds[kind.within])
    rules = [member.lines for member in family if member.lines is not None]
    lines = {name for rule in rules for name in (*rule.added_by, *rule.removed_by)}
    return lines.union(*(events_of(member) for member in family))


def _check_trigger(check: MeasureCheck) -> None:
    measure, once = check.measure, check.measure.once
    match measure.trigger:
        case OnConsent(topic=topic):
            loc: Loc = ("trigger", "consent")
            check.require_known(loc, "topic", topic, check.known("topics", check.playbook.topics))
            if measure.topic is not None and measure.topic != topic:
                what = f"starts on the consent to {topic}, and its mail is of the topic {measure.topic}"
                check.fault(loc, what, f"write `topic: {topic}`, or start on `consent: {measure.topic}`")
        case OnOps():
            if once.per not in ("contact", "occasion"):
                what = f"operators send it, but it is once per {once.per}"
                check.fault(("once",), what, "write `once: per contact` or `once: per occasion`")
            return
        case _:
            pass
    if once.per == "occasion" and not isinstance(measure.trigger, OnEntityDate | OnMoment):
        check.fault(
            ("once",),
            "once per occasion, and this trigger has none",
            "write another `once`, or start it on a date of an entity, on a moment or by `trigger: ops`",
        )


def _check_exit(check: MeasureCheck, loc: Loc, exit_: Exit, kind: EntityKind | None) -> None:
    if exit_.key is not None and kind is not None:
        lines = kind.lines.keys if kind.lines is not None else ()
        known = {*kind.keys, *kind.parent_keys, *lines, *check.playbook.properties.terms}
        if exit_.key not in known:
            what = f"exit on key `{exit_.key}`: neither the key of {kind.name} nor one of its lines"
            check.fault((*loc, "key"), what, f"name {' or '.join(dict.fromkeys((*kind.keys, *lines)))}")
    if exit_.when is None:
        return
    text = canonical_condition(exit_.when.expanded)
    if exit_.event is None and (
        _constant(exit_.when) is Truth.YES or text == canonical_condition(check.measure.audience.expanded)
    ):
        what = "this exit is yes for the whole audience, so the run ends as it begins"
        check.fault((*loc, "when"), what, "write a condition that is no when the run begins")
    elif _constant(exit_.when) in (Truth.NO, Truth.UNKNOWN):
        check.fault((*loc, "when"), "this exit ends no run, its condition is never yes", "remove it")


def _constant(condition: Condition) -> Truth | None:
    """Return the answer of a condition that reads nothing of a contact, None for any other."""
    if condition.terms or condition.events or condition.moving:
        return None
    return condition.truth(Reading(facts={}, now=0))


def _check_was(check: MeasureCheck) -> None:
    measure = check.measure
    loc: Loc = ("was",)
    measures = [(other.path, other) for other in check.playbook.measures.values()]
    paths = {path for path, _ in measures}
    for former in measure.was:
        track = former.partition("/")[0]
        if former == measure.path:
            check.fault(loc, f"`{former}` is its name now", "remove it")
        elif track != measure.track:
            what = f"was {former}, and stands under {measure.track}/: a track is never crossed"
            check.fault(loc, what, "remove `was`; a `handover` carries runs to the other track")
        elif former in paths:
            check.fault(loc, f"`{former}` still exists", "remove `was`, or remove that folder")
        others = [path for path, other in measures if path != measure.path and former in other.was]
        if others:
            check.fault(loc, f"two measures were `{former}`: {others[0]} too", "let one of them be new")

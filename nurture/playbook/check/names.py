"""Check that every name that a measure uses exists and is allowed at its place."""

from collections.abc import Iterable, Iterator

from nurture.domain.conditions import Condition, Term
from nurture.domain.measure import (
    Branch,
    LetCoupon,
    LetTable,
    MailStep,
    OnDate,
    OnEntityDate,
    OnMilestone,
    OnMoment,
    OnObject,
    OnOps,
    OnQuiet,
    OnStage,
    Track,
    WaitUntilDate,
    WaitUntilMoment,
)
from nurture.domain.playbook import FoldFact, Playbook, RhythmFact, TraitFact, field_terms
from nurture.domain.referral import REFERRER
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.check.compared_texts import report_unknown_texts
from nurture.playbook.check.entity_dates import check_entity_date, check_moment
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.objects.lists import EventLike, check_objects
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.folder import PROGRAMME

_NO_TERM = Term("", "text")
_CALENDAR = {"contact", "event", "entity", "occasion", "year", "month", "day"}


def check_names(check: MeasureCheck) -> None:
    """Check the names, purposes and places of one measure."""
    measure, playbook = check.measure, check.playbook
    check.require_known(("form",), "form", check.model.form, check.known("forms", check.programme.forms))
    check.require_known(("topic",), "topic", measure.topic, check.known("topics", playbook.topics))
    check.require_known(("entity",), "entity", check.model.entity, check.entities())
    _check_purpose(check)
    _check_trigger(check)
    _check_handover(check)
    _check_lets(check)
    check_objects(check)
    _check_once(check)
    for loc, condition in conditions_at(check):
        _check_condition(check, loc, condition)
    for place, step in enumerate(measure.steps):
        if isinstance(step, WaitUntilDate):
            _check_date(check, check.step_loc(place, "wait", "date"), step.date)
        elif isinstance(step, WaitUntilMoment):
            loc = check.step_loc(place, "wait", "moment")
            check.require_known(loc, "moment", step.moment, check.known("moments", playbook.moments))


def conditions_at(check: MeasureCheck) -> Iterator[tuple[Loc, Condition]]:
    """Yield every condition of the measure that reads a contact, with its place."""
    yield ("audience",), check.measure.audience
    for place, exit_ in enumerate(check.measure.exits):
        if exit_.when is not None:
            yield ("exit", place, "when"), exit_.when
    for place, step in enumerate(check.measure.steps):
        if step.when is not None:
            yield check.step_loc(place, "when"), step.when
        if isinstance(step, MailStep) and step.send_if is not None:
            yield check.step_loc(place, "send_if"), step.send_if
        for number, case in enumerate(step.cases if isinstance(step, Branch) else ()):
            if case.when is not None:
                yield check.step_loc(place, "branch", number, "when"), case.when


def _check_purpose(check: MeasureCheck) -> None:
    measure = check.measure
    if measure.track == "any" and check.is_marketing:
        change = "only transactional and service mail may go to both tracks; move it under lead/ or customer/"
        check.fault(("purpose",), f"{measure.purpose} under any/", change)
    if check.is_marketing and measure.topic is None:
        change = f"add `topic:`, one of {', '.join(sorted(check.playbook.topics)) or 'the topics of playbook.yaml'}"
        check.fault(("purpose",), f"{measure.purpose} mail needs a topic that people consented to", change)
    if measure.purpose == "transactional":
        if measure.holdout:
            check.fault(
                ("holdout",), "a holdout of transactional mail", "remove it: what people need is not withheld"
            )
        if check.model.holdable is False:
            check.fault(
                ("holdable",), "`holdable` on transactional mail", "remove it: no hold stops it anyway"
            )
    if check.is_marketing and check.model.holdable is False:
        change = "remove it: only service mail may pass the holds"
        check.fault(("holdable",), f"{measure.purpose} mail that no hold stops", change)
    if measure.variants and (total := sum(variant.weight for variant in measure.variants)) != 100:
        check.fault(("variants",), f"the weights add up to {total}", "make them add up to 100")


def _check_trigger(check: MeasureCheck) -> None:
    measure, playbook = check.measure, check.playbook
    match measure.trigger:
        case OnQuiet(entity=entity):
            check.require_known(("trigger", "entity"), "entity", entity, check.entities())
        case OnMilestone(milestone=name):
            known = check.known("milestones", (milestone.name for milestone in playbook.milestones))
            check.require_known(("trigger", "milestone"), "milestone", name, known)
        case OnStage(stage=name):
            _check_stage(check, name)
        case OnObject(kind=kind, names=names):
            _check_object_trigger(check, kind, names)
        case OnDate() as on:
            _check_date_fact(check, on)
        case OnMoment() as on_moment:
            check_moment(check, on_moment)
        case OnEntityDate() as on_entity:
            check_entity_date(check, on_entity)
        case _:
            return


def _check_object_trigger(check: MeasureCheck, kind: str, names: Iterable[str]) -> None:
    objects = check.playbook.objects
    check.require_known(("trigger", "object"), "object", kind, check.known("objects", objects))
    on = check.measure.trigger
    lists = on.lists if isinstance(on, OnObject) and kind in objects else ()
    known = frozenset(watch.name for watch in objects[kind].lists) if lists else frozenset()
    for name in lists:
        if name not in known:
            change = (
                f"known: {format_names(known, most=40)}" if known else f"add it under `watchers` of `{kind}`"
            )
            check.fault(("trigger", "watchers"), f"{kind} has no list `{name}`", change)
    for name in names if kind in objects else ():
        if name not in objects[kind].wakes:
            what = f"`{name}` does not wake the people who watch a {kind}"
            change = f"add it to `wakes` of `{kind}` in playbook.yaml"
            check.fault(("trigger", "event"), what, change)


def _check_stage(check: MeasureCheck, name: str) -> None:
    track: Track = "lead" if check.measure.track == "lead" else "customer"
    stages = [stage.name for stage in check.playbook.stages if check.measure.track in ("any", stage.track)]
    loc = ("trigger", "stage")
    check.require_known(
        loc,
        f"stage of the {track} track" if check.measure.track != "any" else "stage",
        name,
        check.known("stages", stages),
    )
    if not check.measure.fits_stage(name) and name in stages:
        what = f"starts on entering {name}, but stands under {check.draft.folder.place}"
        check.fault(loc, what, f"move the folder under {track}/{name}/ or {track}/any/")


def _check_date_fact(check: MeasureCheck, on: OnDate) -> None:
    loc, name = ("trigger", "date"), on.fact
    known = {fact.name for fact in check.playbook.facts.values() if _is_date(fact, both=True)}
    if name in check.playbook.facts and name not in known:
        check.fault(loc, f"`{name}` is no date", "name a fact of type date or instant")
    else:
        check.require_known(loc, "date fact", name, check.known("facts", known))
    if on.yearly and check.measure.once.per == "contact" and check.measure.once.again_after is None:
        check.fault(("once",), "a yearly date, but once per contact", "write `once: per year`")


def _is_date(fact: object, *, both: bool) -> bool:
    wanted = {"instant", "date"} if both else {"instant"}
    return isinstance(fact, RhythmFact) or (isinstance(fact, TraitFact | FoldFact) and fact.type in wanted)


def _check_date(check: MeasureCheck, loc: Loc, name: str) -> None:
    """Check a wait's date: `entity.FIELD`, `event.PROPERTY`, a let value or a fact, of type instant."""
    root, _, field = name.partition(".")
    if root in ("entity", "event") and field:
        if root == "entity" and check.measure.entity is None:
            check.fault(loc, f"`{name}`, but the run has no entity", "add `entity:`")
        kind = check.playbook.entities.get(check.measure.entity or "") if root == "entity" else None
        if kind is not None and field_terms(kind, {}).get(field, _NO_TERM).type == "instant":
            return
        term = check.playbook.properties.terms.get(field)
        if term is None and field not in check.faults.broken_names(PROGRAMME, "properties"):
            what = f"no property `{field}`"
            check.fault(loc, what, f"declare `{field}: instant` under `properties` in playbook.yaml")
        elif term is not None and check.programme.properties.get(field) not in ("instant", "date"):
            check.fault(loc, f"`{name}` is {check.programme.properties.get(field)}", "name an instant")
        return
    no_dates = LetCoupon | LetTable
    lets = {let for let in check.model.let if not isinstance(check.measure.let.get(let), no_dates)}
    facts = {fact.name for fact in check.playbook.facts.values() if _is_date(fact, both=False)}
    if name in check.playbook.facts and name not in facts:
        check.fault(loc, f"`{name}` is no instant", "name a fact of type instant, or entity.FIELD")
    else:
        check.require_known(loc, "instant", name, check.known("facts", facts | lets))


def check_fact_names(playbook: Playbook, document: Document, faults: Faults) -> None:
    """Check that no fact takes a name that later versions gave a meaning; what is published keeps its own."""
    if REFERRER in playbook.facts:
        what = f"`{REFERRER}` has a meaning already: by whose link a person came"
        faults.at(document, ("facts", REFERRER), what, "rename it")


def _check_handover(check: MeasureCheck) -> None:
    target = check.measure.handover
    if target is None:
        return
    loc = ("handover",)
    other = check.playbook.measures.get(target)
    if other is None:
        # A broken measure has its own faults.
        if not check.faults.is_broken(f"{target}/measure.yaml", ()):
            check.fault(loc, f"no measure `{target}`", "name a measure of the other track by its path")
    elif check.measure.track == "any":
        check.fault(loc, "a handover under any/", "remove it: this measure serves both tracks")
    elif other.track == check.measure.track:
        check.fault(loc, f"`{target}` is on the same track", "name a measure of the other track")
    elif other.entity != check.measure.entity:
        what = (
            f"`{target}` runs on {other.entity or 'no entity'}, this one on {check.measure.entity or 'none'}"
        )
        check.fault(loc, what, "give both the same `entity`, so that the key carries over")


def _check_lets(check: MeasureCheck) -> None:
    used = RESERVED | set(check.playbook.facts) | set(check.playbook.segments)
    for name, value in check.model.let.items():
        offer = getattr(value, "coupon", None)
        check.require_known(("let", name), "offer", offer, check.known("offers", check.playbook.offers))
        if name in used:
            check.fault(("let", name), f"`{name}` has a meaning already", "give the value another name")
    for name in check.model.objects:
        if name in RESERVED or name in check.model.let:
            check.fault(("objects", name), f"`{name}` has a meaning already", "give the object another name")


def _check_once(check: MeasureCheck) -> None:
    once, trigger = check.measure.once, check.measure.trigger
    if once.per == "entity" and check.measure.entity is None:
        check.fault(("once",), "once per entity, but the run has no entity", "add `entity:`")
    if once.per in _CALENDAR or check.faults.is_broken(check.draft.document.path, ("entity",)):
        return
    kind = check.playbook.entities.get(check.measure.entity or "")
    if kind is not None and once.per in kind.keys:
        return
    if not isinstance(trigger, EventLike | OnOps):
        what = f"once per {once.per}, and this trigger brings no event with that property"
        check.fault(("once",), what, "write per contact, per entity, per year, per month or per day")


# ---- inside conditions -----------------------------------------------------------------------------------


def _check_condition(check: MeasureCheck, loc: Loc, condition: Condition) -> None:
    """Check names that the parser does not know: stages, tracks, personas as text; `entity.`, `event.` without one."""
    report_unknown_texts(condition, check.playbook, check.draft.document, loc, check.faults)
    roots = {term.partition(".")[0] for term in condition.terms if "." in term}
    if "entity" in roots and check.measure.entity is None:
        check.fault(loc, "`entity.` is read, but the run has no entity", "add `entity:`")
    if "event" in roots and not isinstance(check.measure.trigger, EventLike):
        check.fault(loc, "`event.` is read, but this trigger has no event", "read a fact instead")

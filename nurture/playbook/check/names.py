"""Names and places: everything a measure names must exist, and stand where it may."""

import ast
from collections.abc import Iterator

from nurture.domain.conditions import Condition
from nurture.domain.measure import (
    MailStep,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnQuiet,
    OnStage,
    Track,
    WaitUntilDate,
)
from nurture.domain.playbook import EntityFact, FoldFact, TraitFact
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.check.case import Case
from nurture.playbook.document import Loc
from nurture.playbook.folder import PROGRAMME

_CALENDAR = {"contact", "event", "entity", "year", "month", "day"}


def check_names(case: Case) -> None:
    """Check the names, purposes and places of one measure."""
    measure, playbook = case.measure, case.playbook
    case.name(("form",), "form", measure.form, case.known("forms", case.programme.forms))
    case.name(("topic",), "topic", measure.topic, case.known("topics", playbook.topics))
    case.name(("entity",), "entity", case.given.entity, case.entities())
    _check_purpose(case)
    _check_trigger(case)
    _check_handover(case)
    _check_lets(case)
    _check_objects(case)
    _check_once(case)
    for loc, condition in conditions_at(case):
        _check_condition(case, loc, condition)
    for place, step in enumerate(measure.steps):
        if isinstance(step, WaitUntilDate):
            _check_date(case, ("steps", place, "wait", "date"), step.date)


def conditions_at(case: Case) -> Iterator[tuple[Loc, Condition]]:
    """Return every condition of the measure's own that reads a contact, with its place."""
    yield ("audience",), case.measure.audience
    for place, step in enumerate(case.measure.steps):
        if step.when is not None:
            yield ("steps", place, "when"), step.when
        if isinstance(step, MailStep) and step.send_if is not None:
            yield ("steps", place, "send_if"), step.send_if


def _check_purpose(case: Case) -> None:
    measure = case.measure
    if measure.track == "any" and case.is_marketing:
        change = "only transactional and service mail may go to both tracks; move it under lead/ or customer/"
        case.fault(("purpose",), f"{measure.purpose} under any/", change)
    if case.is_marketing and measure.topic is None:
        change = (
            f"add `topic:`, one of {', '.join(sorted(case.playbook.topics)) or 'the topics of playbook.yaml'}"
        )
        case.fault(("purpose",), f"{measure.purpose} mail needs a topic that people consented to", change)
    if measure.purpose == "transactional":
        if measure.holdout:
            case.fault(
                ("holdout",), "a holdout of transactional mail", "remove it: what people need is not withheld"
            )
        if case.given.holdable is False:
            case.fault(
                ("holdable",), "`holdable` on transactional mail", "remove it: no hold stops it anyway"
            )
    if case.is_marketing and case.given.holdable is False:
        change = "remove it: only service mail may pass the holds"
        case.fault(("holdable",), f"{measure.purpose} mail that no hold stops", change)
    if measure.variants and (total := sum(variant.weight for variant in measure.variants)) != 100:
        case.fault(("variants",), f"the weights add up to {total}", "make them add up to 100")


def _check_trigger(case: Case) -> None:
    measure, playbook = case.measure, case.playbook
    match measure.trigger:
        case OnQuiet(entity=entity):
            case.name(("trigger", "entity"), "entity", entity, case.entities())
        case OnMilestone(milestone=name):
            known = case.known("milestones", (milestone.name for milestone in playbook.milestones))
            case.name(("trigger", "milestone"), "milestone", name, known)
        case OnStage(stage=name):
            _check_stage(case, name)
        case OnObject(kind=kind, names=names):
            case.name(("trigger", "object"), "object", kind, case.known("objects", playbook.objects))
            if kind in playbook.objects:
                wakes = playbook.objects[kind].wakes
                for name in names:
                    if name not in wakes:
                        what = f"`{name}` does not wake who watches a {kind}"
                        case.fault(
                            ("trigger", "event"), what, f"add it to `wakes` of `{kind}` in playbook.yaml"
                        )
        case OnDate() as on:
            _check_date_fact(case, on)
        case _:
            return


def _check_stage(case: Case, name: str) -> None:
    track: Track = "lead" if case.measure.track == "lead" else "customer"
    stages = [stage.name for stage in case.playbook.stages if case.measure.track in ("any", stage.track)]
    loc = ("trigger", "stage")
    case.name(
        loc,
        f"stage of the {track} track" if case.measure.track != "any" else "stage",
        name,
        case.known("stages", stages),
    )
    if case.measure.stage not in ("any", name) and name in stages:
        what = f"starts on entering {name}, but stands under {case.measure.stage}"
        case.fault(loc, what, f"move the folder under {track}/{name}/ or {track}/any/")


def _check_date_fact(case: Case, on: OnDate) -> None:
    loc, name = ("trigger", "date"), on.fact
    known = {fact.name for fact in case.playbook.facts.values() if _is_date(fact, both=True)}
    if name in case.playbook.facts and name not in known:
        case.fault(loc, f"`{name}` is no date", "name a fact of type date or instant")
    else:
        case.name(loc, "date fact", name, case.known("facts", known))
    if on.yearly and case.measure.once.per == "contact" and case.measure.once.again_after is None:
        case.fault(("once",), "a yearly date, but once per contact", "write `once: per year`")


def _is_date(fact: object, *, both: bool) -> bool:
    wanted = {"instant", "date"} if both else {"instant"}
    return isinstance(fact, TraitFact | FoldFact) and fact.type in wanted


def _check_date(case: Case, loc: Loc, name: str) -> None:
    """A wait's date: `entity.FIELD`, `event.PROPERTY`, a let value or a fact, each an instant."""
    root, _, field = name.partition(".")
    if root in ("entity", "event") and field:
        if root == "entity" and case.measure.entity is None:
            case.fault(loc, f"`{name}`, but the run has no entity", "add `entity:`")
        term = case.playbook.properties.terms.get(field)
        if term is None and field not in case.faults.broken_names(PROGRAMME, "properties"):
            what = f"no property `{field}`"
            case.fault(loc, what, f"declare `{field}: instant` under `properties` in playbook.yaml")
        elif term is not None and case.programme.properties.get(field) not in ("instant", "date"):
            case.fault(loc, f"`{name}` is {case.programme.properties.get(field)}", "name an instant")
        return
    lets = {let for let, value in case.given.let.items() if not hasattr(value, "coupon")}
    facts = {fact.name for fact in case.playbook.facts.values() if _is_date(fact, both=False)}
    if name in case.playbook.facts and name not in facts:
        case.fault(loc, f"`{name}` is no instant", "name a fact of type instant, or entity.FIELD")
    else:
        case.name(loc, "instant", name, case.known("facts", facts | lets))


def _check_handover(case: Case) -> None:
    target = case.measure.handover
    if target is None:
        return
    loc = ("handover",)
    other = case.playbook.measures.get(target)
    if other is None:
        # A measure that is there and did not read has its own faults.
        if not case.faults.is_broken(f"{target}/measure.yaml", ()):
            case.fault(loc, f"no measure `{target}`", "name a measure of the other track by its path")
    elif case.measure.track == "any":
        case.fault(loc, "a handover under any/", "remove it: this measure serves both tracks")
    elif other.track == case.measure.track:
        case.fault(loc, f"`{target}` is on the same track", "name a measure of the other track")
    elif other.entity != case.measure.entity:
        what = (
            f"`{target}` runs on {other.entity or 'no entity'}, this one on {case.measure.entity or 'none'}"
        )
        case.fault(loc, what, "give both the same `entity`, so that the key carries over")


def _check_lets(case: Case) -> None:
    taken = RESERVED | set(case.playbook.facts)
    for name, value in case.given.let.items():
        offer = getattr(value, "coupon", None)
        case.name(("let", name), "offer", offer, case.known("offers", case.playbook.offers))
        if name in taken:
            case.fault(("let", name), f"`{name}` has a meaning already", "give the value another name")
    for name in case.given.objects:
        if name in RESERVED or name in case.given.let:
            case.fault(("objects", name), f"`{name}` has a meaning already", "give the object another name")


def _check_objects(case: Case) -> None:
    for name, binding in case.measure.objects.items():
        loc = ("objects", name)
        case.name((*loc, "kind"), "object", binding.kind, case.known("objects", case.playbook.objects))
        root, _, field = binding.key.partition(".")
        if root == "entity" and field and case.measure.entity is None:
            case.fault((*loc, "key"), f"`{binding.key}`, but the run has no entity", "add `entity:`")
        if root == "contact" and field:
            case.name((*loc, "key"), "fact", field, case.known("facts", case.playbook.facts))
        if not field and not isinstance(case.measure.trigger, OnEvent | OnMilestone | OnObject | OnStage):
            what = f"`{binding.key}` is read from the trigger's event, and this trigger has none"
            case.fault((*loc, "key"), what, "write entity.FIELD or contact.FACT")


def _check_once(case: Case) -> None:
    once, trigger = case.measure.once, case.measure.trigger
    if once.per == "entity" and case.measure.entity is None:
        case.fault(("once",), "once per entity, but the run has no entity", "add `entity:`")
    if once.per in _CALENDAR or case.faults.is_broken(case.draft.document.path, ("entity",)):
        return
    fact = case.playbook.facts.get(case.measure.entity or "")
    if isinstance(fact, EntityFact) and fact.key == once.per:
        return
    if not isinstance(trigger, OnEvent | OnMilestone | OnObject | OnStage):
        what = f"once per {once.per}, and this trigger brings no event with that property"
        case.fault(("once",), what, "write per contact, per entity, per year, per month or per day")


# ---- inside conditions -----------------------------------------------------------------------------------


def _check_condition(case: Case, loc: Loc, condition: Condition) -> None:
    """Names that the parser cannot know: stages, tracks and personas as text; entity and event where there is none."""
    for name, text in compared_texts(condition.text):
        known = _texts_of(case, name)
        if known is not None and text not in known:
            case.fault(loc, f"no {name} `{text}`", f"known: {', '.join(sorted(known)) or '(none yet)'}")
    roots = {term.partition(".")[0] for term in condition.terms if "." in term}
    if "entity" in roots and case.measure.entity is None:
        case.fault(loc, "`entity.` is read, but the run has no entity", "add `entity:`")
    if "event" in roots and not isinstance(case.measure.trigger, OnEvent | OnMilestone | OnObject | OnStage):
        case.fault(loc, "`event.` is read, but this trigger has no event", "read a fact instead")


def _texts_of(case: Case, name: str) -> frozenset[str] | None:
    match name:
        case "stage":
            return case.known("stages", (stage.name for stage in case.playbook.stages))
        case "track":
            return frozenset({"lead", "customer"})
        case "persona":
            return case.known("personas", (persona.name for persona in case.playbook.personas))
        case _:
            return None


def compared_texts(text: str) -> Iterator[tuple[str, str]]:
    """Return (name, text) for each `name == "text"`, `name != "text"` and `name in ["text", ...]`."""
    try:
        tree = ast.parse(f"({text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name):
            for comparator in node.comparators:
                for leaf in ast.walk(comparator):
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                        yield node.left.id, leaf.value

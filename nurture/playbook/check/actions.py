"""Check the steps that send no mail: what a measure may hand in about a person, and which consent it may end."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from nurture.domain.consent.events import ASKED, CONFIRMED, GIVEN, WITHDRAWN
from nurture.domain.consent.requests import (
    ADDRESS_CHANGED_EVENT,
    ADDRESS_OBJECTED_EVENT,
    ADDRESS_REQUESTED_EVENT,
    REQUEST_EVENT,
)
from nurture.domain.event import KIND_NAMES, VALUE_PUBLISHED
from nurture.domain.feedback import EVENTS
from nurture.domain.measure import (
    ActionStep,
    EmitStep,
    EndTopicStep,
    MailStep,
    Measure,
    NotifyStep,
    OnCondition,
    OnEvent,
    OnMilestone,
    OnStage,
    Reference,
    Step,
    WaitUntilEvent,
)
from nurture.domain.playbook import EventMatch, FoldFact, LabelFact, Playbook, TraitFact
from nurture.domain.referral import REFERRER
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.stages import first_evidence, source_events
from nurture.playbook.document import Loc
from nurture.playbook.fault import format_names
from nurture.playbook.folder import PROGRAMME

#: The event that announces a case.
OPENED: Final = "Support Case Opened"
#: Event -> why no measure may hand it in, where every playbook has it.
_OURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (GIVEN, CONFIRMED, ASKED, *WITHDRAWN), "only people consent and withdraw; use `end_topic`"
    ),
    **dict.fromkeys(
        (REQUEST_EVENT, ADDRESS_REQUESTED_EVENT, ADDRESS_CHANGED_EVENT, ADDRESS_OBJECTED_EVENT),
        "only our own pages tell what people confirm there",
    ),
    **dict.fromkeys(KIND_NAMES.values(), "it stands for a call of your tracking"),
    VALUE_PUBLISHED: "it tells what `nurture values publish` handed in",
    **dict.fromkeys(EVENTS.values(), "it tells what became of a mail"),
    **dict.fromkeys(
        (OPENED, "Support Case Updated", "Support Case Closed", "Reply Overdue"),
        "a person's answer opens a case, or `notify` with `due`",
    ),
}
#: Types of facts that an event can carry as they are.
_PLAIN: Final = frozenset({"bool", "integer", "text"})


def check_actions(check: MeasureCheck) -> None:
    """Check every action of one measure."""
    for place, step in enumerate(check.measure.steps):
        match step:
            case EmitStep():
                _check_event(check, place, step)
                _check_values(check, place, step)
                if step.to_referrer:
                    _check_told_to_others(check, place, step)
            case EndTopicStep():
                _check_topic(check, place, step)
            case NotifyStep():
                _check_notification(check, place, step)
            case _:
                pass
    _check_circle(check)


# ---- emit ------------------------------------------------------------------------------------------------


def _check_event(check: MeasureCheck, place: int, step: EmitStep) -> None:
    loc = check.step_loc(place, "emit", "event")
    because = _refused(check.playbook).get(step.event)
    if because is not None:
        check.fault(loc, f"emit of `{step.event}`: {because}", "hand in an event of your own")
        return
    mails = [other for other in check.measure.outline.on_the_way_to(place) if _is_mail(check.measure, other)]
    stages = [
        stage for stage in check.playbook.stages if step.event in set(first_evidence(stage, check.playbook))
    ]
    if mails and stages:
        what = f"`{step.event}` is evidence of stage {stages[0].name} and comes after a mail"
        check.fault(loc, what, "hand in another event: nobody moves on because we wrote")


def _is_mail(measure: Measure, place: int) -> bool:
    return isinstance(measure.steps[place], MailStep)


def _refused(playbook: Playbook) -> dict[str, str]:
    """Return event -> why no measure may hand it in."""
    kinds = playbook.entities.values()
    counting = [
        playbook.entities[match.kind] for match in playbook.conversion.over if match.kind in playbook.entities
    ]
    converting = _names(playbook.conversion.by)
    converting |= {name for kind in counting for name in _names(kind.counts_from or kind.of)}
    reversing = _names(playbook.conversion.reversed_by)
    reversing |= {name for kind in kinds for part in kind.reversed_by for name in part.match.names}
    reversing |= {name for kind in kinds for name in _names(kind.restored_by)}
    return {
        **dict.fromkeys(_names(playbook.requests), "only people ask for a mail"),
        **dict.fromkeys(reversing, "it takes something back; only people do"),
        **dict.fromkeys(converting, "it converts; only people convert"),
        **_OURS,
    }


def _names(matches: tuple[EventMatch, ...]) -> set[str]:
    return {name for match in matches for name in match.names}


def _check_values(check: MeasureCheck, place: int, step: EmitStep) -> None:
    for name, value in step.properties:
        loc = check.step_loc(place, "emit", "properties", name)
        if not isinstance(value, Reference):
            continue
        root, _, fact = value.name.partition(".")
        if root == "entity" and check.measure.entity is None:
            check.fault(
                loc, f"`{value.name}`, but the run has no entity", "add `entity:`, or name another value"
            )
        elif root == "contact":
            # The number of another person's contact is for conditions alone.
            is_hidden = fact == REFERRER and fact not in check.playbook.facts
            term = None if is_hidden else check.playbook.vocabulary.term(fact)
            known = _plain_facts(check.playbook)
            if term is None:
                check.fault(loc, f"there is no fact `{fact}`", f"known: {format_names(known, most=20)}")
            elif term.type not in _PLAIN:
                what = f"`{value.name}` is of type {term.type}; an event carries texts, whole numbers, yes and no"
                check.fault(loc, what, f"name one of {format_names(known, most=20)}")


#: Properties that say who a person is.
_PERSONAL: Final = frozenset(
    {
        "email",
        "phone",
        "name",
        "first_name",
        "last_name",
        "firstName",
        "lastName",
        "address",
        "birthday",
        "user_id",
    }
)


def _check_told_to_others(check: MeasureCheck, place: int, step: EmitStep) -> None:
    """Check that an event about the referrer carries nothing that says who the friend is."""
    for name, value in step.properties:
        if not isinstance(value, Reference):
            continue
        root, _, field = value.name.partition(".")
        is_trait = root == "contact" and isinstance(check.playbook.facts.get(field), TraitFact)
        if is_trait or field in _PERSONAL:
            what = f"`{field}` is personal: an event to another person may not carry it"
            loc = check.step_loc(place, "emit", "properties", name)
            check.fault(loc, what, "leave it out; `run_id` names the run and nobody")


def _plain_facts(playbook: Playbook) -> list[str]:
    """Return the facts that an event can carry as they are."""
    terms = playbook.vocabulary.terms.items()
    plain = [name for name, term in terms if term.type in _PLAIN and "." not in name]
    return [name for name in plain if name != REFERRER or name in playbook.facts]


def _check_circle(check: MeasureCheck) -> None:
    """Check that no event of the measure leads, by the rules of others, back to it."""
    for place, step in enumerate(check.measure.steps):
        event = _handed_in(step)
        if event is None or (isinstance(step, EmitStep) and event in _refused(check.playbook)):
            continue
        way = _way_back(check.playbook, check.measure, event)
        if way is not None:
            circle = " -> ".join((check.measure.path, *way))
            change = "let one of them start, or go on, by another event"
            key = ("emit", "event") if isinstance(step, EmitStep) else ("notify", "due")
            check.fault(check.step_loc(place, *key), f"emit circle: {circle}", change)


def _handed_in(step: Step) -> str | None:
    """Return the event that the step hands in; a case is announced by one."""
    if isinstance(step, EmitStep):
        return step.event
    return OPENED if isinstance(step, NotifyStep) and step.due is not None else None


def _way_back(playbook: Playbook, measure: Measure, event: str) -> tuple[str, ...] | None:
    """Return the paths by which the event leads back to the measure, which is the last; None when it does not."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(event, ())]
    seen = {event}
    while waiting:
        name, way = waiting.pop(0)
        for other in playbook.measures.values():
            if name not in set(_events_that_move(other, playbook)):
                continue
            if other.path == measure.path:
                return (*way, other.path)
            for step in other.steps:
                handed_in = _handed_in(step)
                if handed_in is not None and handed_in not in seen:
                    seen.add(handed_in)
                    waiting.append((handed_in, (*way, other.path)))
    return None


def _events_that_move(measure: Measure, playbook: Playbook) -> Iterator[str]:
    """Yield the events by which a run of the measure begins or goes on."""
    trigger = measure.trigger
    if isinstance(trigger, OnEvent):
        yield from trigger.names
    elif isinstance(trigger, OnMilestone):
        reached = (milestone for milestone in playbook.milestones if milestone.name == trigger.milestone)
        yield from (name for milestone in reached for name in milestone.of.names)
    elif isinstance(trigger, OnStage):
        stages = (stage for stage in playbook.stages if stage.name == trigger.stage)
        yield from (name for stage in stages for name in first_evidence(stage, playbook))
    elif isinstance(trigger, OnCondition):
        yield from measure.audience.events
        for term in measure.audience.terms:
            yield from _events_of_fact(term.partition(".")[0], playbook)
    yield from (name for step in measure.steps if isinstance(step, WaitUntilEvent) for name in step.names)


def _events_of_fact(name: str, playbook: Playbook) -> Iterator[str]:
    fact = playbook.facts.get(name)
    match fact:
        case None:
            if name in playbook.entities:
                yield from _names(playbook.entities[name].of)
        case FoldFact(of=of):
            yield from _names(of)
            yield from source_events(fact, playbook)
        case LabelFact(evidence=evidence):
            yield from (name for part in evidence for name in part.match.names)
        case TraitFact():
            return
        case _:
            yield from source_events(fact, playbook)


# ---- end_topic -------------------------------------------------------------------------------------------


def _check_topic(check: MeasureCheck, place: int, step: EndTopicStep) -> None:
    loc: Loc = check.step_loc(place, "end_topic")
    check.require_known(loc, "topic", step.topic, check.known("topics", check.playbook.topics))
    outline = check.measure.outline
    mails = [other for other in outline.on_the_way_to(place) if _is_mail(check.measure, other)]
    if mails and not _asks_an_outcome(check.measure, place):
        mail = check.measure.steps[mails[-1]].id
        what = f"`end_topic: {step.topic}` comes behind `{mail}`, whether that left or not"
        check.fault(loc, what, f'add `when: steps.{mail}.outcome == "sent"`')


def _asks_an_outcome(measure: Measure, place: int) -> bool:
    """Tell whether the step, or a case around it, asks how an earlier step ended."""
    step = measure.steps[place]
    asked = [step.when] if isinstance(step, ActionStep) else []
    asked += measure.outline.conditions_around(place)
    return any(
        term.startswith("steps.") for condition in asked if condition is not None for term in condition.terms
    )


# ---- notify ----------------------------------------------------------------------------------------------

#: What stands in no mail to the house unless the playbook declares it as a fact.
_ADDRESSES: Final = re.compile(r"\bcontact\.(email|phone)\b")


def _check_notification(check: MeasureCheck, place: int, step: NotifyStep) -> None:
    loc, folder = check.step_loc(place, "notify", "mail"), check.draft.folder
    name = f"{step.mail}.{check.playbook.default_locale}.txt"
    if any(isinstance(other, MailStep) and other.mail == step.mail for other in check.measure.steps):
        check.fault(
            loc, f"`{step.mail}` is a mail to the person too", "give the owners a mail of its own name"
        )
    elif name not in folder.files and not check.faults.has_broken(PROGRAMME, "locales"):
        what = f"mail `{step.mail}` to owners has no text"
        check.fault(loc, what, f"add {folder.file(name)}, with its `subject:` between --- lines")
    for address in dict.fromkeys(_ADDRESSES.findall(folder.files.get(name, ""))):
        if address not in check.playbook.facts:
            what = f"`contact.{address}` in a mail to owners, which shows declared facts alone"
            check.faults.add(
                folder.file(name), 1, what, "leave it out: the mail leads to the page of the person"
            )
    if step.due is not None and check.measure.holdout and not check.is_broken("holdout"):
        what = f"holdout on a measure that opens a case (`{step.id}`)"
        check.fault(("holdout",), what, "leave it out: people who need help are not held back")

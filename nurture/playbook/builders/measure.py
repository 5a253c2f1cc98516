"""`measure.yaml` to the domain's Measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nurture.domain.conditions import Term, Vocabulary
from nurture.domain.measure import (
    Action,
    Exit,
    Let,
    LetCoupon,
    LetEndOfMonth,
    LetIn,
    Measure,
    Metric,
    ObjectBinding,
    Once,
    OnCondition,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnOps,
    OnQuiet,
    OnSchedule,
    OnStage,
    Trigger,
    Variant,
)
from nurture.domain.playbook import Playbook
from nurture.playbook.builders.conditions import Conditions
from nurture.playbook.builders.events import Matchers
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.builders.slots import build_slot
from nurture.playbook.builders.steps import build_steps
from nurture.playbook.document import Document
from nurture.playbook.fault import Faults
from nurture.playbook.folder import MeasureFolder
from nurture.playbook.schema import measure as schema
from nurture.playbook.schema.events import names_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A measure with what it was read from: what the checks look at."""

    measure: Measure
    given: schema.MeasureFile
    document: Document
    folder: MeasureFolder


def build_measure(
    given: schema.MeasureFile,
    document: Document,
    folder: MeasureFolder,
    *,
    playbook: Playbook,
    conditions: Conditions,
    faults: Faults,
) -> Draft:
    """Return the measure of one folder; its rules hash is set later."""
    matchers = Matchers(document, playbook.properties, conditions, faults)
    trigger = _trigger(given, matchers, conditions, playbook.properties)
    entity = given.entity or (trigger.entity if isinstance(trigger, OnQuiet) else None)
    measure = Measure(
        path=folder.path,
        track=folder.track,
        stage=folder.stage,
        goal=given.goal,
        audience=conditions.need(given.audience, playbook.vocabulary, document, ("audience",)),
        audience_source=given.audience_source or "",
        form=given.form,
        action=Action(given.call_to_action.kind, given.call_to_action.link),
        kind=given.kind,
        purpose=given.purpose,
        topic=given.topic,
        trigger=trigger,
        steps=build_steps(given, document, step_vocabulary(given, playbook), conditions, playbook=playbook),
        metric=Metric(given.metric.event, given.metric.within, given.metric.expect) if given.metric else None,
        once=_once(given, trigger),
        exits=tuple(_exit(each) for each in given.exit),
        holdout=given.holdout or 0,
        variants=tuple(Variant(name, weight) for name, weight in (given.variants or {}).items()),
        let={name: _let(value) for name, value in given.let.items()},
        objects={name: ObjectBinding(each.kind, each.key) for name, each in given.objects.items()},
        entity=entity,
        handover=given.handover,
        **_given_only(
            {
                "priority": given.priority,
                "valid_for": given.valid_for,
                "horizon": given.horizon,
                "lane": given.lane,
                "on_stage_change": given.on_stage_change,
                "series": given.series,
                "holdable": given.holdable,
                "tracking": given.tracking,
                "to": given.to,
            }
        ),
    )
    return Draft(measure, given, document, folder)


def step_vocabulary(given: schema.MeasureFile, playbook: Playbook) -> Vocabulary:
    """Return what `when` may read: facts, let values, `event.PROPERTY`, `entity.FIELD`."""
    properties = playbook.properties
    lets = {
        name: Term(name, "text" if isinstance(value, schema.CouponLet) else "instant")
        for name, value in given.let.items()
    }
    return playbook.vocabulary.with_terms(
        {**prefixed(properties, "event"), **prefixed(properties, "entity"), **lets}
    )


def _given_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the file does not say, so that the domain's defaults hold."""
    return {name: value for name, value in values.items() if value is not None}


def _trigger(
    given: schema.MeasureFile, matchers: Matchers, conditions: Conditions, properties: Vocabulary
) -> Trigger:
    loc = ("trigger",)
    match given.trigger:
        case "ops":
            return OnOps()
        case schema.ConditionTrigger():
            return OnCondition()
        case schema.EventTrigger(event=event, where=where):
            found = matchers.one(event, (*loc, "event"))
            more = conditions.read(where, properties, matchers.document, (*loc, "where"))
            if found.where is not None and more is not None:
                matchers.fault((*loc, "where"), "two `where` for one trigger", "join them with `and`")
            return OnEvent(found.names, found.where or more)
        case schema.QuietTrigger(entity=entity, quiet=quiet):
            return OnQuiet(entity, quiet)
        case schema.MilestoneTrigger(milestone=milestone):
            return OnMilestone(milestone)
        case schema.StageTrigger(stage=stage):
            return OnStage(stage)
        case schema.DateTrigger() as on:
            return OnDate(on.date, on.offset or 0, bool(on.yearly), on.local_time)
        case schema.ScheduleTrigger(schedule=slot):
            return OnSchedule(build_slot(slot))
        case schema.ObjectTrigger(kind=kind, event=names):
            return OnObject(kind, names_of(names))


def _once(given: schema.MeasureFile, trigger: Trigger) -> Once:
    once = given.once
    if once is None:
        # A silence is about one cart or quote: one run for each.
        return Once(per="entity") if isinstance(trigger, OnQuiet) else Once()
    if isinstance(once, str):
        return Once(per=once.removeprefix("per "))
    return Once(once.per or "contact", once.gap or 0, once.again_after, tuple(once.again_on))


def _exit(given: str | schema.ExitFile) -> Exit:
    if isinstance(given, str):
        return Exit(given)
    return (
        Exit(given.event, given.key) if given.reason is None else Exit(given.event, given.key, given.reason)
    )


def _let(given: schema.CouponLet | schema.EndOfMonthLet | schema.InLet) -> Let:
    match given:
        case schema.CouponLet(coupon=offer):
            return LetCoupon(offer)
        case schema.EndOfMonthLet(at_least=at_least):
            return LetEndOfMonth(at_least or 0)
        case schema.InLet(duration=duration):
            return LetIn(duration)

"""Build a Measure from `measure.yaml`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nurture.domain.conditions import Term, TermType, Vocabulary
from nurture.domain.measure import (
    Action,
    Exit,
    Let,
    LetBusiness,
    LetCoupon,
    LetEndOfMonth,
    LetIn,
    LetTable,
    Measure,
    Once,
    OnCondition,
    OnConsent,
    OnDate,
    OnEntityDate,
    OnEvent,
    OnMilestone,
    OnMoment,
    OnObject,
    OnOps,
    OnQuiet,
    OnSchedule,
    OnStage,
    Trigger,
    Variant,
)
from nurture.domain.playbook import Playbook, field_terms
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.builders.metric import build_metric
from nurture.playbook.builders.object_lists import build_objects
from nurture.playbook.builders.slots import build_slot
from nurture.playbook.builders.steps import StepFile, build_steps, find_table, outcome_terms, read_steps
from nurture.playbook.document import Document
from nurture.playbook.fault import Faults
from nurture.playbook.folder import MeasureFolder
from nurture.playbook.schema import measure as schema
from nurture.playbook.schema import triggers
from nurture.playbook.schema.actions import BusinessTime
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.validate import MISSING


@dataclass(frozen=True, slots=True)
class Draft:
    """A built measure with the model, document and folder that it was built from, for the checks."""

    measure: Measure
    model: schema.MeasureFile
    document: Document
    folder: MeasureFolder
    # The steps as the file gives them, in the order of the measure's steps.
    steps: tuple[StepFile, ...]


def build_measure(
    model: schema.MeasureFile,
    document: Document,
    folder: MeasureFolder,
    *,
    playbook: Playbook,
    types: Mapping[str, str],
    conditions: ConditionParser,
    faults: Faults,
) -> Draft:
    """Return the measure of one folder; its rules hash is set later. types: property -> its declared type."""
    matchers = MatcherBuilder(document, playbook.properties, conditions, faults)
    trigger = _trigger(model, matchers, conditions, playbook.properties, types)
    step_files = read_steps(model)
    form, action = _form_and_action(model, step_files, document, faults)
    # A silence, or a date of an entity, is about that one.
    own_entity = trigger.entity if isinstance(trigger, OnQuiet | OnEntityDate) else None
    entity = model.entity or own_entity
    vocabulary = step_vocabulary(model, playbook, entity).with_terms(outcome_terms(step_files))
    measure = Measure(
        path=folder.path,
        track=folder.track,
        stage=folder.stage,
        later_stages=_later_stages(folder, playbook),
        goal=model.goal,
        audience=conditions.parse(model.audience, playbook.vocabulary, document, ("audience",)),
        audience_source=model.audience_source or "",
        early=model.early or "",
        other_track=(model.other_track or "").strip(),
        form=form,
        action=action,
        kind=model.kind,
        purpose=model.purpose,
        topic=model.topic,
        trigger=trigger,
        steps=build_steps(model, step_files, document, vocabulary, conditions, playbook=playbook),
        metric=build_metric(model.metric),
        once=_once(model, trigger, playbook),
        exits=_exits(model, document, vocabulary, conditions),
        holdout=_holdout(model)[0],
        holdout_then=_holdout(model)[1],
        variants=tuple(Variant(name, weight) for name, weight in (model.variants or {}).items()),
        let={name: _let(value, playbook) for name, value in model.let.items()},
        objects=build_objects(model.objects, playbook, entity, document, conditions),
        entity=entity,
        while_open=model.while_ == "open" if model.while_ is not None else own_entity is not None,
        was=_was(model),
        handover=model.handover,
        **_optional_fields(model),
    )
    return Draft(measure, model, document, folder, step_files)


def _form_and_action(
    model: schema.MeasureFile, steps: Sequence[StepFile], document: Document, faults: Faults
) -> tuple[str, Action]:
    """Return the form and the call to action: "" for a measure without a mail, which needs neither."""
    sends_mail = any(isinstance(step.model, schema.MailStepFile) for step in steps)
    for key in ("form", "call_to_action") if sends_mail else ():
        if getattr(model, key) is None:
            faults.at(document, (key,), f"`{key}` is missing", MISSING[key])
            faults.mark_broken(document.path, (key,))
    call = model.call_to_action
    return model.form or "", Action(call.kind, call.link) if call is not None else Action("", "")


def _holdout(model: schema.MeasureFile) -> tuple[int, int | None]:
    """Return the share held back at first, and the one after the measure is shown to work."""
    if isinstance(model.holdout, schema.HoldoutFile):
        return model.holdout.start, model.holdout.then
    return model.holdout or 0, None


def step_vocabulary(model: schema.MeasureFile, playbook: Playbook, entity: str | None) -> Vocabulary:
    """Return the vocabulary of `when`: facts, let values, `event.PROPERTY`, `entity.FIELD`."""
    properties = playbook.properties
    kind = playbook.entities.get(entity or "")
    fields = Vocabulary(field_terms(kind, properties.terms), built_ins=False)
    lets = {name: Term(name, _let_type(value, playbook)) for name, value in model.let.items()}
    names = [table.by for table in playbook.tables.values() if table.property_name]
    at_hand = {name: Term(name, "text") for name in ("run_id", *names)}
    return playbook.vocabulary.with_terms(
        {**at_hand, **prefixed(properties, "event"), **prefixed(fields, "entity"), **lets}
    )


def _let_type(value: object, playbook: Playbook) -> TermType:
    if isinstance(value, str):
        return "text" if find_table(value, playbook).type == "text" else "integer"
    return "text" if isinstance(value, schema.CouponLet) else "instant"


def _later_stages(folder: MeasureFolder, playbook: Playbook) -> frozenset[str]:
    """Return the stages after that of a place `<stage>+`."""
    if not folder.and_later:
        return frozenset()
    stages = [stage.name for stage in playbook.stages_of(folder.track)]
    return frozenset(stages[stages.index(folder.stage) + 1 :]) if folder.stage in stages else frozenset()


def _optional_fields(model: schema.MeasureFile) -> dict[str, Any]:
    """Return the fields that the file gives; for the others the domain's defaults apply."""
    values: dict[str, Any] = {
        "priority": model.priority,
        "valid_for": model.valid_for,
        "horizon": model.horizon,
        "lane": model.lane,
        "on_stage_change": model.on_stage_change,
        "series": model.series,
        "holdable": model.holdable,
        "tracking": model.tracking,
        "asked_for": model.asked_for,
        "to": model.to,
        "sender": model.sender,
    }
    return {name: value for name, value in values.items() if value is not None}


def _trigger(
    model: schema.MeasureFile,
    matchers: MatcherBuilder,
    conditions: ConditionParser,
    properties: Vocabulary,
    types: Mapping[str, str],
) -> Trigger:
    loc = ("trigger",)
    match model.trigger:
        case "ops":
            return OnOps()
        case triggers.ConditionTrigger():
            return OnCondition()
        case triggers.ConsentTrigger(consent=topic):
            return OnConsent(topic)
        case triggers.EventTrigger(event=event, where=where):
            match = matchers.one(event, (*loc, "event"))
            more = conditions.parse_optional(where, properties, matchers.document, (*loc, "where"))
            if match.where is not None and more is not None:
                matchers.fault((*loc, "where"), "two `where` for one trigger", "join them with `and`")
            return OnEvent(match.names, match.where or more)
        case triggers.MilestoneTrigger(milestone=milestone):
            return OnMilestone(milestone)
        case triggers.StageTrigger(stage=stage):
            return OnStage(stage)
        case triggers.ObjectTrigger(kind=kind, event=names, watchers=watchers):
            lists = tuple(watchers) if isinstance(watchers, list) else ()
            return OnObject(kind, names_of(names), to_audience=watchers == "audience", lists=lists)
        case timed:
            return _timed_trigger(timed, types)


def _timed_trigger(
    model: triggers.QuietTrigger | triggers.DateTrigger | triggers.MomentTrigger | triggers.ScheduleTrigger,
    types: Mapping[str, str],
) -> Trigger:
    match model:
        case triggers.QuietTrigger(entity=entity, quiet=quiet):
            return OnQuiet(entity, quiet)
        case triggers.DateTrigger() as on:
            return _date_trigger(on, types)
        case triggers.MomentTrigger(moment=moment, local_time=minute):
            return OnMoment(moment, minute or 0)
        case triggers.ScheduleTrigger(schedule=slot):
            return OnSchedule(build_slot(slot))


def _date_trigger(on: triggers.DateTrigger, types: Mapping[str, str]) -> OnDate | OnEntityDate:
    root, _, field = on.date.partition(".")
    if field:
        return OnEntityDate(root, field, on.offset or 0, on.local_time, is_day=types.get(field) == "date")
    return OnDate(on.date, on.offset or 0, bool(on.yearly), on.local_time)


def _once(model: schema.MeasureFile, trigger: Trigger, playbook: Playbook) -> Once:
    once = model.once
    if isinstance(once, str):
        return Once(per=once.removeprefix("per "))
    per = _usual_key(trigger, playbook)
    if once is None:
        return Once(per=per)
    return Once(once.per or per, once.gap or 0, once.again_after, tuple(once.again_on))


def _usual_key(trigger: Trigger, playbook: Playbook) -> str:
    """Return what a run's key is where the file does not say: what the trigger is about.

    Silence concerns one cart, a date one contract on one day, a moment one day, a change one object.
    """
    match trigger:
        case OnQuiet():
            return "entity"
        case OnEntityDate() | OnMoment():
            return "occasion"
        case OnObject(kind=kind) if (trigger.to_audience or trigger.lists) and kind in playbook.objects:
            return playbook.objects[kind].key
        case _:
            return "contact"


def _exits(
    model: schema.MeasureFile, document: Document, vocabulary: Vocabulary, conditions: ConditionParser
) -> tuple[Exit, ...]:
    exits: list[Exit] = []
    for place, entry in enumerate(model.exit):
        if isinstance(entry, str):
            exits.append(Exit(entry))
            continue
        when = conditions.parse_optional(entry.when, vocabulary, document, ("exit", place, "when"))
        event, key = (entry.event, entry.key) if isinstance(entry, schema.ExitFile) else (None, None)
        exits.append(Exit(event, key, entry.reason or "exit", when))
    return tuple(exits)


def _was(model: schema.MeasureFile) -> tuple[str, ...]:
    if model.was is None:
        return ()
    return (model.was,) if isinstance(model.was, str) else tuple(model.was)


def _let(model: schema.CouponLet | schema.EndOfMonthLet | schema.InLet | str, playbook: Playbook) -> Let:
    match model:
        case str():
            return LetTable(find_table(model, playbook))
        case schema.CouponLet(coupon=offer):
            return LetCoupon(offer)
        case schema.EndOfMonthLet(at_least=at_least):
            return LetEndOfMonth(at_least or 0)
        case schema.InLet(duration=duration):
            if isinstance(duration, BusinessTime):
                return LetBusiness(*duration.business, model.of or "", model.given or "")
            return LetIn(duration)

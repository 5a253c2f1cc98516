"""Triggers: starting the measures whose trigger an event or an alarm fires."""

from collections.abc import Collection, Sequence
from typing import Final

from nurture.domain.consent.events import ConsentStart
from nurture.domain.contact import MilestoneReached, Transition
from nurture.domain.event import IMPORTED, Event
from nurture.domain.event_filter import holds_for
from nurture.domain.instant import NEVER, Instant
from nurture.domain.journey.entity_dates import name_occasion, take_past_dates
from nurture.domain.journey.entry import Firing, enter_measure, firing_of, is_free
from nurture.domain.journey.moments import next_moment
from nurture.domain.journey.next_alarm import fits_contact, next_date, pending_silences, re_entry_at
from nurture.domain.journey.object_watches import is_for_audience, lists_of
from nurture.domain.journey.run_entity import entity_key_of
from nurture.domain.journey.set_aside import evaluate_rule, is_set_aside
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure, OnEntityDate, OnSchedule
from nurture.domain.timing import next_slot
from nurture.domain.values import key_text

#: No rules have this hash.
_NO_ANSWER: Final = ("", False)
#: A silence that is ahead: the measure, the key of the entity, and when the entity was updated last.
Silence = tuple[str, str, Instant]


def take_baseline(work: Work, at: Instant, *, is_new: bool) -> None:
    """Store the present answers of new or changed condition triggers, so that only a later change enters.

    The stored answer is no for a new contact, and for every contact under a playbook published with backlog
    `enter`.
    """
    memory = work.contact.memory
    starts_empty = is_new or work.playbook.backlog == "enter"
    for measure in work.index.conditions:
        if memory.answers.get(measure.root, _NO_ANSWER)[0] != measure.rules_hash:
            answer = not starts_empty and _answers_yes(work, measure, at)
            _take_answer(work, measure, at, answer=answer)
    for measure, trigger in work.index.quiet:
        if measure.root not in memory.answers:
            memory.answers[measure.root] = measure.rules_hash, False
            if not starts_empty:
                for key, touched_at, fire_at in pending_silences(work, measure, trigger):
                    if fire_at <= at:
                        memory.silences.setdefault(measure.root, {})[key] = touched_at
    for measure, on_date in work.index.entity_dates:
        if memory.answers.get(measure.root, _NO_ANSWER)[0] != measure.rules_hash:
            memory.answers[measure.root] = measure.rules_hash, False
            if not starts_empty:
                take_past_dates(work, measure, on_date, at)


def silences_ahead(work: Work) -> set[Silence]:
    """Return the silences that have started no run yet, each as measure, key of the entity and its last update."""
    return {
        (measure.root, key, touched_at)
        for measure, trigger in work.index.quiet
        for key, touched_at, _ in pending_silences(work, measure, trigger)
    }


def take_baseline_after_import(
    work: Work,
    at: Instant,
    conditions: Sequence[Measure],
    *,
    before: Collection[Silence] = (),
    answers_only: bool = False,
) -> None:
    """Store the present answers after a historic event, so that only a later change enters.

    conditions: the measures whose answer may have changed. before: the silences that were ahead before the event; they
    stay ahead. answers_only: all silences and dates do.
    """
    memory = work.contact.memory
    for measure in conditions:
        _take_answer(work, measure, at, answer=_answers_yes(work, measure, at))
    work.is_judged = True
    work.alarm_may_change(())
    if answers_only:
        return
    for root, key, touched_at in silences_ahead(work).difference(before):
        memory.silences.setdefault(root, {})[key] = touched_at
    for measure, on_date in work.index.entity_dates:
        take_past_dates(work, measure, on_date, at)


def _take_answer(work: Work, measure: Measure, at: Instant, *, answer: bool) -> None:
    """Take an answer as the past, and with it the start that it would allow now by re-entry."""
    work.contact.memory.answers[measure.root] = measure.rules_hash, answer
    if answer and _may_enter_again(work, measure, at) and is_free(work, measure, at):
        work.contact.memory.past_answers[measure.root] = at


def start_by_event(work: Work, event: Event, at: Instant) -> None:
    """Start the measures with an event, object or ops trigger that this event fires."""
    if event.kind == "ops":
        _start_by_ops(work, event, at)
        return
    if event.kind == "object":
        lists, to_audience = lists_of(event), is_for_audience(event)
        for measure, trigger in work.index.objects.get(event.name, ()):
            is_watcher = not (trigger.to_audience or lists.isdisjoint(trigger.lists or ("",)))
            is_meant = to_audience if trigger.to_audience else is_watcher
            is_of_kind = trigger.kind == event.properties.get("object_kind", trigger.kind)
            if is_meant and is_of_kind and _is_for_track(work, measure):
                enter_measure(work, measure, firing_of(work, measure, event, at))
        return
    for measure, match in work.index.triggers.get(event.name, ()):
        if _is_for_track(work, measure) and evaluate_rule(
            work, measure, at, False, holds_for, match, event, work.playbook
        ):
            enter_measure(work, measure, firing_of(work, measure, event, at))


def start_by_milestones(work: Work, reached: list[MilestoneReached], event: Event, at: Instant) -> None:
    """Start the measures whose trigger is one of these milestones."""
    for milestone in reached:
        for measure in work.index.by_milestone.get(milestone.name, ()):
            if _is_for_track(work, measure):
                firing = firing_of(work, measure, event, at, milestone_key=milestone.key)
                enter_measure(work, measure, firing)


def start_by_stages(work: Work, transitions: list[Transition], event: Event, at: Instant) -> None:
    """Start the measures whose trigger is a stage that the contact has entered."""
    for transition in transitions:
        if transition.kind == "stage" and transition.is_forward:
            for measure in work.index.by_stage.get(transition.after, ()):
                if _is_for_track(work, measure):
                    enter_measure(work, measure, firing_of(work, measure, event, at))


def start_by_consent(work: Work, consent: ConsentStart | None, event: Event, at: Instant) -> None:
    """Start the measures whose trigger is the consent to this topic; consent from a file is the past."""
    if consent is None or event.source == IMPORTED:
        return
    for measure in work.index.by_consent.get(consent.topic, ()):
        may_start = consent.is_first or measure.once.again_after is not None
        if may_start and _is_for_track(work, measure):
            enter_measure(work, measure, firing_of(work, measure, event, at))


def _is_for_track(work: Work, measure: Measure) -> bool:
    """Tell whether the measure is for the contact's track: nothing is recorded of an event's start in another one."""
    return measure.track in ("any", work.contact.track)


def start_by_calendar(work: Work, at: Instant) -> None:
    """Start the measures whose date, schedule or moment is exactly this instant."""
    rules = work.rules
    for measure, trigger in rules.dates:
        if evaluate_rule(work, measure, at, None, next_date, work, trigger, at - 1) == at:
            enter_measure(work, measure, Firing(at=at, occurred_at=at, event=f"date:{trigger.fact}"))
    for measure, scheduled in rules.schedules:
        if evaluate_rule(work, measure, at, None, _next_slot, work, scheduled, at) == at:
            enter_measure(work, measure, Firing(at=at, occurred_at=at, event="schedule"))
    for measure, on_moment in rules.moments:
        reached = evaluate_rule(work, measure, at, None, next_moment, work, on_moment, at - 1)
        if reached is not None and reached.at == at:
            name, day = f"moment:{on_moment.moment}", reached.day.isoformat()
            enter_measure(work, measure, Firing(at=at, occurred_at=at, event=name, occasion=day))


def start_by_silence(work: Work, at: Instant) -> None:
    """Start the measures for open entities that have been silent long enough; each silence starts a measure once."""
    memory = work.contact.memory
    if not memory.entities:
        return
    for measure, trigger in work.index.quiet:
        has_acted = measure.root in memory.silences
        if not has_acted and work.silent_since(trigger.entity) + trigger.quiet > at:
            continue
        if is_set_aside(work, measure.root):
            continue
        for key, touched_at, fire_at in pending_silences(work, measure, trigger):
            if fire_at > at:
                continue
            enter_measure(work, measure, Firing(at=at, occurred_at=fire_at, entity_key=key, event="quiet"))
            if is_set_aside(work, measure.root):
                break
            memory.silences.setdefault(measure.root, {})[key] = touched_at
        if measure.root in memory.silences:
            _forget_dropped_entities(work, measure, trigger.entity)


def _forget_dropped_entities(work: Work, measure: Measure, entity: str) -> None:
    silences = work.contact.memory.silences[measure.root]
    known = work.contact.memory.entities.get(entity, {})
    for key in [key for key in silences if key not in known]:
        del silences[key]


def start_by_conditions(work: Work, at: Instant, conditions: Sequence[Measure]) -> None:
    """Start the measures whose audience turned to yes, or is yes when re-entry is allowed again.

    conditions: the measures whose answer may have changed; all of them when others are not known to be judged.
    """
    answers = work.contact.memory.answers
    for measure in conditions:
        _, before = answers.get(measure.root, _NO_ANSWER)
        now = _answers_yes(work, measure, at)
        if is_set_aside(work, measure.root):
            continue
        if now and (not before or _may_enter_again(work, measure, at)):
            enter_measure(work, measure, Firing(at=at, occurred_at=at, event="condition"))
            if is_set_aside(work, measure.root):
                # The answer stays no, so that the measure enters when it is tried again.
                continue
        if now != before:
            answers[measure.root] = measure.rules_hash, now
    work.is_judged = True


def _answers_yes(work: Work, measure: Measure, at: Instant) -> bool:
    """Tell whether the contact stands where the measure is and its audience is yes.

    The stored answer means both, so an answer that turned yes elsewhere still starts the measure on arrival.
    """
    return fits_contact(work, measure) and evaluate_rule(
        work, measure, at, False, work.is_true, measure.audience, at
    )


def _next_slot(work: Work, trigger: OnSchedule, at: Instant) -> Instant:
    return next_slot(trigger.slot, after=at, zone=work.zone)


def _may_enter_again(work: Work, measure: Measure, at: Instant) -> bool:
    again_at = re_entry_at(work, measure)
    past = work.contact.memory.past_answers.get(measure.root, NEVER)
    return again_at is not None and past < again_at <= at


def single_request_id(request: str) -> str:
    """Return the message id of the event by which an application asks for one mail to one person."""
    return f"{request}:api"


def _start_by_ops(work: Work, event: Event, at: Instant) -> None:
    path, request = str(event.properties.get("measure", "")), str(event.properties.get("request", ""))
    measure = work.playbook.measures.get(path)
    if measure is None or not request:
        work.no_entry(path, at, "no_measure", "the playbook has no such measure", request or None)
        return
    reserved = ("measure", "request", "send_at", "occasion", "again")
    properties = {name: value for name, value in event.properties.items() if name not in reserved}
    entity_key = entity_key_of(work.playbook, measure, event)
    occasion = key_text(event.properties.get("occasion")) or ""
    if isinstance(measure.trigger, OnEntityDate):
        occasion, date = name_occasion(work, measure.trigger, entity_key)
        properties |= date
    send_at = event.properties.get("send_at")
    firing = Firing(
        at=at,
        occurred_at=event.occurred_at,
        entity_key=entity_key,
        event=event.name,
        properties=properties,
        event_id=f"ops:{request}",
        request=request,
        is_single_request=event.message_id == single_request_id(request),
        send_at=send_at if isinstance(send_at, int) else None,
        occasion=occasion,
        again=event.properties.get("again") is True,
    )
    enter_measure(work, measure, firing)

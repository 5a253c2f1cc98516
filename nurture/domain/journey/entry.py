"""Entering a measure: from a trigger that fired to a run, or to the reason why not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from nurture.domain.contact import Run, RunOrigin
from nurture.domain.entities import entity_of, is_reversed
from nurture.domain.event import Event
from nurture.domain.experiment.programme import concerns_programme, is_kept_out, note_entry
from nurture.domain.instant import NEVER, Instant, format_duration
from nurture.domain.journey.person_requests import request_behind
from nurture.domain.journey.run_entity import (
    entity_key_of,
    entity_refusal,
    is_older_event,
    was_taken_back,
)
from nurture.domain.journey.set_aside import evaluate_rule, is_set_aside, run_rule
from nurture.domain.journey.steps import begin_run
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure
from nurture.domain.sampling import hash_share, pick_variant
from nurture.domain.timing import to_local
from nurture.domain.values import key_text

#: `once: per year` and its like: the local day as text. An event without an id counts once a day.
_CALENDAR: Final = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "event": "%Y-%m-%d"}
#: A number behind `#` with more digits belongs to the value.
_NUMBER_MAX: Final = 10


@dataclass(slots=True)
class Firing:
    """A trigger that fired: when it was due, when its evidence occurred, and the values for the run."""

    # Effective time: the start of the run.
    at: Instant
    # When its evidence occurred; judged against the measure's horizon.
    occurred_at: Instant
    # The key of the entity that the trigger is about; "" for none.
    entity_key: str = ""
    # True: a newer event of the same name about the same entity is known.
    is_older: bool = False
    # The milestone's key, for `once` where the event lacks the property.
    milestone_key: str = ""
    # Name and properties that the run's mails may quote.
    event: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    # The event itself, where one fired the trigger.
    cause: Event | None = None
    # The message id by which `once: per event` recognises a repeated event.
    event_id: str = ""
    # Request id of an ops send.
    request: str | None = None
    # The earliest instant that ops allow its mail to leave.
    send_at: Instant | None = None
    # True: an application asked for this one mail, so that each request has its own run.
    is_single_request: bool = False
    # Name of the occasion: of an ops send, or of a date.
    occasion: str = ""
    # True: ops repeat what `once` forbids.
    again: bool = False


class _NewRun(NamedTuple):
    """A run that may start: the value that it is the only one of by `once`, its key, and its generation."""

    value: str
    key: str
    generation: int


def firing_of(work: Work, measure: Measure, event: Event, at: Instant, *, milestone_key: str = "") -> Firing:
    """Return the firing of a measure's trigger by an event."""
    entity_key, is_older = _entity_in_event(work, measure, event)
    return Firing(
        at=at,
        occurred_at=event.occurred_at,
        entity_key=entity_key,
        is_older=is_older,
        milestone_key=milestone_key,
        event=event.name,
        properties=event.properties,
        cause=event,
        event_id=event.message_id,
    )


def _entity_in_event(work: Work, measure: Measure, event: Event) -> tuple[str, bool]:
    """Return the key of the measure's entity in the event, and whether a newer event about it is known.

    Once for all measures about the same kind.
    """
    if measure.entity is None:
        return "", False
    known = work.in_event.get(measure.entity)
    if known is None:
        key = entity_key_of(work.playbook, measure, event)
        known = work.in_event[measure.entity] = (
            key,
            is_older_event(work.contact, work.playbook, measure, event),
        )
    return known


def enter_measure(work: Work, measure: Measure, firing: Firing) -> None:
    """Start a run of the measure for the contact and its first step, or record the reason why not.

    A measure of another track is recorded for a send alone: `why` reads it from the contact.
    """
    if measure.track in ("any", work.contact.track):
        new = evaluate_rule(work, measure, firing.at, None, _find_new_run, work, measure, firing)
        if new is not None:
            run_rule(work, measure, firing.at, _start_new_run, work, measure, firing, new)
    elif firing.request is not None:
        detail = f"track is {work.contact.track}, the measure is for {measure.track}"
        work.no_entry(measure.root, firing.at, "other_track", detail, firing.request)


def end_replaced_run(work: Work, measure: Measure, firing: Firing) -> None:
    """End the active run in whose place this firing starts another one, if it may start one."""
    if measure.track in ("any", work.contact.track) and not is_set_aside(work, measure.root):
        run_rule(work, measure, firing.at, _end_if_replaced, work, measure, firing)


def _find_new_run(work: Work, measure: Measure, firing: Firing) -> _NewRun | None:
    """Return the run that the firing may start, None after recording the reason why it starts none."""
    refusal = _refusal(work, measure, firing)
    if refusal is not None:
        work.no_entry(measure.root, firing.at, *refusal, firing.request)
        return None
    value = _once_value(work, measure, firing)
    if value is None:
        detail = f"no {measure.once.per} in {firing.event or 'the trigger'}"
        work.no_entry(measure.root, firing.at, "no_key", detail, firing.request)
        return None
    key, generation = _run_key(work, measure, firing, value)
    if key is None:
        detail = f"already entered for key {value!r}"
        work.no_entry(measure.root, firing.at, "once", detail, firing.request)
        return None
    return _NewRun(value, key, generation)


def _start_new_run(work: Work, measure: Measure, firing: Firing, new: _NewRun) -> None:
    _end_active_run(work, measure, new.value, firing.at)
    if new.generation and measure.root in work.index.about_reversal:
        _cancel_earlier_mail(work, measure, new.value, firing.at)
    _start_run(work, measure, firing, new)
    if firing.again:
        starts = work.contact.memory.run_starts[measure.root]
        starts.setdefault(repeat_key(new.value, firing.request), firing.at)


def _end_if_replaced(work: Work, measure: Measure, firing: Firing) -> None:
    value = _once_value(work, measure, firing)
    if value is None or _refusal(work, measure, firing) is not None:
        return
    key, generation = _run_key(work, measure, firing, value)
    if key is not None and generation:
        _end_active_run(work, measure, value, firing.at)
        _cancel_earlier_mail(work, measure, value, firing.at)


def _cancel_earlier_mail(work: Work, measure: Measure, value: str, at: Instant) -> None:
    """Cancel the mail of earlier runs of the value; the last mail of a run that is done may still wait."""
    for replaced in work.contact.memory.run_starts[measure.root]:
        if _generation(replaced, value) is not None:
            work.cancel(measure.root, replaced, "superseded", at)


def _start_run(work: Work, measure: Measure, firing: Firing, new: _NewRun) -> None:
    """Start the run and take it to its first mail or wait."""
    contact, cause = work.contact, firing.cause
    drawn = measure.draw, contact.memory.drawn_as.get(measure.root, contact.id)
    asked = None if cause is None else request_behind(contact, measure, cause, work.playbook)
    is_asked_for = measure.asked_for and asked is not None
    note_entry(contact, work.playbook, measure, is_asked_for=is_asked_for, at=firing.at)
    run = Run(
        measure=measure.root,
        key=new.key,
        entity=(measure.entity or "") if firing.entity_key else "",
        entity_key=firing.entity_key,
        began_as=measure.root,
        track=contact.track,
        started_at=firing.at,
        step=measure.steps[0].id,
        step_since=firing.at,
        holdout=(measure.holdout > 0 and hash_share("holdout", *drawn) < measure.holdout)
        or (
            concerns_programme(measure, work.playbook, is_asked_for=is_asked_for)
            and is_kept_out(contact, work.playbook)
        ),
        variant=pick_variant(measure.variants, *drawn),
        rules_hash=measure.rules_hash,
        origin=RunOrigin(
            event=firing.event,
            occurred_at=firing.occurred_at,
            properties=dict(firing.properties),
            generation=new.generation,
            request=firing.request,
            send_at=firing.send_at,
            asked=asked,
            depth=work.depth,
            number=work.event_number,
        ),
    )
    work.note_started(run)
    if waits_for_series(work, measure, run):
        run.queued = True
    else:
        begin_run(work, measure, run, firing.at)


def waits_for_series(work: Work, measure: Measure, run: Run) -> bool:
    """Tell whether the run is a series that waits because another one is active; one in the holdout blocks none."""
    return measure.series and any(
        other.measure in work.index.series and other is not run and not (other.queued or other.holdout)
        for other in work.contact.runs.values()
    )


def _refusal(work: Work, measure: Measure, firing: Firing) -> tuple[str, str] | None:
    """Return the reason and its detail why the contact may not enter now, or None."""
    contact, at = work.contact, firing.at
    if measure.is_closed:
        return "sent_back", "nobody enters it until it is resumed"
    if not measure.fits_stage(contact.stage):
        return "other_stage", f"stage is {contact.stage}, the measure is for {measure.place}"
    age = at - firing.occurred_at
    if age > measure.horizon:
        limit = format_duration(measure.horizon)
        return "too_old", f"occurred {format_duration(age)} before it counted; the horizon is {limit}"
    if firing.is_older:
        return "older_event", f"a later {firing.event} about {measure.entity} {firing.entity_key} is known"
    reason = entity_refusal(contact, work.playbook, measure, firing.entity_key, event=firing.event)
    if reason is not None:
        return reason, f"{measure.entity} {firing.entity_key}"
    key, event, since = firing.entity_key, firing.event, firing.occurred_at
    if was_taken_back(contact, work.playbook, measure, key, event=event, occurred_at=since):
        return "entity_restored", f"{measure.entity} {firing.entity_key}"
    if not work.is_true(measure.audience, at):
        return "audience", measure.audience.explain_in_one_line(work.reading(at))[:1000]
    if measure.once.gap:
        last = max(contact.memory.run_starts.get(measure.root, {}).values(), default=NEVER)
        if at - last < measure.once.gap:
            return "gap", f"the last run started {format_duration(at - last)} ago"
    return None


def is_free(work: Work, measure: Measure, at: Instant) -> bool:
    """Tell whether `once` allows a run that the measure's condition would start now."""
    firing = Firing(at=at, occurred_at=at, event="condition")
    value = _once_value(work, measure, firing)
    return value is not None and _run_key(work, measure, firing, value)[0] is not None


def _once_value(work: Work, measure: Measure, firing: Firing) -> str | None:
    """Return the value that a run is to be the only one of, by `once.per`; None when the trigger carries none."""
    if firing.is_single_request:
        return f"ops:{firing.request}"
    per = measure.once.per
    if per == "contact":
        return ""
    if per == "entity":
        return firing.entity_key or None
    if per == "occasion":
        return firing.occasion or None
    if per == "event" and firing.event_id:
        return firing.event_id
    date_format = _CALENDAR.get(per)
    if date_format is not None:
        return format(to_local(firing.at, work.zone), date_format)
    return _value_of_property(work, measure, firing, per)


def _value_of_property(work: Work, measure: Measure, firing: Firing, per: str) -> str | None:
    """Return the value of a property of the event, else the key of the entity or the milestone that it names."""
    kind, value = work.playbook.entities.get(measure.entity or ""), key_text(firing.properties.get(per))
    if not firing.entity_key or kind is None:
        return value or firing.milestone_key or None
    if per in (reversal.key for reversal in kind.reversed_by):
        # Number 1 of two orders are two refunds; without a number it stands for its order.
        return f"{firing.entity_key} {value}" if value is not None else firing.entity_key
    return value or (firing.entity_key if per in kind.keys else firing.milestone_key) or None


def _run_key(work: Work, measure: Measure, firing: Firing, value: str) -> tuple[str | None, int]:
    """Return the run key (a new generation where the rules allow one) and the generation, or (None, 0)."""
    run_starts = work.contact.memory.run_starts.get(measure.root, {})
    once = measure.once
    generations = {key: number for key in run_starts if (number := _generation(key, value)) is not None}
    if not generations and not (firing.again and repeat_key(value, firing.request) in run_starts):
        return _first_key(value), 0
    if firing.again:
        # The key names the request, so that a request that reaches a person twice repeats nothing.
        repeat = repeat_key(value, firing.request)
        return (None, 0) if repeat in run_starts else (repeat, 0)
    last = max(run_starts[key] for key in generations)
    again = (firing.event in once.again_on and firing.event != "") or _is_reversed_again(
        work, measure, firing, last
    )
    if once.again_after is not None:
        is_running = any((measure.root, key) in work.contact.runs for key in generations)
        has_rested = firing.at - last >= once.again_after
        again = again or (has_rested and not is_running)
    following = max(generations.values()) + 1
    return (f"{value}#{following + 1}", following) if again else (None, 0)


def _is_reversed_again(work: Work, measure: Measure, firing: Firing, last: Instant) -> bool:
    """Tell whether the event reverses an entity that was restored since the last run about its reversal began."""
    kind = measure.entity or ""
    entity = entity_of(work.contact, kind, firing.entity_key) if firing.entity_key else None
    if (
        entity is None
        or measure.once.per == "contact"
        or firing.event not in work.index.reversing.get(kind, ())
    ):
        return False
    return last < entity.restored_at <= firing.occurred_at and is_reversed(entity)


def repeat_key(value: str, request: str | None) -> str:
    """Return the key of a run that an ops send repeats."""
    return f"{value}#ops:{request}"


def _first_key(value: str) -> str:
    """Return the key of the first run of a value: the value, numbered where it looks like another one's further run."""
    _, mark, number = value.rpartition("#")
    return f"{value}#1" if mark and _is_number(number) else value


def _generation(key: str, value: str) -> int | None:
    """Return how many runs of the value came before the run of this key; None for a run of another value."""
    if key == _first_key(value):
        return 0
    number = key.removeprefix(f"{value}#")
    return int(number) - 1 if number != key and _is_number(number) and int(number) > 1 else None


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < _NUMBER_MAX


def is_run_of(key: str, values: Collection[str]) -> bool:
    """Tell whether the run of this key is one of these values'."""
    return any(_generation(key, value) is not None for value in {key, key.rpartition("#")[0]} & set(values))


def _end_active_run(work: Work, measure: Measure, value: str, at: Instant) -> None:
    """End the active run of the same value, which a new one replaces."""
    for run in list(work.contact.runs.values()):
        if run.measure == measure.root and run.once_value == value:
            work.stop(run, "superseded", at, status="cancelled")

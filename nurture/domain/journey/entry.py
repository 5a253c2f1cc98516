"""Entering a measure: from a trigger that fired to a run, or to the reason why not."""

from dataclasses import dataclass, field
from typing import Any, Final

from nurture.domain.contact import Run, RunOrigin
from nurture.domain.event import Event
from nurture.domain.instant import NEVER, Instant, format_duration
from nurture.domain.journey.set_aside import run_rule
from nurture.domain.journey.steps import begin_run, continue_handed_over_run
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure
from nurture.domain.sampling import hash_share, pick_variant
from nurture.domain.timing import to_local

#: `once: per year` and its like: the local day as text. An event without an id counts once a day.
_CALENDAR: Final = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "event": "%Y-%m-%d"}


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger that fired: when it was due, when its evidence occurred, and the values for the run."""

    # Effective time: the start of the run.
    at: Instant
    # When its evidence occurred; judged against the measure's horizon.
    occurred_at: Instant
    # The entity's key, when the trigger is about one.
    entity_key: str | None = None
    # Name and properties that the run's mails may quote.
    event: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    # The message id by which `once: per event` recognises a repeated event.
    event_id: str = ""
    # Request id of an ops send.
    request: str | None = None
    # The earliest instant that ops allow its mail to leave.
    send_at: Instant | None = None

    @classmethod
    def of(cls, event: Event, at: Instant, entity_key: str | None) -> "Firing":
        """Return the firing of an event-like trigger; `entity_key` when the measure has an entity."""
        return cls(
            at=at,
            occurred_at=event.occurred_at,
            entity_key=entity_key,
            event=event.name,
            properties=dict(event.properties),
            event_id=event.message_id,
        )


def enter_measure(work: Work, measure: Measure, firing: Firing) -> None:
    """Start a run of the measure for the contact and its first step, or record the reason why not.

    A measure of another track is not recorded: `why` reads that from the contact.
    """
    if measure.track in ("any", work.contact.track):
        run_rule(work, measure, firing.at, _start_or_refuse, work, measure, firing)


def _start_or_refuse(work: Work, measure: Measure, firing: Firing) -> None:
    refusal = _refusal(work, measure, firing)
    if refusal is not None:
        work.no_entry(measure.path, firing.at, *refusal)
        return
    entity_key = _key_for_once(work, measure, firing)
    if entity_key is None:
        work.no_entry(
            measure.path, firing.at, "no_key", f"no {measure.once.per} in {firing.event or 'the trigger'}"
        )
        return
    key, generation = _run_key(work, measure, firing, entity_key)
    if key is None:
        work.no_entry(measure.path, firing.at, "once", f"already entered for key {entity_key!r}")
        return
    _end_superseded_run(work, measure, entity_key, firing.at)
    start_run(work, measure, firing, key=key, entity_key=entity_key, generation=generation)


def start_run(
    work: Work,
    measure: Measure,
    firing: Firing,
    *,
    key: str,
    entity_key: str,
    generation: int = 0,
    at_step: Run | None = None,
) -> Run:
    """Start the run without asking for a reason against it, and take it to its first mail or wait.

    at_step: the run handed over; where this measure has a step of the same id, the new run continues there.
    """
    contact = work.contact
    run = Run(
        measure=measure.path,
        key=key,
        entity_key=entity_key,
        track=contact.track,
        started_at=firing.at,
        step=measure.steps[0].id,
        step_since=firing.at,
        holdout=hash_share("holdout", measure.path, contact.id) < measure.holdout,
        variant=pick_variant(measure.variants, measure.path, contact.id),
        rules_hash=measure.rules_hash,
        origin=RunOrigin(
            event=firing.event,
            occurred_at=firing.occurred_at,
            properties=firing.properties,
            generation=generation,
            request=firing.request,
            send_at=firing.send_at,
        ),
    )
    work.note_started(run)
    if measure.series and any(
        other.measure in work.index.series and other is not run and not other.queued
        for other in contact.runs.values()
    ):
        run.queued = True
        return run
    if at_step is not None and measure.position(at_step.step) is not None:
        continue_handed_over_run(work, measure, run, at_step, firing.at)
    else:
        begin_run(work, measure, run, firing.at)
    return run


def _refusal(work: Work, measure: Measure, firing: Firing) -> tuple[str, str] | None:
    """Return the reason and its detail why the contact may not enter now, or None."""
    contact, at = work.contact, firing.at
    if measure.stage not in ("any", contact.stage):
        return "other_stage", f"stage is {contact.stage}, the measure is for {measure.stage}"
    age = at - firing.occurred_at
    if age > measure.horizon:
        limit = format_duration(measure.horizon)
        return "too_old", f"occurred {format_duration(age)} before it counted; the horizon is {limit}"
    if not work.is_true(measure.audience, at):
        lines = measure.audience.explain(work.reading(at)).lines()
        return "audience", "; ".join(line.strip() for line in lines)[:1000]
    if measure.once.gap:
        last = max(contact.memory.run_starts.get(measure.path, {}).values(), default=NEVER)
        if at - last < measure.once.gap:
            return "gap", f"the last run started {format_duration(at - last)} ago"
    return None


def _key_for_once(work: Work, measure: Measure, firing: Firing) -> str | None:
    """Return the key that `once.per` asks for, None when the trigger carries none."""
    per = measure.once.per
    if firing.request is not None:
        return f"ops:{firing.request}"
    if per == "contact":
        return firing.entity_key or ""
    if per == "entity":
        return firing.entity_key
    if per == "event" and firing.event_id:
        return firing.event_id
    date_format = _CALENDAR.get(per)
    if date_format is not None:
        return format(to_local(firing.at, work.zone), date_format)
    value = firing.properties.get(per)
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return str(value)[:200]
    return firing.entity_key


def _run_key(work: Work, measure: Measure, firing: Firing, entity_key: str) -> tuple[str | None, int]:
    """Return the run key (a new generation where the rules allow one) and the generation, or (None, 0)."""
    run_starts = work.contact.memory.run_starts.get(measure.path, {})
    once = measure.once
    first_key = "" if once.per == "contact" and firing.request is None else entity_key
    generations = [key for key in run_starts if key == first_key or key.startswith(f"{first_key}#")]
    if not generations:
        return first_key, 0
    again = firing.event in once.again_on and firing.event != ""
    if once.again_after is not None:
        is_running = any((measure.path, key) in work.contact.runs for key in generations)
        has_rested = firing.at - max(run_starts[key] for key in generations) >= once.again_after
        again = again or (has_rested and not is_running)
    return (f"{first_key}#{len(generations) + 1}", len(generations)) if again else (None, 0)


def _end_superseded_run(work: Work, measure: Measure, entity_key: str, at: Instant) -> None:
    """End the active run of the same entity that a new generation replaces."""
    for run in list(work.contact.runs.values()):
        if run.measure == measure.path and run.entity_key == entity_key:
            work.stop(run, "superseded", at, status="cancelled")

"""Hand-over: the measure of the other track that continues a run after a change of track."""

from dataclasses import replace

from nurture.domain.contact import Run
from nurture.domain.instant import Instant
from nurture.domain.journey.entry import waits_for_series
from nurture.domain.journey.set_aside import run_rule
from nurture.domain.journey.steps import begin_run, continue_step_of
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure


def hand_over(work: Work, measure: Measure, run: Run, at: Instant) -> None:
    """End a run of the other track; the measure named in `handover` continues it, unless it has had the same key."""
    successor = work.playbook.measures.get(measure.handover or "")
    if (
        successor is None
        or successor.track not in ("any", work.contact.track)
        or run.key in work.contact.memory.run_starts.get(successor.root, {})
    ):
        work.stop(run, "track_changed", at)
        return
    queued = run.step if run.mailing else ""
    work.stop(run, "handed_over", at)
    run_rule(work, successor, at, _continue_as, work, successor, run, queued, at)


def _continue_as(work: Work, measure: Measure, earlier: Run, queued: str, at: Instant) -> None:
    """Start the heir: it has the key, entity, arm, values, outcomes and decided mails of the earlier run.

    queued: the step of its mail that has not left, "" for none. The heir decides it again, in its own words, and the
    earlier one is cancelled. Where that one is being sent just now, the guard holds the heir's back and skips it once
    the other has left.
    """
    ended = [step for step in (*earlier.decided, *earlier.acted) if step != queued]
    run = Run(
        measure=measure.root,
        key=earlier.key,
        entity=earlier.entity,
        entity_key=earlier.entity_key,
        began_as=earlier.began_as or earlier.measure,
        track=work.contact.track,
        started_at=at,
        step=measure.steps[0].id,
        step_since=at,
        holdout=earlier.holdout,
        variant=earlier.variant,
        let=dict(earlier.let),
        outcomes=dict(earlier.outcomes),
        contact_id=earlier.contact_id,
        passed=tuple(dict.fromkeys((*earlier.passed, *ended))),
        rules_hash=measure.rules_hash,
        origin=replace(earlier.origin),
    )
    work.note_started(run)
    if waits_for_series(work, measure, run):
        run.queued = True
    elif earlier.queued or measure.position(earlier.step) is None:
        begin_run(work, measure, run, at)
    else:
        continue_step_of(work, measure, run, earlier, at)

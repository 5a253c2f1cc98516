"""Folding a contact's facts again from its events, after a merge or after changed definitions.

The replay (`advance` with mail off) gives facts, track and stage. Runs, their keys and the triggers' answers are
kept, and no run starts: a merge or a changed definition sends no mail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nurture.domain.contact import Advance, Contact, Run, Transition
from nurture.domain.instant import Instant
from nurture.domain.journey.entity_dates import end_runs_of_moved_dates, join_dates
from nurture.domain.journey.line_watches import watched_lines
from nurture.domain.journey.object_watches import ends_known
from nurture.domain.journey.run_ends import end_runs_of_entities, leave_place
from nurture.domain.journey.working_state import Work, cancelled_by
from nurture.domain.memory import Memory
from nurture.domain.playbook import Playbook


def refit(contact: Contact, replayed: Contact, *, at: Instant, evidence: str, playbook: Playbook) -> Advance:
    """Give the contact, in place, the facts, track and stage of a replay of its events.

    A change of track or stage is recorded and ends or hands over the runs written for the place left.
    """
    before, aside = (contact.track, contact.stage), list(contact.memory.set_aside)
    _take_over(contact, replayed)
    result = _settle(contact, [before], moved_from=before, at=at, evidence=evidence, playbook=playbook)
    result.retried.extend(aside)
    return result


@dataclass(frozen=True, slots=True)
class Merged:
    """The advance of the surviving contact, and the runs dropped because the other contact's run is further."""

    advance: Advance
    given_up: tuple[Run, ...]


def merge_states(
    survivor: Contact, other: Contact, replayed: Contact, *, now: Instant, playbook: Playbook
) -> Merged:
    """Merge `other` into `survivor`, which is changed in place.

    replayed: the events of both, in the order of application, under the survivor's id. Per measure and key one
    run stays: one that has ended counts as furthest, then the one with more mails decided, then the older.
    """
    at = max(now, survivor.clock, other.clock)
    places = [(survivor.track, survivor.stage), (other.track, other.stage)]
    given_up = _one_run_each(survivor, other)
    aside = [*survivor.memory.set_aside, *other.memory.set_aside]
    _take_over(survivor, replayed)
    _join_draws(survivor.memory, other)
    _join_trigger_state(survivor.memory, other.memory)
    join_dates(Work(survivor, playbook, Advance(survivor)), other.memory)
    survivor.clock = max(survivor.clock, other.clock)
    survivor.wake_at = now
    survivor.version = max(survivor.version, other.version)
    if survivor.adopted != other.adopted:
        # The next advance takes the baselines that one of the two lacks.
        survivor.adopted = ""
    result = _settle(survivor, places, moved_from=places[0], at=at, evidence="merged", playbook=playbook)
    result.retried.extend(aside)
    result.watches.extend(ends_known(survivor.memory.requests))
    return Merged(result, tuple(given_up))


def _take_over(contact: Contact, replayed: Contact) -> None:
    contact.facts = replayed.facts
    contact.memory = contact.memory.refolded(replayed.memory)
    contact.track, contact.track_since = replayed.track, replayed.track_since
    contact.stage, contact.stage_since = replayed.stage, replayed.stage_since
    contact.zone, contact.locale = replayed.zone, replayed.locale
    contact.first_seen_at = replayed.first_seen_at


def _settle(
    contact: Contact,
    places: Sequence[tuple[str, str]],
    *,
    moved_from: tuple[str, str],
    at: Instant,
    evidence: str,
    playbook: Playbook,
) -> Advance:
    work = Work(contact, playbook, Advance(contact))
    end_runs_of_entities(work, {}, at)
    end_runs_of_moved_dates(work, at)
    for place in places:
        moved = _moves(contact, place, at=at, evidence=evidence)
        if place == moved_from:
            work.result.transitions.extend(move for move in moved if move not in work.result.transitions)
        leave_place(work, moved, at)
    work.result.watched_lines.extend(watched_lines(contact, playbook))
    contact.version += 1
    return work.result


def _moves(contact: Contact, place: tuple[str, str], *, at: Instant, evidence: str) -> list[Transition]:
    track, stage = place
    moves: list[Transition] = []
    if track != contact.track:
        moves.append(Transition("track", track, contact.track, contact.track_since, at, evidence))
    if stage != contact.stage:
        moves.append(Transition("stage", stage, contact.stage, contact.stage_since, at, evidence))
    return moves


def _one_run_each(survivor: Contact, other: Contact) -> list[Run]:
    """Move the other's active runs over, keep the furthest of each key, and return the runs given up."""
    given_up: list[Run] = []
    for key, run in list(survivor.runs.items()):
        if key in other.runs:
            rival = other.runs[key]
            kept, lost = (run, rival) if _progress(run) >= _progress(rival) else (rival, run)
            survivor.runs[key] = kept
            given_up.append(lost)
        elif _has_ended(other, run):
            given_up.append(survivor.runs.pop(key))
    for key, run in other.runs.items():
        if key in survivor.runs:
            continue
        if _has_ended(survivor, run):
            given_up.append(run)
        else:
            survivor.runs[key] = run
    return given_up


def _has_ended(contact: Contact, run: Run) -> bool:
    """Tell whether the contact has had a run of the same measure and key that is no longer active."""
    return run.key in contact.memory.run_starts.get(run.measure, {}) and (
        (run.measure, run.key) not in contact.runs
    )


def _progress(run: Run) -> tuple[int, int, int]:
    return len(run.decided), run.position, -run.started_at


def _join_draws(mine: Memory, other: Contact) -> None:
    """Go on to draw as the other contact for the measures that it entered first, so that nobody changes arms."""
    for measure, starts in other.memory.run_starts.items():
        my_starts = mine.run_starts.get(measure)
        if starts and (not my_starts or min(starts.values()) < min(my_starts.values())):
            mine.drawn_as[measure] = other.memory.drawn_as.get(measure, other.id)


def draw_alone(memory: Memory, parted: int) -> None:
    """Draw no more as a contact that is another person after all."""
    memory.drawn_as = {measure: drawn for measure, drawn in memory.drawn_as.items() if drawn != parted}


def _join_trigger_state(mine: Memory, theirs: Memory) -> None:
    """Add the other memory's trigger state to `mine`: answers, starts of runs and silences acted upon."""
    for measure, (rules_hash, answer) in theirs.answers.items():
        my_hash, my_answer = mine.answers.get(measure, (rules_hash, answer))
        # A condition that was true for either contact does not start its measure again.
        mine.answers[measure] = my_hash, my_answer or answer
    for measure, at in theirs.past_answers.items():
        mine.past_answers[measure] = max(mine.past_answers.get(measure, at), at)
    _take_latest(mine.run_starts, theirs.run_starts)
    _take_latest(mine.silences, theirs.silences)


def _take_latest(mine: dict[str, dict[str, Instant]], theirs: Mapping[str, Mapping[str, Instant]]) -> None:
    """Add the other's instants by measure and key; where both have one, the later stays."""
    for measure, instants in theirs.items():
        known = mine.setdefault(measure, {})
        for key, at in instants.items():
            known[key] = max(known.get(key, at), at)


def followed_by(first: Advance, then: Advance) -> Advance:
    """Return both advances as one, with the contact after `then`."""
    messages, runs = list(first.messages), {**first.runs, **then.runs}
    for ending in then.cancellations:
        messages = cancelled_by(ending, messages, runs)
    return Advance(
        contact=then.contact,
        transitions=[*first.transitions, *then.transitions],
        milestones=[*first.milestones, *then.milestones],
        runs=runs,
        messages=[*messages, *then.messages],
        actions=[*first.actions, *then.actions],
        cancellations=[*first.cancellations, *then.cancellations],
        watches=[*first.watches, *then.watches],
        watched_lines=[*first.watched_lines, *then.watched_lines],
        non_entries=[*first.non_entries, *then.non_entries],
        set_aside=[*first.set_aside, *then.set_aside],
        retried=[*first.retried, *then.retried],
    )

"""Play one person forward from now, with no new events, until a send's mail has left or can leave no more.

It runs the same `advance` and the same guard as the workers, on copies: alarms ring, other waiting mail of the person
leaves and takes slots of caps, deferrals come due. Nothing is written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final, Literal

from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.claim import guard_messages
from nurture.delivery.load_guard_input import (
    ContactFamily,
    GuardItem,
    build_due_message,
    build_item,
)
from nurture.domain.contact import Advance, Cancellation, Contact, Run
from nurture.domain.event import Event
from nurture.domain.instant import FOREVER, Duration, Instant
from nurture.domain.journey.advance import Happening, advance
from nurture.domain.journey.position import ActiveHold, active_holds
from nurture.domain.message import PlannedMessage, Settled, Verdict
from nurture.domain.playbook import Playbook
from nurture.feedback.reply_queries import REPLY_HOLD

#: Messages of a forecast have ids above all stored ones.
_FIRST_ID: Final = 2**62
#: Instants played for one person at most.
_STEPS_MAX: Final = 2_000

RunKey = tuple[int, str, str]
#: How a mail ends in a play.
Ending = Literal["sent", "skipped", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class PersonForecast:
    """The end of a send for one person."""

    contact: int
    # now and later: a mail of it leaves at `at`; sent_before: `once` holds; never: for the reason.
    kind: Literal["now", "later", "never", "sent_before"]
    reason: str = ""
    at: Instant = FOREVER


@dataclass(slots=True)
class Person:
    """One person as stored: with the waiting mails, their runs, and the ended mails that no run knows of yet."""

    family: ContactFamily
    rows: Iterable[Any]
    runs: Mapping[RunKey, Run]
    settled: Sequence[Settled] = ()
    # Loads the objects that mails name.
    load_objects: Callable[[Sequence[GuardItem], ChunkScope], None] | None = None


@dataclass(slots=True)
class Play:
    """The person while time passes."""

    person: Person
    scope: ChunkScope
    request: str
    # Waiting mails by id: rows that deferrals change.
    waiting: dict[int, SimpleNamespace] = field(default_factory=dict)
    runs: dict[RunKey, Run] = field(default_factory=dict)
    # Holds that are not the person's own: of colleagues, and of open replies.
    holds: Sequence[ActiveHold] = ()
    next_id: int = _FIRST_ID
    # The reason for which the newest mail of the send ended unsent, or the measure did not take the person.
    reason: str = ""
    # True: an action of the send was decided, which is all that a measure without a mail does.
    has_acted: bool = False
    # True: an alarm of the person rang.
    has_rung: bool = False

    @property
    def contact(self) -> Contact:
        """The person's state."""
        return self.person.family.contact

    @property
    def playbook(self) -> Playbook:
        """The programme."""
        return self.scope.playbook


def play_out(play: Play, event: Event) -> PersonForecast:
    """Play from the event that hands in the send until its end for the person is certain; `scope.now` is then."""
    scope = play.scope
    _advance(play, [*play.person.settled, event], at=scope.now)
    for _ in range(_STEPS_MAX):
        if not _may_still_leave(play):
            if play.has_acted:
                return PersonForecast(play.contact.id, "now", at=scope.now)
            kind: Literal["never", "sent_before"] = "sent_before" if play.reason == "once" else "never"
            return PersonForecast(play.contact.id, kind, play.reason)
        at = next_instant(play)
        if at >= FOREVER:
            break
        if ring_at(play, at):
            continue
        if (forecast := _guard_due(play, since=scope.now)) is not None:
            return forecast
    return PersonForecast(play.contact.id, "never", play.reason or "waits")


def begin_play(person: Person, scope: ChunkScope, request: str = "") -> Play:
    """Return the play of a person as stored. Their values are used up. request: of the send that is forecast."""
    play = Play(person, scope, request, holds=_other_holds(person.family))
    play.waiting = {row.id: SimpleNamespace(**row._asdict()) for row in person.rows}
    play.runs = {
        key: person.family.contact.runs.get((run.measure, run.key), run) for key, run in person.runs.items()
    }
    person.family.pending_since = None
    return play


def next_instant(play: Play) -> Instant:
    """Return the next instant at which a mail is due or an alarm rings; FOREVER without one."""
    due_at = min((row.due_at for row in play.waiting.values()), default=FOREVER)
    return max(play.scope.now, min(due_at, play.contact.wake_at))


def ring_at(play: Play, at: Instant) -> bool:
    """Move to an instant; tell whether an alarm rang there."""
    play.scope = replace(play.scope, now=at)
    if play.contact.wake_at > at:
        return False
    play.has_rung = True
    _advance(play, [], at=at)
    return True


def _may_still_leave(play: Play) -> bool:
    if any(row.request == play.request for row in play.waiting.values()):
        return True
    return any(run.origin.request == play.request for run in play.contact.runs.values())


def _other_holds(family: ContactFamily) -> Sequence[ActiveHold]:
    return [hold for hold in family.holds if hold.is_shared or hold.hold.name == REPLY_HOLD]


def _moved_along(hold: ActiveHold, passed: Duration) -> ActiveHold:
    """Return the hold after a time has passed: that of an open case ends with the case, so its end moves along."""
    return replace(hold, until=hold.until + passed) if hold.hold.name == REPLY_HOLD else hold


# ---- the rule --------------------------------------------------------------------------------------------


def _advance(play: Play, happenings: Sequence[Happening], *, at: Instant) -> None:
    """Advance the contact, and change the waiting mails by the decisions."""
    result = advance(play.contact, happenings, now=at, playbook=play.playbook, in_place=True)
    for (measure, key), run in result.runs.items():
        for member in play.person.family.member_ids:
            if (member, measure, key) in play.runs or member == play.contact.id:
                play.runs[member, measure, key] = run
    for ending in result.cancellations:
        for row in [row for row in play.waiting.values() if _is_covered(play, ending, row)]:
            _end(play, row, ending.reason)
    for planned in result.messages:
        _add(play, planned)
    _note_actions(play, result)
    _note_refusal(play, result)


def _is_covered(play: Play, ending: Cancellation, row: Any) -> bool:
    if row.measure != ending.measure:
        return False
    if ending.entity:
        run = play.runs.get((row.contact_id, row.measure, row.run_key))
        return run is not None and ending.is_about(run)
    return ending.run_key in (None, row.run_key)


def _note_actions(play: Play, result: Advance) -> None:
    for action in result.actions:
        run = result.runs.get((action.measure, action.run_key))
        if run is not None and run.origin.request == play.request:
            play.has_acted = play.has_acted or action.status == "waiting"
            play.reason = action.reason or play.reason


def _note_refusal(play: Play, result: Advance) -> None:
    for refusal in result.non_entries:
        if refusal.request == play.request:
            play.reason = refusal.reason


def _add(play: Play, planned: PlannedMessage) -> None:
    if planned.cancelled:
        play.reason = planned.cancelled if planned.request == play.request else play.reason
        return
    play.next_id += 1
    names = planned.__slots__
    values = {name: getattr(planned, name) for name in names if name != "cancelled"}
    row = SimpleNamespace(
        **values, id=play.next_id, contact_id=play.contact.id, status="waiting", reason="", attempt=0
    )
    play.waiting[row.id] = row
    play.person.family.ledger[row.id] = build_due_message(row).as_ledger_entry()


def _end(play: Play, row: Any, reason: str) -> None:
    del play.waiting[row.id]
    play.person.family.ledger.pop(row.id, None)
    if row.request == play.request:
        play.reason = reason


# ---- the guard -------------------------------------------------------------------------------------------


def _guard_due(play: Play, *, since: Instant) -> PersonForecast | None:
    """Guard the mails due now; returns the forecast when a mail of the send leaves, or waits for its measure."""
    settled: list[Settled] = []
    for item, verdict in judge_due(play, since=since):
        row = play.waiting[item.due.id]
        if row.request == play.request:
            if verdict.action == "send":
                kind: Literal["now", "later"] = "now" if play.scope.now == since else "later"
                return PersonForecast(play.contact.id, kind, at=play.scope.now)
            if verdict.reason == "paused":
                return PersonForecast(play.contact.id, "never", "paused")
        settled += settle(play, item, verdict)[1]
    advance_settled(play, settled)
    return None


def judge_due(play: Play, *, since: Instant) -> Iterable[tuple[GuardItem, Verdict]]:
    """Return the guard's verdict on each mail that is due now. since: when the play began."""
    scope, family = play.scope, play.person.family
    others = (_moved_along(hold, scope.now - since) for hold in play.holds)
    family.holds = [
        *active_holds(play.contact, now=scope.now, playbook=scope.playbook),
        *(hold for hold in others if hold.until > scope.now),
    ]
    due = [row for row in play.waiting.values() if row.due_at <= scope.now]
    items = [build_item(row, family, play.runs, scope) for row in due]
    if play.person.load_objects is not None:
        play.person.load_objects(items, scope)
    return list(guard_messages(items, scope))


def advance_settled(play: Play, settled: Sequence[Settled]) -> None:
    """Let the runs go on whose mails have ended now."""
    if settled:
        _advance(play, settled, at=play.scope.now)


def settle(play: Play, item: GuardItem, verdict: Verdict) -> tuple[Ending | None, list[Settled]]:
    """Change a waiting mail by its verdict; return how it ended, and its ending where a run waits for it."""
    row = play.waiting[item.due.id]
    status = _settle(play, item, row, verdict)
    if status is None or not item.has_waiting_run:
        return status, []
    return status, [Settled(row.id, row.measure, row.run_key, row.step, status, play.scope.now)]


def _settle(play: Play, item: GuardItem, row: Any, verdict: Verdict) -> Ending | None:
    """Change the row by its verdict, and return its status when it has ended."""
    now = play.scope.now
    if verdict.action == "defer":
        row.due_at = max(verdict.until or now, now + 1)
        row.reason = verdict.reason
        row.valid_until = verdict.data.get("valid_until", row.valid_until)
        return None
    if verdict.action == "send":
        del play.waiting[row.id]
        ledger = play.person.family.ledger
        ledger[row.id] = replace(ledger[row.id], status="sent", counted_at=now)
        if item.run is not None:
            item.run.let.update(item.new_lets)
        return "sent"
    _end(play, row, verdict.reason)
    return {"skip": "skipped", "expire": "expired", "cancel": "cancelled"}[verdict.action]  # type: ignore[return-value]

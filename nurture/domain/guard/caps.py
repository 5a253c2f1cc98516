"""Frequency caps, least gaps between runs, and the arbitration between messages that need the same slot.

A cap defers a message and never drops it. Caps read the ledger rows of all contacts of the person's family.
Messages that are ready, on the wire or in doubt count like sent ones, because they may still arrive.

A cap counts runs: a run takes one slot with its first mail that counts, and keeps it until `within` has passed since
its last one. With `count: mails` each mail takes a slot. A mail that the person asked for takes none.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nurture.domain.instant import DAY, MINUTE, SECOND, Duration, Instant
from nurture.domain.measure import MARKETING, MARKETING_SWITCH, Purpose
from nurture.domain.message import COUNTING, Status
from nurture.domain.playbook import Cap

#: A ready mail is sent or released within minutes, so a message deferred because of it is checked again this soon.
UNSETTLED_RECHECK_AFTER: Duration = 10 * MINUTE
#: A mail that left while its run was handed over is found for longer than any slot that its heir may wait for.
SINCE_HAND_OVER: Duration = 32 * DAY
_UNSETTLED: frozenset[Status] = frozenset({"ready", "on_wire"})
_COUNTED: frozenset[Status] = COUNTING | {"ready"}


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One row of the ledger, with the columns that caps and arbitration of the same person compare."""

    id: int
    measure: str
    run_key: str
    step: str
    purpose: Purpose
    lane: str
    priority: int
    status: Status
    due_at: Instant
    # When it was sent, or when it became ready; the start of a cap's window for this mail.
    counted_at: Instant = 0
    holdout: bool = False
    # The measure in which its run began; "": this one. A hand-over changes the measure and not the run.
    began_as: str = ""
    # The person asked for this very mail.
    asked_for: bool = False
    # It carries a coupon code.
    has_code: bool = False

    @property
    def run(self) -> tuple[str, str]:
        """The run that caps count: the measure in which it began, and its key."""
        return self.began_as or self.measure, self.run_key


@dataclass(frozen=True, slots=True)
class BlockingCap:
    """A cap that leaves no room now, with the reason in words and the instant when there may be room."""

    cap: Cap
    until: Instant
    detail: str
    # The measure of which the detail tells, as it is stored; "" for none.
    measure: str = ""


def is_covered(cap: Cap, entry: LedgerEntry) -> bool:
    """Tell whether the cap is about this message: it may defer it, and counts it once it has left."""
    if entry.asked_for or entry.purpose not in cap.purposes:
        return False
    return entry.has_code or not cap.codes_only


def find_full_cap(
    caps: Iterable[Cap], message: LedgerEntry, entries: Sequence[LedgerEntry], *, now: Instant
) -> BlockingCap | None:
    """Return the first cap that the message would exceed, or None."""
    for cap in caps:
        if not is_covered(cap, message):
            continue
        slots = _taken_slots(cap, entries, now=now)
        if cap.count == "runs" and message.run in slots:
            continue
        if len(slots) >= cap.at_most:
            used = sorted(slots.values(), key=lambda entry: entry.counted_at)
            # There is room when the oldest slot that still blocks is free again.
            frees = used[len(used) - cap.at_most].counted_at + cap.within if cap.at_most else now + cap.within
            detail = f"{len(used)} of {cap.at_most} {cap.count} in the window"
            return BlockingCap(cap, _recheck_at(used, frees, now=now), detail)
    return None


def find_unexpired_gap(
    caps: Iterable[Cap], message: LedgerEntry, entries: Sequence[LedgerEntry], *, now: Instant
) -> BlockingCap | None:
    """Return the first cap whose least time since the last mail has not passed yet, or None.

    A cap that counts runs keeps distance to the mails of other runs: those of one run keep it by their waits.
    """
    for cap in caps:
        if not cap.gap or not is_covered(cap, message):
            continue
        used = [
            entry
            for entry in _select_counted(cap, entries, since=now - cap.gap)
            if cap.count == "mails" or entry.run != message.run
        ]
        if used and used[-1].counted_at + cap.gap > now:
            until = _recheck_at(used[-1:], used[-1].counted_at + cap.gap, now=now)
            return BlockingCap(cap, until, "left less than the gap ago", used[-1].measure)
    return None


def find_slot_winner(
    caps: Iterable[Cap],
    message: LedgerEntry,
    entries: Sequence[LedgerEntry],
    *,
    now: Instant,
    horizon: Duration,
    stopped: Collection[str] = (),
) -> LedgerEntry | None:
    """Return the message that takes the slot `message` needs, or None when there is room for `message`.

    Considered are waiting messages of the same person due within `horizon` either side of now. An older one is
    stuck for another reason and must not delay the rest. stopped: names of switches that are on.
    """
    rivals = [
        entry
        for entry in entries
        if entry.status == "waiting"
        and not entry.holdout
        and now - horizon <= entry.due_at <= now + horizon
        and not _is_stopped(entry, stopped)
        and priority_key(entry) < priority_key(message)
    ]
    for cap in caps if rivals else ():
        if is_covered(cap, message):
            capped = sorted((entry for entry in rivals if is_covered(cap, entry)), key=priority_key)
            winner = _find_winner(cap, message, capped, entries, now=now) if capped else None
            if winner is not None:
                return winner
    return None


def _is_stopped(entry: LedgerEntry, switches: Collection[str]) -> bool:
    """Tell whether its measure, its lane, or its lane's marketing mail is paused."""
    names = {entry.measure, entry.lane}
    if entry.purpose in MARKETING:
        names.add(entry.lane + MARKETING_SWITCH)
    return not names.isdisjoint(switches)


def _find_winner(
    cap: Cap,
    message: LedgerEntry,
    rivals: Sequence[LedgerEntry],
    entries: Sequence[LedgerEntry],
    *,
    now: Instant,
) -> LedgerEntry | None:
    """Return the first of the rivals, best first, that leaves the message no slot or is due within the gap."""
    slots = _taken_slots(cap, entries, now=now)
    if cap.count == "mails":
        is_full = len(slots) + len(rivals) >= cap.at_most
        is_near = any(entry.due_at - now < cap.gap for entry in rivals)
        return rivals[0] if is_full or is_near else None
    # Messages of one run take one slot together, and a run that has its slot takes none.
    others = [entry for entry in rivals if entry.run != message.run]
    without_slot = [entry for entry in others if entry.run not in slots]
    wanted = len(slots) + len({entry.run for entry in without_slot})
    if without_slot and message.run not in slots and wanted >= cap.at_most:
        return without_slot[0]
    return next((entry for entry in others if entry.due_at - now < cap.gap), None)


def priority_key(entry: LedgerEntry) -> tuple[int, Instant, int]:
    """Return the sort key of competing messages; the smallest is served first."""
    return (-entry.priority, entry.due_at, entry.id)


def recheck_after(entry: LedgerEntry, *, now: Instant) -> Instant:
    """Return when a message that gave way to `entry` is checked again."""
    return entry.due_at + SECOND if entry.due_at > now else now + MINUTE


def _taken_slots(
    cap: Cap, entries: Iterable[LedgerEntry], *, now: Instant
) -> dict[tuple[str, str] | int, LedgerEntry]:
    """Return the slots in use: run (or mail) -> its last mail, with which the slot ends."""
    counted = _select_counted(cap, entries, since=now - cap.within)
    if cap.count == "mails":
        return {entry.id: entry for entry in counted}
    return {entry.run: entry for entry in counted}


def _select_counted(cap: Cap, entries: Iterable[LedgerEntry], *, since: Instant) -> list[LedgerEntry]:
    """Return the entries that the cap counts after `since`, oldest first; those under way always count."""
    return sorted(
        (
            entry
            for entry in entries
            if entry.status in _COUNTED
            and (entry.counted_at > since or entry.status in _UNSETTLED)
            and is_covered(cap, entry)
        ),
        key=lambda entry: entry.counted_at,
    )


def _recheck_at(used: Iterable[LedgerEntry], until: Instant, *, now: Instant) -> Instant:
    """Return `until`, or sooner while one of `used` may still be released unsent."""
    if any(entry.status in _UNSETTLED for entry in used):
        return min(until, now + UNSETTLED_RECHECK_AFTER)
    return until

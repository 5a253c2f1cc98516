"""Frequency caps, least gaps between mails, and the arbitration between messages that need the same slot.

A cap defers a message and never drops it. Caps count the ledger rows of all contacts of the person's family.
Messages that are ready, on the wire or in doubt count like sent ones, because they may still arrive.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.domain.measure import Purpose
from nurture.domain.message import COUNTING, Status
from nurture.domain.playbook import Cap

#: A ready mail is sent or released within minutes, so a message deferred because of it is checked again this soon.
UNSETTLED_RECHECK_AFTER: Duration = 10 * MINUTE
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


@dataclass(frozen=True, slots=True)
class BlockingCap:
    """A cap that leaves no room now, with the reason in words and the instant when there may be room."""

    cap: Cap
    until: Instant
    detail: str


def select_counted(cap: Cap, entries: Iterable[LedgerEntry], *, now: Instant) -> list[LedgerEntry]:
    """Return the entries that count toward the cap or its gap at `now`, oldest first."""
    since = now - max(cap.within, cap.gap)
    return sorted(
        (
            entry
            for entry in entries
            if entry.purpose in cap.purposes
            and entry.status in _COUNTED
            and (entry.counted_at > since or entry.status in _UNSETTLED)
        ),
        key=lambda entry: entry.counted_at,
    )


def find_full_cap(
    caps: Iterable[Cap], entries: Sequence[LedgerEntry], *, purpose: Purpose, now: Instant
) -> BlockingCap | None:
    """Return the first cap that one more mail of this purpose would exceed, or None."""
    for cap in caps:
        if purpose not in cap.purposes:
            continue
        used = _select_in_window(cap, entries, now=now)
        if len(used) >= cap.at_most:
            # There is room when the oldest entry that still blocks leaves the window.
            frees = used[len(used) - cap.at_most].counted_at + cap.within if cap.at_most else now + cap.within
            detail = f"{len(used)} of {cap.at_most} in the window"
            return BlockingCap(cap, _recheck_at(used, frees, now=now), detail)
    return None


def find_unexpired_gap(
    caps: Iterable[Cap], entries: Sequence[LedgerEntry], *, purpose: Purpose, now: Instant
) -> BlockingCap | None:
    """Return the first cap whose least time since the last mail has not passed yet, or None."""
    for cap in caps:
        if purpose not in cap.purposes or not cap.gap:
            continue
        used = select_counted(cap, entries, now=now)
        if used and used[-1].counted_at + cap.gap > now:
            until = _recheck_at(used[-1:], used[-1].counted_at + cap.gap, now=now)
            return BlockingCap(cap, until, f"{used[-1].measure} left less than the gap ago")
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
    stuck for another reason and must not delay the rest. stopped: paused lanes and measures.
    """
    rivals = [
        entry
        for entry in entries
        if entry.status == "waiting"
        and not entry.holdout
        and now - horizon <= entry.due_at <= now + horizon
        and entry.measure not in stopped
        and entry.lane not in stopped
        and priority_key(entry) < priority_key(message)
    ]
    for cap in caps if rivals else ():
        if message.purpose not in cap.purposes:
            continue
        capped = sorted((entry for entry in rivals if entry.purpose in cap.purposes), key=priority_key)
        if capped and _leaves_no_room(cap, capped, entries, now=now):
            return capped[0]
    return None


def _leaves_no_room(
    cap: Cap, rivals: Sequence[LedgerEntry], entries: Sequence[LedgerEntry], *, now: Instant
) -> bool:
    """Tell whether the rivals use up the cap, or one of them is due within its gap."""
    used = len(_select_in_window(cap, entries, now=now))
    return used + len(rivals) >= cap.at_most or any(entry.due_at - now < cap.gap for entry in rivals)


def priority_key(entry: LedgerEntry) -> tuple[int, Instant, int]:
    """Return the sort key of competing messages; the smallest is served first."""
    return (-entry.priority, entry.due_at, entry.id)


def recheck_after(entry: LedgerEntry, *, now: Instant) -> Instant:
    """Return when a message that gave way to `entry` is checked again."""
    return entry.due_at + SECOND if entry.due_at > now else now + MINUTE


def _select_in_window(cap: Cap, entries: Iterable[LedgerEntry], *, now: Instant) -> list[LedgerEntry]:
    return [
        entry
        for entry in select_counted(cap, entries, now=now)
        if entry.counted_at > now - cap.within or entry.status in _UNSETTLED
    ]


def _recheck_at(used: Sequence[LedgerEntry], until: Instant, *, now: Instant) -> Instant:
    """Return `until`, or sooner while one of `used` may still be released unsent."""
    if any(entry.status in _UNSETTLED for entry in used):
        return min(until, now + UNSETTLED_RECHECK_AFTER)
    return until

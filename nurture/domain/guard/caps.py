"""How many mails a person gets: caps, least gaps, and which of several messages takes a slot.

A cap defers, it never drops. It looks at the ledger rows of everything the person was ever known as; what is
ready, on the wire or in doubt counts like what was sent, since it may well arrive.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.domain.measure import Purpose
from nurture.domain.message import COUNTING, Status
from nurture.domain.playbook import Cap

#: A mail between the gates either leaves or comes back within minutes; then its slot is looked at again.
UNSETTLED_LOOK: Duration = 10 * MINUTE
_UNSETTLED: frozenset[Status] = frozenset({"ready", "on_wire"})
_COUNTED: frozenset[Status] = COUNTING | {"ready"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger, as far as other messages of the same person need to know it."""

    id: int
    measure: str
    run_key: str
    step: str
    purpose: Purpose
    lane: str
    priority: int
    status: Status
    due_at: Instant
    # When it left, or when it became ready; what a cap's window is counted from.
    counted_at: Instant = 0
    holdout: bool = False


@dataclass(frozen=True, slots=True)
class Full:
    """No room now: which cap says so, why in words, and when there may be room."""

    cap: Cap
    until: Instant
    detail: str


def counted(cap: Cap, others: Iterable[Entry], *, now: Instant) -> list[Entry]:
    """Return what counts toward the cap at `now`, oldest first."""
    since = now - max(cap.within, cap.gap)
    return sorted(
        (
            each
            for each in others
            if each.purpose in cap.purposes
            and each.status in _COUNTED
            and (each.counted_at > since or each.status in _UNSETTLED)
        ),
        key=lambda each: each.counted_at,
    )


def over_limit(
    caps: Iterable[Cap], others: Sequence[Entry], *, purpose: Purpose, now: Instant
) -> Full | None:
    """Return the cap whose number is used up for one more mail of this purpose, or None."""
    for cap in caps:
        if purpose not in cap.purposes:
            continue
        used = _within(cap, others, now=now)
        if len(used) >= cap.at_most:
            # When the oldest that still stands in the way falls out of the window.
            frees = used[len(used) - cap.at_most].counted_at + cap.within if cap.at_most else now + cap.within
            return Full(cap, _soon(used, frees, now=now), f"{len(used)} of {cap.at_most} in the window")
    return None


def inside_gap(
    caps: Iterable[Cap], others: Sequence[Entry], *, purpose: Purpose, now: Instant
) -> Full | None:
    """Return the cap whose least time between two mails has not passed, or None."""
    for cap in caps:
        if purpose not in cap.purposes or not cap.gap:
            continue
        used = counted(cap, others, now=now)
        if used and used[-1].counted_at + cap.gap > now:
            until = _soon(used[-1:], used[-1].counted_at + cap.gap, now=now)
            return Full(cap, until, f"{used[-1].measure} left less than the gap ago")
    return None


def ahead(
    caps: Iterable[Cap],
    mine: Entry,
    others: Sequence[Entry],
    *,
    now: Instant,
    horizon: Duration,
    stopped: Collection[str] = (),
) -> Entry | None:
    """Return the message that takes the slot `mine` would take, or None when there is room for `mine`.

    Considered are waiting messages of the same person due within `horizon` either side of now: an older one is
    stuck behind something else and may not hold up the rest. stopped: lanes and measures that do not send.
    """
    waiting = [
        each
        for each in others
        if each.status == "waiting"
        and not each.holdout
        and now - horizon <= each.due_at <= now + horizon
        and each.measure not in stopped
        and each.lane not in stopped
        and precedence(each) < precedence(mine)
    ]
    for cap in caps if waiting else ():
        if mine.purpose not in cap.purposes:
            continue
        rivals = sorted((each for each in waiting if each.purpose in cap.purposes), key=precedence)
        used = len(_within(cap, others, now=now))
        too_close = any(each.due_at - now < cap.gap for each in rivals)
        if rivals and (too_close or used + len(rivals) >= cap.at_most):
            return rivals[0]
    return None


def precedence(entry: Entry) -> tuple[int, Instant, int]:
    """Return the sort key of competing messages, the first to be served smallest."""
    return (-entry.priority, entry.due_at, entry.id)


def behind(winner: Entry, *, now: Instant) -> Instant:
    """Return when a message is looked at again that stepped back behind `winner`."""
    return winner.due_at + SECOND if winner.due_at > now else now + MINUTE


def _within(cap: Cap, others: Iterable[Entry], *, now: Instant) -> list[Entry]:
    return [
        each
        for each in counted(cap, others, now=now)
        if each.counted_at > now - cap.within or each.status in _UNSETTLED
    ]


def _soon(used: Sequence[Entry], until: Instant, *, now: Instant) -> Instant:
    """Return `until`, or sooner while one of `used` may still come back unsent."""
    if any(each.status in _UNSETTLED for each in used):
        return min(until, now + UNSETTLED_LOOK)
    return until

"""The warm-up of a new sending address: a daily ceiling that grows, and daily limits for single mailbox providers.

Mailbox providers distrust an address that nobody knows and that sends much at once. Transactional mail is outside the
plan: people wait for it, and there is little of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from nurture.domain.instant import DAY, Instant, from_datetime

#: How the ceiling grows from day to day, and at how many mails a day a plan is over, where the plan does not say.
GROWTH: Final = 1.5
LAST: Final = 50_000
_PLAN = re.compile(r"(\d{4}-\d\d-\d\d):(\d{1,9})(?::(\d{1,2}(?:\.\d{1,3})?))?(?::(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class WarmUpPlan:
    """The plan of one lane. Days are days of UTC."""

    # Midnight of the first day.
    start: Instant
    # Mails of the first day; each further day has `growth` times as many, until `last` is reached and the plan is over.
    first: int
    growth: float = GROWTH
    last: int = LAST

    def ceiling(self, now: Instant) -> int | None:
        """Return how many mails may leave on the day of `now`; None when the plan is over."""
        days = max(0, (day_of(now) - self.start) // DAY)
        mails = self.first
        for _day in range(days):
            if mails >= self.last:
                break
            # Never less than one more, so that a small plan grows too.
            mails = max(mails + 1, int(mails * self.growth))
        return None if mails >= self.last else mails


def parse_plan(text: str) -> WarmUpPlan:
    """Return the plan of `DATE:FIRST`, `DATE:FIRST:GROWTH` or `DATE:FIRST:GROWTH:LAST`. Raises ValueError."""
    plan = _read_plan(text.strip())
    if plan is None or plan.first < 1 or plan.growth < 1 or plan.last <= plan.first:
        message = (
            f"{text}: write DATE:FIRST[:GROWTH[:LAST]], such as 2026-12-01:200 or 2026-12-01:200:1.5:50000"
        )
        raise ValueError(message)
    return plan


def _read_plan(text: str) -> WarmUpPlan | None:
    found = _PLAN.fullmatch(text)
    if found is None:
        return None
    try:
        start = from_datetime(datetime.fromisoformat(found[1]).replace(tzinfo=UTC))
    except ValueError:
        return None
    return WarmUpPlan(start, int(found[2]), float(found[3] or GROWTH), int(found[4] or LAST))


def day_of(now: Instant) -> Instant:
    """Return the begin of the day of UTC that an instant is in."""
    return now - now % DAY


@dataclass(frozen=True, slots=True)
class Room:
    """How many mails of a lane may still leave today; None: any number."""

    total: int | None = None
    # Provider -> mails, for those with a limit.
    providers: Mapping[str, int] | None = None


def admit(providers: Sequence[str], room: Room) -> list[bool]:
    """Tell of each mail, by the provider of its address and in order, whether it may leave today."""
    total = room.total
    left = dict(room.providers or {})
    admitted = []
    for provider in providers:
        is_admitted = (total is None or total > 0) and left.get(provider, 1) > 0
        if is_admitted:
            total = None if total is None else total - 1
            if provider in left:
                left[provider] -= 1
        admitted.append(is_admitted)
    return admitted

"""The words that measures share: tracks, purposes, kinds, and times of day."""

from dataclasses import dataclass
from typing import Literal

Track = Literal["lead", "customer"]
MessageTrack = Literal["lead", "customer", "any"]
Purpose = Literal["transactional", "service", "nurture", "sales", "advocacy", "survey"]
Kind = Literal["accelerator", "connector", "service"]

PURPOSES: tuple[Purpose, ...] = ("transactional", "service", "nurture", "sales", "advocacy", "survey")
#: Purposes that need a topic's consent; transactional and service mail do not.
MARKETING: frozenset[Purpose] = frozenset({"nurture", "sales", "advocacy", "survey"})
#: A lane's name with this behind it is the switch that stops its marketing mail alone.
MARKETING_SWITCH = ":marketing"
WEEKDAYS: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class LocalSlot:
    """A time of day in the contact's zone, on allowed weekdays (0 = Monday)."""

    minute_of_day: int | None = None
    weekdays: frozenset[int] = frozenset(range(7))
    # Day of the month, 1..31 (31 = the last day there is), for monthly schedules.
    month_day: int | None = None

"""Local times as written to local slots."""

from nurture.domain.measure import WEEKDAYS, LocalSlot
from nurture.playbook.schema.measure import ScheduleSlot, Slot


def build_slot(given: Slot) -> LocalSlot:
    """Return the slot; without weekdays it means every day."""
    weekdays = frozenset(WEEKDAYS.index(day) for day in given.weekdays or WEEKDAYS)
    return LocalSlot(given.local_time, weekdays, given.month_day if isinstance(given, ScheduleSlot) else None)

"""Build local slots from local times of the files."""

from nurture.domain.measure import WEEKDAYS, LocalSlot
from nurture.playbook.schema.triggers import ScheduleSlot, Slot


def build_slot(model: Slot) -> LocalSlot:
    """Return the slot; without weekdays it is every day."""
    weekdays = frozenset(WEEKDAYS.index(day) for day in model.weekdays or WEEKDAYS)
    return LocalSlot(model.local_time, weekdays, model.month_day if isinstance(model, ScheduleSlot) else None)

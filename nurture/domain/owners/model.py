"""Owners, and the calendars of their hours."""

from dataclasses import dataclass
from datetime import date

from nurture.domain.instant import MINUTE, Duration
from nurture.domain.moments import MomentRule, days_of


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """The hours of one office: `opens` to `closes` (minutes after local midnight) on its weekdays."""

    name: str
    zone: str
    # 0 = Monday.
    weekdays: frozenset[int]
    opens: int
    closes: int
    # Days on which it stays closed: `2027-01-01`, or `12-25` for every year.
    closed: frozenset[str] = frozenset()
    # Moments on whose days it stays closed.
    moments: tuple[MomentRule, ...] = ()

    @property
    def day_length(self) -> Duration:
        """Return the open time of one day."""
        return (self.closes - self.opens) * MINUTE

    def is_open_on(self, day: date) -> bool:
        """Tell whether the calendar opens on that local day."""
        if day.weekday() not in self.weekdays:
            return False
        if day.isoformat() in self.closed or f"{day:%m-%d}" in self.closed:
            return False
        return not any(day in days_of(moment, day.year) for moment in self.moments)


@dataclass(frozen=True, slots=True)
class Owner:
    """One person or desk of the house."""

    # The name that holds, cases and senders use.
    key: str
    # The name that mails print.
    name: str
    address: str
    # The hours in which it works; None: it promises no time.
    calendar: BusinessCalendar | None = None
    # The owner who is told when it is overdue.
    escalate: str | None = None

    @property
    def sender(self) -> dict[str, str]:
        """Return it as the sender of a mail; answers go to the same address."""
        return {"name": self.name, "address": self.address, "reply_to": self.address}

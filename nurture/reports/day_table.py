"""Read the day table: counts of mails and of people, for all days or some, without reading the mails themselves.

Changes that are in no day yet are read with the days, in one statement, so that none is missed or counted twice while
they are folded.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.day_counts import day_of
from nurture.domain.instant import Instant

MAIL_KEY: Final = ("measure", "step", "variant", "track", "asked_for", "status", "reason")
PEOPLE_KEY: Final = ("track", "stage")


@dataclass(frozen=True, slots=True)
class Days:
    """A stretch of days of the brand's time zone, both ends included; None: no bound."""

    zone: str
    first: str | None = None
    last: str | None = None

    @property
    def is_all(self) -> bool:
        """Return whether no day is left out."""
        return self.first is None and self.last is None

    def day_of(self, at: Instant) -> str:
        """Return the day of an instant."""
        return day_of(at, self.zone)

    def holds(self, day: str) -> bool:
        """Return whether the day lies in the stretch."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


#: Without bounds no day is looked at, so the zone does not matter.
ALL_DAYS: Final = Days("UTC")


def sum_mails(connection: sa.Connection, days: Days) -> Counter[tuple[Any, ...]]:
    """Return `MAIL_KEY` -> how many more mails have it at the end of these days than before them."""
    return _sums(connection, t.mail_days, t.mail_changes, MAIL_KEY, days)


def sum_people(connection: sa.Connection, days: Days) -> Counter[tuple[Any, ...]]:
    """Return (track, stage) -> how many more people stand there at the end of these days than before them."""
    return _sums(connection, t.people_days, t.people_changes, PEOPLE_KEY, days)


def _sums(
    connection: sa.Connection, days: sa.Table, changes: sa.Table, key: tuple[str, ...], wanted: Days
) -> Counter[tuple[Any, ...]]:
    sums: Counter[tuple[Any, ...]] = Counter()
    for _, *kind, number in read_days(connection, days, changes, key, wanted):
        sums[tuple(kind)] += number
    return Counter({kind: number for kind, number in sums.items() if number})


def read_days(
    connection: sa.Connection, days: sa.Table, changes: sa.Table, key: tuple[str, ...], wanted: Days
) -> Iterator[tuple[Any, ...]]:
    """Give (day, *key, n) of a table of days and its changes; of a stretch without bounds the day is None."""
    day: Any = sa.null() if wanted.is_all else days.c.day
    slot: Any = sa.null() if wanted.is_all else changes.c.slot
    counted: list[Any] = [
        sa.cast(day, sa.Text),
        sa.cast(sa.null(), sa.BigInteger),
        *(days.c[name] for name in key),
    ]
    folded = sa.select(*counted, sa.func.sum(days.c.n)).group_by(*counted)
    if wanted.first is not None:
        folded = folded.where(days.c.day >= wanted.first)
    if wanted.last is not None:
        folded = folded.where(days.c.day <= wanted.last)
    fresh_key: list[Any] = [
        sa.cast(sa.null(), sa.Text),
        sa.cast(slot, sa.BigInteger),
        *(changes.c[name] for name in key),
    ]
    fresh = sa.select(*fresh_key, sa.func.sum(changes.c.n)).group_by(*fresh_key)
    for of_day, of_slot, *rest in connection.execute(sa.union_all(folded, fresh)):
        found = of_day if of_slot is None else wanted.day_of(of_slot)
        if of_slot is None or wanted.holds(found):
            *kind, number = rest
            yield found, *kind, int(number)

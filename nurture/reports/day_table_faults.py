"""Compare the day table with the mails and the people that it counts, and add what it lacks."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.day_counts import COUNTED_AS, ENDED, SLOT, day_of, zone_changed_on
from nurture.domain.instant import Instant
from nurture.domain.timing import start_of_day
from nurture.reports.day_table import MAIL_KEY, PEOPLE_KEY, Days, read_days

#: How many days are compared one by one.
_DAYS: Final = 30
_CORRECT: Final = "`nurture report measures --correct` adds what is missing"
#: A mail that ended so was counted on the day of `settled_at`.
_ENDED_UNSENT: Final = ("skipped", "cancelled", "expired")


def find_faults(connection: sa.Connection, *, zone: str, now: Instant) -> Iterator[str]:
    """Give in words where the day table differs: over all days, and day by day of the last month.

    zone: the brand's.
    """
    for row in mail_differences(connection):
        kind = " ".join(filter(None, (row.measure, row.step, row.variant, row.status, row.reason)))
        yield f"{kind}: {_more_or_fewer(row.n)} in the ledger than in the day table; {_CORRECT}"
    for row in people_differences(connection):
        yield f"{row.track} {row.stage}: {_more_or_fewer(row.n)} people than in the day table; {_CORRECT}"
    first = start_of_day(now, zone, days=-_DAYS)
    begin = max(day_of(first, zone), zone_changed_on(connection))
    ledger, table = _ended_by_day(connection, Days(zone, begin), since=first)
    for day, measure, status in sorted(ledger.keys() | table.keys()):
        settled = (day, measure, status)
        if day > begin and ledger[settled] != table[settled]:
            yield f"{measure}: {ledger[settled]} {status} on {day}, {table[settled]} by the day table"


def _more_or_fewer(number: int) -> str:
    return f"{abs(number)} {'more' if number > 0 else 'fewer'}"


def mail_differences(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return the kinds of mail (`MAIL_KEY`) that the ledger has more of (`n` above 0) or fewer than the day table."""
    return list(connection.execute(_mail_differences()))


def people_differences(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return the stages where more people stand (`n` above 0) or fewer than by the day table."""
    return list(connection.execute(_people_differences()))


def correct(connection: sa.Connection, *, now: Instant) -> int:
    """Add what the day table lacks, as changes of this instant; return how many rows that took.

    Each table is corrected by one statement, so that nothing is missed that others change meanwhile.
    """
    slot = sa.literal(now - now % SLOT, sa.BigInteger).label("slot")
    written = 0
    for changes, key, differences in (
        (t.mail_changes, MAIL_KEY, _mail_differences()),
        (t.people_changes, PEOPLE_KEY, _people_differences()),
    ):
        missing = differences.subquery()
        source = sa.select(slot, *(missing.c[name] for name in (*key, "n")))
        written += connection.execute(sa.insert(changes).from_select(["slot", *key, "n"], source)).rowcount
    return written


def _mail_differences() -> sa.Select[Any]:
    m = t.messages.c
    status = sa.case(COUNTED_AS, value=m.status, else_=m.status)
    reason = sa.case((m.status.in_(sorted(ENDED)), m.reason), else_="")
    variant = sa.func.coalesce(m.variant, "")
    counted = (m.measure, m.step, variant, m.track, m.asked_for, status, reason)
    return _differences(
        sa.select(*counted, sa.func.count()).group_by(*counted), t.mail_days, t.mail_changes, MAIL_KEY
    )


def _people_differences() -> sa.Select[Any]:
    c = t.contacts.c
    living = (
        sa.select(c.track, c.stage, sa.func.count())
        .where(c.survivor.is_(None), c.erased_at.is_(None))
        .group_by(c.track, c.stage)
    )
    return _differences(living, t.people_days, t.people_changes, PEOPLE_KEY)


def _differences(
    counted: sa.Select[Any], days: sa.Table, changes: sa.Table, key: tuple[str, ...]
) -> sa.Select[Any]:
    """Return the statement for what was counted, less what both tables add up to; all of it in one snapshot."""
    parts = [counted, *(sa.select(*(table.c[name] for name in key), -table.c.n) for table in (days, changes))]
    names = [*key, "n"]
    both = sa.union_all(*(_named(part, names) for part in parts)).subquery()
    number = sa.cast(sa.func.sum(both.c.n), sa.BigInteger).label("n")
    kinds = [both.c[name] for name in key]
    return sa.select(*kinds, number).group_by(*kinds).having(sa.func.sum(both.c.n) != 0).order_by(*kinds)


def _named(statement: sa.Select[Any], names: list[str]) -> sa.Select[Any]:
    columns = [column.label(name) for column, name in zip(statement.selected_columns, names, strict=True)]
    return statement.with_only_columns(*columns, maintain_column_froms=True)


def _ended_by_day(
    connection: sa.Connection, days: Days, *, since: Instant
) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """Return (day, measure, status) -> mails that ended before they were sent: by the ledger, and by the day table.

    since: the first instant of `days`.
    """
    m = t.messages.c
    slot = m.settled_at - m.settled_at % SLOT
    statement = (
        sa.select(slot, m.measure, m.status, sa.func.count())
        .where(m.status.in_(_ENDED_UNSENT), m.settled_at >= since)
        .group_by(slot, m.measure, m.status)
    )
    ledger: Counter[tuple[str, ...]] = Counter()
    for at, measure, status, number in connection.execute(statement):
        ledger[days.day_of(at), measure, status] += number
    table: Counter[tuple[str, ...]] = Counter()
    key = ("measure", "status")
    for day, measure, status, number in read_days(connection, t.mail_days, t.mail_changes, key, days):
        if status in _ENDED_UNSENT:
            table[day, measure, status] += number
    return ledger, Counter({kind: number for kind, number in table.items() if number})

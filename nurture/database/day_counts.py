"""Count mails by status and people by stage, day by day, in the transactions that change them.

A transaction appends one row for each kind of change it makes: one more mail of the new status, one fewer of the old
one. So transactions never wait for each other at a common row. `fold_changes` adds the rows to their days once a
minute. A day is never corrected: a later change counts on its own day. Rows that are deleted for their age, or because
their person is erased, change no count of mails.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from nurture.database import meta
from nurture.database.bulk import any_of, insert, insert_statement, list_text, relation_of_parameter
from nurture.database.schema import mail_changes, mail_days, messages, people_changes, people_days
from nurture.domain.instant import MINUTE, Duration, Instant
from nurture.domain.message import STATES
from nurture.domain.timing import to_local

#: The status of a mail before it was decided.
NEW: Final = ""
#: The columns that a statement returns of each mail whose status it sets, for `count_mails`.
COUNTED: Final = tuple(
    messages.c[name]
    for name in (
        *("id", "measure", "step", "variant", "track", "asked_for", "status", "reason"),
        *("decided_at", "settled_at"),
    )
)
#: The midnights of all time zones lie at multiples of it.
SLOT: Final[Duration] = 15 * MINUTE
#: A status that is counted as another: on its way out, a mail still waits.
COUNTED_AS: Final[Mapping[str, str]] = {"ready": "waiting", "on_wire": "waiting"}
#: A mail of this status keeps it, so that its reason is known whenever the mail is counted.
ENDED: Final = frozenset(status for status, (later, _) in STATES.items() if not later)

_MAIL_KEY = ("measure", "step", "variant", "track", "asked_for", "status", "reason")
_PEOPLE_KEY = ("track", "stage")
#: The key in `meta` of the zone by which days are folded, and of the first day after it changed.
_ZONE: Final = "day_table.zone"
#: As many changes of each table are folded in one transaction.
FOLDED_AT_ONCE: Final = 50_000


def count_mails(
    connection: sa.Connection,
    mails: Iterable[Any],
    *,
    before: str | Mapping[int, str],
    now: Instant | None = None,
) -> None:
    """Count mails whose status this transaction has changed.

    mails: the columns `COUNTED` as they are now. before: the status of all of them before, or of each by its id.
    now: when they changed; None: when they were settled, else decided.
    """
    changes: Counter[tuple[Any, ...]] = Counter()
    for mail in mails:
        old = before if isinstance(before, str) else before[mail.id]
        new = COUNTED_AS.get(mail.status, mail.status)
        old = COUNTED_AS.get(old, old)
        if old == new:
            continue
        at = now if now is not None else (mail.settled_at or mail.decided_at)
        kind = (_slot(at), mail.measure, mail.step, mail.variant or "", mail.track, mail.asked_for)
        changes[*kind, new, mail.reason if new in ENDED else ""] += 1
        if old != NEW:
            changes[*kind, old, ""] -= 1
    _append(connection, mail_changes, _MAIL_KEY, changes)


def count_people(connection: sa.Connection, moves: Iterable[tuple[Instant, str, str, int]]) -> None:
    """Count people who came to a stage or left it: (when, track, stage, 1 or -1)."""
    changes: Counter[tuple[Any, ...]] = Counter()
    for at, track, stage, number in moves:
        changes[_slot(at), track, stage] += number
    _append(connection, people_changes, _PEOPLE_KEY, changes)


def _slot(at: Instant) -> Instant:
    return at - at % SLOT


def _append(
    connection: sa.Connection, table: sa.Table, key: tuple[str, ...], changes: Mapping[tuple[Any, ...], int]
) -> None:
    rows = [(*kind, number) for kind, number in changes.items() if number]
    insert(connection, table, rows, columns=("slot", *key, "n"))


# ---- folding ---------------------------------------------------------------------------------------------


def day_of(at: Instant, zone: str) -> str:
    """Return the day of an instant in a time zone, as the day table writes it."""
    return to_local(at, zone).date().isoformat()


def fold_changes(connection: sa.Connection, *, zone: str, now: Instant, limit: int = FOLDED_AT_ONCE) -> int:
    """Add at most `limit` changes of mails, and as many of people, to their days in the zone; return how many."""
    stored = meta.get(connection, _ZONE)
    if stored is None or stored.split()[0] != zone:
        since = "" if stored is None else day_of(now, zone)
        meta.put(connection, _ZONE, f"{zone} {since}")
    mails = _fold(connection, (mail_changes, mail_days), _MAIL_KEY, zone, limit)
    return mails + _fold(connection, (people_changes, people_days), _PEOPLE_KEY, zone, limit)


def zone_changed_on(connection: sa.Connection) -> str:
    """Return the day on which the brand's time zone changed last; "": never. Earlier days are of another zone."""
    stored = meta.get(connection, _ZONE)
    return "" if stored is None else stored.partition(" ")[2]


def _fold(
    connection: sa.Connection,
    tables: tuple[sa.Table, sa.Table],
    key: tuple[str, ...],
    zone: str,
    limit: int,
) -> int:
    changes, days = tables
    oldest = sa.select(changes.c.id).order_by(changes.c.id).limit(limit)
    ids = list(connection.execute(oldest).scalars())
    if not ids:
        return 0
    # Rows that another transaction has folded meanwhile are not deleted again, so they are not added again.
    taken = sa.delete(changes).where(any_of(changes.c.id, ids, connection))
    columns = [changes.c[name] for name in ("slot", *key, "n")]
    sums: Counter[tuple[Hashable, ...]] = Counter()
    rows = connection.execute(taken.returning(*columns)).all()
    for slot, *kind, number in rows:
        sums[day_of(slot, zone), *kind] += number
    # Sorted, so that two transactions lock the days in one order.
    added = [(*kind, number) for kind, number in sorted(sums.items()) if number]
    if added:
        connection.execute(_addition(connection.dialect.name, days, key), {"rows": list_text(added)})
    return len(rows)


@lru_cache
def _addition(dialect: str, days: sa.Table, key: tuple[str, ...]) -> Any:
    names = ("day", *key, "n")
    given = relation_of_parameter(dialect, [days.c[name] for name in names])
    source = sa.select(*(given.c[name] for name in names)).where(sa.true()).order_by(given.c.place_)
    statement = insert_statement(dialect, days, names, source)
    return statement.on_conflict_do_update(
        index_elements=list(names[:-1]), set_={"n": days.c.n + statement.excluded.n}
    )

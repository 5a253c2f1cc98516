"""Rows for models: the purchases of a real shop, and leads that are made up."""

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

from nurture.domain.instant import DAY, HOUR, Instant, parse_iso
from nurture.learning.rows import RECENT_DAYS, ActivityColumns, Leads, OrderColumns, Periods

START = parse_iso("1997-01-01")
#: The end of the 39 weeks that published figures are fitted to.
CUT = parse_iso("1997-10-01")
_FILE = Path(__file__).with_name("cdnow_tenth.csv")

#: person, key, instant, counted, number, amount in hundredths.
OrderRow = tuple[int, int, Instant, bool, int, int]


@cache
def cdnow() -> tuple[OrderRow, ...]:
    """Return the purchases of every tenth CDNOW customer."""
    with _FILE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        (int(row["person"]), key, START + int(row["day"]) * DAY + 12 * HOUR, True, 1, int(row["cents"]))
        for key, row in enumerate(rows)
    )


def order_columns(rows: Iterable[OrderRow], currency: str = "") -> OrderColumns:
    """Return rows as columns."""
    person, key, at, is_counted, number, amount = zip(*rows, strict=True)
    return OrderColumns(person, key, at, is_counted, number, amount, currency)


def draw(*key: object) -> float:
    """Return a number from 0 to 1 that is the same for the same key."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


#: person, name of the event, instant.
EventRow = tuple[int, str, Instant]


def leads_of(events: Sequence[EventRow], converted: dict[int, Instant], cuts: Periods) -> Leads:
    """Return what the queries would of these events."""
    people = {person for person, _, _ in events}
    return Leads(
        earlier=activity(events, cuts.fit_at),
        newest=activity(events, cuts.judge_at),
        now=activity(events, cuts.now),
        converted=converted,
        open=frozenset(people - {person for person, at in converted.items() if at < cuts.now}),
    )


def activity(events: Sequence[EventRow], at: Instant) -> ActivityColumns:
    """Return the events of before an instant, by person and name."""
    groups: dict[tuple[int, str], list[Instant]] = {}
    for person, name, instant in events:
        if instant < at:
            groups.setdefault((person, name), []).append(instant)
    return ActivityColumns(
        at=at,
        person=[person for person, _ in groups],
        name=[name for _, name in groups],
        number=[len(instants) for instants in groups.values()],
        first=[min(instants) for instants in groups.values()],
        last=[max(instants) for instants in groups.values()],
        recent=[
            [sum(instant >= at - days * DAY for instant in instants) for instants in groups.values()]
            for days in RECENT_DAYS
        ],
    )

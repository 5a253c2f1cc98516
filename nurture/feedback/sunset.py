"""Sunset: who never reacts gets no more marketing, and gets it again at the first sign of life.

Enters: the next slice of contacts. Leaves: suppressions of scope `marketing` and reason `sunset` put on or
lifted, and the event `Sunset Reached`. The rule is `domain.feedback.is_sunset`. A slice costs a constant number
of statements; a cursor in `meta` goes round all people, so the work is bounded and never urgent.
"""

from typing import Final

import sqlalchemy as sa

from nurture.consent import record
from nurture.consent.suppression_queries import lift_suppression, load_suppressions
from nurture.contacts.accept import NewEvent, accept
from nurture.database import meta
from nurture.domain.counts import Counts
from nurture.domain.feedback import SOURCE, SUNSET_AFTER, SUNSET_MAILS, is_sunset
from nurture.domain.instant import DAY, Instant
from nurture.feedback import queries as reports
from nurture.feedback import sunset_queries as rows

SET: Final = "Sunset Reached"
#: Contacts of one slice, and how far back mails count.
SLICE: Final = 500
_WINDOW: Final = 2 * SUNSET_AFTER + 365 * DAY
_CURSOR: Final = "sunset_cursor"


def sunset(connection: sa.Connection, *, now: Instant, suppression_key: bytes) -> Counts:
    """Look at the next slice of people. counts: `sunset`, `back`."""
    cursor = int(meta.get(connection, _CURSOR) or 0)
    people = rows.slice_after(connection, cursor, limit=SLICE)
    # The last slice is short: begin again with the first.
    meta.put(connection, _CURSOR, str(people[-1].id if len(people) == SLICE else 0))
    if not people:
        return Counts()
    address = {row.id: row.email for row in people}
    hashes = {row.id: record.address_hash(row.email, suppression_key) for row in people}
    back = _back(connection, hashes, now=now)
    known = load_suppressions(connection, sorted(hashes.values()))
    free = [person for person in address if "marketing" not in known.get(hashes[person], {})]
    gone = _silent(connection, free, now=now)
    stops = [record.Suppression(address[person], "marketing", "sunset") for person in gone]
    record.suppress_addresses(connection, stops, now=now, source=SOURCE, suppression_key=suppression_key)
    names = reports.names(connection, gone)
    events = [
        NewEvent(
            source=SOURCE,
            message_id=f"sunset:{person}:{now}",
            kind="track",
            name=SET,
            occurred_at=now,
            received_at=now,
            identities=(names[person],),
        )
        for person in gone
        if person in names
    ]
    accept(connection, events)
    return Counts(sunset=len(gone), back=back)


def _silent(connection: sa.Connection, people: list[int], *, now: Instant) -> list[int]:
    since = now - _WINDOW
    marketed = rows.marketed(connection, people, since=since, least=SUNSET_MAILS) if people else []
    if not marketed:
        return []
    signs, machines = rows.signs(connection, marketed), rows.machines(connection, marketed, since=since)
    mailed: dict[int, list[tuple[Instant, bool]]] = {}
    for row in rows.mails(connection, marketed, since=since):
        if row.sent_at > signs.get(row.person, since):
            mailed.setdefault(row.person, []).append((row.sent_at, bool(row.counted)))
    return sorted(
        person for person, mails in mailed.items() if is_sunset(mails, machine=person in machines, now=now)
    )


def _back(connection: sa.Connection, hashes: dict[int, str], *, now: Instant) -> int:
    """Lift it for those who gave a sign of life since; returns how many."""
    stopped = rows.stopped(connection, sorted(hashes.values()))
    asleep = [person for person, hashed in hashes.items() if hashed in stopped]
    signs = rows.signs(connection, asleep)
    awake = [person for person in asleep if signs.get(person, 0) > stopped[hashes[person]]]
    return sum(
        lift_suppression(connection, hashes[person], scope="marketing", reason="sunset", before=now)
        for person in awake
    )

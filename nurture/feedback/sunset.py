"""Sunset: a person who never reacts gets no more marketing, until the next sign of life.

Input: the next 500 contacts. Output: suppressions of scope `marketing` and reason `sunset` put on or
lifted, and the event `Sunset Reached`. The rule is `domain.feedback.is_sunset`. A call takes a constant number
of statements; a cursor in `meta` moves over all contacts, so every call is bounded.
"""

from typing import Final

import sqlalchemy as sa

from nurture.consent import record
from nurture.consent.suppression_queries import lift_suppressions, load_rows, load_suppressions
from nurture.contacts.accept import NewEvent, accept
from nurture.database import meta
from nurture.domain.counts import Counts
from nurture.domain.feedback import SOURCE, SUNSET_AFTER, SUNSET_MAILS, is_sunset
from nurture.domain.instant import DAY, Instant
from nurture.feedback import queries as feedback_queries
from nurture.feedback import sunset_queries

SET: Final = "Sunset Reached"
#: Contacts of one slice, and how far back mails count.
SLICE: Final = 500
_WINDOW: Final = 2 * SUNSET_AFTER + 365 * DAY
_CURSOR: Final = "sunset_cursor"


def sunset(connection: sa.Connection, *, now: Instant, suppression_key: bytes) -> Counts:
    """Apply the sunset rule to the next slice of contacts; counts `sunset` and `back`."""
    cursor = int(meta.get(connection, _CURSOR) or 0)
    people = sunset_queries.load_slice(connection, cursor, limit=SLICE)
    # The last slice is short: begin again with the first.
    meta.put(connection, _CURSOR, str(people[-1].id if len(people) == SLICE else 0))
    if not people:
        return Counts()
    address = {row.id: row.email for row in people}
    hashes = {row.id: record.address_hash(row.email, suppression_key) for row in people}
    back = _lift_awake(connection, hashes, now=now)
    known = load_suppressions(connection, sorted(hashes.values()))
    subscribed = [person for person in address if "marketing" not in known.get(hashes[person], {})]
    silent = _find_silent(connection, subscribed, now=now)
    stops = [record.Suppression(address[person], "marketing", "sunset") for person in silent]
    record.suppress_addresses(connection, stops, now=now, source=SOURCE, suppression_key=suppression_key)
    names = feedback_queries.load_names(connection, silent)
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
        for person in silent
        if person in names
    ]
    accept(connection, events, bulk=True)
    return Counts(sunset=len(silent), back=back)


def _find_silent(connection: sa.Connection, people: list[int], *, now: Instant) -> list[int]:
    since = now - _WINDOW
    marketed = (
        sunset_queries.find_marketed(connection, people, since=since, least=SUNSET_MAILS) if people else []
    )
    if not marketed:
        return []
    signs = sunset_queries.load_signs(connection, marketed)
    machines = sunset_queries.find_machine_opened(connection, marketed, since=since)
    mailed: dict[int, list[tuple[Instant, bool]]] = {}
    for row in sunset_queries.load_mails(connection, marketed, since=since):
        if row.sent_at > signs.get(row.person, since):
            mailed.setdefault(row.person, []).append((row.sent_at, bool(row.counted)))
    return sorted(
        person for person, mails in mailed.items() if is_sunset(mails, machine=person in machines, now=now)
    )


def _lift_awake(connection: sa.Connection, hashes: dict[int, str], *, now: Instant) -> int:
    """Lift the sunset of people who gave a sign of life since; returns how many."""
    stopped = {
        row.address_hash: row.at
        for row in load_rows(connection, hashes.values(), ())
        if (row.scope, row.reason) == ("marketing", "sunset")
    }
    asleep = [person for person, hashed in hashes.items() if hashed in stopped]
    signs = sunset_queries.load_signs(connection, asleep)
    awake = [person for person in asleep if signs.get(person, 0) > stopped[hashes[person]]]
    lift_suppressions(
        connection,
        [hashes[person] for person in awake],
        (),
        reasons=("sunset",),
        scopes=("marketing",),
        before=now,
    )
    return len(awake)

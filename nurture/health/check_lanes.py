"""Check the servers of lanes that no mail has left through lately, one process at a time."""

from collections.abc import Mapping

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.domain.instant import Duration
from nurture.health import queries
from nurture.runtime.clock import Clock
from nurture.runtime.log import without_addresses
from nurture.transports.check import ServerCheck, check_server


def check_lanes(database: Database, lanes: Mapping[str, str], *, every: Duration, clock: Clock) -> int:
    """Check each lane whose server nobody heard from for `every`; return how many were checked.

    lanes: name -> URL. Of several processes one takes each check. A check takes some seconds when the server is away.
    """
    return sum(_check_lane(database, lane, url, every=every, clock=clock) for lane, url in lanes.items())


def _check_lane(database: Database, lane: str, url: str, *, every: Duration, clock: Clock) -> bool:
    def take(connection: sa.Connection) -> bool:
        now = clock.lease_now(connection)
        return queries.take_check(connection, lane, now=now, before=now - every)

    def save(connection: sa.Connection) -> None:
        _save(connection, lane, found, clock)

    if not database.run(take):
        return False
    found = check_server(url)
    database.run(save)
    return True


def _save(connection: sa.Connection, lane: str, found: ServerCheck, clock: Clock) -> None:
    now = clock.lease_now(connection)
    if found.is_ok:
        queries.save_answer(connection, lane, at=now)
    else:
        words = without_addresses(found.words)
        queries.save_failure(connection, lane, at=now, stage=found.stage, words=words)

"""Somebody has a hundred thousand events: everybody else's are applied about as soon as without them."""

import sys
from collections.abc import Iterator
from itertools import takewhile

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.runtime.clock import monotonic, pause
from tests.faults.installation import Installation
from tests.production.people import Item
from tests.workers.installation import eventually

pytestmark = [pytest.mark.faults, pytest.mark.long]

HOT = 100_000
#: Of others, one after another; beside the hundred thousand for as long as those last.
OTHERS = 100
#: The most that a worker's poll and the machine's own delays may add to twice the quiet latency.
SLACK_SECONDS = 0.5


def test_others_wait_about_as_long_as_ever_while_one_has_a_hundred_thousand_events(
    postgresql_installation: Installation,
) -> None:
    installation = postgresql_installation
    with installation.worker(stays=True), installation.worker(stays=True):
        assert eventually(lambda: _journals(installation) == 2)
        quiet = sorted(_latencies(installation, "quiet"))
        _heat(installation)
        hot = sorted(takewhile(lambda _: _waiting(installation) > 0, _latencies(installation, "beside")))
    figures = (
        f"p99 {_p99(quiet):.3f} s of {len(quiet)} quiet, {_p99(hot):.3f} s of {len(hot)} beside {HOT} events"
    )
    sys.stdout.write(figures + "\n")
    assert len(hot) >= OTHERS // 4, "the hot person's events were over before the others' were measured"
    assert _p99(hot) < 2 * _p99(quiet) + SLACK_SECONDS, figures


def _p99(ascending: list[float]) -> float:
    return ascending[max(0, len(ascending) * 99 // 100 - 1)]


def _journals(installation: Installation) -> int:
    with installation.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(t.journals)) or 0


def _waiting(installation: Installation) -> int:
    with installation.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(t.inbox.c.user_id == "hot")) or 0


def _viewed(person: str, message: str) -> Item:
    return {"type": "track", "event": "Page Viewed", "userId": person, "messageId": message}


def _latencies(installation: Installation, name: str) -> Iterator[float]:
    """Hand in an event of somebody else each time, and yield after how many seconds it was applied."""
    for number in range(OTHERS):
        message = f"{name}-{number}"
        began = monotonic()
        installation.hand_in([_viewed(message, message)])
        applied = sa.select(sa.exists().where(t.events.c.message_id == message))
        while True:
            with installation.database.read() as connection:
                if connection.scalar(applied):
                    break
            assert monotonic() - began < 60, f"{message} is not applied"
            pause(0.005)
        yield monotonic() - began


def _heat(installation: Installation) -> None:
    """Let one person do a hundred thousand things at once."""
    i = t.inbox.c
    names = [column.name for column in t.inbox.columns if column.name != "id"]
    installation.hand_in([_viewed("hot", "hot")])
    assert eventually(lambda: _waiting(installation) == 0)
    event = sa.select(t.events).where(t.events.c.message_id == "hot")
    with installation.database.write() as connection:
        row = connection.execute(event).one()
        given = {
            "shard": 0,
            "source": row.source,
            "kind": row.kind,
            "name": row.name,
            "user_id": "hot",
            "occurred_at": row.occurred_at,
            "received_at": row.received_at,
            "body": row.body,
        }
        k = sa.func.generate_series(1, HOT).column_valued("k")
        rows = sa.select(sa.func.concat("hot-", k), *(sa.literal(value) for value in given.values()))
        assert set(given) <= set(names)
        connection.execute(sa.insert(t.inbox).from_select([i.message_id.name, *given], rows))

"""Events from other Celery applications are accepted, or set aside with a reason; never a task that fails."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.database.schema import inbox, quarantine
from nurture.domain.instant import HOUR, MINUTE, Instant
from nurture.runtime.clock import SystemClock
from tests.workers.installation import bare, order, settings_of
from workers import loops
from workers.context import make_context


@pytest.mark.parametrize(
    ("items", "accepted", "rejected"),
    [
        ([order(1), order(2)], 2, 0),
        (order(1), 1, 0),
        ([order(1), {"type": "track"}], 1, 1),
        ([order(1) | {"properties": {"revenue": float("nan")}}], 1, 0),
        ([], 0, 0),
        ("nonsense", 0, 1),
        (None, 0, 1),
        ([order(number) for number in range(20_000)], 0, 1),
    ],
    ids=["list", "single", "bad item", "not a number", "nothing", "text", "null", "too many"],
)
def test_good_items_are_kept_and_bad_ones_set_aside(
    database: Database, tmp_path: Path, items: Any, accepted: int, rejected: int
) -> None:
    context = make_context(bare(database, settings_of(tmp_path, "sqlite:///unused.db")))
    done = loops.hand_in(context, items, "shop")
    assert (done["accepted"], done["rejected"]) == (accepted, rejected)
    with database.read() as connection:
        assert list(connection.scalars(sa.select(inbox.c.source))) == ["shop"] * accepted
        reasons = list(connection.scalars(sa.select(quarantine.c.reason)))
    assert len(reasons) == rejected
    assert all(reasons)


def test_events_handed_in_are_stamped_with_the_time_of_the_database(
    postgresql_database: Database, tmp_path: Path
) -> None:
    """A message cannot be refused and sent again, as a request can; so a jumped clock here must not matter."""
    services = bare(postgresql_database, settings_of(tmp_path, "sqlite:///unused.db"), clock=Jumped())
    loops.hand_in(make_context(services), [order(1)], "shop")
    with postgresql_database.read() as connection:
        received = connection.scalar(sa.select(inbox.c.received_at))
    assert received is not None
    assert abs(received - SystemClock().now()) < MINUTE


class Jumped(SystemClock):
    """The clock of a host that is an hour ahead of all others."""

    def now(self) -> Instant:
        return super().now() + HOUR

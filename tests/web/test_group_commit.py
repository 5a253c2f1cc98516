"""Group commit: requests share a transaction, an event that the database cannot hold costs only itself."""

import asyncio
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.group_commit import BACKLOG_MAX, GroupCommit, Unavailable
from nurture.app.ingest import Intake
from nurture.contacts.accept import NewEvent, Rejected
from nurture.database.engine import Database
from nurture.database.notifications import Notification
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, SECOND, Duration, Instant
from nurture.runtime.clock import SystemClock
from tests.rig.notifier import RecordingNotifier
from tests.web.live import NOW, accepted, set_aside


def an_event(number: int, **given: Any) -> NewEvent:
    event = NewEvent(
        source="shop",
        message_id=f"m-{number}",
        kind="track",
        name="Viewed",
        occurred_at=NOW,
        received_at=NOW,
        identities=(Identity("user_id", f"user-{number}"),),
    )
    return replace(event, **given)


def a_share(*numbers: int) -> Intake:
    """Return one request's share."""
    return Intake(events=[an_event(number) for number in numbers])


@contextmanager
def committing(database: Database, **more: Any) -> Iterator[GroupCommit]:
    given: dict[str, Any] = {"clock": SystemClock(), **more}
    commit = GroupCommit(database=database, **given)
    commit.start()
    try:
        yield commit
    finally:
        commit.stop()


def hand_in(commit: GroupCommit, *shares: Intake) -> list[Any]:
    """Hand all shares in at once; return None or the exception of each."""

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(commit.put(share) for share in shares), return_exceptions=True)

    return asyncio.run(all_of_them())


@contextmanager
def commits(database: Database) -> Iterator[list[int]]:
    """Give the list of writing transactions, one entry each."""
    seen: list[int] = []

    def note(_connection: Any) -> None:
        seen.append(1)

    sa.event.listen(database.writer, "commit", note)
    try:
        yield seen
    finally:
        sa.event.remove(database.writer, "commit", note)


def test_requests_at_once_share_transactions(database: Database) -> None:
    with committing(database, writers=1) as commit, commits(database) as seen:
        assert hand_in(commit, *(a_share(number) for number in range(200))) == [None] * 200
    assert len(accepted(database)) == 200
    assert len(seen) < 50


def test_a_single_request_waits_for_nobody(sqlite_database: Database) -> None:
    with committing(sqlite_database) as commit:
        assert hand_in(commit, a_share(1, 2)) == [None]
        assert len(accepted(sqlite_database)) == 2


def test_nothing_to_store_costs_no_transaction(sqlite_database: Database) -> None:
    with committing(sqlite_database) as commit, commits(sqlite_database) as seen:
        assert hand_in(commit, Intake()) == [None]
    assert seen == []


def test_an_event_the_database_cannot_hold_costs_only_itself(database: Database) -> None:
    refuse_user(database, "user-5")
    with committing(database, writers=1) as commit:
        rejected = Rejected("shop", None, NOW, "shape", "no type", "{}")
        shares = [*(a_share(number, number + 100) for number in range(10)), Intake(rejected=[rejected])]
        assert hand_in(commit, *shares) == [None] * 11
    kept = {row["message_id"] for row in accepted(database)}
    assert kept == {f"m-{number}" for place in range(10) for number in (place, place + 100)} - {"m-5"}
    assert sorted(str(row.message_id) for row in set_aside(database)) == ["None", "m-5"]
    assert "database cannot store it" in next(row.reason for row in set_aside(database) if row.message_id)


def refuse_user(database: Database, user_id: str) -> None:
    """Make the table refuse one user's events, as a constraint would."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuse BEFORE INSERT ON inbox WHEN new.user_id = '{user_id}' "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
        else:
            connection.exec_driver_sql(f"ALTER TABLE inbox ADD CHECK (user_id <> '{user_id}')")


def test_all_of_a_group_are_told_when_the_database_is_away(sqlite_database: Database) -> None:
    notifier = RecordingNotifier()
    with committing(replace(sqlite_database, notifier=notifier)) as commit:
        with sqlite_database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE inbox RENAME TO away")
        answers = hand_in(commit, a_share(1), a_share(2))
        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        with sqlite_database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO inbox")
        assert hand_in(commit, a_share(1)) == [None]
    assert [row["message_id"] for row in accepted(sqlite_database)] == ["m-1"]
    assert len(notifier.notifications) == 1


class Jumped(SystemClock):
    """The clock of a host that jumps, beside a database whose clock does not."""

    jump: Duration = 0

    def now(self) -> Instant:
        return super().now() + self.jump

    def lease_now(self, connection: sa.Connection) -> Instant:
        return (
            self.now() - self.jump if connection.dialect.name == "sqlite" else super().lease_now(connection)
        )


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 3650 * DAY], ids=["+1 h", "-1 h", "+10 y"])
def test_an_event_stamped_by_a_host_with_a_jumped_clock_is_refused_and_not_stored(
    database: Database, jump: Duration
) -> None:
    clock = Jumped()
    with committing(database, clock=clock, writers=1) as commit:
        assert hand_in(commit, a_share(1)) == [None]
        # At once, though the database was asked a moment ago.
        clock.jump = jump
        assert [type(answer) for answer in hand_in(commit, a_share(2), a_share(3))] == [
            Unavailable,
            Unavailable,
        ]
        clock.jump = 2 * SECOND
        assert hand_in(commit, a_share(2)) == [None]
    assert [row["message_id"] for row in accepted(database)] == ["m-1", "m-2"]


def test_workers_are_notified_only_after_the_commit_and_the_answer(sqlite_database: Database) -> None:
    stored: list[int] = []
    answered = threading.Event()

    class Notifier(RecordingNotifier):
        def notify(self, notifications: Collection[Notification]) -> None:
            super().notify(notifications)
            stored.append(len(accepted(sqlite_database)))
            assert answered.wait(10), "nobody was answered before the workers were notified"

    with committing(replace(sqlite_database, notifier=Notifier())) as commit:
        assert hand_in(commit, a_share(1)) == [None]
        answered.set()
    assert stored == [1]


class Broken(RecordingNotifier):
    """A notifier that fails."""

    def notify(self, notifications: Collection[Notification]) -> None:
        raise RuntimeError(f"{notifications} cannot be sent")


def test_a_notifier_that_fails_stops_nothing(sqlite_database: Database) -> None:
    with committing(replace(sqlite_database, notifier=Broken())) as commit:
        assert [hand_in(commit, a_share(number)) for number in (1, 2)] == [[None], [None]]


def test_a_fault_of_ours_fails_its_own_group_and_the_next_is_stored(sqlite_database: Database) -> None:
    unstorable = Intake(events=[an_event(1, properties={"a": object()}, received_at="now")])
    with committing(sqlite_database) as commit:
        assert isinstance(hand_in(commit, unstorable)[0], TypeError)
        assert hand_in(commit, a_share(2)) == [None]


def test_events_that_wait_at_the_stop_are_stored(sqlite_database: Database) -> None:
    commit = GroupCommit(database=sqlite_database, clock=SystemClock())

    async def stop_while_waiting() -> None:
        waiting = asyncio.create_task(commit.put(a_share(1)))
        await asyncio.sleep(0)
        commit.start()
        await asyncio.to_thread(commit.stop)
        await waiting
        with pytest.raises(Unavailable):
            await commit.put(a_share(2))

    asyncio.run(stop_while_waiting())
    assert [row["message_id"] for row in accepted(sqlite_database)] == ["m-1"]


def test_a_client_that_hung_up_before_its_turn_is_left_out(sqlite_database: Database) -> None:
    commit = GroupCommit(database=sqlite_database, clock=SystemClock())

    async def hang_up() -> None:
        gone = asyncio.create_task(commit.put(a_share(1)))
        stays = asyncio.create_task(commit.put(a_share(2)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        commit.start()
        await stays

    asyncio.run(hang_up())
    commit.stop()
    assert [row["message_id"] for row in accepted(sqlite_database)] == ["m-2"]


def test_more_than_memory_should_hold_is_refused(sqlite_database: Database) -> None:
    commit = GroupCommit(database=sqlite_database, clock=SystemClock())
    full = Intake(events=[an_event(1)] * (BACKLOG_MAX + 1))

    async def overfill() -> None:
        waiting = asyncio.create_task(commit.put(full))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many"):
            await commit.put(a_share(2))
        waiting.cancel()

    asyncio.run(overfill())
    commit.start()
    commit.stop()

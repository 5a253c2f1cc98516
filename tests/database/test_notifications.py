"""Notes of a transaction: handed to the notifier after its commit, forgotten with every attempt that fails."""

from collections.abc import Collection
from dataclasses import replace

import pytest
import sqlalchemy as sa

from nurture.contacts.accept import accept
from nurture.database.engine import Database
from nurture.database.notifications import Notification, note
from nurture.database.schema import meta
from tests.rig.notifier import RecordingNotifier
from tests.web.test_group_commit import an_event


@pytest.fixture
def notifier() -> RecordingNotifier:
    return RecordingNotifier()


@pytest.fixture
def notifying(database: Database, notifier: RecordingNotifier) -> Database:
    return replace(database, notifier=notifier)


def put(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.insert(meta).values(key=name, value=""))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [name for name in connection.scalars(sa.select(meta.c.key)) if name.startswith("note")]


def test_a_committed_transaction_notifies_of_each_queue_and_key_once(
    notifying: Database, notifier: RecordingNotifier
) -> None:
    def work(connection: sa.Connection) -> None:
        note(connection, "inbox", "7", "8")
        note(connection, "advance", "")
        note(connection, "inbox", "7")

    notifying.run(work)
    assert notifier.take() == [("inbox", "7"), ("inbox", "8"), ("advance", "")]
    with notifying.write() as connection:
        work(connection)
        assert notifier.take() == []
    assert notifier.take() == [("inbox", "7"), ("inbox", "8"), ("advance", "")]


def test_the_rows_are_committed_before_anybody_is_notified(database: Database) -> None:
    committed: list[list[str]] = []

    class Reader(RecordingNotifier):
        def notify(self, notifications: Collection[Notification]) -> None:
            super().notify(notifications)
            committed.append(names(database))

    def work(connection: sa.Connection) -> None:
        put(connection, "note")
        note(connection, "advance", "")

    order: list[str] = []
    replace(database, notifier=Reader()).run(
        work, on_commit=lambda: order.append(f"{len(committed)} notified")
    )
    assert committed == [["note"]]
    assert order == ["0 notified"]


def test_an_attempt_that_is_repeated_leaves_no_note(notifying: Database, notifier: RecordingNotifier) -> None:
    attempts: list[str] = []

    def work(connection: sa.Connection) -> None:
        attempts.append("attempt")
        note(connection, "inbox", str(len(attempts)))
        if len(attempts) == 1:
            raise sa.exc.OperationalError("", {}, _locked(connection))

    notifying.run(work)
    assert notifier.take() == [("inbox", "2")]


def _locked(connection: sa.Connection) -> Exception:
    """Return the driver's error after which a transaction is repeated."""
    import sqlite3

    import psycopg

    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite3.OperationalError("database is locked") if is_sqlite else psycopg.errors.DeadlockDetected()


def test_a_transaction_that_fails_notifies_nobody(notifying: Database, notifier: RecordingNotifier) -> None:
    def work(connection: sa.Connection) -> None:
        note(connection, "inbox", "1")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is ours
        notifying.run(work)
    with pytest.raises(ValueError), notifying.write() as connection:  # noqa: PT011 - it is ours
        work(connection)
    notifying.run(lambda connection: put(connection, "note"))
    assert notifier.take() == []


def test_a_notifier_that_fails_undoes_nothing(database: Database) -> None:
    class Failing(RecordingNotifier):
        def notify(self, notifications: Collection[Notification]) -> None:
            raise RuntimeError(f"{notifications} cannot be sent")

    def work(connection: sa.Connection) -> str:
        put(connection, "note")
        note(connection, "advance", "")
        return "done"

    assert replace(database, notifier=Failing()).run(work) == "done"
    assert names(database) == ["note"]


def test_a_connection_that_notifies_nobody_accepts_nothing(database: Database) -> None:
    with database.writer.begin() as connection, pytest.raises(RuntimeError, match=r"Database\.run"):
        accept(connection, [an_event(1)])
    # Nor does one that has been in a transaction of `run` before.
    database.run(lambda connection: note(connection, "advance", ""))
    with database.writer.begin() as connection, pytest.raises(RuntimeError, match=r"Database\.run"):
        accept(connection, [])

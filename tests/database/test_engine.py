"""Both databases keep the same promises: no lost update, readers that cannot write, transactions done again."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from nurture.database.engine import Database, open_database
from nurture.database.schema import meta
from nurture.domain.errors import SettingsError, Transient
from tests.rig.process import free_port


def at_once(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


def put(database: Database, key: str, value: str = "0") -> None:
    with database.write() as connection:
        connection.execute(sa.insert(meta).values(key=key, value=value))


def value(connection: sa.Connection, key: str, *, lock: bool = False) -> int:
    statement = sa.select(meta.c.value).where(meta.c.key == key)
    return int(connection.execute(statement.with_for_update() if lock else statement).scalar_one())


def add(connection: sa.Connection, key: str) -> None:
    """Read, then write: what loses updates where a transaction does not hold what it read."""
    number = value(connection, key, lock=True)
    connection.execute(sa.update(meta).where(meta.c.key == key).values(value=str(number + 1)))


def test_no_update_is_lost(database: Database) -> None:
    put(database, "n")

    def work() -> None:
        for _ in range(25):
            database.run(lambda connection: add(connection, "n"))

    at_once(*[work] * 6)
    with database.read() as connection:
        assert value(connection, "n") == 150


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as connection:
        connection.execute(sa.insert(meta).values(key="a", value="b"))
    put(database, "a")


def test_a_look_opens_no_transaction_and_leaves_none(postgresql_database: Database) -> None:
    began = sa.text("SELECT now()")
    with postgresql_database.read() as connection:
        assert connection.scalar(began) == connection.scalar(began)
    with postgresql_database.look() as connection:
        assert connection.scalar(began) != connection.scalar(began)
    # The same connection, from the same pool, is one that keeps its transactions again.
    with postgresql_database.read() as connection:
        assert connection.scalar(began) == connection.scalar(began)


def test_a_look_sees_what_was_committed_just_now(database: Database) -> None:
    for number in range(3):
        put(database, f"n{number}", str(number))
        with database.look() as connection:
            assert value(connection, f"n{number}") == number


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(meta).values(key="a", value="b"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(work)
    with pytest.raises(IntegrityError):
        database.run(lambda connection: connection.execute(sa.insert(meta).values(key=None, value="b")))
    with database.read() as connection:
        assert connection.execute(sa.select(meta.c.key).where(meta.c.key == "a")).all() == []


def test_transactions_in_a_deadlock_are_repeated(postgresql_database: Database) -> None:
    database = postgresql_database
    put(database, "a")
    put(database, "b")
    both = threading.Barrier(2, timeout=10)
    tries: list[str] = []

    def work(first: str, second: str) -> None:
        def transaction(connection: sa.Connection) -> None:
            tries.append(first)
            add(connection, first)
            if tries.count(first) == 1:
                both.wait()
            add(connection, second)

        database.run(transaction)

    at_once(lambda: work("a", "b"), lambda: work("b", "a"))
    assert len(tries) == 3, "one of the two was done again"
    with database.read() as connection:
        assert (value(connection, "a"), value(connection, "b")) == (2, 2)


def test_a_cut_connection_is_no_failure(postgresql_database: Database) -> None:
    database = postgresql_database
    put(database, "n")
    tries: list[int] = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        add(connection, "n")
        if len(tries) == 1:
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    database.run(work)
    with database.read() as connection:
        assert value(connection, "n") == 1


def test_a_database_that_is_away_is_transient() -> None:
    database = open_database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(Transient, match="refused the transaction"):
        database.run(lambda connection: connection.execute(sa.text("SELECT 1")))
    database.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "", "redis://localhost"])
def test_a_url_that_cannot_be_used_says_what_to_write(url: str) -> None:
    with pytest.raises(SettingsError, match=r"write sqlite:///nurture\.db or postgresql"):
        open_database(url)

"""The rig that every other test leans on keeps its promises."""

import smtplib
import socket
from multiprocessing import get_context, parent_process

import psycopg
import pytest
import redis
import sqlalchemy as sa

from nurture.database.engine import Database, open_database
from nurture.database.schema import lanes, shards
from tests.rig.databases import PostgresPool
from tests.rig.loopback import OutsideNetwork
from tests.rig.smtp import SmtpSink


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_gets_a_complete_database_of_its_own(database: Database, time: str) -> None:
    with database.write() as connection:
        assert connection.scalars(sa.select(shards.c.id).order_by(shards.c.id)).all() == list(range(128)), (
            time
        )
        assert connection.scalars(sa.select(lanes.c.name)).all() == ["main"]
        connection.execute(lanes.insert(), {"name": "second"})


@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE switches", "ALTER TABLE touches RENAME TO away", "ALTER TABLE runs ADD COLUMN more int"],
)
def test_a_database_whose_tables_a_test_changed_is_replaced(
    postgresql_pool: PostgresPool, damage: str
) -> None:
    with postgresql_pool.lend() as url, psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(damage.encode())
    with postgresql_pool.lend() as other:
        assert other != url


def test_a_database_whose_rows_a_test_changed_is_lent_again(postgresql_pool: PostgresPool) -> None:
    with postgresql_pool.lend() as url, psycopg.connect(url) as connection:
        connection.execute("DELETE FROM shards WHERE id > 3")
    with postgresql_pool.lend() as other, psycopg.connect(other) as connection:
        assert (other, connection.execute("SELECT count(*) FROM shards").fetchone()) == (url, (128,))


_CHANGES = (
    "SET statement_timeout = '7s'",
    "CREATE TEMP TABLE switches (id int)",
    "PREPARE p AS SELECT 1",
    "SELECT pg_advisory_lock(7)",
    "LISTEN changes",
)
_TRACES = (
    "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),"
    " (SELECT count(*) FROM pg_prepared_statements), pg_my_temp_schema() <> 0 AND EXISTS"
    " (SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema()),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
    " (SELECT count(*) FROM pg_listening_channels())"
)


def test_a_session_that_a_test_changed_is_as_new_for_the_next(postgresql_pool: PostgresPool) -> None:
    with postgresql_pool.lend() as url:
        seen = []
        for changes, repeats in (((), 0), (_CHANGES, 8), ((), 8), ((), 8)):
            database = open_database(url)
            with database.read() as connection:
                seen.append(
                    (
                        connection.exec_driver_sql("SELECT pg_backend_pid()").scalar(),
                        tuple(connection.exec_driver_sql(_TRACES).one()),
                    )
                )
            with database.look() as connection:
                for change in changes:
                    connection.exec_driver_sql(change)
            with database.read() as connection:
                # psycopg prepares what it runs more than five times.
                for _ in range(repeats):
                    connection.execute(sa.select(shards.c.id).where(shards.c.id > repeats))
            database.close()
    assert len(set(seen)) == 1


def test_a_fork_opens_sessions_of_its_own(postgresql_pool: PostgresPool) -> None:
    with postgresql_pool.lend() as url:
        open_and_close(url)
        child = get_context("fork").Process(target=open_and_close, args=(url,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        # The session is still as it was, although the fork has ended.
        open_and_close(url)


def open_and_close(url: str) -> None:
    """Ask for something through a database that is opened for it."""
    database = open_database(url)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT application_name FROM pg_stat_activity").all()
        if parent_process():
            assert (
                connection.exec_driver_sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND application_name = 'nurture' AND datname = current_database()"
                ).scalar()
                == 1
            )
    database.close()


def test_a_session_that_the_server_ended_is_not_kept(postgresql_pool: PostgresPool) -> None:
    with postgresql_pool.lend() as url, psycopg.connect(url) as connection:
        database = open_database(url)
        with database.read() as reading:
            pid = reading.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        database.close()
        connection.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])
    with postgresql_pool.lend() as other:
        database = open_database(other)
        with database.read() as reading:
            again = reading.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        database.close()
    assert (other, again != pid) == (url, True)


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_gets_an_empty_redis(redis_url: str, time: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.set("key", time, nx=True)


def test_sink_has_on_disk_what_it_accepted(smtp_sink: SmtpSink) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_sink.port, local_hostname="localhost") as client:
        client.sendmail("a@nurture.example", ["b@nurture.example"], b"Subject: x\r\n\r\n.a dot\r\n")
        [mail] = smtp_sink.taken
    assert (mail.sender, mail.recipients) == ("a@nurture.example", ("b@nurture.example",))
    assert mail.data == b"Subject: x\r\n\r\n.a dot\r\n"


def test_another_machine_cannot_be_reached() -> None:
    with socket.socket() as client, pytest.raises(OutsideNetwork):
        client.connect(("192.0.2.1", 25))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("mail.example", 25)

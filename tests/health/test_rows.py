"""Rows that processes and lanes write: what they say afterwards, and how often they are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.status import describe
from nurture.app.watch import watch
from nurture.database.engine import Database
from nurture.database.schema import lane_states, messages, processes, sending_counts
from nurture.domain.health.judge import is_failing
from nurture.domain.instant import HOUR, MINUTE, SECOND
from nurture.health import queries
from nurture.health.check_lanes import check_lanes
from nurture.health.lane_log import LaneLog
from nurture.reports.signs import load_signs
from nurture.runtime.clock import ManualClock
from nurture.transports.check import check_server
from nurture.transports.types import Outcome
from tests.rig.process import free_port
from tests.rig.smtp import SmtpSink
from tests.workers.installation import bare, settings_of
from workers.heartbeat import Heartbeat

NOW = 1_000 * HOUR
AWAY = Outcome(1, 1, "retry", "connect", "", "Connection refused")
SENT = Outcome(2, 1, "sent", "replied", "250")
UNKNOWN = Outcome(3, 1, "failed", "rcpt", "550 5.1.1", "unknown", suppress=True)
LATER = Outcome(4, 1, "retry", "rcpt", "451 4.7.1", "ann@gmail.com: try later")
LOGIN = Outcome(5, 1, "lane_paused", "greeted", "535 5.7.8", "bad password")


def lane(database: Database) -> "sa.Row[object]":
    with database.read() as connection:
        return connection.execute(sa.select(lane_states)).one()


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Give the statements that write while the block runs."""
    written: list[str] = []

    def note(_c: object, _cursor: object, text: str, *_more: object) -> None:
        written.append(text)

    sa.event.listen(database.writer, "before_cursor_execute", note)
    try:
        yield written
    finally:
        sa.event.remove(database.writer, "before_cursor_execute", note)


def test_a_lane_fails_from_its_first_failure_to_its_next_success(database: Database) -> None:
    clock = ManualClock(NOW)
    log = LaneLog(database, clock=clock)
    log.note("main", [("a@gmail.com", SENT)])
    clock.advance_to(NOW + 5 * SECOND)
    log.note("main", [("a@gmail.com", AWAY), ("b@gmail.com", AWAY)])
    assert (lane(database).success_at, lane(database).failing_since) == (NOW, NOW + 5 * SECOND)
    assert (lane(database).stage, lane(database).words) == ("connect", "Connection refused")
    clock.advance_to(NOW + 20 * SECOND)
    log.note("main", [("a@gmail.com", AWAY)])
    log.flush()
    assert (lane(database).failing_since, lane(database).failure_at) == (NOW + 5 * SECOND, NOW + 20 * SECOND)
    clock.advance_to(NOW + 30 * SECOND)
    log.note("main", [("a@gmail.com", SENT), ("b@gmail.com", AWAY)])
    assert (lane(database).success_at, lane(database).failing_since) == (NOW + 30 * SECOND, None)
    assert lane(database).failure_at == NOW + 20 * SECOND


def test_success_upon_success_writes_a_few_times_a_minute(sqlite_database: Database) -> None:
    log = LaneLog(sqlite_database, clock=ManualClock(NOW))
    with statements(sqlite_database) as written:
        for _ in range(200):
            log.note("main", [("a@gmail.com", SENT)] * 100)
    assert len([text for text in written if text.startswith("INSERT")]) == 2, written
    log.flush()
    with sqlite_database.read() as connection:
        assert connection.scalar(sa.select(sending_counts.c.sent)) == 20_000


def test_mails_are_counted_by_receiving_domain(database: Database) -> None:
    clock = ManualClock(NOW)
    for _process in range(2):
        log = LaneLog(database, clock=clock)
        log.note(
            "main", [("a@Gmail.com", SENT), ("b@gmail.com", UNKNOWN), ("c@qq.com", LATER), ("d@qq.com", AWAY)]
        )
        log.flush()
    with database.read() as connection:
        counts = sa.select(sending_counts).order_by(sending_counts.c.domain)
        rows = [tuple(row) for row in connection.execute(counts)]
    assert rows == [(NOW, "main", "gmail.com", 2, 2, 0, 0), (NOW, "main", "qq.com", 0, 0, 2, 0)]


def test_a_refusal_is_told_in_the_words_of_the_server_without_an_address(sqlite_database: Database) -> None:
    log = LaneLog(sqlite_database, clock=ManualClock(NOW))
    log.note("main", [("ann@gmail.com", LATER)])
    assert (lane(sqlite_database).stage, lane(sqlite_database).words) == (
        "rcpt",
        "451 4.7.1 ADDRESS: try later",
    )
    reply = "451 mx.Ann-Smith.example: later, bob@gmail.com"
    log.note("main", [("a@ann-smith.example", Outcome(1, 1, "retry", "rcpt", "", reply))])
    log.flush()
    assert lane(sqlite_database).words == "451 mx.DOMAIN: later, ***@gmail.com"
    log.note("main", [("b@gmail.com", AWAY), ("ann@gmail.com", LOGIN)])
    log.flush()
    assert (lane(sqlite_database).stage, lane(sqlite_database).words) == ("refused", "535 5.7.8 bad password")


def test_an_unknown_mailbox_says_nothing_about_the_lane(sqlite_database: Database) -> None:
    LaneLog(sqlite_database, clock=ManualClock(NOW)).note("main", [("a@gmail.com", UNKNOWN)])
    with sqlite_database.read() as connection:
        assert connection.execute(sa.select(lane_states)).all() == []


def test_counts_that_could_not_be_written_are_written_later(sqlite_database: Database) -> None:
    log = LaneLog(sqlite_database, clock=ManualClock(NOW))
    with sqlite_database.write() as connection:
        connection.execute(sa.text("ALTER TABLE sending_counts RENAME TO elsewhere"))
    log.note("main", [("a@gmail.com", SENT)])
    with sqlite_database.write() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO sending_counts"))
    log.flush()
    assert lane(sqlite_database).success_at == NOW
    with sqlite_database.read() as connection:
        assert connection.scalar(sa.select(sending_counts.c.sent)) == 1


# ---- checks without mail ---------------------------------------------------------------------------------


def test_a_server_answers_a_check_and_one_that_is_away_does_not(smtp_sink: SmtpSink) -> None:
    assert check_server(smtp_sink.url).is_ok
    port = free_port()
    away = check_server(f"smtp://127.0.0.1:{port}")
    assert (away.stage, away.words) == ("connect", f"127.0.0.1:{port}: Connection refused")


def test_a_local_mailbox_is_checked_by_its_folder(tmp_path: Path) -> None:
    assert check_server(f"maildir:{tmp_path}/mailbox").is_ok
    (tmp_path / "file").write_text("")
    assert not check_server(f"maildir:{tmp_path}/file/mailbox").is_ok


def test_an_idle_lane_is_checked_by_one_process_and_a_busy_one_by_none(database: Database) -> None:
    clock = ManualClock(NOW)
    lanes = {"main": f"smtp://127.0.0.1:{free_port()}"}
    assert check_lanes(database, lanes, every=10 * SECOND, clock=clock) == 1
    assert lane(database).failing_since == NOW
    clock.advance_to(NOW + 9 * SECOND)
    assert check_lanes(database, lanes, every=10 * SECOND, clock=clock) == 0
    with database.write() as connection:
        queries.save_success(connection, "main", at=NOW + 12 * SECOND)
    clock.advance_to(NOW + 20 * SECOND)
    assert check_lanes(database, lanes, every=10 * SECOND, clock=clock) == 0


def test_a_server_that_answers_again_is_no_longer_away(
    sqlite_database: Database, smtp_sink: SmtpSink
) -> None:
    clock = ManualClock(NOW)
    check_lanes(sqlite_database, {"main": f"smtp://127.0.0.1:{free_port()}"}, every=SECOND, clock=clock)
    clock.advance_to(NOW + MINUTE)
    check_lanes(sqlite_database, {"main": smtp_sink.url}, every=SECOND, clock=clock)
    assert (lane(sqlite_database).failing_since, lane(sqlite_database).answered_at) == (None, NOW + MINUTE)


# ---- signs -----------------------------------------------------------------------------------------------


def test_signs_of_an_empty_database(database: Database) -> None:
    with database.read() as connection:
        signs = load_signs(connection, now=NOW)
    assert (signs.lanes, signs.pauses, signs.quarantine, signs.open_cases) == ([], [], {}, 0)


def test_a_lane_shows_what_waits_and_since_when_it_is_due(database: Database) -> None:
    mail = {"contact_id": 1, "measure": "any/m", "run_key": "", "mail": "m", "track": "any", "lane": "bulk"}
    mail |= {"purpose": "service", "priority": 0, "holdout": False, "status": "waiting", "decided_at": 0}
    with database.write() as connection:
        dues = [NOW - MINUTE, NOW + HOUR]
        rows = [mail | {"step": str(due), "due_at": due, "valid_until": NOW + HOUR} for due in dues]
        connection.execute(messages.insert(), rows)
    with database.read() as connection:
        signs = load_signs(connection, now=NOW)
    (bulk,) = signs.lanes
    assert (bulk.name, bulk.waiting, bulk.due_since) == ("bulk", 2, NOW - MINUTE)
    assert not is_failing(bulk)


def test_a_heartbeat_writes_its_row_and_deletes_it_when_it_ends(
    sqlite_database: Database, tmp_path: Path
) -> None:
    services = bare(sqlite_database, settings_of(tmp_path, "sqlite:///unused.db"), clock=ManualClock(NOW))
    heartbeat = Heartbeat(services, kind="up", doing="everything")
    heartbeat.beat()
    document = describe(services)
    (row,) = document["processes"]
    assert (row["kind"], row["state"], row["doing"]) == ("up", "running", "everything")
    assert document["ok"]
    heartbeat.stop()
    with sqlite_database.read() as connection:
        assert connection.execute(sa.select(processes)).all() == []
    assert [finding["part"] for finding in describe(services)["findings"]] == ["up"]


def test_two_hosts_with_different_settings_are_seen_in_the_rows_of_their_processes(
    sqlite_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)

    def beat(kind: str, **given: str) -> Services:
        settings = settings_of(tmp_path, "sqlite:///unused.db", **given)
        services = bare(sqlite_database, settings, clock=clock)
        heartbeat = Heartbeat(services, kind=kind, doing="")
        # The tests have one process; its row is written under the name of each host.
        heartbeat._sign = replace(heartbeat._sign, host=given.get("base_url", kind))
        heartbeat.beat()
        return services

    mails = {"mail_url": "smtp://ann:pass-of-ann@relay.example:587"}
    beat("up", base_url="https://one.example", **mails)
    services = beat("worker", base_url="https://one.example.", secret_key="b" * 40, **mails)
    findings = {finding["about"]: finding["words"] for finding in describe(services)["findings"]}
    assert findings.keys() == {"SECRET_KEY", "BASE_URL"}
    assert "up https://one.example:" in findings["BASE_URL"]
    with sqlite_database.read() as connection:
        stored = "".join(connection.scalars(sa.select(processes.c.settings)))
    assert "bbbb" not in stored
    assert "pass-of-ann" not in stored
    assert "example" not in stored
    # Once the other has ended, they agree.
    clock.advance_to(NOW + MINUTE)
    beat("up", base_url="https://one.example", **mails)
    assert describe(services)["findings"] == []


def test_trouble_is_noted_once_when_it_begins_and_once_when_it_ends(
    sqlite_database: Database, tmp_path: Path
) -> None:
    clock = ManualClock(NOW)
    services = bare(sqlite_database, settings_of(tmp_path, "sqlite:///unused.db"), clock=clock)
    seen = []
    for second in range(0, 60, 3):
        clock.advance_to(NOW + second * SECOND)
        if second == 30:
            Heartbeat(services, kind="up", doing="").beat()
        changes = watch(services)
        seen += [("begun", finding.key, second) for finding in changes.begun]
        seen += [("ended", row.key, second) for row in changes.ended]
    assert seen[0] == ("begun", "up", 0)
    # The heartbeat itself looked at second 30, and nobody renewed it afterwards.
    assert [name for name, key, _ in seen if key == "up"] == ["begun", "begun"]

"""Gauges say what waits and since when; counters what was done."""

from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from nurture.database.engine import Database
from nurture.database.schema import contacts, inbox, messages, switches
from nurture.domain.instant import FOREVER, HOUR, MINUTE
from nurture.reports import metrics
from nurture.reports.backlog import measure_backlog
from nurture.runtime.clock import ManualClock

NOW = 1_000 * HOUR


def fill(database: Database) -> None:
    """Leave an event 3 minutes old, an alarm 2 minutes late, a mail 1 minute late, and later ones."""
    event = {"shard": 1, "source": "s", "kind": "track", "name": "X", "occurred_at": NOW, "body": "{}"}
    contact = {"track": "lead", "stage": "aware", "track_since": 0, "stage_since": 0, "first_seen_at": 0}
    message = {"contact_id": 1, "measure": "any/m", "run_key": "", "mail": "m", "track": "any"}
    message |= {"purpose": "service", "lane": "main", "priority": 0, "holdout": False, "status": "waiting"}
    with database.write() as connection:
        rows = [event | {"message_id": str(age), "received_at": NOW - age * MINUTE} for age in (3, 1)]
        connection.execute(inbox.insert(), rows)
        alarms = (NOW - 2 * MINUTE, NOW + HOUR, FOREVER)
        people = [contact | {"facts": {}, "clock": 0, "wake_at": alarm} for alarm in alarms]
        connection.execute(contacts.insert(), people)
        dues = [NOW - MINUTE, NOW + HOUR]
        mails = [
            message | {"step": str(due), "due_at": due, "decided_at": 0, "valid_until": FOREVER}
            for due in dues
        ]
        connection.execute(messages.insert(), mails)


def pause(database: Database, name: str) -> None:
    with database.write() as connection:
        row = {"name": name, "paused": True, "reason": "", "actor": "", "at": NOW}
        connection.execute(switches.insert(), row)


def test_backlog_names_the_oldest_due_row_of_each_queue(database: Database) -> None:
    with database.read() as connection:
        assert measure_backlog(connection, now=NOW).age(now=NOW) == 0
    fill(database)
    with database.read() as connection:
        found = measure_backlog(connection, now=NOW)
    assert (found.inbox_depth, found.waiting, found.in_doubt) == (2, {"main": 2}, 0)
    assert found.due_since == {
        "inbox": NOW - 3 * MINUTE,
        "advance": NOW - 2 * MINUTE,
        "deliver": NOW - MINUTE,
    }
    assert found.age(now=NOW) == 180


@pytest.mark.parametrize("name", ["all", "main"])
def test_mail_paused_by_an_operator_is_not_late(database: Database, name: str) -> None:
    fill(database)
    pause(database, name)
    with database.read() as connection:
        found = measure_backlog(connection, now=NOW)
    assert "deliver" not in found.due_since


def test_page_holds_gauges_and_counters(database: Database) -> None:
    fill(database)
    metrics.count("advance", {"applied": 3, "duplicate": 0})
    with metrics.timed("advance"):
        pass
    text = metrics.render_page(database, clock=ManualClock(NOW)).decode()
    assert 'nurture_items_total{reason="applied",room="advance"}' in text
    assert 'reason="duplicate",room="advance"' not in text
    assert 'nurture_batch_seconds_count{room="advance"}' in text
    assert "nurture_inbox_depth 2.0" in text
    assert 'nurture_messages_waiting{lane="main"} 2.0' in text
    assert 'nurture_oldest_due_seconds{queue="inbox"} 180.0' in text
    assert "nurture_database_up 1.0" in text


def test_a_process_that_is_about_to_count_takes_nothing_from_the_page(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "counters"
    counters.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(counters))
    counter = MmapedDict(str(counters / "counter_1.db"))  # type: ignore[no-untyped-call]
    key = ("nurture_items", "nurture_items_total", ["room", "reason"], ["inbox", "accepted"], "Help.")
    counter.write_value(mmap_key(*key), 7.0, 0.0)  # type: ignore[no-untyped-call]
    counter.close()  # type: ignore[no-untyped-call]
    # As a new process's file is for a moment: made, and not given a size yet.
    (counters / "counter_2.db").touch()
    text = metrics.render_page(database, clock=ManualClock(NOW)).decode()
    assert 'nurture_items_total{reason="accepted",room="inbox"} 7.0' in text


def test_page_says_when_the_database_does_not_answer(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE switches")
    assert "nurture_database_up 0.0" in metrics.render_page(database, clock=ManualClock(NOW)).decode()

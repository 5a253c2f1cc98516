"""A lane whose mails bounce or are reported too often pauses its marketing, says so, and goes on when it is resumed."""

import base64
import zlib
from typing import Any

import sqlalchemy as sa

from nurture.app.pauses import set_switch
from nurture.app.services import Services
from nurture.app.status import describe
from nurture.app.watch import watch
from nurture.database.engine import Database
from nurture.database.schema import audit, contacts, messages, notices, sending_counts, switches
from nurture.domain.feedback import Report
from nurture.domain.instant import HOUR, MINUTE, SECOND
from nurture.feedback.record import record
from nurture.health import queries
from nurture.runtime.clock import ManualClock
from tests.web.live import a_service

NOW = 1_000 * HOUR


def count(services: Services, **numbers: int) -> None:
    """Add mails of the lane `main` as of now."""
    counts = {("main", "gmail.com", name): number for name, number in numbers.items()}
    now = services.clock.now()
    rows = queries.count_rows(now - now % (10 * MINUTE), counts)
    services.database.run(lambda connection: queries.add_counts(connection, rows))


def rows_of(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))


def look(services: Services, clock: ManualClock) -> list[str]:
    """Let the next look happen, and return what began."""
    clock.advance_to(clock.now() + 5 * SECOND)
    return [finding.key for finding in watch(services).begun]


def test_a_lane_pauses_once_and_resuming_is_not_undone_by_what_happened_before(
    sqlite_database: Database,
) -> None:
    clock = ManualClock(NOW)
    services = a_service(sqlite_database, clock=clock, escalate_to="ops@lark.example")
    count(services, sent=91, hard_bounces=10)
    assert "pause:main:marketing" not in look(services, clock)
    count(services, hard_bounces=1)
    assert "pause:main:marketing" in look(services, clock)
    (switch,) = rows_of(sqlite_database, switches)
    assert (switch.name, switch.paused, switch.actor) == ("main:marketing", True, "nurture")
    assert switch.reason.startswith("10.78% (11 of 102) of its mails")
    (notice,) = rows_of(sqlite_database, notices)
    assert notice.recipient == "ops@lark.example"
    text = zlib.decompress(base64.b64decode(notice.data)).decode()
    assert "Subject: nurture paused main:marketing" in text
    assert [row.action for row in rows_of(sqlite_database, audit)] == ["pause"]
    document = describe(services)
    assert document["pauses"][0]["by"] == "nurture"
    assert not document["ok"]

    set_switch(services, "main:marketing", paused=False, actor="cli:ada", reason="")
    for _look in range(3):
        look(services, clock)
        clock.advance_to(clock.now() + 20 * MINUTE)
    assert not rows_of(sqlite_database, switches)[0].paused
    count(services, sent=90, hard_bounces=30)
    assert "pause:main:marketing" in look(services, clock)
    assert len(rows_of(sqlite_database, notices)) == 2


def test_reports_after_a_mail_left_are_counted_once(database: Database) -> None:
    contact = {"track": "lead", "stage": "aware", "track_since": 0, "stage_since": 0, "first_seen_at": 0}
    mail = {"contact_id": 1, "measure": "any/m", "run_key": "", "step": "m", "mail": "m", "track": "any"}
    mail |= {"purpose": "service", "lane": "main", "priority": 0, "holdout": False, "status": "sent"}
    with database.write() as connection:
        person = contact | {"facts": {}, "clock": 0, "wake_at": 0, "email": "ann@gmail.com"}
        number = connection.execute(contacts.insert().returning(contacts.c.id), person).scalar_one()
        times = {"decided_at": 0, "due_at": 0, "valid_until": 0, "settled_at": 0, "sent_at": 0}
        row = mail | times | {"contact_id": number}
        message = connection.execute(messages.insert().returning(messages.c.id), row).scalar_one()

    def report(kind: Any, event: str, severity: Any = "") -> Report:
        return Report("ses", event, kind, NOW, severity=severity, message=message, address="ann@gmail.com")

    reports = [
        report("complaint", "1"),
        report("bounce", "2", "hard"),
        report("bounce", "3", "soft"),
        report("deferred", "4"),
        report("delivered", "5"),
    ]
    for _time in range(2):
        database.run(lambda c: record(c, reports, now=NOW, suppression_key=b"k"))
    (counts,) = rows_of(database, sending_counts)
    assert (counts.lane, counts.domain) == ("main", "gmail.com")
    assert (counts.sent, counts.hard_bounces, counts.deferred, counts.complaints) == (-1, 1, 1, 1)

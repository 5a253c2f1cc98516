"""Asking whether anything is due reads the end of an index, however many sleep: SQLite's planner is asked."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nurture.contacts import queries as people
from nurture.database.engine import Database
from nurture.feedback import queries
from nurture.simulation.run_until_idle import next_due, run_until_idle
from tests.scenarios.world import World

BY_ALARM = "SEARCH contacts USING INDEX ix_contacts_wake_at (wake_at<?)"


def ring(connection: sa.Connection) -> Any:
    return people.is_any_alarm_due(connection, now=1), people.lock_due_contacts(connection, now=1, limit=1)


def look_ahead(connection: sa.Connection) -> Any:
    return next_due(connection, ["main", "bulk"])


def test_nobody_is_looked_for_but_by_the_index_of_alarms(sqlite_database: Database) -> None:
    plans = plans_of(sqlite_database, lambda: sqlite_database.run(ring))
    assert {plan for plan in plans if "contacts" in plan} == {BY_ALARM}


def test_the_next_thing_due_is_the_first_entry_of_its_index(sqlite_database: Database) -> None:
    plans = plans_of(sqlite_database, lambda: sqlite_database.run(look_ahead))
    assert {plan for plan in plans if "contacts" in plan} == {BY_ALARM}
    assert not [plan for plan in plans if plan.startswith("SCAN messages")]


def test_doubts_that_reports_speak_of_are_found_without_reading_the_ledger_or_every_report(
    sqlite_database: Database,
) -> None:
    def doubts(connection: sa.Connection) -> Any:
        return queries.load_reported_doubts(connection, kinds=("delivered",), since=0, limit=1)

    plans = plans_of(sqlite_database, lambda: sqlite_database.run(doubts))
    assert [plan for plan in plans if "messages" in plan]
    assert not [plan for plan in plans if plan.startswith("SCAN") and "ix_messages_doubt" not in plan]


def test_an_idle_turn_reads_no_table(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    plans = plans_of(
        sqlite_database, lambda: run_until_idle(sqlite_database, world.delivery, {"main": world.outlet})
    )
    assert BY_ALARM in plans
    assert not [plan for plan in plans if plan.startswith(("SCAN contacts", "SCAN messages"))]


def plans_of(database: Database, work: Callable[[], Any]) -> list[str]:
    """Return how SQLite looks up what this work asks, a line for each table."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, text: str, values: Any, _context: Any, _many: Any) -> None:
        asked.append((text, values))

    for engine in (database.reader, database.writer):
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        for engine in (database.reader, database.writer):
            sa.event.remove(engine, "before_cursor_execute", note)
    with database.read() as connection:
        return [
            row.detail
            for text, values in asked
            if text.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        ]

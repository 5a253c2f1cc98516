"""Rows of a batch bound one by one, as SQLite takes them: the same rows as out of one JSON parameter."""

from typing import Any

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import Database
from nurture.database.schema import contacts, switches
from tests.journey.builders import statements


def a_contact(number: int, **given: Any) -> dict[str, Any]:
    values = {"track": "lead", "stage": "aware", "track_since": 0, "stage_since": 0, "first_seen_at": 0}
    return values | {"id": number, "facts": {"n": number}, "clock": 0, "zone": None} | given


def test_a_batch_is_one_call_however_many_rows(sqlite_database: Database) -> None:
    with statements(sqlite_database) as seen, sqlite_database.write() as connection:
        bulk.insert(connection, contacts, [a_contact(number) for number in range(1, 501)])
        rows = [{"id": number, "facts": {"n": -number}} for number in range(1, 501)]
        bulk.update(connection, contacts, rows, key=["id"], columns=["facts"])
        assert (
            connection.scalar(sa.select(sa.func.count()).where(contacts.c.facts["n"].as_integer() < 0)) == 500
        )
    assert len([text for text in seen if text.startswith(("INSERT", "UPDATE"))]) == 2
    assert not any("json_each" in text for text in seen)


def test_a_row_that_does_not_meet_the_condition_is_not_updated(database: Database) -> None:
    with database.write() as connection:
        bulk.insert(connection, contacts, [a_contact(1, zone="UTC"), a_contact(2), a_contact(3)])
        known = contacts.c.zone.is_not(None)
        rows = [{"id": number, "zone": "Europe/Berlin", "stage": "engage"} for number in (1, 2)]
        bulk.update(connection, contacts, rows, key=["id"], columns=["zone", "stage"], where=known)
        found = connection.execute(sa.select(contacts.c.zone, contacts.c.stage).order_by(contacts.c.id)).all()
        assert found == [("Europe/Berlin", "engage"), (None, "aware"), (None, "aware")]


def test_a_clash_leaves_the_row_or_sets_what_is_named(database: Database) -> None:
    with database.write() as connection:
        for reason in ("first", "second"):
            row = {"name": "all", "paused": True, "reason": reason, "actor": "a", "at": 1}
            bulk.insert(connection, switches, [row], conflict=["name"])
        assert connection.scalar(sa.select(switches.c.reason)) == "first"
        bulk.insert(connection, switches, [{**row, "actor": "b"}], conflict=["name"], update=["reason"])
        assert connection.execute(sa.select(switches.c.reason, switches.c.actor)).one() == ("second", "a")

"""Accepting: what is durable, in what order, and what is set aside with which reason."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.contacts.accept import RETENTION, NewEvent, accept, shard_for
from nurture.database import schema
from nurture.database.engine import Database, decode
from nurture.domain.event import Identity
from nurture.domain.instant import DAY
from tests.journey.builders import NOW, an_event, statements


def stored(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        rows = connection.execute(sa.select(schema.inbox).order_by(schema.inbox.c.id)).mappings()
        return [dict(row) for row in rows]


def put_aside(database: Database) -> list[tuple[str, str, str]]:
    table = schema.quarantine
    with database.read() as connection:
        rows = connection.execute(
            sa.select(table.c.stage, table.c.message_id, table.c.reason).order_by(table.c.id)
        )
        return [tuple(row) for row in rows]


def test_events_are_kept_whole_and_in_order(database: Database) -> None:
    event = an_event(
        "m1",
        name="Order Completed",
        identities=(Identity("user_id", "u1"), Identity("email", "ann@example.com")),
        properties={"revenue": 12.5, "products": [{"sku": "a'b\"c"}]},
        traits={"name": "李雷"},
        context={"locale": "zh-CN"},
    )
    with database.write() as connection:
        assert accept(connection, [event, *(an_event(f"n{number}") for number in range(50))]) == 51
    rows = stored(database)
    assert [row["message_id"] for row in rows] == ["m1", *(f"n{number}" for number in range(50))]
    first = rows[0]
    assert (first["user_id"], first["email"], first["phone"]) == ("u1", "ann@example.com", None)
    assert first["shard"] == shard_for(event)
    assert decode(first["body"]) == {
        "properties": {"revenue": 12.5, "products": [{"sku": "a'b\"c"}]},
        "traits": {"name": "李雷"},
        "context": {"locale": "zh-CN"},
    }


def test_accepting_is_one_statement_however_many(database: Database) -> None:
    with database.write() as connection, statements(database) as seen:
        accept(connection, [an_event(f"n{number}") for number in range(300)])
    assert len(seen) == 1


def test_the_same_event_twice_is_taken_twice_and_left_to_the_drain(database: Database) -> None:
    with database.write() as connection:
        assert accept(connection, [an_event("m1"), an_event("m1")]) == 2


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else "x"


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        ({"properties": {"text": "x" * 33_000}}, "shape", "larger than 32768 bytes"),
        ({"properties": nested(13)}, "shape", "nested deeper than 12"),
        ({"properties": {"deep": [[[[[[[[[[[[[1]]]]]]]]]]]]]}}, "shape", "nested deeper than 12"),
        ({"name": "x" * 256}, "shape", "event: longer than 255 characters"),
        ({"name": "\x00"}, "shape", "event: empty"),
        ({"identities": (Identity("user_id", "u" * 321),)}, "shape", "user_id: longer than 320 characters"),
        ({"properties": {"x": object()}}, "shape", "not JSON"),
        ({"occurred_at": NOW - RETENTION - DAY}, "too_old", "more than 761 days"),
    ],
)
def test_an_event_that_breaks_a_bound_is_quarantined_alone(
    database: Database, change: dict[str, Any], stage: str, reason: str
) -> None:
    bad = replace(an_event("bad"), **change)
    with database.write() as connection:
        assert accept(connection, [an_event("m1"), bad, an_event("m2")]) == 2
    assert [row["message_id"] for row in stored(database)] == ["m1", "m2"]
    ((aside, message_id, why),) = put_aside(database)
    assert (aside, message_id) == (stage, "bad")
    assert reason in why


def test_depth_is_counted_in_containers_not_in_braces(database: Database) -> None:
    event = an_event(
        "m1", properties={"flat": [{} for _ in range(100)], "text": "{" * 100, "deep": nested(10)}
    )
    with database.write() as connection:
        assert accept(connection, [event]) == 1


def test_old_history_may_be_imported(database: Database) -> None:
    old = replace(an_event("m1"), occurred_at=NOW - 10 * RETENTION, historic=True)
    with database.write() as connection:
        assert accept(connection, [old]) == 1


def test_characters_that_no_database_stores_are_removed(database: Database) -> None:
    event = NewEvent(
        source="we\x00b",
        message_id="m\ud8001",
        kind="track",
        name="Pa\x00ge",
        occurred_at=NOW + DAY,
        received_at=NOW,
        properties={"a\x00": ["b\x00", "\udfff", "c\\u0000"]},
    )
    with database.write() as connection:
        assert accept(connection, [event]) == 1
    (row,) = stored(database)
    assert (row["source"], row["message_id"], row["name"]) == ("web", "m1", "Page")
    assert decode(row["body"]) == {"properties": {"a": ["b", "", "c\\u0000"]}}
    assert row["occurred_at"] == NOW, "nothing happens after it was received"

"""Many rows in one statement: the same values come back, in the order given, on both databases."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.engine import Database
from nurture.database.schema import contacts, events, identities, switches
from nurture.domain.instant import FOREVER, NEVER

TEXTS = [
    "",
    "plain",
    "it's",
    'a "quote"',
    "back\\slash \\u0041",
    "tab\tline\n",
    "李雷 🎉",
    "%s %(x)s :y ?",
    "null",
]


def a_contact(**given: Any) -> dict[str, Any]:
    values = {"track": "lead", "stage": "aware", "track_since": 0, "stage_since": 0, "first_seen_at": 0}
    return values | {"facts": {}, "clock": 0, "zone": None} | given


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives(database: Database, text: str) -> None:
    with database.write() as connection:
        bulk.insert(
            connection,
            identities,
            [{"kind": text, "value": text, "contact_id": 1, "since": 0, "source": text}],
        )
        row = connection.execute(sa.select(identities)).one()
        assert (row.kind, row.value, row.source) == (text, text, text)
        found = sa.select(identities.c.contact_id).where(
            bulk.any_of(identities.c.value, [text, "other"], connection)
        )
        assert connection.execute(found).scalars().all() == [1]


def test_documents_numbers_and_nothing_survive(database: Database) -> None:
    facts: dict[str, Any] = {
        "n": 2**62,
        "minus": -(2**62),
        "b": True,
        "no": False,
        "null": None,
        "l": [1, "x", []],
        "o": {"a": {}},
    }
    with database.write() as connection:
        bulk.insert(connection, contacts, [a_contact(facts=facts, wake_at=FOREVER, clock=NEVER)])
        row = connection.execute(sa.select(contacts)).one()
        assert (row.facts, row.wake_at, row.clock, row.zone) == (facts, FOREVER, NEVER, None)
        bulk.insert(
            connection, switches, [{"name": "all", "paused": True, "reason": "", "actor": "", "at": 0}]
        )
        assert connection.execute(sa.select(switches.c.paused)).scalar() is True


def test_ids_grow_in_the_order_given(database: Database) -> None:
    stages = [f"s{number * 7919 % 1000}" for number in range(1000)]
    with database.write() as connection:
        bulk.insert(connection, contacts, [a_contact(stage=stage) for stage in stages])
        found = connection.execute(sa.select(contacts.c.stage).order_by(contacts.c.id)).scalars().all()
    assert found == stages


def test_a_row_that_clashes_is_skipped_or_updated(database: Database) -> None:
    def row(name: str, reason: str) -> dict[str, Any]:
        return {"name": name, "paused": True, "reason": reason, "actor": "", "at": 0}

    with database.write() as connection:
        bulk.insert(connection, switches, [row("a", "one")])
        left = bulk.insert(
            connection, switches, [row("a", "two"), row("b", "two")], conflict=["name"], returning=["name"]
        )
        assert [row.name for row in left] == ["b"]
        bulk.insert(connection, switches, [row("a", "three")], conflict=["name"], update=["reason"])
        rows = connection.execute(
            sa.select(switches.c.name, switches.c.reason).order_by(switches.c.name)
        ).all()
        assert [tuple(row) for row in rows] == [("a", "three"), ("b", "two")]


def test_an_update_touches_the_rows_named_and_no_others(database: Database) -> None:
    with database.write() as connection:
        bulk.insert(connection, contacts, [a_contact(zone=f"z{number}") for number in range(5)])
        ids = connection.execute(sa.select(contacts.c.id).order_by(contacts.c.id)).scalars().all()
        given = [{"id": ids[1], "zone": None, "facts": {"a": 1}}, {"id": ids[3], "zone": "new", "facts": {}}]
        done = bulk.update(
            connection,
            contacts,
            [*given, {"id": 999, "zone": "nobody", "facts": {}}],
            key=["id"],
            columns=["zone", "facts"],
            where=contacts.c.stage == "aware",
            returning=["id"],
        )
        assert sorted(row.id for row in done) == [ids[1], ids[3]]
        rows = connection.execute(sa.select(contacts.c.zone, contacts.c.facts).order_by(contacts.c.id)).all()
        assert [tuple(row) for row in rows] == [
            ("z0", {}),
            (None, {"a": 1}),
            ("z2", {}),
            ("new", {}),
            ("z4", {}),
        ]


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.read() as connection:
        assert bulk.insert(connection, contacts, []) == []
        assert bulk.update(connection, contacts, [], key=["id"], columns=["zone"]) == []
        nobody = sa.select(events.c.id).where(bulk.any_of(events.c.id, [], connection))
        assert connection.execute(nobody).all() == []

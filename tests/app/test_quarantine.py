"""Items of the quarantine are kept whole, handed in again after a repair, or dropped; nothing happens twice."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import quarantine
from nurture.app.event_body import Body
from nurture.app.ingest import read_items
from nurture.contacts.accept import accept, reject_event
from nurture.contacts.accept import quarantine as set_aside
from nurture.database.engine import Database
from nurture.database.schema import audit, events, inbox
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import DAY
from tests.scenarios.world import World

ADA = "ada@example.com"
LONG = "x" * 9_000


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def call(world: World, document: dict[str, Any], *, kind: str | None = None, hint: bool = False) -> int:
    """Hand in one call as HTTP does; return the number of its item in the quarantine."""
    raw = json.dumps(document).encode()
    intake = read_items(
        Body(items=(raw,), size=len(raw)), source="shop", received_at=world.now, kind=kind, hint=hint
    )

    def work(connection: sa.Connection) -> None:
        accept(connection, intake.events)
        set_aside(connection, intake.rejected)

    world.database.run(work)
    return newest(world)


def newest(world: World) -> int:
    return int(quarantine.list_all(world.services, limit=1)[0]["item"])


def retry(world: World, *numbers: int, **options: Any) -> list[tuple[int, str]]:
    results = quarantine.hand_in_again(world.services, numbers, actor="cli:ann", **options)
    return [(row["item"], row["result"]) for row in results]


def stored(world: World) -> list[Any]:
    world.work()
    with world.database.read() as connection:
        return list(connection.execute(sa.select(events).order_by(events.c.id)))


def test_a_corrected_call_is_handed_in_once(world: World) -> None:
    document = {"event": "Signed In", "messageId": "m1", "timestamp": "soon", "properties": {"note": LONG}}
    number = call(world, {**document, "context": {"traits": {"email": ADA}}}, kind="track")
    shown = quarantine.show(world.services, number)
    assert json.loads(shown["item"])["properties"]["note"] == LONG
    assert retry(world, number) == [(number, "still refused")]
    corrected = {**document, "timestamp": "2026-03-01T10:00:00Z", "context": {"traits": {"email": ADA}}}
    assert retry(world, number, corrected=json.dumps(corrected).encode()) == [(number, "handed in")]
    assert [(row.name, row.message_id) for row in stored(world)] == [("Signed In", "m1")]
    assert quarantine.list_all(world.services) == []
    with world.database.read() as connection:
        assert connection.scalars(sa.select(audit.c.action)).all() == ["quarantine.retry"]
    with pytest.raises(NotFoundError, match="quarantine list"):
        retry(world, number)


def test_the_path_of_a_call_without_a_type_is_remembered(world: World) -> None:
    number = call(world, {"event": "", "messageId": "m1", "userId": "7"}, kind="track")
    corrected = json.dumps({"event": "Signed In", "messageId": "m1", "userId": "7"}).encode()
    assert retry(world, number, corrected=corrected) == [(number, "handed in")]
    assert [row.name for row in stored(world)] == ["Signed In"]


def test_the_word_of_a_browser_stays_a_hint(world: World) -> None:
    number = call(world, {"event": "", "userId": "7"}, kind="track", hint=True)
    corrected = json.dumps({"event": "Signed In", "userId": "7"}).encode()
    assert retry(world, number, corrected=corrected) == [(number, "handed in")]
    with world.database.read() as connection:
        assert connection.scalars(sa.select(inbox.c.hint)).all() == [True]


def test_an_event_too_old_is_handed_in_as_historic_and_sends_nothing(world: World) -> None:
    order = {"order_id": "A-1", "total": 40, "currency": "EUR"}
    old = world.event(ADA, "Order Completed", at=world.now - 800 * DAY, **order)
    world.database.run(lambda connection: accept(connection, [old]))
    number = newest(world)
    assert retry(world, number) == [(number, "still refused")]
    assert retry(world, number, historic=True) == [(number, "handed in")]
    world.live(DAY)
    assert world.facts(ADA)["orders"] == 1
    assert world.mails(ADA) == []


def test_an_event_that_was_applied_meanwhile_is_not_applied_twice(world: World) -> None:
    event = world.event(ADA, "Order Completed", order_id="A-1", total=40, currency="EUR")
    world.database.run(lambda connection: set_aside(connection, [reject_event(event, "rule", "a fault")]))
    number = newest(world)
    world.hand_in(event)
    world.work()
    assert retry(world, number) == [(number, "handed in")]
    assert len(stored(world)) == 1
    assert world.facts(ADA)["orders"] == 1


def test_all_items_of_a_stage_are_retried_and_the_others_stay(world: World) -> None:
    rows = [world.event(ADA, "Signed In", n=number) for number in range(3)]
    world.database.run(
        lambda connection: set_aside(connection, [reject_event(event, "rule", "a fault") for event in rows])
    )
    other = call(world, {"event": "", "userId": "7"}, kind="track")
    assert [result for _, result in retry(world, stage="rule")] == ["handed in"] * 3
    assert len(stored(world)) == 3
    assert [row["item"] for row in quarantine.list_all(world.services)] == [other]


def test_an_item_too_long_to_be_kept_says_so(world: World) -> None:
    number = call(world, {"event": "Signed In", "userId": "7", "properties": {"a": LONG * 4}}, kind="track")
    (row,) = quarantine.hand_in_again(world.services, [number], actor="cli:ann")
    assert row["result"] == "still refused"
    assert "--file" in row["reason"]
    assert len(quarantine.show(world.services, number)["item"]) == 2_000


def test_dropped_items_are_gone_and_in_the_log(world: World) -> None:
    number = call(world, {"event": "", "userId": "7"}, kind="track")
    with pytest.raises(NotFoundError):
        quarantine.drop(world.services, [number, 99], actor="cli:ann")
    assert quarantine.list_all(world.services) != []
    quarantine.drop(world.services, [number], actor="cli:ann")
    assert quarantine.list_all(world.services) == []
    with world.database.read() as connection:
        assert connection.scalars(sa.select(audit.c.action)).all() == ["quarantine.drop"]


@pytest.mark.parametrize("options", [{}, {"stage": "rule", "numbers": [1]}])
def test_either_numbers_or_a_stage_are_named(world: World, options: dict[str, Any]) -> None:
    numbers = options.pop("numbers", [])
    with pytest.raises(InputError, match="--stage"):
        quarantine.hand_in_again(world.services, numbers, actor="cli:ann", **options)
    with pytest.raises(InputError, match="one number"):
        quarantine.hand_in_again(world.services, [1, 2], corrected=b"{}", actor="cli:ann")

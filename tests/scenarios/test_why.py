"""`nurture contact why` answers with the check that decided: hold, cap, holdout; and as it stood at an earlier time."""

from dataclasses import replace
from typing import Any

from nurture.app import contacts
from nurture.database.engine import Database
from nurture.domain.event import IMPORTED
from nurture.domain.instant import DAY, HOUR, to_iso
from nurture.domain.sampling import hash_share
from tests.scenarios.world import World, shipped

CART = "customer/any/abandoned_cart"
TEA: dict[str, Any] = {"product_id": "p1", "name": "Guji", "price": 13.5, "quantity": 1}


def an_order(order: str) -> dict[str, Any]:
    return {"order_id": order, "revenue": 13.5, "total": 13.5, "currency": "EUR", "products": [TEA]}


def is_held_out(contact: int) -> bool:
    return hash_share("holdout", CART, contact) < shipped().playbook.measures[CART].holdout


def customers(world: World, *, held_out: bool) -> str:
    """Create customers with consent to reminders until the last one is in the cart's holdout, or is not."""
    count = next(number for number in range(1, 500) if is_held_out(number) == held_out)
    for number in range(1, count + 1):
        world.tell(f"p{number}@example.com", "Order Completed", **an_order(f"o{number}"))
        world.tell(f"p{number}@example.com", "Consent Given", topic="reminders")
        world.work()
    world.live(HOUR)
    return f"p{count}@example.com"


def decided_by(answer: dict[str, Any]) -> set[str]:
    """Return the names of the failed checks."""
    return {finding["check"] for finding in answer["findings"] if not finding["met"]}


def test_a_hold_is_named_with_its_end(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    who = customers(world, held_out=False)
    world.tell(who, "Return Requested", order_id="o1")
    world.tell(who, "Product Added", cart_id="c1", **TEA)
    world.live(3 * HOUR)
    answer = contacts.why(world.services, who, CART)
    assert "holds" in decided_by(answer)
    assert "hold" in answer["answer"]
    # The stored verdict bears its instant; the one of now stands apart, and falls away when the reason does.
    judged_at = answer["mails"][-1]["judged_at"]
    assert f"deferred at {judged_at} until" in answer["answer"]
    (now,) = answer["judged_now"]
    assert (now["action"], now["reason"], now["at"]) == ("defer", "hold", to_iso(world.clock.now()))
    world.clock.advance_to(world.clock.now() + HOUR)
    later = contacts.why(world.services, who, CART)
    assert later["mails"][-1]["judged_at"] == judged_at
    assert later["judged_now"][0]["at"] == to_iso(world.clock.now())
    assert "judged_now" not in contacts.why(world.services, who, CART, at=world.clock.now() - HOUR)


def test_a_cap_is_named(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    who = customers(world, held_out=False)
    world.tell(who, "Product Added", cart_id="c1", **TEA)
    world.live(8 * DAY)
    world.tell(who, "Product Added", cart_id="c2", **TEA)
    world.live(3 * HOUR)
    mails = [name for _, name in world.mails(who) if "abandoned_cart" in name]
    answer = contacts.why(world.services, who, CART)
    assert len(mails) == 1
    assert "cap" in decided_by(answer)


def test_the_holdout_is_named(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    who = customers(world, held_out=True)
    world.tell(who, "Product Added", cart_id="c1", **TEA)
    world.live(3 * HOUR)
    assert contacts.why(world.services, who, CART)["outcome"] == "holdout"


def test_an_earlier_time_is_answered_from_the_events_up_to_then(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    before = world.now + HOUR
    world.tell("ada@example.com", "Article Read", category="brewing", title="Water")
    world.live(2 * DAY)
    world.tell("ada@example.com", "Order Completed", **an_order("o1"))
    world.live(HOUR)
    then = contacts.why(world.services, "ada@example.com", "customer/any/order_confirmation", at=before)
    now = contacts.why(world.services, "ada@example.com", "customer/any/order_confirmation")
    assert (then["outcome"], now["outcome"]) == ("never_entered", "sent")
    assert "lead" in then["answer"]


def test_imported_history_alone_started_nothing(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    who, measure = "mara@example.com", "lead/any/welcome_series"
    granted = replace(world.event(who, "Topic Confirmed", topic="news"), source=IMPORTED)
    world.hand_in(granted)
    world.work()
    answer = contacts.why(world.services, who, measure)
    assert (answer["outcome"], decided_by(answer)) == ("never_entered", {"trigger"})
    assert "in imported history, which starts nothing" in answer["answer"]


def test_an_answer_about_the_past_knows_nothing_of_what_came_later(sqlite_database: Database) -> None:
    """A mail that waited for the morning is waiting in an answer about the night, though it has left since."""
    world = World(sqlite_database)
    who = customers(world, held_out=False)
    world.live(10 * HOUR)
    world.tell(who, "Product Added", cart_id="c1", **TEA)
    world.live(3 * HOUR)
    night = world.now
    before = contacts.why(world.services, who, CART)
    assert before["outcome"] == "deferred"
    world.live(DAY)
    assert contacts.why(world.services, who, CART)["outcome"] == "sent"
    past = contacts.why(world.services, who, CART, at=night)
    assert past["outcome"] == "waiting"
    assert past["mails"][-1]["sent_at"] is None
    assert past["mails"][-1]["checks"] == []

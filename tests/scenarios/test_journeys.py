"""Stories of single people under the shipped programme, told as timelines."""

from typing import Any

from nurture.app import contacts
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, MINUTE, parse_iso
from tests.scenarios.world import World

ADA = "ada@example.com"
TEA: dict[str, Any] = {"product_id": "p1", "name": "Guji", "price": 13.5, "quantity": 1}
ORDER: dict[str, Any] = {
    "order_id": "o1",
    "revenue": 13.5,
    "total": 13.5,
    "currency": "EUR",
    "products": [TEA],
}


def test_an_order_is_confirmed_at_once_and_its_shipment_announced(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Order Completed", **ORDER)
    world.live(MINUTE)
    world.live(DAY)
    world.tell(
        ADA, "Order Shipped", order_id="o1", tracking_number="LK1", tracking_url="https://parcel.example/LK1"
    )
    world.live(HOUR)
    sent = [name for _, name in world.mails(ADA)]
    assert sent[0] == "customer/any/order_confirmation/receipt"
    assert "customer/any/order_shipped/shipped" in sent
    texts = [mail.get_body(("plain",)).get_content() for mail in world.sent_mails()]  # type: ignore[union-attr]
    assert any("LK1" in text for text in texts)


def test_a_reader_confirms_and_is_welcomed_within_two_minutes(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Topic Requested", topic="news")
    world.live(MINUTE)
    assert [name for _, name in world.mails(ADA)] == ["any/confirm_subscription/confirm"]
    world.consent(ADA, "news")
    world.tell(ADA, "Topic Confirmed", topic="news")
    world.live(2 * MINUTE)
    assert [name for _, name in world.mails(ADA)][1:] == ["lead/any/welcome_series/welcome"]
    world.live(10 * DAY)
    names = [name.rpartition("/")[2] for _, name in world.mails(ADA) if "welcome_series" in name]
    assert names == ["welcome", "guide", "stories"]


def test_a_pending_person_gets_the_confirmation_and_nothing_else(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Topic Requested", topic="news")
    world.tell(ADA, "Article Read", category="brewing", title="Water")
    world.live(30 * DAY)
    assert {name for _, name in world.mails(ADA)} == {"any/confirm_subscription/confirm"}


def test_a_purchase_ends_the_lead_mails_also_those_queued(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Article Read", category="brewing", title="Water")
    world.consent(ADA, "news", "reminders")
    world.tell(ADA, "Topic Confirmed", topic="news")
    world.tell(ADA, "Product Added", cart_id="c1", **TEA)
    world.live(HOUR)
    world.tell(ADA, "Order Completed", cart_id="c1", **ORDER)
    world.live(20 * DAY)
    after = [name for _, name in world.mails(ADA) if name.startswith("lead/")]
    assert after == ["lead/any/welcome_series/welcome"]


def test_the_quiet_buyer_gets_the_coupon_after_30_silent_days_and_before_the_month_ends(
    database: Database,
) -> None:
    world = World(database)
    world.tell(ADA, "Order Completed", **ORDER)
    world.consent(ADA, "offers")
    world.live(30 * DAY + 23 * HOUR)
    assert not [name for _, name in world.mails(ADA) if "coupon" in name]
    world.until(parse_iso("2026-04-30T00:00:00Z"))
    offers = [(at, name) for at, name in world.mails(ADA) if name == "customer/any/second_order_coupon/offer"]
    holdout = [reason for _, name, _, reason in world.ledger(ADA) if "coupon" in name and reason == "holdout"]
    if holdout:
        assert offers == []
    else:
        assert [at[:10] for at, _ in offers] == ["2026-04-07"]


def test_an_open_case_holds_sales_mail_and_lets_service_through(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Order Completed", **ORDER)
    world.consent(ADA, "offers", "reminders")
    world.tell(
        ADA,
        "Support Case Opened",
        case_id="k1",
        subject="A cracked lid",
        agent="Jonas",
        reply_by="2026-03-02T17:00:00Z",
    )
    world.live(MINUTE)
    world.tell(ADA, "Product Added", cart_id="c9", **TEA)
    world.live(DAY)
    ledger = {name: (status, reason) for _, name, status, reason in world.ledger(ADA)}
    assert ledger["customer/any/case_acknowledged/received"][0] == "sent"
    assert ledger["customer/any/abandoned_cart/left"][1] in ("hold", "too_late", "holdout")


def test_why_names_the_condition_and_what_would_have_changed_it(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Order Completed", **ORDER)
    world.live(10 * DAY)
    never = contacts.why(world.services, ADA, "customer/any/second_order_coupon")
    assert never["outcome"] == "never_entered"
    assert "silent_days" in str(never["findings"])
    other = contacts.why(world.services, ADA, "lead/any/abandoned_cart")
    assert other["outcome"] == "never_entered"
    assert "lead" in other["answer"]
    sent = contacts.why(world.services, ADA, "customer/any/order_confirmation")
    assert sent["outcome"] == "sent"


def test_an_opt_in_right_before_a_purchase_is_welcomed_once_as_a_customer(sqlite_database: Database) -> None:
    """The lead's welcome is decided and has not left when the order is applied: the customer's takes its place."""
    world = World(sqlite_database)
    world.tell(ADA, "Topic Confirmed", topic="news")
    world.tell(ADA, "Order Completed", **ORDER)
    world.live(HOUR)
    sent = [name for _, name in world.mails(ADA) if "welcome" in name]
    assert sent == ["customer/any/welcome_series/welcome"]
    world.live(9 * DAY)
    sent = [name for _, name in world.mails(ADA) if "welcome" in name]
    assert sent == [f"customer/any/welcome_series/{step}" for step in ("welcome", "guide", "stories")]


def test_an_appointment_outlives_the_only_order(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.tell("eve@shop.example", "Order Completed", order_id="o1", revenue=10, total=10, currency="EUR")
    times: dict[str, Any] = {"starts_at": "2026-03-09T11:00:00Z", "ends_at": "2026-03-09T12:00:00Z"}
    details: dict[str, Any] = {
        "appointment_id": "a1",
        "subject": "Tasting",
        "location": "Shop",
        "host": "Mira",
    }
    world.tell("eve@shop.example", "Appointment Booked", **times, **details)
    world.live(HOUR)
    world.tell("eve@shop.example", "Order Cancelled", order_id="o1")
    world.live(8 * DAY)

    assert ("2026-03-08T09:00:00Z", "lead/any/appointment/reminder") in world.mails("eve@shop.example")

"""Mail about a thing: it names the thing as it is when the mail leaves, and nothing is said about one that is gone."""

import pytest

from nurture.domain.instant import parse_iso
from tests.programme.timeline import Life

GRINDER = {"product_id": "grinder-ridge", "name": "Ridge hand grinder", "price": 89}
KETTLE = {"product_id": "kettle", "name": "Kettle", "price": 69}
VISIT = {
    "appointment_id": "a1",
    "starts_at": "2026-06-12T15:00:00+02:00",
    "ends_at": "2026-06-12T15:45:00+02:00",
    "location": "Kesselhof 3",
}
MOVED = {**VISIT, "starts_at": "2026-06-19T11:00:00+02:00", "ends_at": "2026-06-19T11:45:00+02:00"}


def lines(life: Life, part: str, until: str = "2026-07-20 10:00") -> list[str]:
    return [line for line in life.until(until) if part in line]


# ---- carts ----------------------------------------------------------------------------------------------


def test_goods_that_were_removed_again_are_not_written_about() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", cart_id="c1", **GRINDER)
    life.does("2026-06-01 10:05", "Product Removed", cart_id="c1", **GRINDER)
    assert lines(life, "abandoned_cart") == []


def test_a_cart_that_was_only_looked_at_is_not_written_about() -> None:
    life = Life().does("2026-06-01 10:00", "Cart Viewed", cart_id="c1")
    assert lines(life, "abandoned_cart") == []


def test_goods_bought_under_another_cart_are_not_written_about() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", cart_id="c1", **GRINDER)
    life.does(
        "2026-06-01 11:00", "Order Completed", order_id="o1", cart_id="c9", revenue=89, products=[GRINDER]
    )
    life.does("2026-06-01 11:01", "Cart Viewed", cart_id="c1")
    assert lines(life, "abandoned_cart") == []


def test_the_rest_of_a_cart_is_written_about_in_the_customers_words() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", cart_id="c1", **GRINDER)
    life.does("2026-06-01 10:01", "Product Added", cart_id="c1", **KETTLE)
    life.does("2026-06-01 11:00", "Order Completed", order_id="o1", revenue=89, products=[GRINDER])
    assert lines(life, "abandoned_cart", "2026-06-01 12:30") == [
        "2026-06-01 12:01 customer/any/abandoned_cart left"
    ]
    assert [line["name"] for line in life.view["entity"]["lines"]] == ["Kettle"]


def test_a_cart_bought_after_the_first_mail_has_no_second() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", cart_id="c1", **GRINDER)
    life.until("2026-06-01 18:00")
    life.does("2026-06-01 19:00", "Order Completed", order_id="o1", revenue=89, products=[GRINDER])
    assert lines(life, "abandoned_cart") == ["2026-06-01 12:00 lead/any/abandoned_cart left"]


def test_a_cart_reaches_leads_of_every_stage_and_makes_nobody_move() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", cart_id="c1", **GRINDER)
    assert life.contact.stage == "aware"
    assert lines(life, "abandoned_cart")[0] == "2026-06-01 12:00 lead/any/abandoned_cart left"
    assert life.contact.stage == "aware"


def test_goods_in_a_cart_seen_again_after_many_orders_stay_bought() -> None:
    life = Life("2026-01-05 10:00").does("2026-01-05 10:00", "Product Added", cart_id="c1", **GRINDER)
    life.does("2026-01-05 11:00", "Order Completed", order_id="o0", revenue=89, products=[GRINDER])
    for number in range(1, 26):
        order = {"order_id": f"o{number}", "revenue": 20, "products": [KETTLE]}
        life.does(f"2026-02-{number:02d} 10:00", "Order Completed", **order)
    life.does("2026-03-01 10:00", "Cart Viewed", cart_id="c1")
    assert lines(life, "abandoned_cart", "2026-03-20 10:00") == []


# ---- parcels --------------------------------------------------------------------------------------------


def test_each_parcel_of_an_order_is_announced_once() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=158)
    for at, parcel in (("2026-06-02 10:00", "p1"), ("2026-06-02 10:01", "p1"), ("2026-06-03 10:00", "p2")):
        life.does(at, "Order Shipped", order_id="o1", shipment_id=parcel, tracking_number=f"T-{parcel}")
    assert lines(life, "order_shipped") == [
        "2026-06-02 10:00 customer/any/order_shipped shipped",
        "2026-06-03 10:00 customer/any/order_shipped shipped",
    ]
    assert life.contact.facts["shipment.ever"] == 2


def test_a_parcel_without_a_number_of_its_own_is_known_by_its_tracking_number_or_its_order() -> None:
    tracked = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=158)
    for number in ("T1", "T2"):
        tracked.does("2026-06-02 10:00", "Order Shipped", order_id="o1", tracking_number=number)
    assert len(lines(tracked, "order_shipped")) == 2
    bare = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=158)
    for at in ("2026-06-02 10:00", "2026-06-02 11:00"):
        bare.does(at, "Order Shipped", order_id="o1")
    assert len(lines(bare, "order_shipped")) == 1


# ---- reversals ------------------------------------------------------------------------------------------


def test_the_reversal_of_the_only_order_is_confirmed_to_somebody_who_is_a_lead_again() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=89)
    life.does("2026-06-01 11:00", "Order Cancelled", order_id="o1")
    assert life.contact.track == "lead"
    assert life.contact.facts["orders"] == 0
    assert life.until("2026-06-20 10:00") == [
        "2026-06-01 10:00 customer/any/order_confirmation receipt",
        "2026-06-01 11:00 any/order_cancelled cancelled",
    ]


def test_the_last_refund_of_the_only_order_is_confirmed_too() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=100, currency="EUR")
    life.does("2026-06-03 10:00", "Order Refunded", order_id="o1", refund_id="r1", total=40, currency="EUR")
    tracks = [life.contact.track]
    life.does("2026-06-05 10:00", "Order Refunded", order_id="o1", refund_id="r2", total=60, currency="EUR")
    life.does("2026-06-05 10:30", "Order Refunded", order_id="o1", refund_id="r2", total=60, currency="EUR")
    assert [*tracks, life.contact.track] == ["customer", "lead"]
    assert lines(life, "refund") == [
        "2026-06-03 10:00 any/refund_confirmed refunded",
        "2026-06-05 10:00 any/refund_confirmed refunded",
    ]


def test_one_of_two_orders_cancelled_leaves_a_customer_with_one() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", order_id="o1", revenue=89)
    life.does("2026-06-02 10:00", "Order Completed", order_id="o2", revenue=20)
    life.does("2026-06-03 10:00", "Order Cancelled", order_id="o1")
    assert (life.contact.track, life.contact.facts["orders"]) == ("customer", 1)
    assert lines(life, "cancelled") == ["2026-06-03 10:00 any/order_cancelled cancelled"]


# ---- appointments ---------------------------------------------------------------------------------------


def test_a_cancelled_appointment_is_taken_out_of_the_calendar() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    life.does("2026-06-02 10:00", "Appointment Changed", **MOVED)
    life.does("2026-06-03 10:00", "Appointment Changed", **VISIT)
    life.does("2026-06-04 10:00", "Appointment Cancelled", appointment_id="a1")
    life.until("2026-07-20 10:00")
    assert [(entry["method"], entry["sequence"], str(entry["status"])) for entry in life.entries] == [
        ("REQUEST", 0, "CONFIRMED"),
        ("REQUEST", 1, "CONFIRMED"),
        ("REQUEST", 2, "CONFIRMED"),
        ("CANCEL", 4, "CANCELLED"),
    ]
    assert {str(entry["uid"]) for entry in life.entries} == {"a1@larkandkettle.example"}
    assert life.entries[-1]["organizer"] == life.entries[0]["organizer"]
    # The reminder of the day before is gone.
    assert lines(life, "reminder") == []


def test_a_buyer_cancels_the_appointment_that_was_booked_as_a_lead() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    life.does("2026-06-02 10:00", "Order Completed", order_id="o1", revenue=89)
    life.does("2026-06-03 10:00", "Appointment Changed", **MOVED)
    life.does("2026-06-04 10:00", "Appointment Cancelled", appointment_id="a1")
    life.until("2026-07-20 10:00")
    assert [(entry["method"], entry["sequence"]) for entry in life.entries] == [
        ("REQUEST", 0),
        ("REQUEST", 1),
        ("CANCEL", 3),
    ]


def test_an_older_change_that_arrives_late_says_nothing() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    life.does("2026-06-03 10:00", "Appointment Changed", **MOVED)
    life.does_late("2026-06-03 12:00", "2026-06-02 10:00", "Appointment Changed", **VISIT)
    assert lines(life, "confirmation") == [
        "2026-06-01 10:00 lead/any/appointment confirmation",
        "2026-06-03 10:00 lead/any/appointment confirmation",
    ]
    assert [entry["sequence"] for entry in life.entries] == [0, 1]
    assert lines(life, "reminder") == ["2026-06-18 10:00 lead/any/appointment reminder"]


def test_another_appointment_stays_in_the_calendar() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    life.does("2026-06-01 11:00", "Appointment Booked", **{**MOVED, "appointment_id": "a2"})
    life.does("2026-06-04 10:00", "Appointment Cancelled", appointment_id="a1")
    assert lines(life, "reminder") == ["2026-06-18 10:00 lead/any/appointment reminder"]
    assert [str(entry["uid"])[:2] for entry in life.entries if entry["method"] == "CANCEL"] == ["a1"]


# ---- promises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened", "reply_by", "promised"),
    [
        # Wednesday morning; the desk has set a time that is ahead.
        ("2026-06-10 09:12", "2026-06-10T15:00:00+02:00", "2026-06-10T15:00:00+02:00"),
        # It set none, or one that has passed: the next working day.
        ("2026-06-10 09:12", None, "2026-06-11T09:12:00+02:00"),
        ("2026-06-10 09:12", "2026-06-10T09:00:00+02:00", "2026-06-11T09:12:00+02:00"),
        ("2026-06-13 22:00", None, "2026-06-15T17:00:00+02:00"),
    ],
)
def test_the_time_of_an_answer_is_one_that_is_still_to_come(
    opened: str, reply_by: str | None, promised: str
) -> None:
    given = {} if reply_by is None else {"reply_by": reply_by}
    life = Life("2026-06-01 10:00").does(
        opened, "Support Case Opened", case_id="C-1", owner="support", **given
    )
    assert len(lines(life, "case_acknowledged", "2026-06-20 10:00")) == 1
    assert life.view["reply_by"] == parse_iso(promised)

"""The mails of each shipped measure to one person, as a timeline of local times."""

from tests.programme.timeline import Life

CART = {"cart_id": "c1", "product_id": "grinder-ridge", "name": "Ridge hand grinder", "price": 89}
ORDER = {"order_id": "o1", "revenue": 89}
VISIT = {
    "appointment_id": "a1",
    "starts_at": "2026-06-12T15:00:00+02:00",
    "ends_at": "2026-06-12T15:45:00+02:00",
    "location": "Kesselhof 3",
}


def a_buyer(at: str = "2026-06-01 10:00", contact_id: int = 2) -> Life:
    """Return a customer whose receipt, thanks and first cup are behind them."""
    life = Life(at, contact_id).does(at, "Order Completed", **ORDER)
    life.until(at[:8] + "25 10:00")
    life.mails.clear()
    return life


def only(life: list[str], measure: str) -> list[str]:
    return [f"{line[:16]} {line.rpartition(' ')[2]}" for line in life if f" {measure} " in line]


def test_confirm_subscription_goes_at_once_and_again_only_on_request() -> None:
    life = Life().does("2026-06-01 10:00", "Topic Requested", topic="news")
    assert life.until("2026-06-20 10:00") == ["2026-06-01 10:00 any/confirm_subscription confirm"]
    life.does("2026-06-20 11:00", "Topic Requested", topic="news")
    assert only(life.mails, "any/confirm_subscription") == ["2026-06-01 10:00 confirm"]
    assert only(life.until("2026-06-20 11:01"), "any/confirm_subscription")[1:] == [
        "2026-06-20 11:00 confirm"
    ]


def test_a_topic_without_double_opt_in_needs_no_confirmation() -> None:
    life = Life().does("2026-06-01 10:00", "Consent Given", topic="reminders")
    assert life.until("2026-06-02 10:00") == []
    life.does("2026-06-02 10:00", "Consent Given", topic="offers")
    assert life.until("2026-06-03 10:00") == ["2026-06-02 10:00 any/confirm_subscription confirm"]


def test_welcome_series_takes_a_week() -> None:
    life = Life().does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    assert only(life.until("2026-06-30 10:00"), "lead/any/welcome_series") == [
        "2026-06-01 10:00 welcome",
        "2026-06-04 09:30 guide",
        "2026-06-09 09:30 stories",
    ]


def test_welcome_series_ends_with_a_reply() -> None:
    life = Life().does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    life.does("2026-06-02 10:00", "Email Replied")
    assert [line for line in life.until("2026-06-30 10:00") if "welcome" in line] == [
        "2026-06-01 10:00 lead/any/welcome_series welcome"
    ]


def test_an_order_hands_the_welcome_over_and_its_reversal_does_not_bring_it_back() -> None:
    life = Life().does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    life.does("2026-06-02 10:00", "Order Completed", **ORDER)
    assert [line for line in life.until("2026-06-05 10:00") if "welcome" in line] == [
        "2026-06-01 10:00 lead/any/welcome_series welcome",
        "2026-06-04 09:30 customer/any/welcome_series guide",
    ]
    life.does("2026-06-05 11:00", "Order Cancelled", order_id="o1")
    assert [line for line in life.until("2026-07-30 10:00") if "welcome" in line][2:] == []


def test_the_yes_brings_the_welcome_in_every_stage_and_on_both_tracks() -> None:
    visitor = Life().does("2026-06-01 09:00", "Appointment Booked", **VISIT)
    visitor.does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    shopper = Life().does("2026-06-01 09:00", "Product Added", **CART)
    shopper.does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    buyer = a_buyer().does("2026-06-26 10:00", "Topic Confirmed", topic="news")
    for life, track in ((visitor, "lead"), (shopper, "lead"), (buyer, "customer")):
        lines = life.until("2026-07-20 10:00")
        assert [line.split()[-1] for line in lines if f"{track}/any/welcome_series" in line] == [
            "welcome",
            "guide",
            "stories",
        ]


def test_interest_digest_comes_on_tuesdays_to_readers_once_the_welcome_is_over() -> None:
    life = Life().does("2026-06-01 10:00", "Topic Confirmed", topic="news")
    assert only(life.until("2026-06-17 10:00"), "lead/any/interest_digest") == []
    life.does("2026-06-17 10:00", "Article Read", category="brewing")
    assert only(life.until("2026-07-01 10:00"), "lead/any/interest_digest") == [
        "2026-06-23 10:00 digest",
        "2026-06-30 10:00 digest",
    ]
    reader = Life().does("2026-06-01 10:00", "Article Read", category="brewing")
    reader.does("2026-06-01 11:00", "Topic Confirmed", topic="news")
    first = only(reader.until("2026-07-01 10:00"), "lead/any/interest_digest")[0]
    assert first == "2026-06-16 10:00 digest"


def test_abandoned_cart_comes_after_two_quiet_hours_and_once_per_cart() -> None:
    life = (
        Life()
        .does("2026-06-01 10:00", "Product Added", **CART)
        .does("2026-06-01 11:00", "Cart Viewed", cart_id="c1")
    )
    assert only(life.until("2026-06-20 10:00"), "lead/any/abandoned_cart") == [
        "2026-06-01 13:00 left",
        "2026-06-02 13:00 stock",
    ]


def test_abandoned_cart_ends_with_any_order() -> None:
    life = Life().does("2026-06-01 10:00", "Product Added", **CART)
    life.does("2026-06-01 11:30", "Order Completed", order_id="in-the-shop")
    assert not any("abandoned_cart" in line for line in life.until("2026-06-20 10:00"))


def test_a_customer_gets_the_customers_cart_mail() -> None:
    life = a_buyer().does("2026-06-26 10:00", "Product Added", **CART)
    assert [line for line in life.until("2026-07-05 10:00") if "abandoned_cart" in line] == [
        "2026-06-26 12:00 customer/any/abandoned_cart left",
        "2026-06-27 12:00 customer/any/abandoned_cart stock",
    ]


def test_the_first_order_is_confirmed_thanked_for_and_followed_up_on_delivery() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", **ORDER)
    life.does("2026-06-03 16:00", "Order Shipped", order_id="o1", tracking_number="42")
    life.does("2026-06-05 18:00", "Order Delivered", order_id="o1")
    assert life.until("2026-06-20 10:00") == [
        "2026-06-01 10:00 customer/any/order_confirmation receipt",
        "2026-06-01 12:00 customer/excite/decision_confirmed thanks",
        "2026-06-03 16:00 customer/any/order_shipped shipped",
        "2026-06-06 09:30 customer/excite/decision_confirmed first_cup",
    ]


def test_a_second_order_is_confirmed_and_shipped_but_not_celebrated_as_the_first() -> None:
    life = a_buyer().does("2026-06-26 10:00", "Order Completed", order_id="o2", revenue=20)
    life.does("2026-06-27 10:00", "Order Shipped", order_id="o2")
    assert life.until("2026-06-29 10:00") == [
        "2026-06-26 10:00 customer/any/order_confirmation receipt",
        "2026-06-27 10:00 customer/any/order_shipped shipped",
    ]


def test_no_first_cup_for_a_buyer_of_tools_alone() -> None:
    for category, last in (("tools", "thanks"), ("coffee", "first_cup")):
        product = {"product_id": "p1", "name": "P", "category": category}
        life = Life().does(
            "2026-06-01 10:00", "Order Completed", order_id="o1", revenue=89, products=[product]
        )
        life.does("2026-06-05 18:00", "Order Delivered", order_id="o1")
        assert only(life.until("2026-06-30 10:00"), "customer/excite/decision_confirmed")[-1].endswith(last)


def test_no_first_cup_without_a_delivery() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", **ORDER)
    assert only(life.until("2026-06-30 10:00"), "customer/excite/decision_confirmed") == [
        "2026-06-01 12:00 thanks"
    ]


def test_an_appointment_is_confirmed_and_remembered_on_the_morning_before() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    assert life.until("2026-06-20 10:00") == [
        "2026-06-01 10:00 lead/any/appointment confirmation",
        "2026-06-11 10:00 lead/any/appointment reminder",
    ]


def test_an_appointment_that_moves_takes_the_reminder_along() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    moved = {**VISIT, "starts_at": "2026-06-19T11:00:00+02:00", "ends_at": "2026-06-19T12:00:00+02:00"}
    life.does("2026-06-08 10:00", "Appointment Changed", **moved)
    assert life.until("2026-06-30 10:00") == [
        "2026-06-01 10:00 lead/any/appointment confirmation",
        "2026-06-08 10:00 lead/any/appointment confirmation",
        "2026-06-18 10:00 lead/any/appointment reminder",
    ]


def test_an_appointment_cancelled_or_booked_for_tomorrow_has_no_reminder() -> None:
    cancelled = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    cancelled.does("2026-06-02 10:00", "Appointment Cancelled", appointment_id="a1")
    late = Life("2026-06-11 12:00").does("2026-06-11 12:00", "Appointment Booked", **VISIT)
    assert len(late.until("2026-06-20 10:00")) == 1
    assert cancelled.until("2026-06-20 10:00") == [
        "2026-06-01 10:00 lead/any/appointment confirmation",
        "2026-06-02 10:00 any/appointment_cancelled cancelled",
    ]


def test_a_lead_who_buys_before_the_appointment_gets_the_customers_reminder() -> None:
    life = Life().does("2026-06-01 10:00", "Appointment Booked", **VISIT)
    life.does("2026-06-05 10:00", "Order Completed", **ORDER)
    assert [line for line in life.until("2026-06-20 10:00") if "appointment" in line] == [
        "2026-06-01 10:00 lead/any/appointment confirmation",
        "2026-06-11 10:00 customer/any/appointment reminder",
    ]


def test_second_order_coupon_comes_after_a_silent_month_on_a_weekday_that_suits() -> None:
    # 31 whole days after 1 June is Thursday, 2 July, 10:00.
    life = a_buyer()
    assert only(life.until("2026-07-20 10:00"), "customer/any/second_order_coupon") == [
        "2026-07-02 10:00 offer",
        "2026-07-07 10:00 reminder",
    ]


def test_second_order_coupon_is_for_nobody_who_was_here_or_has_a_complaint() -> None:
    visited = a_buyer().does("2026-06-28 10:00", "Page Viewed")
    unhappy = a_buyer().does("2026-06-28 10:00", "Support Case Opened", case_id="x")
    for life in (visited, unhappy):
        assert only(life.until("2026-07-20 10:00"), "customer/any/second_order_coupon") == []
    assert (
        only(visited.until("2026-08-20 10:00"), "customer/any/second_order_coupon")[0]
        == "2026-07-29 10:00 offer"
    )


def test_back_in_stock_mails_the_people_who_waited_once() -> None:
    stock = {"product_id": "grinder-ridge", "stock": 4}
    lead = Life().does("2026-06-01 10:00", "Back In Stock Requested", product_id="grinder-ridge")
    lead.hears_of("2026-06-08 10:00", "Product Back In Stock", **stock)
    lead.hears_of("2026-06-18 10:00", "Product Back In Stock", **stock)
    assert lead.until("2026-06-20 10:00") == ["2026-06-08 10:00 lead/any/back_in_stock back"]
    customer = a_buyer().does("2026-06-26 10:00", "Back In Stock Requested", product_id="grinder-ridge")
    customer.hears_of("2026-06-27 10:00", "Product Back In Stock", **stock)
    assert customer.until("2026-06-28 10:00") == ["2026-06-27 10:00 customer/any/back_in_stock back"]


def test_nps_survey_asks_a_month_after_delivery_and_not_again_for_half_a_year() -> None:
    life = Life("2026-01-05 10:00").does("2026-01-05 10:00", "Order Completed", **ORDER)
    life.does("2026-01-08 12:00", "Order Delivered", order_id="o1")
    for month in ("02", "03", "04", "05", "06", "07"):
        life.does(f"2026-{month}-10 09:00", "Order Completed", order_id=month, revenue=20)
        life.does(f"2026-{month}-12 09:00", "Order Delivered", order_id=month)
    # 30 days after 8 January is a Saturday: Tuesday. The next run begins with the delivery 180 d later.
    assert only(life.until("2026-09-30 10:00"), "customer/any/nps_survey") == [
        "2026-02-10 10:00 ask",
        "2026-08-11 10:00 ask",
    ]


def test_an_answer_to_one_question_counts_for_all() -> None:
    life = Life().does("2026-06-01 10:00", "Order Completed", **ORDER)
    life.does("2026-06-03 10:00", "Order Delivered", order_id="o1")
    life.does("2026-06-20 10:00", "Survey Answered", survey="other", score=7)
    assert only(life.until("2026-08-30 10:00"), "customer/any/nps_survey") == []


def test_birthday_comes_every_year_at_nine() -> None:
    life = a_buyer().tells("2026-06-25 11:00", birthday="1990-02-29")
    assert only(life.until("2028-03-30 10:00"), "customer/any/birthday") == [
        "2027-02-28 09:00 wishes",
        "2028-02-29 09:00 wishes",
    ]


def test_a_case_is_acknowledged_once() -> None:
    life = a_buyer().does("2026-06-26 10:00", "Support Case Opened", case_id="C-1")
    life.does("2026-06-26 11:00", "Support Case Opened", case_id="C-1")
    assert life.until("2026-06-27 10:00") == ["2026-06-26 10:00 customer/any/case_acknowledged received"]


def test_presale_notice_goes_to_advocates_when_an_operator_sends_it() -> None:
    life = a_buyer().does("2026-06-26 10:00", "Order Completed", order_id="o2", revenue=20)
    life.is_sent("2026-06-27 10:00", "customer/advocate/presale_notice")
    life.does("2026-06-28 10:00", "Product Reviewed", rating=5)
    life.is_sent("2026-06-29 08:00", "customer/advocate/presale_notice")
    assert only(life.until("2026-07-01 10:00"), "customer/advocate/presale_notice") == [
        "2026-06-29 10:00 notice"
    ]

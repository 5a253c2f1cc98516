"""Timelines of measures as the sketches of the whole programme say them, each with the facts that it needs."""

from typing import Any

import pytest

from nurture.app.referral_codes import name_referrers
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, parse_iso
from nurture.domain.signing import sign_token
from nurture.playbook import LoadedPlaybook, rebuild
from nurture.runtime.clock import ManualClock
from tests.playbook.sketches import sketched
from tests.scenarios.world import MONDAY, World

ANN = "ann@example.com"


def only(*measures: str) -> LoadedPlaybook:
    """Return the programme with these measures alone, and nobody kept without them."""
    kept = {
        path: text.replace("holdout: 10%\n", "")
        for path, text in sketched().items()
        if path.rpartition("/")[0] in measures or path.startswith(("_layout/", "playbook.yaml"))
    }
    return rebuild(kept, id_=0)


def a_world(database: Database, *measures: str, at: str = "") -> World:
    clock = ManualClock(parse_iso(at) if at else MONDAY)
    return World(database, loaded=only(*measures), clock=clock)


def order(world: World, number: str, *products: str, **more: Any) -> None:
    lines = [
        {"product_id": name, "category": "beans", "price": 9, "quantity": 1}
        for name in products or ("beans",)
    ]
    world.tell(ANN, "Order Completed", order_id=number, revenue=9, currency="EUR", products=lines, **more)


def sent_steps(world: World) -> list[tuple[str, str]]:
    """Return (day and hour, step) of each mail that was sent."""
    return [(at[:13], name.rpartition("/")[2]) for at, name in world.mails(ANN)]


def withheld(world: World) -> list[tuple[str, str, str]]:
    """Return (step, status, reason) of each mail that was not sent."""
    return [
        (name.rpartition("/")[2], status, reason)
        for _, name, status, reason in world.ledger(ANN)
        if status != "sent"
    ]


def test_one_order_and_a_quiet_month_bring_a_coupon_and_a_reminder(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/any/second_order_coupon")
    order(world, "1")
    world.consent(ANN, "offers")
    world.live(45 * DAY)
    # 31 days are over on a Thursday at eleven, so the next Tuesday at ten; five days later the month is long enough.
    assert sent_steps(world) == [("2026-04-07T08", "offer"), ("2026-04-12T08", "reminder")]


@pytest.mark.parametrize(
    ("event", "properties"),
    [
        ("Order Completed", {"order_id": "2", "revenue": 9, "products": [{"product_id": "tea"}]}),
        ("Return Requested", {}),
        ("Support Case Opened", {"case_id": "c"}),
    ],
)
def test_the_coupon_ends_with_an_order_a_return_or_a_case(
    sqlite_database: Database, event: str, properties: dict[str, Any]
) -> None:
    world = a_world(sqlite_database, "customer/any/second_order_coupon")
    order(world, "1")
    world.consent(ANN, "offers")
    world.live(37 * DAY)
    world.tell(ANN, event, **properties)
    world.live(15 * DAY)
    assert [step for _, step in sent_steps(world)] == ["offer"]


def test_goods_that_are_bought_again_and_again_are_offered_before_they_run_out(
    sqlite_database: Database,
) -> None:
    world = a_world(sqlite_database, "customer/ascend+/replenishment")
    world.tell("", "Product Updated", product_id="beans", stock=5, url="https://shop.example/beans")
    order(world, "1")
    world.consent(ANN, "reminders")
    world.live(30 * DAY)
    order(world, "2")
    world.tell(ANN, "Goal Reached", goal="latte")
    world.live(40 * DAY)
    # Three intervals of 30 days, as beans usually last, and one of 30 of their own: 30 days, less three.
    assert sent_steps(world) == [("2026-04-28T09", "soon")]
    order(world, "3")
    world.live(20 * DAY)
    assert len(sent_steps(world)) == 1


def test_goods_bought_once_or_sold_out_are_not_offered(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/ascend+/replenishment")
    world.tell("", "Product Updated", product_id="beans", stock=0, url="https://shop.example/beans")
    order(world, "1", "beans", "filters")
    world.consent(ANN, "reminders")
    world.tell(ANN, "Goal Reached", goal="latte")
    world.live(30 * DAY)
    order(world, "2")
    world.live(60 * DAY)
    assert sent_steps(world) == []
    assert {(step, status) for step, status, _ in withheld(world)} == {("soon", "skipped")}


@pytest.mark.parametrize(
    ("sign", "mails"),
    [(False, ["value", "changed", "offer"]), (True, ["value", "welcome_back"])],
)
def test_three_silent_intervals_are_answered_by_what_people_do(
    sqlite_database: Database, *, sign: bool, mails: list[str]
) -> None:
    world = a_world(sqlite_database, "customer/any/winback")
    order(world, "1")
    world.consent(ANN, "offers")
    world.live(30 * DAY)
    order(world, "2")
    world.live(92 * DAY)
    assert [step for _, step in sent_steps(world)] == ["value"]
    if sign:
        world.tell(ANN, "Signed In")
    world.live(60 * DAY)
    assert [step for _, step in sent_steps(world)] == mails


def test_a_number_is_asked_a_month_after_the_parcel_and_not_twice_in_half_a_year(
    sqlite_database: Database,
) -> None:
    world = a_world(sqlite_database, "customer/any/nps_survey")
    order(world, "1")
    world.consent(ANN, "surveys")
    world.tell(ANN, "Order Shipped", order_id="1", shipment_id="s1")
    world.tell(ANN, "Order Delivered", order_id="1", shipment_id="s1")
    world.live(32 * DAY)
    assert sent_steps(world) == [("2026-04-02T08", "ask")]
    world.tell(ANN, "Order Delivered", order_id="2", shipment_id="s2")
    world.live(40 * DAY)
    assert len(sent_steps(world)) == 1


def test_each_parcel_of_an_order_is_told_and_none_that_was_cancelled(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/any/order_shipped", "any/order_cancelled")
    order(world, "1", "beans", "tea")
    world.tell(ANN, "Order Shipped", order_id="1", shipment_id="s1")
    world.live(HOUR)
    world.tell(ANN, "Order Shipped", order_id="1", shipment_id="s2")
    world.tell(ANN, "Order Shipped", order_id="1", shipment_id="s2")
    world.live(HOUR)
    assert [step for _, step in sent_steps(world)] == ["shipped", "shipped"]
    order(world, "2")
    world.tell(ANN, "Order Cancelled", order_id="2")
    world.tell(ANN, "Order Shipped", order_id="2", shipment_id="s3")
    world.live(DAY)
    assert [step for _, step in sent_steps(world)] == ["shipped", "shipped", "cancelled"]


def test_greetings_come_on_the_lunar_day_to_readers_of_chinese(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/any/mid_autumn_wishes", at="2026-09-20T09:00:00Z")
    for who, locale in ((ANN, "zh-CN"), ("bob@example.com", "en")):
        context = {"locale": locale, "timezone": "Asia/Shanghai"}
        world.tell(who, "Order Completed", order_id=who, revenue=9, context=context)
        world.consent(who, "members")
    world.live(10 * DAY)
    # Nine o'clock in Shanghai.
    assert sent_steps(world) == [("2026-09-25T01", "wishes")]
    assert world.mails("bob@example.com") == []


def test_a_renewal_is_told_three_times_and_follows_its_date(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/any/renewal_notice")
    renews = "2026-05-04T09:00:00Z"
    world.tell(ANN, "Contract Signed", contract_id="c", renews_at=renews)
    world.live(35 * DAY)
    assert sent_steps(world) == [("2026-04-04T07", "in_30_days")]
    world.live(22 * DAY)
    assert [step for _, step in sent_steps(world)] == ["in_30_days", "in_7_days"]
    world.tell(ANN, "Contract Renewed", contract_id="c", renews_at="2027-05-04T09:00:00Z")
    world.live(20 * DAY)
    assert [step for _, step in sent_steps(world)] == ["in_30_days", "in_7_days"]


def test_advocates_are_asked_to_bring_a_friend(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/advocate+/referral_invitation")
    order(world, "1")
    world.consent(ANN, "members")
    order(world, "2")
    world.live(DAY)
    assert sent_steps(world) == []
    world.tell(ANN, "Product Reviewed", review_id="r", rating=5)
    world.tell(ANN, "Survey Answered", survey="nps_survey", score=9)
    world.live(2 * DAY)
    assert [step for _, step in sent_steps(world)] == ["invitation"]


def test_a_loyal_customer_is_rewarded_when_the_friend_kept_the_first_order(sqlite_database: Database) -> None:
    friend = "friend@example.com"
    world = a_world(sqlite_database, "customer/any/referral_told", "customer/promote/referral_reward")
    for number in range(3):
        order(world, str(number), at=MONDAY - 400 * DAY)
    world.consent(ANN, "members")
    with world.database.read() as connection:
        code = sign_token(world.services.keys, "referral", {"c": resolve_contact(connection, ANN)})
    world.hand_in(
        *name_referrers(world.services.keys, [world.event(friend, "Page Viewed", referral_code=code)])
    )
    world.work()
    world.tell(friend, "Order Completed", order_id="f", revenue=9)
    world.live(29 * DAY)
    assert (world.facts(ANN)["referrals"], world.facts(ANN).get("points", 0)) == (1, 0)
    world.live(3 * DAY)
    assert (world.facts(ANN)["points"], world.facts(friend)["points"]) == (300, 100)
    assert [step for _, step in sent_steps(world)] == ["reward"]


def test_a_low_score_opens_a_case_and_the_person_hears_who_has_it(sqlite_database: Database) -> None:
    world = a_world(sqlite_database, "customer/any/detractor_care", "customer/any/case_acknowledged")
    order(world, "1")
    world.tell(ANN, "Survey Answered", survey="nps_survey", score=3)
    world.live(DAY)
    assert [step for _, step in sent_steps(world)] == ["received"]
    assert world.facts(ANN)["case.open"] == 1
    world.tell(ANN, "Survey Answered", survey="nps_survey", score=9)
    world.live(DAY)
    assert len(sent_steps(world)) == 1

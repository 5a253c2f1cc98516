"""Amounts net of incentive: what the coupons of a measure gave away is taken off, order by order."""

from typing import Any

import pytest

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR
from tests.measurement.shop import AFTER, Shop, a_folder, a_measure, built

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ANN, BEN = "ann@shop.example", "ben@shop.example"
NAME = f"incentive:{AFTER}"


def a_shop(database: Database, *, net_of: str = "net_of: incentive, ") -> Shop:
    """Return a shop that gives a tenth off; amounts are before discounts."""
    files = a_folder(
        {
            AFTER: a_measure(
                metric=f'{{sum: amount, of: order, {net_of}within: 7d, expect: "+1.50 EUR"}}',
                holdout="0.01%",
                let="{code: {coupon: ten}}",
            )
        }
    )
    files["playbook.yaml"] = (
        files["playbook.yaml"]
        .replace("amount: revenue", "amount: subtotal")
        .replace(
            "properties: {revenue: decimal}",
            "properties: {subtotal: decimal}\noffers: {ten: {percent: 10, prefix: TEN}}",
        )
    )
    return Shop(database, loaded=built(files), files=files)


def a_code(shop: Shop) -> str:
    """Return the code that Ann and Ben have got; time goes on by an hour."""
    for who in (ANN, BEN):
        shop.tell(who, "Order Completed", order_id=f"first {who}", subtotal="5.00", currency="EUR")
    shop.come(ANN, BEN)
    shop.clock.advance_to(shop.now + HOUR)
    code: str = shop.rows(t.coupons, contact_id=1)[0].code
    return code


def order(shop: Shop, who: str, key: str, subtotal: str, **properties: Any) -> None:
    shop.tell(who, "Order Completed", order_id=key, subtotal=subtotal, currency="EUR", **properties)
    shop.work()


def mean(shop: Shop) -> float:
    """Return the money per person once both have had their week."""
    shop.clock.advance_to(shop.now + 12 * DAY)
    row = shop.figures(AFTER)
    assert row["n"] == 2
    value: float = row["value"]
    return value


def test_the_discount_of_its_own_code_is_taken_off(database: Database) -> None:
    shop = a_shop(database)
    order(shop, ANN, "1", "40.00", coupon=a_code(shop).lower(), discount="4.00")
    order(shop, BEN, "2", "30.00", coupon="SUMMER", discount="9.00")
    assert shop.outcomes(NAME) == [("1", "counted", 1, 400)]
    assert mean(shop) == (40 - 4 + 30) / 2


def test_without_a_discount_or_beside_other_codes_the_offer_says_how_much(database: Database) -> None:
    shop = a_shop(database)
    code = a_code(shop)
    order(shop, ANN, "1", "40.00", coupon=code)
    order(shop, BEN, "2", "30.00", coupon=f"SUMMER, {code}", discount="9.00")
    assert shop.outcomes(NAME) == [("1", "counted", 1, 400), ("2", "counted", 1, 300)]


def test_a_refund_takes_its_share_of_the_incentive_back(database: Database) -> None:
    shop = a_shop(database)
    order(shop, ANN, "1", "40.00", coupon=a_code(shop), discount="4.00", total="36.00")
    shop.tell(ANN, "Order Refunded", order_id="1", refund_id="r", total="18.00")
    shop.work()
    assert sum(row[3] for row in shop.outcomes(NAME)) == 200
    assert mean(shop) == (40 - 4) / 2 / 2
    shop.tell(ANN, "Order Cancelled", order_id="1")
    shop.work()
    assert [sum(column) for column in list(zip(*shop.outcomes(NAME), strict=True))[2:]] == [0, 0]


def test_a_metric_that_is_not_net_takes_nothing_off(database: Database) -> None:
    shop = a_shop(database, net_of="")
    order(shop, ANN, "1", "40.00", coupon=a_code(shop), discount="4.00")
    assert shop.outcomes(NAME) == []
    assert mean(shop) == 20

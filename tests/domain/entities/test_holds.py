"""The hold after a reversal stands since the order is reversed, whatever else is told of it and in any order."""

from itertools import permutations

import pytest

from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.position import active_holds
from tests.domain.entities.shop import DAY, HOUR, NOON, after, happened, order, shop


def refund(at: Instant, number: int, total: int, *, cumulative: bool = False) -> Event:
    return happened("Order Refunded", at, order_id="A", refund_id=number, total=total, cumulative=cumulative)


@pytest.mark.parametrize(
    ("events", "since"),
    [
        ((order("A"), refund(HOUR, 1, 100), refund(DAY, 2, 50, cumulative=True)), HOUR),
        ((order("A"), refund(HOUR, 1, 60), refund(DAY, 2, 40)), DAY),
        ((order("A"), happened("Order Cancelled", HOUR, order_id="A"), refund(DAY, 1, 100)), HOUR),
        ((order("A"), happened("Order Cancelled", HOUR, order_id="A"), order("A", after=DAY)), HOUR),
        ((order("A"), refund(HOUR, 1, 60)), None),
        ((happened("Order Updated", order_id="A"), happened("Order Cancelled", HOUR, order_id="A")), None),
        (
            (
                order("A"),
                happened("Order Cancelled", HOUR, order_id="A"),
                happened("Order Restored", DAY, order_id="A"),
            ),
            None,
        ),
    ],
    ids=[
        "told again",
        "in parts",
        "cancelled and paid back",
        "told late",
        "a part",
        "never counted",
        "restored",
    ],
)
def test_the_hold_stands_since_the_order_is_reversed(
    events: tuple[Event, ...], since: Instant | None
) -> None:
    for arrival in permutations(events):
        holds = active_holds(after(*arrival), now=NOON + 2 * DAY, playbook=shop())
        assert [hold.since for hold in holds] == ([] if since is None else [NOON + since])

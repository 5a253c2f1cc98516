"""Calls folded into the things of one shop in memory, one after another."""

import json
from typing import Any

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Call
from nurture.inbound.shops import SHOPS
from nurture.inbound.shops.fold import FoldResult, Thing, fold, keys_of
from nurture.inbound.shops.statement import ShopEvent, ShopOptions, Statement
from tests.inbound.shops.calls import NOW, Sample, signed

OPTIONS = ShopOptions(topic="news")


class Memory:
    """The things of one shop, and the calls folded into them one after another."""

    def __init__(self, options: ShopOptions = OPTIONS) -> None:
        self.things: dict[str, Thing] = {}
        self.options = options

    def call(self, sample: Sample, body: bytes | None = None, *, now: Instant = NOW) -> FoldResult:
        return self.take(read(signed(sample, body), sample.shop, self.options, now=now))

    def take(self, statement: Statement) -> FoldResult:
        for key in keys_of(statement):
            self.things.setdefault(key, Thing())
        return fold(statement, self.things)


def read(call: Call, shop: str, options: ShopOptions = OPTIONS, *, now: Instant = NOW) -> Statement:
    statement = SHOPS[shop].read(call, now=now, options=options)
    assert statement is not None
    return statement


def changed(sample: Sample, **changes: Any) -> bytes:
    """Return the sample's body with other values at its top."""
    return json.dumps({**json.loads(sample.body), **changes}).encode()


def stripe_body(sample: Sample, event: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return the sample's body with other values in its object, and in the event."""
    body = json.loads(sample.body)
    body["data"]["object"] |= changes
    return json.dumps({**body, **(event or {})}).encode()


def named(events: list[ShopEvent]) -> list[tuple[str, Any, Any]]:
    """Return name, order or topic, and amount of each event."""
    found = []
    for event in events:
        properties = event.properties
        found.append(
            (event.name, properties.get("order_id", properties.get("topic")), properties.get("total"))
        )
    return found

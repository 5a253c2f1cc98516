"""One order that shop, server, page and export tell is one order, in any order of arrival."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nurture.app import contacts
from nurture.app.event_body import split_body
from nurture.app.importing.options import ImportOptions
from nurture.app.importing.run import import_file
from nurture.app.ingest import read_items
from nurture.app.webhooks.shops import ShopWebhooks
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, MINUTE, to_iso
from nurture.runtime.settings import Settings
from tests.inbound.shops.calls import Sample, secret, signed
from tests.scenarios.world import MONDAY, World

ADA = "ada@shop.example"
BEANS = {"id": 70001, "sku": "ES-1", "name": "Espresso", "price": "10.00", "quantity": 2}
CUPS = {"id": 70002, "sku": "FC-1", "name": "Filter cups", "price": "30.00", "quantity": 1}
GOODS: list[dict[str, Any]] = [BEANS, CUPS]
#: Goods for 50, 9.50 of tax, 5 of shipping.
MONEY = {"revenue": 50, "tax": 9.5, "shipping": 5, "total": 64.5, "currency": "EUR"}
AT = MONDAY + HOUR


def products() -> list[dict[str, Any]]:
    return [
        {
            "product_id": str(goods["id"]),
            **{name: goods[name] for name in ("sku", "name", "quantity")},
            "price": float(goods["price"]),
        }
        for goods in GOODS
    ]


class Sources:
    """Everybody who tells the order, and the cart before it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.world = World(database)
        settings = self.world.services.settings.model_dump() | {
            "webhook_secrets": {"shopify": [secret("shopify")]}
        }
        self.world.services = replace(self.world.services, settings=Settings.model_validate(settings))
        self.folder, self._calls = folder, 0

    def _hand_in(self, source: str, *, hint: bool, **item: Any) -> None:
        self._calls += 1
        item = {"messageId": f"{source}-{self._calls}", "timestamp": to_iso(item.pop("at")), **item}
        intake = read_items(
            split_body(json.dumps(item).encode()), source=source, received_at=self.world.now, hint=hint
        )
        assert not intake.rejected
        self.world.hand_in(*intake.events)

    def page(self) -> None:
        """The page after the checkout, by a browser key: it knows the device and half of the goods."""
        self._hand_in(
            "page", hint=True, type="track", event="Order Completed", anonymousId="laptop", at=AT + 2_000_000,
            context={"traits": {"email": ADA}},
            properties={"order_id": "6100001", "cart_id": "c-1", "revenue": 64.5, "products": products()[:1]},
        )  # fmt: skip

    def server(self) -> None:
        """The site's server, by /v1/track."""
        self._hand_in(
            "server", hint=False, type="track", event="Order Completed", userId="u-1", anonymousId="laptop", at=AT,
            context={"traits": {"email": ADA}},
            properties={"order_id": "6100001", "cart_id": "c-1", "products": products(), **MONEY},
        )  # fmt: skip

    def webhook(self) -> None:
        """Shopify's own call."""
        lines = [
            {"id": n, "product_id": goods["id"], "title": goods["name"]}
            | {name: goods[name] for name in ("sku", "price", "quantity")}
            for n, goods in enumerate(GOODS)
        ]
        order = {
            "id": 6100001, "name": "#1042", "test": False, "email": ADA, "financial_status": "paid",
            "created_at": to_iso(AT), "processed_at": to_iso(AT), "updated_at": to_iso(AT),
            "currency": "EUR", "taxes_included": False, "subtotal_price": "50.00", "total_tax": "9.50",
            "total_price": "64.50", "total_discounts": "0.00", "cart_token": "c-1", "customer": {"id": 51},
            "total_shipping_price_set": {"shop_money": {"amount": "5.00", "currency_code": "EUR"}},
            "line_items": lines,
        }  # fmt: skip
        self._call("orders/paid", order)

    def webhook_of_refund(self) -> None:
        """Shopify's call about half of the money."""
        payment = {"kind": "refund", "status": "success", "amount": "32.25", "currency": "EUR"}
        refund = {"id": 7001, "order_id": 6100001, "created_at": to_iso(AT + HOUR), "transactions": [payment]}
        self._call("refunds/create", refund)

    def server_of_refund(self) -> None:
        """The site's server about the same refund."""
        self._hand_in(
            "server", hint=False, type="track", event="Order Refunded", userId="u-1", at=AT + HOUR,
            context={"traits": {"email": ADA}},
            properties={"order_id": "6100001", "refund_id": "7001", "total": 32.25, "currency": "EUR"},
        )  # fmt: skip

    def export_of_refund(self) -> None:
        """An export from after the refund."""
        self.export(refunded="32.25")

    def _call(self, topic: str, body: dict[str, Any]) -> None:
        call = Sample(
            "shopify/call.json",
            {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": "lark.myshopify.com"},
        )
        webhooks = ShopWebhooks(self.world.services)
        answer = webhooks.process_call("shopify", signed(call, json.dumps(body).encode()))
        assert answer.status == 200

    def export(self, refunded: str = "0.00") -> None:
        """Shopify's export of orders, as it is."""
        head = {
            "Name": "#1042", "Email": ADA, "Financial Status": "paid", "Paid at": "2026-03-02 11:00:00 +0100",
            "Currency": "EUR", "Subtotal": "50.00", "Shipping": "5.00", "Taxes": "9.50", "Total": "64.50",
            "Refunded Amount": refunded, "Id": "6100001",
        }  # fmt: skip
        rows = [
            {**(head if n == 0 else {"Name": "#1042", "Email": ADA}), "Lineitem quantity": goods["quantity"],
             "Lineitem name": goods["name"], "Lineitem price": goods["price"], "Lineitem sku": goods["sku"]}
            for n, goods in enumerate(GOODS)
        ]  # fmt: skip
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self._import(text.getvalue(), ImportOptions(preset="shopify-orders"))

    def orders_csv(self) -> None:
        """A plain file of orders, one line for each of the goods."""
        lines = ["email,order_id,product_id,sku,quantity,price,revenue,total,currency,timestamp"]
        lines += [
            f"{ADA},6100001,{goods['id']},{goods['sku']},{goods['quantity']},{goods['price']},50,64.5,EUR,{to_iso(AT)}"
            for goods in GOODS
        ]
        self._import("\n".join(lines) + "\n", ImportOptions("events", event="Order Completed"))

    def _import(self, text: str, options: ImportOptions) -> None:
        path = self.folder / f"orders-{len(list(self.folder.iterdir()))}.csv"
        path.write_text(text)
        result = import_file(self.world.services, path, options, actor="cli:test")
        assert result.rejected == 0

    def fill_cart(self) -> None:
        """Two goods in a cart, an hour before."""
        for row in products():
            self._hand_in(
                "page", hint=True, type="track", event="Product Added", anonymousId="laptop", at=MONDAY,
                context={"traits": {"email": ADA}}, properties={"cart_id": "c-1", **row},
            )  # fmt: skip


TELLERS = ("page", "server", "webhook", "export", "orders_csv")
#: Each of them first and last, the file before and after the live words, and two at a time.
ARRIVALS = [
    TELLERS,
    TELLERS[::-1],
    ("export", "webhook", "page", "server"),
    ("webhook", "export", "orders_csv", "page"),
    ("orders_csv", "server", "export"),
    ("export", "page"),
]


@pytest.mark.parametrize("arrival", ARRIVALS, ids="-".join)
def test_an_order_that_everybody_tells_is_one_order(
    sqlite_database: Database, tmp_path: Path, arrival: tuple[str, ...]
) -> None:
    sources = Sources(sqlite_database, tmp_path)
    world = sources.world
    sources.fill_cart()
    world.until(AT + MINUTE)
    for name in [*arrival, *arrival]:
        tell: Callable[[], None] = getattr(sources, name)
        tell()
        world.live(MINUTE)
    person = contacts.show(world.services, ADA)
    facts = person["facts"]
    assert (person["track"], person["stage"], person["conflicts"]) == ("customer", "excite", [])
    assert (facts["orders"], facts["order.ever"], facts["cart.open"]) == (1, 1, 0)
    assert (facts["spent"], facts["largest_order"]) == (5000, 5000)
    # The export knows no ids of products; the page is believed where nobody else speaks.
    by_id = {*arrival} & {"server", "webhook", "orders_csv"}
    assert facts["bought"] == (["70001", "70002"] if by_id else ["ES-1", "FC-1"])
    # Nothing is said about a cart that was bought. A first order that a file told is history: it is celebrated no more.
    world.live(DAY)
    mails = ["customer/any/order_confirmation/receipt", "customer/excite/decision_confirmed/thanks"]
    assert [name for _, name in world.mails(ADA)] == mails[: 1 if arrival[0] == "export" else 2]


@pytest.mark.parametrize(
    "arrival",
    [
        ("webhook", "webhook_of_refund", "export_of_refund", "server_of_refund"),
        ("export_of_refund", "webhook_of_refund", "server", "server_of_refund", "webhook"),
        ("server_of_refund", "export", "webhook", "export_of_refund", "webhook_of_refund"),
    ],
    ids="-".join,
)
def test_a_refund_that_everybody_tells_counts_once(
    sqlite_database: Database, tmp_path: Path, arrival: tuple[str, ...]
) -> None:
    sources = Sources(sqlite_database, tmp_path)
    world = sources.world
    world.until(AT + HOUR)
    for name in [*arrival, *arrival]:
        tell: Callable[[], None] = getattr(sources, name)
        tell()
        world.live(MINUTE)
    facts = world.facts(ADA)
    assert (facts["orders"], facts["spent"], facts["bought"]) == (1, 2500, ["70001", "70002"])
    names = [name for _, name in world.mails(ADA)]
    assert names.count("any/refund_confirmed/refunded") == 1
    assert names.count("customer/any/order_confirmation/receipt") <= 1

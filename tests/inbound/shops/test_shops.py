"""The conformance suite of all shops in SHOPS: what each sample says. `test_signatures` has which calls are refused."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.instant import SECOND, to_iso
from nurture.inbound.shops import SHOPS
from nurture.inbound.shops.statement import ShopEvent, ShopOptions
from tests.inbound.shops.calls import NOW, Sample, sample, samples, signed
from tests.inbound.shops.memory import OPTIONS, Memory, changed, named, read, stripe_body
from tests.rig.examples import examples

#: Sample -> the events that it says by itself: name, instant, person, and some of the properties.
SAYS: dict[str, list[str]] = {
    "shopify/01": [
        "Identified 2026-11-20T08:59:58Z lena@",
        "Cart Emptied 2026-11-20T08:59:58Z lena@ cart_id=c1-hWN1",
    ],
    "shopify/02": [
        "Order Completed 2026-11-20T08:59:58Z lena@ order_id=6100001 revenue=26.64 total=33.4 shipping=4.9 tax=2.18 "
        "discount=1.5 coupon=HELLO5 currency=EUR cart_id=c1-hWN1"
    ],
    "shopify/05": [
        "Order Refunded 2026-11-25T11:00:00Z lena@ order_id=6100001 refund_id=7001 total=12.26 currency=EUR"
    ],
    "shopify/06": [
        "Order Refunded 2026-11-26T11:00:00Z lena@ order_id=6100001 refund_id=7002 total=21.14 currency=EUR"
    ],
    "shopify/07": [
        "Identified 2026-11-20T08:59:58Z lena@",
        "Cart Emptied 2026-11-20T08:59:58Z lena@ cart_id=c1-hWN1",
        "Order Cancelled 2026-11-21T09:00:00Z lena@ order_id=6100002 cancel_reason=customer",
    ],
    "shopify/08": ["Order Completed 2026-11-20T08:59:58Z +4915555010 order_id=6100003 total=12 revenue=12"],
    "shopify/10": [
        "Order Shipped 2026-11-22T07:00:00Z lena@ order_id=6100001 shipment_id=4001 carrier=DHL "
        "tracking_number=00340434"
    ],
    "shopify/11": ["Order Delivered 2026-11-24T14:00:00Z lena@ order_id=6100001 shipment_id=4001"],
    "shopify/13": ["Identified 2026-11-20T09:00:00Z lena@"],
    "shopify/14": ["Topic Confirmed 2026-11-10T09:00:00Z lena@ topic=news"],
    "shopify/15": ["Consent Withdrawn 2026-11-12T09:00:00Z lena@ topic=*"],
    "shopify/17": ["Consent Requested 2026-11-12T09:00:00Z kim@ topic=news"],
    "shopify/18": [
        "Identified 2026-11-20T09:00:00Z old@",
        "Consent Given 2024-05-01T08:00:00Z old@ topic=news opt_in=single",
    ],
    "shopify/19": [
        "Product Added 2026-11-20T08:51:00Z lena@ cart_id=c1-hWN1 product_id=70001 quantity=2",
        "Checkout Started 2026-11-20T08:50:00Z lena@ cart_id=c1-hWN1 checkout_id=chk-77",
    ],
    "shopify/20": ["Cart Emptied 2026-11-20T09:00:00Z lena@ cart_id=c1-hWN1"],
    "woocommerce/01": ["Identified 2026-11-20T09:00:00Z rosa@"],
    "woocommerce/02": [
        "Order Completed 2026-11-20T09:03:00Z rosa@ order_id=5001 revenue=26.63 total=33.4 tax=2.65 shipping=4.12 "
        "discount=1.5 coupon=ciao currency=EUR"
    ],
    "woocommerce/03": ["Order Completed 2026-11-20T09:03:00Z rosa@ order_id=5002 total=10"],
    "woocommerce/04": ["Order Refunded 2026-11-25T09:00:00Z rosa@ order_id=5001 refund_id=601 total=10"],
    "woocommerce/06": ["Order Refunded 2026-11-27T09:00:00Z rosa@ order_id=5001 refund_id=602 total=23.4"],
    "woocommerce/07": [
        "Identified 2026-11-20T09:00:00Z rosa@",
        "Order Cancelled 2026-11-21T09:00:00Z rosa@ order_id=5003",
    ],
    "woocommerce/09": ["Identified 2026-11-01T09:00:00Z ugo@"],
    "woocommerce/11": [
        "Order Completed 2026-11-20T09:03:00Z rosa@ order_id=5004 total=5000 revenue=5000 currency=JPY"
    ],
    "stripe/01": [
        "Order Completed 2026-11-20T09:00:00Z tom@ order_id=A-77 total=33.4 shipping=4.9 tax=2.12 discount=1.5 "
        "currency=EUR client_reference_id=user-881"
    ],
    "stripe/02": ["Identified 2026-11-20T09:00:10Z tom@"],
    "stripe/03": ["Order Completed 2026-11-21T10:00:00Z tom@ order_id=A-78 total=33.4"],
    "stripe/04": ["Payment Failed 2026-11-21T10:00:00Z tom@ order_id=A-79"],
    "stripe/05": [
        "Order Completed 2026-11-20T09:00:20Z us@ order_id=A-80 total=33.4 currency=USD",
        "Consent Given 2026-11-20T09:00:20Z us@ topic=news opt_in=single",
    ],
    "stripe/06": ["Identified 2026-11-20T09:00:30Z tom@"],
    "stripe/08": ["Subscription Started 2026-11-20T09:00:30Z tom@ subscription_id=sub_1 plan=Gold price=12"],
    "stripe/09": [
        "Subscription Cancelled 2026-11-21T09:00:00Z tom@ subscription_id=sub_1 ends_at=2026-12-20T09:00:30Z"
    ],
    "stripe/11": ["Order Completed 2026-11-20T09:00:31Z tom@ order_id=in_1 total=12 subscription_id=sub_1"],
    "stripe/13": [
        "Order Completed 2026-12-20T11:13:20Z tom@ order_id=in_2 total=12 subscription_id=sub_1",
        "Subscription Renewed 2026-12-20T11:13:20Z tom@ subscription_id=sub_1 order_id=in_2",
    ],
    "stripe/14": ["Payment Failed 2027-01-20T17:13:20Z tom@ subscription_id=sub_1 attempt_count=2"],
    "stripe/15": ["Order Refunded 2026-11-25T00:06:40Z tom@ order_id=A-77 total=10"],
    "stripe/16": ["Order Refunded 2026-11-26T03:53:20Z tom@ order_id=A-77 total=23.4"],
    "stripe/18": ["Payment Failed 2026-11-20T09:00:05Z tom@ order_id=A-81 reason=insufficient_funds"],
    "stripe/21": ["Order Completed 2026-11-20T09:00:00Z tom@ order_id=J-1 total=5000 currency=JPY"],
}
#: Sample -> why it says nothing at all.
IGNORED = {
    "shopify/09": "test",
    "shopify/12": "ignored",
    "shopify/16": "ignored",
    "shopify/21": "anonymous",
    "woocommerce/10": "ignored",
    "stripe/07": "ignored",
    "stripe/19": "thin",
    "stripe/20": "test",
}


def assert_says(event: ShopEvent, line: str) -> None:
    """Compare an event with `Name INSTANT PERSON property=value ...`."""
    words = line.split(" ")
    place = next(place for place, word in enumerate(words) if word.startswith("202"))
    assert (event.name, to_iso(event.at)) == (" ".join(words[:place]), words[place])
    assert any(identity.value.startswith(words[place + 1]) for identity in event.identities)
    for pair in words[place + 2 :]:
        name, _, value = pair.partition("=")
        assert str(event.properties[name]) == value, name


# ---- what is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shop", SHOPS)
def test_each_sample_says_what_its_shop_means(shop: str) -> None:
    memory = Memory()
    for call in samples(shop):
        number = call.file[: len(shop) + 3]
        statement = read(signed(call), shop)
        result = memory.take(statement)
        assert len(result.events) == len(SAYS.get(number, ())), number
        for event, line in zip(result.events, SAYS.get(number, ()), strict=True):
            assert_says(event, line)
        assert statement.ignored == IGNORED.get(number, ""), number
        assert not result.rejected


@pytest.mark.parametrize("shop", SHOPS)
def test_a_call_told_again_says_nothing(shop: str) -> None:
    memory = Memory()
    for call in samples(shop):
        memory.call(call)
    again = [memory.call(call).events for call in samples(shop)]
    # A failed payment is recognised by the id of its event.
    assert {event.name for events in again for event in events} <= {"Payment Failed"}


def test_the_lines_of_an_order_are_read() -> None:
    (order,) = Memory().call(sample("shopify/02")).events
    first, second = order.properties["products"]
    assert first == {
        "product_id": "70001",
        "variant_id": "80001",
        "sku": "ES-1",
        "name": "Espresso »Käthe«",
        "brand": "Lark",
        "price": 12.9,
        "quantity": 2,
    }
    assert second["product_id"] == "70002"
    (order,) = Memory().call(sample("woocommerce/02")).events
    assert [line.get("image_url") for line in order.properties["products"]] == [
        "https://bottega.example/caffe.jpg",
        None,
    ]
    assert [line["price"] for line in order.properties["products"]] == [11.355, 3.92]


def test_the_legal_topics_are_requests() -> None:
    requests = [read(signed(sample(f"shopify/{number}")), "shopify").request for number in (22, 23, 24)]
    assert [(request.act, request.shop) for request in requests if request] == [
        ("data_request", "lark.myshopify.com"),
        ("redact", "lark.myshopify.com"),
        ("shop_redact", "lark.myshopify.com"),
    ]


@pytest.mark.parametrize(
    ("shop", "number"), [("shopify", "5100001"), ("woocommerce", "17"), ("stripe", "user-881")]
)
def test_a_customer_number_is_a_user_id_only_where_the_settings_say_so(shop: str, number: str) -> None:
    call = sample({"shopify": "shopify/02", "woocommerce": "woocommerce/09", "stripe": "stripe/01"}[shop])
    for options, expected in ((OPTIONS, []), (ShopOptions(user_ids=True, topic="news"), [number])):
        (event,) = Memory(options).call(call).events
        assert [name.value for name in event.identities if name.kind == "user_id"] == expected


def test_a_guest_of_woocommerce_is_no_user() -> None:
    (event,) = Memory(ShopOptions(user_ids=True)).call(sample("woocommerce/02")).events
    assert [name.kind for name in event.identities] == ["email", "phone"]


def test_the_address_of_the_account_comes_before_the_one_typed_at_the_checkout() -> None:
    call = sample("shopify/02")
    (event,) = Memory().call(call, changed(call, email="typed@example.com")).events
    assert event.identities[0].value == "lena@example.com"


# ---- order of arrival ------------------------------------------------------------------------------------


def test_a_refund_before_its_order_waits_for_the_person() -> None:
    memory = Memory()
    first = memory.call(sample("shopify/05"))
    assert (first.events, first.waiting) == ([], 1)
    assert memory.call(sample("shopify/05")).repeated == 1
    events = memory.call(sample("shopify/02")).events
    assert named(events) == [("Order Completed", "6100001", 33.4), ("Order Refunded", "6100001", 12.26)]
    assert events[1].identities == events[0].identities


def test_a_refund_inside_an_order_is_the_same_refund() -> None:
    memory, order = Memory(), sample("shopify/02")
    refund = json.loads(sample("shopify/05").body)
    events = memory.call(
        order, changed(order, financial_status="partially_refunded", refunds=[refund])
    ).events
    assert named(events) == [("Order Completed", "6100001", 33.4), ("Order Refunded", "6100001", 12.26)]
    assert memory.call(sample("shopify/05")).repeated == 1


def test_a_refund_whose_payment_is_pending_is_told_when_it_has_gone_through() -> None:
    memory, call = Memory(), sample("shopify/05")
    memory.call(sample("shopify/02"))
    refund = json.loads(call.body)
    pending = [{**payment, "status": "pending"} for payment in refund["transactions"]]
    assert memory.call(call, changed(call, transactions=pending)).events == []
    assert named(memory.call(call).events) == [("Order Refunded", "6100001", 12.26)]
    # Without a payment no money went back: goods exchanged for store credit.
    (event,) = memory.call(call, changed(call, id=7009, transactions=[])).events
    assert event.properties["total"] == 0


def test_an_edited_order_tells_its_new_amount_once() -> None:
    memory, call = Memory(), sample("shopify/03")
    memory.call(sample("shopify/02"))
    lines = json.loads(call.body)["line_items"]
    edited = changed(
        call, current_total_price="29.20", line_items=[lines[0], {**lines[1], "current_quantity": 0}]
    )
    (event,) = memory.call(call, edited).events
    assert (event.name, event.properties["total"], event.properties["revenue"]) == (
        "Order Updated",
        29.2,
        23.29,
    )
    assert [line["product_id"] for line in event.properties["products"]] == ["70001"]
    assert memory.call(call, edited).events == []
    # A refund explains a smaller amount.
    refund = {"id": 1, "refund_line_items": [{"subtotal": 4.2, "total_tax": 0}], "transactions": []}
    memory.things.clear()
    events = memory.call(call, changed(call, current_total_price="29.20", refunds=[refund])).events
    assert [event.name for event in events] == ["Order Completed", "Order Refunded"]


def test_a_refund_in_the_currency_of_the_customer_is_told_in_the_shops() -> None:
    memory, call = Memory(), sample("shopify/05")
    memory.call(sample("shopify/02"))
    sets = {"shop_money": {"amount": "10.00", "currency_code": "EUR"},
            "presentment_money": {"amount": "11.00", "currency_code": "USD"}}  # fmt: skip
    payments = [{"kind": "refund", "status": "success", "amount": "13.20", "currency": "USD"}]
    refund = changed(call, transactions=payments, refund_line_items=[{"subtotal_set": sets}])
    (event,) = memory.call(call, refund).events
    assert (event.properties["total"], event.properties["currency"]) == (12, "EUR")


def test_a_chargeback_of_shopify_takes_the_money_once_it_is_lost() -> None:
    memory, refund = Memory(), sample("shopify/05")
    memory.call(sample("shopify/02"))
    call = Sample(refund.file, {**refund.headers, "X-Shopify-Topic": "disputes/update"})
    dispute = {"id": 9, "order_id": 6100001, "amount": "33.40", "currency": "EUR"}

    def call_about(**states: str) -> list[tuple[str, Any, Any]]:
        return named(memory.call(call, json.dumps({**dispute, **states}).encode()).events)

    assert (
        call_about(type="chargeback", status="under_review")
        == call_about(type="inquiry", status="lost")
        == []
    )
    assert call_about(type="chargeback", status="lost") == [("Order Refunded", "6100001", 33.4)]
    assert call_about(type="chargeback", status="lost") == []


def test_a_refund_of_woocommerce_that_was_deleted_is_taken_back() -> None:
    memory, call = Memory(), sample("woocommerce/04")
    memory.call(sample("woocommerce/02"))
    memory.call(call)
    later = changed(call, refunds=[], date_modified_gmt="2026-11-25T10:00:00")
    assert named(memory.call(call, later).events) == [("Order Refunded", "5001", 0)]
    # The older list comes again, late: it says nothing any more.
    assert memory.call(call).events == []


def test_a_failed_payment_of_woocommerce_takes_nothing_back() -> None:
    """The customer may pay the same order at a second try."""
    memory, call = Memory(), sample("woocommerce/07")
    events = memory.call(call, changed(call, status="failed")).events
    assert [event.name for event in events] == ["Identified", "Payment Failed"]
    paid = changed(call, status="processing", date_paid_gmt="2026-11-22T09:00:00")
    assert named(memory.call(call, paid).events) == [("Order Completed", "5003", 33.4)]
    failed = changed(call, status="failed", date_paid_gmt="2026-11-22T09:00:00")
    assert named(memory.call(call, failed).events) == [("Order Cancelled", "5003", None)]


PAID, CANCELLED = ("processing", "2026-11-22T09:00:00"), ("cancelled", None)


@pytest.mark.parametrize(
    ("states", "stands"),
    [
        ([PAID, CANCELLED, PAID], True),
        ([CANCELLED, PAID], True),
        ([PAID, CANCELLED], False),
        ([CANCELLED, PAID, CANCELLED], False),
        ([PAID, ("failed", "2026-11-22T09:00:00"), PAID], True),
    ],
)
def test_an_order_of_woocommerce_stands_by_the_newest_word_in_any_order(
    states: list[tuple[str, str | None]], stands: bool
) -> None:
    """Unpaid orders are cancelled by a timer, and paid after all."""
    call = sample("woocommerce/07")
    bodies = [
        changed(call, status=status, date_paid_gmt=paid_at, date_modified_gmt=f"2026-11-23T09:0{minute}:00")
        for minute, (status, paid_at) in enumerate(states)
    ]
    for arrival in permutations(bodies):
        memory = Memory()
        events = [event for body in (*arrival, *arrival) for event in memory.call(call, body).events]
        changes = [
            (event.at, event.name) for event in events if event.name in ("Order Cancelled", "Order Restored")
        ]
        assert (max(changes, default=(0, "Order Restored"))[1] == "Order Restored") is stands
        assert len(changes) == len(set(changes))
        assert [event.name for event in events].count("Order Completed") == 1


def test_an_order_of_woocommerce_that_left_the_bin_stands() -> None:
    memory, paid, deleted = Memory(), sample("woocommerce/03"), sample("woocommerce/08")
    memory.call(paid)
    assert [event.name for event in memory.call(deleted, changed(deleted, id=5002)).events] == [
        "Order Cancelled"
    ]
    restored = Sample(paid.file, {**paid.headers, "X-WC-Webhook-Topic": "order.restored"})
    assert [event.name for event in memory.call(restored, now=NOW + SECOND).events] == ["Order Restored"]


@pytest.mark.parametrize("is_deleted_first", [True, False])
def test_a_deleted_order_is_taken_back_if_it_counted(is_deleted_first: bool) -> None:
    memory, call = Memory(), sample("woocommerce/08")
    calls = [sample("woocommerce/03"), call]
    bodies = [calls[0].body, changed(call, id=5002)]
    pairs = list(zip(calls, bodies, strict=True))
    found = [
        event.name
        for call, body in (reversed(pairs) if is_deleted_first else pairs)
        for event in memory.call(call, body).events
    ]
    assert found == ["Order Completed", "Order Cancelled"]
    assert Memory().call(call).events == []


# ---- what is left out, and what is set aside -------------------------------------------------------------


def test_a_test_order_counts_where_the_settings_say_so() -> None:
    memory = Memory(ShopOptions(tests=True, topic="news"))
    assert named(memory.call(sample("shopify/09")).events) == [("Order Completed", "6100004", 33.4)]
    assert named(memory.call(sample("stripe/20")).events)[0][:2] == ("Order Completed", "T-1")


def test_a_parcel_of_a_test_order_is_left_out() -> None:
    memory, parcel = Memory(), sample("shopify/10")
    memory.call(sample("shopify/09"))
    result = memory.call(parcel, changed(parcel, order_id=6100004))
    assert (result.events, result.muted) == ([], 1)


def test_an_order_at_the_till_names_nobody_and_makes_no_noise() -> None:
    memory, call = Memory(), sample("shopify/08")
    refund = sample("shopify/05")
    memory.call(refund, changed(refund, order_id=6100003))
    statement = read(signed(call, changed(call, phone=None)), "shopify")
    assert statement.ignored == "anonymous"
    assert memory.take(statement).events == []
    assert not memory.things["lark.myshopify.com:order:6100003"].waiting


@pytest.mark.parametrize(
    ("number", "anonymous"),
    [
        ("shopify/02", {"email": None, "contact_email": None, "phone": None, "customer": None}),
        ("woocommerce/02", {"billing": {}}),
    ],
)
@pytest.mark.parametrize("order", list(permutations(("nobody", "named", "refund"))))
def test_an_order_counts_once_its_person_is_named(
    number: str, anonymous: dict[str, Any], order: tuple[str, ...]
) -> None:
    call, events = sample(number), []
    nobody = changed(call, **anonymous, updated_at="2026-11-20T10:01:00+01:00")
    bodies = {"nobody": (call, nobody), "named": (call, call.body)}
    # WooCommerce tells refunds inside the order.
    bodies["refund"] = (
        (sample("shopify/05"), sample("shopify/05").body) if "shop" in number else bodies["named"]
    )
    memory = Memory()
    for name in order:
        events += named(memory.call(*bodies[name]).events)
    # The shop tells a refund again with the order, as here by its own call.
    events += named(memory.call(*bodies["refund"]).events)
    assert [name for name, _, _ in events].count("Order Completed") == 1
    assert [name for name, _, _ in events].count("Order Refunded") == (1 if "shop" in number else 0)


def test_an_order_whose_address_is_protected_is_set_aside_with_that_hint() -> None:
    memory, call = Memory(), sample("shopify/02")
    hidden = changed(call, email="", contact_email=None, phone=None, customer={"id": 5100001})
    result = memory.call(call, hidden)
    assert result.rejected[0][1].startswith("the order names a customer and neither")
    # Where the customer is known from another call, it is theirs.
    memory.call(sample("shopify/13"))
    assert named(memory.call(call, hidden).events) == [("Order Completed", "6100001", 33.4)]


def test_without_a_topic_a_consent_is_set_aside_and_a_withdrawal_counts() -> None:
    memory = Memory(ShopOptions())
    assert memory.call(sample("shopify/14")).rejected[0][1].startswith("the playbook has no topic")
    assert named(memory.call(sample("shopify/15")).events) == [("Consent Withdrawn", "*", None)]


def test_a_single_opt_in_grants_where_the_operator_says_so() -> None:
    (*_, event) = Memory(ShopOptions(topic="news", single_opt_in=True)).call(sample("shopify/18")).events
    assert event.properties == {"topic": "news", "opt_in": "single", "grants": True}


def test_the_goods_of_a_checkout_come_and_go() -> None:
    memory, call = Memory(), sample("shopify/19")
    memory.call(call)
    lines = [{**json.loads(call.body)["line_items"][0], "product_id": 70002}]
    later = changed(call, line_items=lines, updated_at="2026-11-20T09:55:00+01:00")
    events = memory.call(call, later).events
    assert [(event.name, event.properties["product_id"]) for event in events] == [
        ("Product Removed", "70001"),
        ("Product Added", "70002"),
    ]
    # The older call once more, late.
    assert memory.call(call).events == []


@pytest.mark.parametrize(
    ("currency", "amount", "value"),
    [
        ("eur", 1234, 12.34),
        ("jpy", 1234, 1234),
        ("isk", 123400, 1234),
        ("ugx", 100, 1),
        ("kwd", 1234, 1.234),
        ("clp", 7, 7),
    ],
)
def test_the_minor_unit_of_a_currency(currency: str, amount: int, value: float) -> None:
    call = sample("stripe/21")
    (event,) = Memory().call(call, stripe_body(call, currency=currency, amount_total=amount)).events
    assert (event.properties["total"], event.properties["currency"]) == (value, currency.upper())


# ---- whatever comes --------------------------------------------------------------------------------------

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("shop", SHOPS)
@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_no_content_makes_it_raise(shop: str, data: st.DataObject) -> None:
    """Any field of a sample may be missing, or of another type."""
    call = data.draw(st.sampled_from(samples(shop)))
    body = json.loads(call.body)
    places = [body]
    if shop == "stripe" and "data" in body:
        places.append(body["data"]["object"])
    for place in places:
        for name in data.draw(st.lists(st.sampled_from(sorted(place)), max_size=4)):
            place[name] = data.draw(values)
    encoded = json.dumps(body, allow_nan=False, default=str) if is_finite(body) else "{}"
    statement = SHOPS[shop].read(signed(call, encoded.encode()), now=NOW, options=OPTIONS)
    if statement is not None:
        Memory().take(statement)


def is_finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("shop", SHOPS)
@given(body=st.binary(max_size=60))
@settings(max_examples=examples(30), deadline=None)
def test_bytes_that_are_no_document_are_unreadable(shop: str, body: bytes) -> None:
    statement = SHOPS[shop].read(signed(samples(shop)[0], body), now=NOW, options=OPTIONS)
    assert statement is None

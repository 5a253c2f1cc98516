"""All samples in order, in reverse and shuffled, each twice: the people, orders, sums and consents are the same."""

import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import cases
from nurture.app.inbound import build_reply_settings
from nurture.app.services import Services
from nurture.app.webhooks.shops import WAIT_FOR, ShopWebhooks, expire_waiting
from nurture.consent.load_permissions import load_permissions
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.contacts.queries import load_contacts
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.consent.permissions import state_for_topic
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, parse_iso
from nurture.feedback.legal_cases import escalate_legal_cases
from nurture.journey.drain import drain
from nurture.playbook import FixedPlaybook, LoadedPlaybook, rebuild
from nurture.runtime.clock import ManualClock
from tests.inbound.shops.calls import NOW, Sample, document, sample, samples, signed
from tests.web.live import FILES, a_service

#: The samples that erase somebody, or ask people to.
LEGAL = ("shopify/22", "shopify/23", "shopify/24")


def shop_services(database: Database, **given: Any) -> Services:
    settings: dict[str, Any] = {
        "shop_single_opt_in": ("shopify", "stripe"),
        "replies_to": "staff@shop.example",
    }
    settings |= {"webhook_secrets": document()["secrets"], **given}
    services = a_service(database, clock=ManualClock(NOW), **settings)
    return replace(services, playbooks=FixedPlaybook(net_playbook()))


@cache
def net_playbook() -> LoadedPlaybook:
    """Return a programme that counts orders net of refunds, per currency."""
    text = FILES["playbook.yaml"].replace("facts: {orders: {count: Order Completed}}", NET)
    text = text.replace("brand: {", "brand: {currencies: [EUR, USD, JPY], ")
    text = text.replace("conversion: {by: Order Completed, key: order_id}", "conversion: {by: order}")
    return rebuild({**FILES, "playbook.yaml": text}, id_=1)


NET = """
entities:
  order:
    key: order_id
    of: [Order Completed, Order Updated]
    counts_from: Order Completed
    amount: total
    reversed_by: {Order Cancelled: full, Order Refunded: {amount: total, key: refund_id}}
facts: {orders: {count: order}, spent: {sum: amount, of: order}}
"""
#: Person -> track, orders that count, and what they are worth, in hundredths.
FACTS = {
    "lena@example.com": ("lead", 0, {}),
    "+4915555010": ("customer", 1, {"EUR": 1200}),
    "rosa@example.com": ("customer", 2, {"EUR": 1000, "JPY": 500_000}),
    "tom@example.com": ("customer", 4, {"EUR": 5740, "JPY": 500_000}),
    "us@example.com": ("customer", 1, {"USD": 3340}),
}


def facts_of(services: Services, value: str) -> tuple[str, int, dict[str, int]]:
    with services.database.read() as connection:
        contact = contact_of(connection, value)
        state = load_contacts(connection, [contact], net_playbook().playbook)[contact]
    spent = {code: state.facts.get(f"spent.{code}", 0) for code in ("EUR", "USD", "JPY")}
    return state.track, state.facts["orders"], {code: amount for code, amount in spent.items() if amount}


def shuffled(calls: list[Sample], seed: int) -> list[Sample]:
    return sorted(calls, key=lambda call: blake2b(f"{seed}:{call.file}".encode()).digest())


def post(services: Services, *calls: Sample, bodies: dict[str, bytes] | None = None) -> None:
    """Process calls as the endpoint does, and apply what they accepted."""
    webhooks = ShopWebhooks(services)
    for call in calls:
        body = (bodies or {}).get(call.file)
        answer = webhooks.process_call(call.shop, signed(call, body))
        assert answer.status == 200, call.file
    apply(services)


def apply(services: Services) -> None:
    while drain(services.database, shard=None, clock=services.clock, playbooks=services.playbooks)["applied"]:
        pass


def contact_of(connection: sa.Connection, value: str) -> int:
    name = Identity("phone" if value.startswith("+") else "email", value)
    contact = load_index_by_identities(connection, [name]).owners[name]
    survivor = connection.scalar(sa.select(t.contacts.c.survivor).where(t.contacts.c.id == contact))
    return survivor or contact


def events_of(connection: sa.Connection, contact: int | None = None) -> list[tuple[str, dict[str, Any]]]:
    statement = sa.select(t.events.c.name, t.events.c.body).order_by(t.events.c.id)
    if contact is not None:
        statement = statement.where(t.events.c.contact_id == contact)
    return [(name, decode(body).get("properties", {})) for name, body in connection.execute(statement)]


def net_orders(events: list[tuple[str, dict[str, Any]]]) -> dict[str, str]:
    """Return order -> what is left of its total, in its currency, by the rule of reversals."""
    totals: dict[str, tuple[Decimal, str]] = {}
    refunds: dict[str, Decimal] = defaultdict(Decimal)
    for name, properties in events:
        amount = Decimal(str(properties.get("total", 0)))
        if name == "Order Completed":
            assert properties["order_id"] not in totals, "an order counts twice"
            totals[properties["order_id"]] = amount, properties["currency"]
        elif name == "Order Refunded":
            refunds[properties["order_id"]] += amount
    left = {key: total - min(total, refunds[key]) for key, (total, _) in totals.items()}
    return {
        key: f"{left[key].normalize():f} {currency}" for key, (_, currency) in totals.items() if left[key]
    }


def consent_of(services: Services, address: str) -> str | None:
    with services.database.read() as connection:
        contact = contact_of(connection, address)
        permissions = load_permissions(connection, [contact]).get(contact)
        return None if permissions is None else state_for_topic(permissions.consents, "news")


def orderings() -> list[Any]:
    calls = [call for call in samples() if not call.file.startswith(LEGAL)]
    return [
        pytest.param(calls, id="in order"),
        pytest.param(calls[::-1], id="in reverse"),
        *(pytest.param(shuffled(calls, seed), id=f"shuffled {seed}") for seed in (1, 2)),
    ]


@pytest.mark.parametrize("calls", orderings())
def test_the_end_state_is_the_same_in_any_order(calls: list[Sample], sqlite_database: Database) -> None:
    services = shop_services(sqlite_database)
    # The second time with the delivery ids of another delivery.
    again = [Sample(call.file, {**call.headers, "X-WC-Webhook-Delivery-ID": "other"}) for call in calls]
    for start in range(0, len(calls), 10):
        post(services, *calls[start : start + 10])
    post(services, *shuffled(again, 3))
    with services.database.read() as connection:
        people = {
            name: events_of(connection, contact_of(connection, value))
            for name, value in {
                "lena": "lena@example.com",
                "phone": "+4915555010",
                "rosa": "rosa@example.com",
                "ugo": "ugo@example.com",
                "tom": "tom@example.com",
                "us": "us@example.com",
            }.items()
        }
        everything = events_of(connection)
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.quarantine)) == 0
        waiting = [
            row.thing for row in connection.execute(sa.select(t.shop_things).where(t.shop_things.c.waits))
        ]
    assert {value: facts_of(services, value) for value in FACTS} == FACTS
    assert net_orders(people["lena"]) == {}
    assert net_orders(people["phone"]) == {"6100003": "12 EUR"}
    assert net_orders(people["rosa"]) == {"5002": "10 EUR", "5004": "5000 JPY"}
    assert net_orders(people["tom"]) == {
        "A-78": "33.4 EUR",
        "in_1": "12 EUR",
        "in_2": "12 EUR",
        "J-1": "5000 JPY",
    }
    assert net_orders(people["us"]) == {"A-80": "33.4 USD"}
    assert [properties["order_id"] for name, properties in everything if name == "Order Cancelled"] in (
        ["6100002", "5003"],
        ["5003", "6100002"],
    )
    assert [name for name, _ in people["ugo"]] == ["Identified"]
    names = [name for name, _ in people["tom"]]
    for name in ("Subscription Started", "Subscription Cancelled", "Subscription Renewed"):
        assert names.count(name) == 1
    assert names.count("Payment Failed") == 3
    assert [name for name, _ in people["lena"]].count("Order Shipped") == 1
    expected = {"lena": "withdrawn", "old": "granted", "kim": "pending", "us": "granted"}
    assert {name: consent_of(services, f"{name}@example.com") for name in expected} == expected
    # An order that was deleted and never counted has nothing to be taken back.
    assert waiting in ([], ["bottega.example:order:5003"])


def test_consents_bear_the_instant_at_which_the_shop_heard_them(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database)
    post(services, *samples("shopify/1"))
    with services.database.read() as connection:
        rows = connection.execute(sa.select(t.consents.c.state, t.consents.c.at, t.consents.c.source)).all()
    instants = {"2026-11-10T09:00:00Z", "2026-11-12T09:00:00Z", "2024-05-01T08:00:00Z"}
    assert {row.at for row in rows} == {parse_iso(instant) for instant in instants}
    assert {row.source for row in rows} == {"event:shopify"}


def test_a_single_opt_in_is_pending_on_a_topic_with_double_opt_in(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database, shop_single_opt_in=())
    post(services, sample("shopify/18"), sample("shopify/14"), sample("stripe/05"))
    assert consent_of(services, "old@example.com") == "pending"
    assert consent_of(services, "us@example.com") == "pending"
    assert consent_of(services, "lena@example.com") == "granted"


def test_user_ids_join_what_the_site_tells(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database, shop_user_ids=("shopify", "woocommerce"))
    post(
        services,
        sample("shopify/02"),
        sample("shopify/08"),
        sample("woocommerce/09"),
        sample("woocommerce/02"),
    )
    with services.database.read() as connection:
        rows = connection.execute(sa.select(t.identities).where(t.identities.c.kind == "user_id"))
        assert sorted(row.value for row in rows) == ["17", "5100001"]


def test_a_customer_who_comes_back_as_a_guest_stays_at_their_address(sqlite_database: Database) -> None:
    """A guest's word adds a name and redirects nobody."""
    services = shop_services(sqlite_database, shop_user_ids=("woocommerce",))
    customer, order = sample("woocommerce/09"), sample("woocommerce/02")
    post(services, customer)
    body = json.loads(order.body)
    body["billing"] |= {"email": "ugo@example.com", "phone": "+39 051 5550101"}
    post(services, order, bodies={order.file: json.dumps(body).encode()})
    with services.database.read() as connection:
        (contact,) = load_contacts(
            connection,
            [contact_of(connection, "ugo@example.com")],
            services.playbooks.active(connection).playbook,
        ).values()
        assert connection.scalar(sa.select(t.contacts.c.email)) == "ugo@example.com"
    assert contact.track == "customer"


# ---- what waits ------------------------------------------------------------------------------------------


def test_a_refund_that_nobody_claims_is_set_aside_after_a_week(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database)
    post(services, sample("shopify/05"), sample("woocommerce/08"))
    run = services.database.run
    assert run(lambda c: expire_waiting(c, now=NOW + WAIT_FOR - DAY))["expired"] == 0
    assert run(lambda c: expire_waiting(c, now=NOW + WAIT_FOR + 1))["expired"] == 1
    assert run(lambda c: expire_waiting(c, now=NOW + 2 * WAIT_FOR))["expired"] == 0
    with services.database.read() as connection:
        (row,) = connection.execute(sa.select(t.quarantine))
    assert (row.source, row.stage) == ("shopify", "rule")
    assert row.reason.startswith(
        "nobody is known for lark.myshopify.com:order:6100001: import the shop's orders"
    )


# ---- requests by law -------------------------------------------------------------------------------------


def cases_of(services: Services) -> list[tuple[str, int, int]]:
    with services.database.read() as connection:
        rows = connection.execute(sa.select(t.dialogues).order_by(t.dialogues.c.id))
        return [(row.kind, row.contact_id, (row.due_at - row.opened_at) // DAY) for row in rows]


def test_a_request_for_data_and_the_end_of_a_shop_open_a_case_each(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database)
    post(services, sample("shopify/02"))
    with services.database.read() as connection:
        lena = contact_of(connection, "lena@example.com")
    post(services, *(sample(f"shopify/{number}") for number in (22, 24, 22, 24)))
    assert cases_of(services) == [("data_request", lena, 30), ("shop_redact", 0, 30)]
    with services.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.notices)) == 2
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.contacts)) == 1
    assert [(case["person"], case["about"]) for case in cases.list_all(services)] == [
        ("lena@example.com", "data_request"),
        ("nobody", "shop_redact"),
    ]
    assert "nurture contact export contact:" in cases.show(services, "R-1")["task"]
    # A week before the time is over, somebody is told again.
    settings = build_reply_settings(services, services.playbooks.active(None))  # type: ignore[arg-type]
    for at, expected in ((NOW + 20 * DAY, 0), (NOW + 24 * DAY, 2), (NOW + 25 * DAY, 0)):
        counts = services.database.run(lambda c, at=at: escalate_legal_cases(c, settings, now=at))  # type: ignore[misc]
        assert counts["overdue"] == expected
    cases.close(services, "R-2", actor="ann")
    assert [case["case"] for case in cases.list_all(services)] == ["R-1"]


def test_an_erasure_is_of_exactly_that_person_and_done_once(
    sqlite_database: Database, tmp_path: Path
) -> None:
    services = shop_services(sqlite_database, mail_url=f"maildir:{tmp_path}/mailbox")
    post(services, *(sample(f"shopify/{number}") for number in ("02", "13", "17", "08")))
    with services.database.read() as connection:
        lena, kim = (contact_of(connection, f"{name}@example.com") for name in ("lena", "kim"))
    post(services, sample("shopify/23"))

    def erased() -> set[int]:
        with services.database.read() as connection:
            gone = sa.select(t.contacts.c.id).where(t.contacts.c.erased_at.is_not(None))
            return set(connection.execute(gone).scalars())

    assert erased() == {lena}
    with services.database.read() as connection:
        assert contact_of(connection, "kim@example.com") == kim
        rows = connection.execute(sa.select(t.shop_things.c.email)).scalars()
        assert "lena@example.com" not in set(rows)
    # The person comes back: the call of then, handed in again, does not erase them.
    post(services, sample("shopify/13"))
    post(services, sample("shopify/23"))
    assert erased() == {lena}


def test_an_erasure_of_nobody_is_answered_and_noted(sqlite_database: Database) -> None:
    services = shop_services(sqlite_database)
    post(services, sample("shopify/23"))
    assert cases_of(services) == []

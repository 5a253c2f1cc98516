"""The webhooks of shops over HTTP: the answers that keep a shop's webhook alive."""

from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from nurture.app.services import Services
from nurture.app.webhooks.shops import ROOM
from nurture.database import schema as t
from nurture.database.engine import Database, open_database
from nurture.domain.instant import SECOND
from nurture.inbound.providers.call import Call
from nurture.inbound.shops import SHOPS
from nurture.reports.metrics import counter_registry
from nurture.web.api import webhooks
from tests.inbound.shops.calls import HEADERS, NOW, SAMPLES, sample, samples, signature, signed
from tests.inbound.shops.test_end_states import shop_services
from tests.web.live import Theatre


@pytest.fixture(scope="module")
def services(sqlite_template: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Give one installation for all tests of the module: none of them looks at another's people."""
    path = tmp_path_factory.mktemp("shops") / "shops.db"
    path.write_bytes(sqlite_template.read_bytes())  # type: ignore[attr-defined]
    database = open_database(f"sqlite:///{path}", keeps=False)
    yield shop_services(database)
    database.close()


@pytest.fixture
def client(services: Services, stage: tuple[Theatre, str]) -> Iterator[httpx.Client]:
    with served(services, stage) as client:
        yield client


def served(services: Services, stage: tuple[Theatre, str]) -> httpx.Client:
    application = FastAPI()
    application.include_router(webhooks.routes(services))
    stage[0].application = application
    return httpx.Client(base_url=stage[1])


def post(client: httpx.Client, shop: str, call: Call) -> httpx.Response:
    return client.post(f"/webhooks/{shop}", content=call.body, headers=dict(call.headers))


def counted(reason: str) -> float:
    found = counter_registry().get_sample_value("nurture_items_total", {"room": ROOM, "reason": reason})
    return found or 0.0


def size(services: Services, table: sa.Table) -> int:
    with services.database.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@pytest.mark.parametrize("shop", SHOPS)
def test_a_signed_call_is_taken(shop: str, client: httpx.Client, services: Services) -> None:
    before = size(services, t.inbox)
    answer = post(client, shop, signed(sample({"shopify": "shopify/02"}.get(shop, f"{shop}/02"))))
    assert (answer.status_code, answer.text) == (200, "Taken.\n")
    assert size(services, t.inbox) == before + 1


@pytest.mark.parametrize("shop", SHOPS)
def test_an_unsigned_or_forged_call_is_refused_with_401_and_changes_nothing(
    shop: str, client: httpx.Client, services: Services
) -> None:
    body, before = samples(shop)[0].body, size(services, t.inbox)
    forged, unsigned = counted("forged"), counted("unsigned")
    assert post(client, shop, Call(body)).status_code == 401
    good = signature(shop, body)
    twice = client.post(
        f"/webhooks/{shop}", content=body, headers=[(HEADERS[shop], good), (HEADERS[shop], good)]
    )
    assert twice.status_code == 401
    other = client.post(
        f"/webhooks/{shop}", content=body, headers=[(HEADERS[shop].encode(), b"\xfc\xff" + good.encode())]
    )
    assert other.status_code == 401
    assert post(client, shop, Call(body, {HEADERS[shop]: signature(shop, body + b"x")})).status_code == 401
    assert size(services, t.inbox) == before
    assert (counted("forged") - forged, counted("unsigned") - unsigned) == (3, 1)


def test_an_old_call_of_stripe_is_refused(client: httpx.Client) -> None:
    body = samples("stripe")[0].body
    for seconds in (-301, 301):
        old = signature("stripe", body, now=NOW + seconds * SECOND)
        assert post(client, "stripe", Call(body, {HEADERS["stripe"]: old})).status_code == 401


@pytest.mark.parametrize("shop", SHOPS)
def test_a_signed_call_that_cannot_be_read_is_answered_and_set_aside(
    shop: str, client: httpx.Client, services: Services
) -> None:
    before = size(services, t.quarantine)
    for body in (b"no json", b"[1]", b"{}"):
        assert post(client, shop, signed(samples(shop)[0], body)).status_code == 200
    assert size(services, t.quarantine) == before + 3


def test_every_sample_is_answered_with_200(client: httpx.Client) -> None:
    for call in samples("woocommerce") + samples("stripe"):
        assert post(client, call.shop, signed(call)).status_code == 200
    thin = post(client, "stripe", signed(sample("stripe/19")))
    assert "payload style 'snapshot'" in thin.text


def test_the_ping_of_woocommerce_is_answered_and_does_nothing(
    client: httpx.Client, services: Services
) -> None:
    before, forged = size(services, t.quarantine), counted("forged")
    ping = (SAMPLES / "woocommerce/00_ping.txt").read_bytes()
    answer = client.post(
        "/webhooks/woocommerce", content=ping, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 200
    assert (size(services, t.quarantine), counted("forged")) == (before, forged)
    assert client.post("/webhooks/shopify", content=ping).status_code == 401


def test_a_shop_without_a_key_is_not_there(sqlite_database: Database, stage: tuple[Theatre, str]) -> None:
    with served(shop_services(sqlite_database, webhook_secrets={}), stage) as client:
        assert post(client, "woocommerce", Call(b"webhook_id=7")).status_code == 404
        assert post(client, "shopify", signed(sample("shopify/02"))).status_code == 404


def test_a_body_over_the_limit_is_refused_unread(client: httpx.Client) -> None:
    assert post(client, "shopify", Call(b"x" * 3_000_000)).status_code == 413


def test_a_database_that_is_away_is_told_with_503(
    stage: tuple[Theatre, str], postgresql_database: Database
) -> None:
    """Nothing is stored, so the shop must know: Shopify and Stripe call again."""
    away = open_database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    services = shop_services(postgresql_database)
    object.__setattr__(services, "database", away)
    with served(services, stage) as client:
        assert post(client, "stripe", signed(sample("stripe/01"))).status_code == 503
    away.close()

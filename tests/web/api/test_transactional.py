"""`POST /v1/send/email`: Customer.io's own client sends one transactional mail, and what cannot be sent is told."""

import json
import mailbox
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from customerio import APIClient, CustomerIOException, SendEmailRequest

from nurture.app.accounts import access
from nurture.app.installation import open_existing
from nurture.app.services import Services
from nurture.domain.instant import HOUR, SECOND
from nurture.simulation.run_until_idle import run_until_idle
from nurture.transports.maildir import MaildirTransport
from tests.cli.shell import Shell, delivery
from tests.web.live import serving

MEASURE = "customer/any/order_confirmation"
ADA = "ada@example.com"
DATA = {
    "order_id": "o-77",
    "total": "19.90",
    "currency": "EUR",
    "products": [{"name": "Guji", "quantity": 1, "price": 19.9}],
}


@pytest.fixture
def shop(nurture: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Give an installation with the shipped programme and one customer, Ada."""
    nurture.fill(tmp_path_factory.getbasetemp() / "shop_with_ada", add_ada)
    return nurture


def add_ada(shop: Shell) -> None:
    """Make the installation and its customer."""
    assert shop("migrate").code == 0
    words = [
        "-p",
        "order_id=o1",
        "-p",
        "revenue=1",
        "-p",
        "total=1",
        "-p",
        "currency=EUR",
        "-p",
        "products=[]",
    ]
    assert shop("track", ADA, "Order Completed", *words).code == 0
    shop.work()


@pytest.fixture
def services(shop: Shell) -> Iterator[Services]:
    opened = open_existing()
    yield opened
    opened.close()


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    with serving(services) as url:
        yield url


@pytest.fixture
def client(services: Services, url: str) -> Any:
    key = access.add_key(services, "shop", scopes=("send",), actor="cli:test")["key"]
    return APIClient(key, url=url)


def a_mail(**given: Any) -> SendEmailRequest:
    return SendEmailRequest(
        **{
            "to": ADA,
            "transactional_message_id": MEASURE,
            "identifiers": {"email": ADA},
            "message_data": DATA,
            **given,
        }
    )


def work(services: Services, shop: Shell) -> list[str]:
    """Do what workers do; return the text of every mail that left."""
    path = shop.folder / "sent"
    transport = MaildirTransport(path)
    try:
        run_until_idle(services.database, delivery(services), {"main": transport})
    finally:
        transport.close()
    return [str(list(message.walk())[1]) for message in mailbox.Maildir(path)]


def ledger(shop: Shell) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shop("messages", "--measure", MEASURE, "--json").out.splitlines()]


def test_the_clients_mail_leaves_with_its_own_values(client: Any, services: Services, shop: Shell) -> None:
    answer = client.send_email(a_mail())
    assert answer["queued_at"] > 1_700_000_000
    texts = work(services, shop)
    assert len(texts) == 1
    assert "o-77" in texts[0]
    assert f"ops:{answer['delivery_id']}" in [row["key"] for row in ledger(shop)]


def test_somebody_new_is_identified_first(client: Any, services: Services, shop: Shell) -> None:
    client.send_email(a_mail(to="new@example.com", identifiers={"id": "user-9"}))
    work(services, shop)
    person = shop("contact", "show", "id:user-9", "--json").document
    assert "email: new@example.com" in person["identities"] or "new@example.com" in str(person["identities"])


def test_the_same_idempotency_key_sends_once(services: Services, url: str, shop: Shell) -> None:
    key = access.add_key(services, "shop", scopes=("send",), actor="cli:test")["key"]
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "order-77"}
    for _ in range(2):
        answer = httpx.post(f"{url}/v1/send/email", json=a_mail()._to_dict(), headers=headers)
        assert answer.status_code == 200
    assert len(work(services, shop)) == 1


def test_a_mail_for_later_waits(client: Any, services: Services, shop: Shell) -> None:
    later = services.clock.now() + 5 * HOUR
    client.send_email(a_mail(send_at=later // SECOND))
    assert work(services, shop) == []
    (waiting,) = [row for row in ledger(shop) if row["key"].startswith("ops:")]
    assert waiting["status"] == "waiting"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"transactional_message_id": "12"}, "is not a transactional measure"),
    ({"transactional_message_id": "customer/any/second_order_coupon"}, "is not a transactional measure"),
    ({"to": "not an address"}, "to: "),
    ({"to": f"{ADA}, bob@example.com"}, "to: "),
    ({"to": f"{ADA}\r\nBcc: bob@example.com"}, "to: "),
    ({"identifiers": {}}, "identifiers: "),
    ({"identifiers": {"email": "bob@example.com"}}, "another address"),
    ({"body": "<p>anything</p>"}, "body: "),
    ({"bcc": "bob@example.com"}, "bcc: "),
    ({"attachments": {"a": "YQ=="}}, "attachments: "),
    ({"queue_draft": True}, "queue_draft: "),
    ({"message_data": {"measure": "x"}}, "reserved name"),
    ({"message_data": {"a": "x" * 40_000}}, "at most"),
    ({"send_at": 5}, "send_at: "),
]


def test_a_mail_that_cannot_be_sent_is_refused_with_its_reason(
    client: Any, services: Services, shop: Shell
) -> None:
    for fields, reason in REFUSED:
        with pytest.raises(CustomerIOException, match=f"(?s)40[04].*{reason}"):
            client.send_email(a_mail(**fields))
    assert work(services, shop) == []


def test_another_keys_client_is_refused(services: Services, url: str) -> None:
    for scope in ("ingest", "read", "admin"):
        key = access.add_key(services, "shop", scopes=(scope,), actor="cli:test")["key"]
        with pytest.raises(CustomerIOException, match="401"):
            APIClient(key, url=url).send_email(a_mail())

"""Customer.io's Track API: its client unmodified, its recorded requests, and what has no meaning here."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from customerio import CustomerIO, CustomerIOException

from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import audit, contacts, suppressions
from nurture.domain.instant import parse_iso
from tests.web.live import a_contact, a_service, accepted, recorded, serving, set_aside

ERASES = ("DELETE", "/api/v1/customers/u1")


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    return a_service(sqlite_database, write_keys=("shop=KEY-1",))


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    with serving(services) as url:
        yield url


@pytest.fixture
def client(url: str) -> Any:
    client = CustomerIO(site_id="SITE", api_key="KEY-1")
    client.base_url = f"{url}/api/v1"
    return client


def suppressed(services: Services) -> list[tuple[str, str]]:
    with services.database.read() as connection:
        return [(row.scope, row.reason) for row in connection.execute(sa.select(suppressions))]


def test_the_clients_calls_become_events(client: Any, services: Services) -> None:
    client.identify(
        id="u 1/ü", email="mara@example.com", first_name="Mara", plan=None, timezone="Asia/Shanghai"
    )
    client.track("u1", "purchase", {"price": 12.5}, id="01HXXXX", timestamp=datetime(2026, 1, 2, tzinfo=UTC))
    client.pageview("u1", "https://example.com/x", referrer="r")
    client.track_anonymous("anon-1", "viewed", {"url": "/x"})
    client.backfill("u1", "signup", 1_767_312_000, plan="pro")
    client.merge_customers("id", "u1", "email", "b@example.com")
    client.add_device("u1", "dev1", "ios")
    client.delete_device("u1", "dev1")

    identify, purchase, page, viewed, signup, merge = accepted(services.database)
    assert (identify["user_id"], identify["email"]) == ("u 1/ü", "mara@example.com")
    assert identify["traits"]["firstName"] == "Mara"
    assert identify["context"] == {"timezone": "Asia/Shanghai"}
    assert (purchase["message_id"], purchase["name"]) == ("01HXXXX", "purchase")
    assert purchase["occurred_at"] == parse_iso("2026-01-02T00:00:00Z")
    assert (page["kind"], page["properties"]) == ("page", {"referrer": "r", "name": "https://example.com/x"})
    assert (viewed["anonymous_id"], viewed["user_id"]) == ("anon-1", None)
    assert signup["occurred_at"] == 1_767_312_000_000_000
    assert (merge["kind"], merge["user_id"], merge["previous_id"]) == ("alias", "u1", "b@example.com")
    assert {row["source"] for row in accepted(services.database)} == {"shop"}
    assert set_aside(services.database) == []


def test_recorded_requests_are_answered_as_their_client_wants(url: str, services: Services) -> None:
    a_contact(services.database)
    with services.database.write() as connection:
        connection.exec_driver_sql("UPDATE identities SET value = 'u1' WHERE kind = 'user_id'")
    for request in recorded("customerio-python"):
        if request["p"].startswith("/api/") and (request["m"], request["p"]) != ERASES:
            answer = httpx.request(
                request["m"], url + request["p"], content=request["b"], auth=("SITE", "KEY-1")
            )
            assert (answer.status_code, answer.json()) == (200, {}), request["p"]
    assert [row["name"] for row in accepted(services.database)] == [
        *("Identified", "purchase", "viewed", "invite", "Page Viewed", "Merged", "Identified")
    ]
    # `signup` and `x` are recorded with a time more than 25 months ago.
    assert [row.stage for row in set_aside(services.database)] == ["too_old", "too_old"]


def test_suppression_is_written_before_the_answer_and_lifted_again(client: Any, services: Services) -> None:
    contact = a_contact(services.database)
    client.suppress(f"user-{contact}")
    client.suppress("mara@example.com")
    assert suppressed(services) == [("all", "ops")]
    client.unsuppress(f"user-{contact}")
    assert suppressed(services) == []


def test_nobody_cannot_be_suppressed(client: Any) -> None:
    with pytest.raises(CustomerIOException, match="404"):
        client.suppress("nobody")


def test_a_deleted_customer_is_erased_and_not_mailed_again(client: Any, services: Services) -> None:
    contact = a_contact(services.database)
    client.delete(f"user-{contact}")
    with services.database.read() as connection:
        row = connection.execute(sa.select(contacts).where(contacts.c.id == contact)).one()
        (act,) = connection.execute(sa.select(audit))
    assert (row.email, row.erased_at is not None) == (None, True)
    assert [reason for _, reason in suppressed(services)] == ["erased"]
    assert (act.actor, act.action) == ("key:shop", "contact.erase")
    client.delete(f"user-{contact}")
    client.delete("nobody@example.com")


def test_a_wrong_key_is_refused(url: str, services: Services) -> None:
    client = CustomerIO(site_id="SITE", api_key="other")
    client.base_url = f"{url}/api/v1"
    with pytest.raises(CustomerIOException, match="401"):
        client.identify(id="u1", email="a@example.com")
    assert accepted(services.database) == []


def test_a_batch_sets_aside_what_means_nothing(url: str, services: Services) -> None:
    items = [
        {
            "type": "person",
            "action": "identify",
            "identifiers": {"email": "a@example.com"},
            "attributes": {"a": 1},
        },
        {"type": "object", "action": "identify", "identifiers": {"object_id": "1"}},
        {"type": "person", "action": "delete", "identifiers": {"id": "u1"}},
        {"type": "person", "action": "event", "identifiers": {"cio_id": "a1"}, "name": "x"},
        {"type": "person", "action": "event", "identifiers": {"id": "u1"}},
        5,
    ]
    body = json.dumps({"batch": items})
    answer = httpx.post(f"{url}/api/v2/batch", content=body, auth=("SITE", "KEY-1"))
    assert answer.status_code == 207
    assert [row["email"] for row in accepted(services.database)] == ["a@example.com"]
    reasons = [row.reason.split(":")[0] for row in set_aside(services.database)]
    assert reasons == ["type", "identifiers", "event", "type"]

"""Real analytics clients, unmodified, against a live server."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.domain.instant import parse_iso
from tests.web.live import a_service, accepted, serving, set_aside

#: The clients' lists of calls that they gave up on.
Failures = list[Any]


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    return a_service(sqlite_database)


@pytest.fixture(params=["segment", "segment gzip", "rudder"])
def client(request: pytest.FixtureRequest, services: Services) -> Iterator[Any]:
    """Give a client that keeps its failures in `given_up`."""
    failures: Failures = []
    with serving(services) as url:
        given: dict[str, Any] = {
            "host": url,
            "on_error": lambda error, items: failures.append((error, items)),
        }
        if request.param == "rudder":
            client = RudderClient("WK", **given)
        else:
            client = SegmentClient("WK", gzip=request.param.endswith("gzip"), **given)
        client.given_up = failures
        yield client
        client.join()


def test_all_calls_arrive(client: Any, services: Services) -> None:
    client.identify("user-1", {"email": "mara@example.com", "born": datetime(1990, 1, 2, tzinfo=UTC)})
    client.track("user-1", "Order Completed", {"order_id": "o-1", "revenue": 12.5})
    client.page("user-1", "Docs", "Python", {"url": "https://x/"})
    client.screen("user-1", "Home", "Main")
    client.group("user-1", "acme", {"plan": "pro"})
    client.alias("anon-1", "user-1")
    client.track("user-2", "Viewed", timestamp=datetime(2026, 1, 2, tzinfo=UTC))
    client.flush()

    rows = accepted(services.database)
    assert [row["kind"] for row in rows] == ["identify", "track", "page", "screen", "group", "alias", "track"]
    assert rows[0]["email"] == "mara@example.com"
    assert rows[1]["properties"] == {"order_id": "o-1", "revenue": 12.5}
    assert rows[2]["properties"] == {"url": "https://x/", "name": "Python", "category": "Docs"}
    assert rows[5]["previous_id"] == "anon-1"
    assert rows[6]["occurred_at"] == parse_iso("2026-01-02T00:00:00Z")
    assert client.given_up == []
    assert set_aside(services.database) == []


def test_a_thousand_calls_arrive_once_each_and_in_order(client: Any, services: Services) -> None:
    for number in range(1_000):
        client.track("user-1", "Counted", {"number": number})
    client.flush()
    assert [row["properties"]["number"] for row in accepted(services.database)] == list(range(1_000))
    assert client.given_up == []


def test_a_client_repeats_what_the_database_could_not_take(services: Services) -> None:
    """The inbox is away at first: the client is told to come again, and does, with the same message."""
    failures: Failures = []
    refused = threading.Event()
    sa.event.listen(services.database.writer, "handle_error", lambda _: refused.set())
    with serving(services) as url:
        rename(services.database, "inbox", "inbox_away")
        client = SegmentClient("WK", host=url, on_error=lambda error, items: failures.append((error, items)))
        client.track("user-1", "Order Completed", {"order_id": "o-1"})
        assert refused.wait(10)
        rename(services.database, "inbox_away", "inbox")
        client.flush()
        client.join()
    assert failures == []
    assert [row["name"] for row in accepted(services.database)] == ["Order Completed"]


def rename(database: Database, before: str, after: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

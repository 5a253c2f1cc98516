"""With the key that stands in a web page nobody redirects, reads, exports, merges or suppresses anybody.

The key of a page is public: an attacker knows it, the victim's user id and the victim's address.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.accounts import access
from nurture.app.services import Services
from nurture.database import schema
from nurture.database.engine import Database
from tests.web.live import a_contact, a_service, a_track, accepted, asking, set_aside

PAGE = ("BK-public-1", "")
SERVER = ("WK-1234", "")
BROWSER_KEY = {"auth": PAGE}
SERVER_KEY_IN_A_PAGE = {"auth": SERVER, "headers": {"Origin": "https://shop.example"}}


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    return a_service(sqlite_database, browser_keys=("page=BK-public-1",))


@pytest.fixture
def client(services: Services) -> Iterator[httpx.Client]:
    with asking(services) as client:
        yield client


def rows(services: Services, table: sa.Table) -> list[Any]:
    with services.database.read() as connection:
        return list(connection.execute(sa.select(table)))


def test_an_event_of_a_browser_key_is_a_hint(client: httpx.Client, services: Services) -> None:
    client.post("/v1/track", json=a_track(1), auth=PAGE)
    client.post("/v1/track", json=a_track(2), auth=SERVER)
    client.post("/v1/track", json=a_track(3), auth=SERVER, headers={"Origin": "https://shop.example"})
    assert [row["hint"] for row in accepted(services.database)] == [True, False, True]


@pytest.mark.parametrize(
    "call",
    [
        ("POST", "/api/v1/customers/user-1/suppress", {}),
        ("POST", "/api/v1/customers/user-1/unsuppress", {}),
        ("DELETE", "/api/v1/customers/user-1", {}),
        ("POST", "/api/v1/merge_customers", {"primary": {"id": "user-9"}, "secondary": {"id": "user-1"}}),
        ("POST", "/v1/alias", {"userId": "user-9", "previousId": "user-1"}),
        ("POST", "/v1/alias", {"userId": "user-2", "previousId": "user-1"}),
        (
            "POST",
            "/v1/send/email",
            {"to": "x@example.com", "transactional_message_id": "a", "identifiers": {}},
        ),
    ],
)
@pytest.mark.parametrize(
    "given", [BROWSER_KEY, SERVER_KEY_IN_A_PAGE], ids=["browser key", "server key in a page"]
)
def test_it_may_not_do(
    client: httpx.Client, services: Services, call: tuple[str, str, Any], given: dict[str, Any]
) -> None:
    method, path, body = call
    a_contact(services.database)
    a_contact(services.database, "other@example.com")
    before = [rows(services, table) for table in (schema.contacts, schema.identities, schema.suppressions)]
    answer = client.request(method, path, json=body, **given)
    assert answer.status_code in (401, 403), answer.text
    assert answer.text.strip() not in ("", "{}")
    assert [
        rows(services, table) for table in (schema.contacts, schema.identities, schema.suppressions)
    ] == before
    assert accepted(services.database) == []


def test_in_a_batch_every_forbidden_item_is_refused_with_its_reason(
    client: httpx.Client, services: Services
) -> None:
    a_contact(services.database)
    person = {"type": "person", "identifiers": {"id": "user-1"}}
    pair = {"primary": {"id": "user-9"}, "secondary": {"id": "user-1"}}
    items = [{**person, "action": action} for action in ("suppress", "unsuppress", "delete")]
    items += [{"type": "person", "action": "merge", **pair}, {**person, "action": "event", "name": "Seen"}]
    answer = client.post("/api/v2/batch", json={"batch": items}, auth=PAGE)
    assert answer.status_code == 207
    assert [error["batch_index"] for error in answer.json()["errors"]] == [0, 1, 2, 3]
    assert [row["name"] for row in accepted(services.database)] == ["Seen"]
    assert len(set_aside(services.database)) == 4, "and nothing is dropped"
    assert rows(services, schema.suppressions) == []


def test_an_alias_in_a_batch_costs_only_itself(client: httpx.Client, services: Services) -> None:
    a_contact(services.database)
    alias = {"type": "alias", "userId": "user-9", "previousId": "user-1"}
    mine = {"type": "alias", "userId": "user-9", "previousId": "my-browser"}
    answer = client.post("/v1/batch", json={"batch": [alias, mine, a_track(9)]}, auth=PAGE)
    assert answer.status_code == 200
    assert [row["kind"] for row in accepted(services.database)] == ["alias", "track"]
    (refused,) = set_aside(services.database)
    assert refused.reason.startswith("previousId: a browser key")


def test_a_topic_is_confirmed_by_our_page_alone(client: httpx.Client, services: Services) -> None:
    for auth in (PAGE, SERVER):
        client.post(
            "/v1/track", json=a_track(1, event="Topic Confirmed", properties={"topic": "news"}), auth=auth
        )
    assert accepted(services.database) == []
    assert ["Topic Confirmed" in row.reason for row in set_aside(services.database)] == [True, True]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://evil.example:8025"},
        {"Origin": "null"},
        {"Origin": "https://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        # A name of another site that points to this machine.
        {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/track", a_track(1)),
        ("POST", "/v1/batch", {"batch": [a_track(1)]}),
        ("PUT", "/api/v1/customers/user-1", {"email": "evil@example.com"}),
        ("DELETE", "/api/v1/customers/user-1", {}),
        ("POST", "/api/v1/customers/user-1/suppress", {}),
        ("POST", "/api/v1/merge_customers", {"primary": {"id": "user-9"}, "secondary": {"id": "user-1"}}),
        (
            "POST",
            "/v1/send/email",
            {"to": "x@example.com", "transactional_message_id": "a", "identifiers": {}},
        ),
    ],
)
def test_a_foreign_page_does_nothing_to_an_installation_without_keys(
    sqlite_database: Database, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    services = a_service(sqlite_database, write_keys=())
    a_contact(sqlite_database)
    with asking(services) as client:
        assert client.request(method, path, json=body, headers=headers).status_code == 401
    assert accepted(sqlite_database) == []
    assert rows(services, schema.suppressions) == []


def test_without_keys_this_machine_is_a_server_and_its_own_pages_are_hints(sqlite_database: Database) -> None:
    services = a_service(sqlite_database, write_keys=())
    with asking(services) as client:
        client.post("/v1/track", json=a_track(1))
        client.post("/v1/track", json=a_track(2), headers={"Origin": "http://localhost:3000"})
    assert [row["hint"] for row in accepted(sqlite_database)] == [False, True]


def test_a_key_has_a_kind_and_doctor_names_what_is_assumed_and_what_stands_in_a_page(
    client: httpx.Client, services: Services
) -> None:
    made = access.add_key(services, "shop2", scopes=("ingest",), actor="cli:test")
    old = access.add_key(services, "old", scopes=("ingest",), actor="cli:test")
    server = access.add_key(services, "backend", scopes=("ingest",), kind="server", actor="cli:test")
    with services.database.write() as connection:
        connection.execute(
            sa.update(schema.api_keys).where(schema.api_keys.c.id == old["id"]).values(kind=None)
        )
    for number, key in enumerate((made, old, server)):
        client.post("/v1/track", json=a_track(number), auth=(key["key"], ""))
    assert [row["hint"] for row in accepted(services.database)] == [True, True, False]
    faults, assumed = access.find_key_faults(services)
    assert faults == []
    assert [line.split()[1] for line in assumed] == ["old"]
    access.set_key_kind(services, "old", kind="server", actor="cli:test")
    client.post(
        "/v1/track", json=a_track(7), auth=(server["key"], ""), headers={"Origin": "https://shop.example"}
    )
    client.post("/v1/track", json=a_track(8), auth=SERVER, headers={"Origin": "https://shop.example"})
    faults, assumed = access.find_key_faults(services)
    assert assumed == []
    assert [line.split()[2] for line in faults] == ["backend", "shop"]

"""Segment's API over a real socket: what is answered, what is durable, who may hand in."""

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from nurture.app.services import Services
from nurture.contacts.accept import shard_of
from nurture.database.engine import Database, open_database
from nurture.domain.signing import sign_token
from nurture.web.api.segment import ENDPOINTS
from tests.rig.notifier import recorded_by
from tests.web.live import a_batch, a_service, a_track, accepted, asking, recorded, set_aside

AUTH = ("WK", "")


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    return a_service(sqlite_database)


@pytest.fixture
def client(services: Services) -> Iterator[httpx.Client]:
    with asking(services, auth=AUTH) as client:
        yield client


def post(client: httpx.Client, body: Any, path: str = "/v1/batch", **given: Any) -> httpx.Response:
    """Post a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, content=content, **given)


def message_ids(services: Services) -> list[str]:
    return [row["message_id"] for row in accepted(services.database)]


# ---- durable and answered --------------------------------------------------------------------------------


def test_a_batch_is_stored_before_it_is_answered(database: Database) -> None:
    services = a_service(database)
    with asking(services, auth=AUTH) as client:
        answer = post(client, a_batch(a_track(number) for number in range(100)))
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        rows = accepted(database)
    assert [row["message_id"] for row in rows] == [f"message-{number}" for number in range(100)]
    assert rows[7]["user_id"] == "user-7"
    assert rows[7]["properties"] == {"order_id": "o-7", "revenue": 12.5}


def test_bad_items_are_answered_with_200_and_quarantined_alone(database: Database) -> None:
    services = a_service(database)
    with asking(services, auth=AUTH) as client:
        body = a_batch(
            [a_track(1), {"type": "track"}, 5, a_track(2, properties={"a": "x" * 40_000}), a_track(3)]
        )
        answer = post(client, body)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert message_ids(services) == ["message-1", "message-3"]
    assert [row.stage for row in set_aside(database)] == ["shape", "shape", "shape"]


def test_an_item_that_the_inbox_refuses_is_quarantined_alone_too(
    client: httpx.Client, services: Services
) -> None:
    deep: Any = 1
    for _ in range(14):
        deep = {"a": deep}
    body = a_batch([a_track(1, properties=deep), a_track(2, timestamp="1999-01-01T00:00:00Z"), a_track(3)])
    assert post(client, body).status_code == 200
    assert message_ids(services) == ["message-3"]
    assert sorted(row.stage for row in set_aside(services.database)) == ["shape", "too_old"]


def test_hostile_text_reaches_the_database_clean(database: Database) -> None:
    services = a_service(database)
    properties = b'{"k\\u0000":"\\u0000\\\\u0000"}'
    body = (
        b'[{"type":"track","userId":"u\\u0000","event":"A\\u0000B \\ud83d","properties":' + properties + b"}]"
    )
    with asking(services, auth=AUTH) as client:
        assert post(client, body).status_code == 200
    (row,) = accepted(database)
    assert (row["name"], row["user_id"], row["properties"]) == ("AB ?", "u", {"k": "\\u0000"})


def test_the_shards_are_notified_after_the_commit(client: httpx.Client, services: Services) -> None:
    post(client, a_batch([a_track(1), a_track(1), a_track(2)]))
    rows = accepted(services.database)
    wanted = {("inbox", str(row["shard"])) for row in rows}
    assert recorded_by(services.database).wait_for(len(wanted)) == wanted


def test_the_same_message_twice_is_left_to_the_drain_to_recognise(
    client: httpx.Client, services: Services
) -> None:
    for _ in range(2):
        assert post(client, a_batch([a_track(1)])).status_code == 200
    assert message_ids(services) == ["message-1", "message-1"]


def test_many_requests_at_once_are_all_stored(database: Database) -> None:
    services = a_service(database)
    with asking(services, auth=AUTH) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: post(client, a_track(number), "/v1/track"), range(200)))
        assert {answer.status_code for answer in answers} == {200}
    assert sorted(message_ids(services)) == sorted(f"message-{number}" for number in range(200))


# ---- every client and every endpoint ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["segment-python-rudder-python", "node-sdks", "segment-python-retry"])
def test_recorded_requests_are_taken_as_they_came(services: Services, name: str) -> None:
    with asking(a_service(services.database, write_keys=("WK", "RWK", "CDPWK", "WK2"))) as client:
        for request in recorded(name):
            packed = request["h"].get("Content-Encoding") == "gzip"
            content = gzip.compress(request["b"].encode()) if packed else request["b"].encode()
            kept = ("content-type", "content-encoding", "authorization", "user-agent", "x-retry-count")
            headers = {key: value for key, value in request["h"].items() if key.lower() in kept}
            answer = client.request(request["m"], request["p"], content=content, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert set_aside(services.database) == []
    wanted = [item["messageId"] for request in recorded(name) for item in json.loads(request["b"])["batch"]]
    assert message_ids(services) == wanted


def test_every_endpoint_takes_its_calls(client: httpx.Client, services: Services) -> None:
    extra = {"track": {"event": "A"}, "group": {"groupId": "g"}, "alias": {"previousId": "p"}}
    for path, kind in ENDPOINTS.items():
        call = {"userId": "u", **(extra.get(kind, {}) if kind else {"type": "page"})}
        assert post(client, call, f"/v1/{path}").status_code == 200, path
    kinds = [row["kind"] for row in accepted(services.database)]
    assert kinds == [kind or "page" for kind in ENDPOINTS.values()]
    assert set_aside(services.database) == []


def test_the_browsers_text_plain_call_with_the_key_inside_is_taken(services: Services) -> None:
    with asking(services) as client:
        call = {**a_track(1), "writeKey": "WK"}
        headers = {"Content-Type": "text/plain", "Origin": "https://shop.example"}
        answer = post(client, call, "/v1/t", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
    assert message_ids(services) == ["message-1"]


def test_a_preflight_is_answered(client: httpx.Client) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/v1/t", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()


def test_analytics_js_finds_its_settings(client: httpx.Client) -> None:
    answer = client.get("/v1/projects/WK/settings")
    assert answer.json()["integrations"]["Segment.io"]["apiHost"] == "127.0.0.1:1/v1"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert client.get("/v1/projects/other/settings").status_code == 404


# ---- who may hand in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"auth": ("other", "")},
        {"auth": ("", "WK")},
        {"headers": {"Authorization": "Bearer WK"}},
        {"headers": {"Authorization": "Basic not base64!"}},
        {"headers": {"Authorization": "Basic"}},
    ],
    ids=["nothing", "other key", "key as password", "bearer", "not base64", "empty"],
)
def test_without_a_write_key_nothing_is_taken(services: Services, given: dict[str, Any]) -> None:
    with asking(services) as client:
        assert post(client, a_batch([a_track(1)]), **given).status_code == 401
        assert post(client, b"no json", **given).status_code == 401
    assert (message_ids(services), set_aside(services.database)) == ([], [])


def test_a_wrong_header_is_not_healed_by_a_right_key_in_the_body(services: Services) -> None:
    with asking(services) as client:
        body = a_batch([a_track(1)], writeKey="WK")
        assert post(client, body, auth=("other", "")).status_code == 401
        assert post(client, body).status_code == 200


def test_events_carry_the_name_of_their_write_key(services: Services) -> None:
    with asking(services) as client:
        post(client, a_track(1), "/v1/track", auth=("WK-1234", ""))
        post(client, a_track(2), "/v1/track", auth=("WK", ""))
    named, unnamed = [row["source"] for row in accepted(services.database)]
    assert named == "shop"
    assert unnamed.startswith("key-")
    assert "WK" not in unnamed


def test_no_application_speaks_in_our_own_name(sqlite_database: Database) -> None:
    with asking(a_service(sqlite_database, write_keys=("web=KEY-1",))) as client:
        post(client, a_track(1), "/v1/track", auth=("KEY-1", ""))
    assert accepted(sqlite_database)[0]["source"] == "key-web"


def test_without_any_configured_key_this_machine_may_hand_in(sqlite_database: Database) -> None:
    with asking(a_service(sqlite_database, write_keys=())) as client:
        assert post(client, a_track(1), "/v1/track").status_code == 200
    assert accepted(sqlite_database)[0]["source"] == "local"


# ---- bounds ----------------------------------------------------------------------------------------------


def test_a_body_that_is_no_json_is_refused_and_kept_for_people_to_see(
    client: httpx.Client, services: Services
) -> None:
    answer = post(client, b"event=A&user=1")
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    (row,) = set_aside(services.database)
    assert row.raw == "event=A&user=1"
    assert len(post(client, b"\x1f\x8b" + b"x" * 9_000).content) < 500
    assert len(set_aside(services.database)[1].raw) <= 2_000


def test_a_gzip_bomb_is_refused(client: httpx.Client, services: Services) -> None:
    bomb = gzip.compress(b" " * (100 * 1024 * 1024))
    assert post(client, bomb, headers={"Content-Encoding": "gzip"}).status_code == 413
    assert set_aside(services.database) == []


def test_a_body_that_says_it_is_too_large_is_not_read(client: httpx.Client) -> None:
    assert post(client, b"x" * (6 * 1024 * 1024)).status_code == 413


def test_an_endless_body_is_given_up(client: httpx.Client) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(2_000):
            sent.append(number)
            yield b"x" * 100_000

    # Hanging up while the client still writes is fair enough.
    with contextlib.suppress(httpx.WriteError):
        assert client.post("/v1/batch", content=endless()).status_code == 413
    assert len(sent) < 500
    assert client.get("/healthz").status_code == 200


def test_too_many_items_are_refused_whole(client: httpx.Client, services: Services) -> None:
    assert post(client, a_batch([{}] * 2_501)).status_code == 413
    assert (message_ids(services), set_aside(services.database)) == ([], [])


def test_the_largest_batch_is_taken(client: httpx.Client, services: Services) -> None:
    items = [a_track(number, context=None, integrations=None) for number in range(2_500)]
    assert post(client, gzip.compress(json.dumps(a_batch(items)).encode())).status_code == 200
    assert len(message_ids(services)) == 2_500


def test_a_plain_body_of_many_megabytes_is_taken(client: httpx.Client, services: Services) -> None:
    items = [a_track(number, properties={"text": "x" * 20_000}) for number in range(240)]
    body = json.dumps(a_batch(items)).encode()
    assert 4_500_000 < len(body) < 5 * 1024 * 1024
    assert post(client, body).status_code == 200
    assert len(message_ids(services)) == 240


# ---- when something is away ------------------------------------------------------------------------------


def test_a_database_that_is_away_is_answered_with_503_and_nothing_is_lost(tmp_path: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        database = open_database(f"postgresql://nurture@127.0.0.1:{port}/nurture")
        with asking(a_service(database), auth=AUTH) as client:
            answer = post(client, a_batch([a_track(1)]))
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["success"] is False
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        database.close()


def test_a_get_is_no_event(client: httpx.Client, services: Services) -> None:
    for path in ("/v1/batch", "/v1/t", "/v1/track"):
        assert client.get(path).status_code == 405
        assert client.head(path).status_code == 405
    assert message_ids(services) == []


def test_the_strongest_identity_decides_the_shard(client: httpx.Client, services: Services) -> None:
    post(client, a_track(1, traits={"email": "mara@example.com"}, type="identify"), "/v1/identify")
    (row,) = accepted(services.database)
    from nurture.domain.event import Identity

    assert row["shard"] == shard_of(Identity("user_id", "user-1"))


def test_the_code_of_a_referral_link_says_whose_it_is(services: Services, client: httpx.Client) -> None:
    code = sign_token(services.keys, "referral", {"c": 7})
    forged = {"referred_by": 7, "referrer": {"id": 7}}
    calls = [
        a_track(1, properties={"referral_code": code}),
        a_track(2, type="identify", traits={"referral_code": code}),
        a_track(3, properties={"referral_code": code[:-2]}, context=forged),
        a_track(4, properties={"referral_code": sign_token(services.keys, "click", {"c": 7})}),
    ]
    assert post(client, a_batch(calls)).status_code == 200
    named = [row.get("context", {}).get("referred_by") for row in accepted(services.database)]
    assert named == [7, 7, None, None]

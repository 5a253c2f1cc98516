"""Outgoing hooks: applied events are posted, signed, at least once, and only to where they may go."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.privacy import erase_contact
from nurture.app.services import Services
from nurture.app.webhooks import outgoing
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, SECOND
from nurture.journey.drain import drain
from nurture.runtime.clock import ManualClock
from nurture.transports.http import Poster, is_public, seconds_to_wait
from nurture.transports.standard_webhooks import PAUSES, name_target, number_post, pause_after, sign
from tests.web.live import NOW, a_service

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, long").decode()


@dataclass
class Receiver:
    """A server on this machine that remembers every post and answers as it is told."""

    answers: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[ThreadingHTTPServer, list[Receiver]]]:
    on_stage: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver = on_stage[-1]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("Location", f"{receiver.url}/elsewhere")
            self.send_header("Retry-After", "7200")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, on_stage
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def receiver(server: tuple[ThreadingHTTPServer, list[Receiver]]) -> Receiver:
    receiver = Receiver(url=f"http://127.0.0.1:{server[0].server_address[1]}")
    server[1].append(receiver)
    return receiver


def hooked(database: Database, receiver: Receiver, **given: Any) -> Services:
    settings = {
        "event_hooks": {"Order Completed": f"{receiver.url}/in?token=hush"},
        "hook_secrets": (SECRET,),
        "hook_hosts": ("127.0.0.1",),
        **given,
    }
    services = a_service(database, clock=ManualClock(NOW), **settings)
    return replace(
        services, database=replace(services.database, hooks=outgoing.target_names(services.settings))
    )


def happen(services: Services, number: str = "1", name: str = "Order Completed", **given: Any) -> None:
    event = NewEvent(
        source="shop",
        message_id=f"m{number}",
        kind="track",
        name=name,
        occurred_at=NOW,
        received_at=NOW,
        identities=(Identity("email", "ada@example.com"),),
        properties={"order_id": number, "total": 5},
        **given,
    )
    services.database.run(lambda connection: accept(connection, [event]))
    drain(services.database, shard=None, clock=services.clock, playbooks=services.playbooks)


def posts(services: Services) -> list[Any]:
    with services.database.read() as connection:
        return list(connection.execute(sa.select(t.hook_posts).order_by(t.hook_posts.c.id)))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_applied_event_is_posted_once_and_signed(
    kind: str, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    services = hooked(request.getfixturevalue(f"{kind}_database"), receiver)
    happen(services)
    happen(services)
    happen(services, "2", name="Page Viewed")
    assert receiver.posts == [], "nothing leaves in the transaction"
    outgoing.send_hooks(services)
    outgoing.send_hooks(services)
    ((headers, body),) = receiver.posts
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    proof = hmac.new(b"a secret of the tests, long", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(proof).decode()}"
    assert headers["webhook-timestamp"] == str(NOW // SECOND)
    assert json.loads(body) == {
        "type": "Order Completed",
        "timestamp": "2026-05-04T12:00:00Z",
        "data": {"contact": 1, "email": "ada@example.com", "properties": {"order_id": "1", "total": 5}},
    }
    ((row),) = posts(services)
    assert (row.state, row.attempts, row.reply) == ("sent", 1, "204")
    assert "hush" not in repr(row)


def test_a_refused_post_is_repeated_under_the_same_id_ever_later(
    sqlite_database: Database, receiver: Receiver
) -> None:
    services = hooked(sqlite_database, receiver)
    receiver.answers += [500, 302]
    happen(services)
    outgoing.send_hooks(services)
    outgoing.send_hooks(services)
    assert len(receiver.posts) == 1, "the receiver asked for two hours"
    for _ in range(3):
        services.clock.advance_to(services.clock.now() + DAY)  # type: ignore[attr-defined]
        outgoing.send_hooks(services)
    assert len(receiver.posts) == 3, "a redirect is not followed"
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.posts}) == 3
    assert [row.state for row in posts(services)] == ["sent"]


def test_a_post_that_is_given_up_is_listed_and_tried_again_by_command(
    sqlite_database: Database, receiver: Receiver
) -> None:
    services = hooked(sqlite_database, receiver)
    receiver.answers += [410]
    happen(services)
    outgoing.send_hooks(services)
    (listed,) = outgoing.list_posts(services, state="failed", limit=9)
    assert (listed["state"], listed["attempts"]) == ("failed", 1)
    assert listed["target"] == name_target(f"{receiver.url}/in?token=hush")
    assert outgoing.show(services, listed["post"]) == listed
    (line,) = outgoing.find_failed(services)
    assert "nurture hooks retry --failed" in line
    assert outgoing.try_again(services, None, actor="ann") == {"posts": 1}
    outgoing.send_hooks(services)
    (target,) = outgoing.list_targets(services)
    assert (target["events"], target["sent"], target["failed"]) == ("Order Completed", 1, 0)


def test_a_silent_address_holds_up_no_other(sqlite_database: Database, receiver: Receiver) -> None:
    gone = "http://127.0.0.1:1/in"
    hooks = {"Order Completed": [gone, f"{receiver.url}/in"]}
    services = hooked(sqlite_database, receiver, event_hooks=hooks)
    for number in "123":
        happen(services, number)
    outgoing.send_hooks(services)
    assert len(receiver.posts) == 3
    waiting = [row for row in posts(services) if row.state == "waiting"]
    assert {row.target for row in waiting} == {name_target(gone)}
    assert sorted(row.attempts for row in waiting) == [0, 0, 1]
    assert all(row.due_at > NOW for row in waiting)


def test_neither_history_nor_an_erased_person_is_posted(
    sqlite_database: Database, receiver: Receiver
) -> None:
    services = hooked(sqlite_database, receiver)
    happen(services, "1", historic=True)
    assert posts(services) == []
    happen(services, "2")
    erase_contact(services, "ada@example.com", actor="ann")
    outgoing.send_hooks(services)
    assert (posts(services), receiver.posts) == ([], [])


def test_a_post_whose_address_left_the_settings_is_given_up(
    sqlite_database: Database, receiver: Receiver
) -> None:
    services = hooked(sqlite_database, receiver)
    happen(services)
    outgoing.send_hooks(
        hooked(sqlite_database, receiver, event_hooks={"Order Completed": "https://b.example"})
    )
    ((row),) = posts(services)
    assert (row.state, receiver.posts) == ("failed", [])
    assert "no longer has this address" in row.reply


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://crm.example/in", "only https"),
        ("https://crm.example/in", "leads to a private address"),
        ("https://127.0.0.1/in", "leads to a private address"),
        ("https://[::1]/in", "leads to a private address"),
        ("https://169.254.169.254/latest", "leads to a private address"),
    ],
)
def test_a_private_address_is_refused_unless_the_settings_name_the_host(url: str, words: str) -> None:
    poster = Poster(
        resolve=lambda host, port: [("8.8.8.8", port), ("10.0.0.1" if "crm" in host else host, port)]
    )
    answer = poster.post(url, b"{}", {})
    assert (answer.status, words in answer.text) == (0, True)
    assert not is_public("10.0.0.1")


def test_a_host_is_resolved_once(receiver: Receiver) -> None:
    """The connection goes to the address that was judged, whatever the name says a moment later."""
    asked: list[str] = []
    port = int(receiver.url.rpartition(":")[2])

    def resolve(host: str, _port: int) -> list[tuple[str, int]]:
        asked.append(host)
        return [("127.0.0.1", port)]

    answer = Poster(hosts=["crm.example"], resolve=resolve).post(
        "http://crm.example/in", b"{}", {"webhook-id": "1"}
    )
    assert (answer.status, asked) == (204, ["crm.example"])
    assert receiver.posts[0][0]["host"] == "crm.example"


def test_every_secret_signs_and_the_pauses_end() -> None:
    headers = sign("msg_1", NOW, b"{}", [SECRET, "plain"])
    assert len(headers["webhook-signature"].split(" ")) == 2
    for attempts, asked, least in (
        (1, 0, 5 * SECOND),
        (1, 60, 60 * SECOND),
        (1, 10**9, DAY),
        (len(PAUSES), 0, DAY),
    ):
        pauses = [pause_after(attempts, key=key, asked=asked) or 0 for key in range(20)]
        assert least <= min(pauses) < max(pauses) <= least + least // 10, "they come apart"
    assert pause_after(len(PAUSES) + 1) is None


def test_the_id_of_a_post_is_that_of_its_event_and_address() -> None:
    ids = {number_post(*names) for names in (("shop", "m1", "a"), ("shop", "m2", "a"), ("shop", "m1", "b"))}
    assert len(ids) == 3
    assert number_post("shop", "m1", "a") in ids
    assert all("." not in number for number in ids), "the signed text is parted at points"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "Mon, 04 May 2026 12:10:00 GMT", "Date": "Mon, 04 May 2026 12:00:00 GMT"}, 600),
        ({"Retry-After": "Mon, 04 May 2026 12:00:00 GMT", "Date": "Mon, 04 May 2026 12:10:00 GMT"}, 0),
        ({"Retry-After": "Mon, 04 May 2026 12:10:00 GMT"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({}, 0),
    ],
)
def test_a_receiver_may_ask_for_a_pause_in_seconds_or_until_a_date(
    headers: dict[str, str], seconds: int
) -> None:
    assert seconds_to_wait(headers) == seconds


def test_without_a_hook_no_statement_runs(sqlite_database: Database, receiver: Receiver) -> None:
    services = hooked(sqlite_database, receiver, event_hooks={})
    happen(services)
    assert posts(services) == []

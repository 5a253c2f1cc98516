"""The webhooks over real HTTP: what is believed is recorded once, what is not changes nothing and is counted."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.inbound.verp import build_return_path
from nurture.domain.instant import DAY, MINUTE, Instant
from nurture.inbound.fetch import Fetcher, is_public
from nurture.inbound.providers import PROVIDERS, Call
from nurture.reports.metrics import counter_registry
from nurture.runtime.clock import ManualClock
from nurture.web import create_app
from nurture.web.api import webhooks
from tests.inbound.providers.signing import CERTIFICATE, TOPIC, amazon, certificate, signers
from tests.inbound.providers.test_providers import NOW, calls
from tests.rig.notifier import recorded_by
from tests.transports.certificates import Authority
from tests.web.live import KEYS, Theatre, a_contact, a_service

SECRETS = {name: signer.key for name, signer in signers().items()}
#: Tables that a rejected call must not change.
STATE = (t.feedback, t.inbox, t.suppressions, t.consents, t.switches, t.messages)


class Certificates:
    """A server with Amazon's certificate and confirmations, on this machine, behind TLS."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.folder = folder
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                known = self.path.endswith(".pem") or "ConfirmSubscription" in self.path
                if self.path == "/huge.pem":
                    body = b"x" * 100_000
                elif self.path == "/moved.pem":
                    self.send_response(302)
                    self.send_header("Location", CERTIFICATE)
                    self.end_headers()
                    return
                else:
                    body = certificate()[1]
                self.send_response(200 if known else 404)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.authority = Authority(folder)
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = self.authority.server("sns.eu-central-1.amazonaws.com")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def fetcher(self, **given: Any) -> Fetcher:
        """Return a fetcher for which Amazon's host is this server."""
        port = self.server.server_address[1]
        given.setdefault("resolve", lambda _host, _port: [("127.0.0.1", port)])
        given.setdefault("may_reach", lambda _address: True)
        given.setdefault("context", ssl.create_default_context(cafile=str(self.authority.file)))
        return Fetcher(**given)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificates]:
    server = Certificates(tmp_path_factory.mktemp("certificates"))
    yield server
    server.close()


#: For what writes: both databases.
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def services(kind: str, request: pytest.FixtureRequest) -> Services:
    database: Database = request.getfixturevalue(f"{kind}_database")
    return a_service(database, clock=ManualClock(NOW), webhook_secrets=SECRETS)


@pytest.fixture
def client(
    services: Services, stage: tuple[Theatre, str], certificates: Certificates
) -> Iterator[httpx.Client]:
    application = FastAPI()
    application.include_router(webhooks.routes(services, fetch=certificates.fetcher()))
    stage[0].application = application
    with httpx.Client(base_url=stage[1]) as client:
        yield client


def post(client: httpx.Client, provider: str, call: Call) -> httpx.Response:
    return client.post(f"/webhooks/{provider}", content=call.body, headers=dict(call.headers))


def case(provider: str, kind: str, severity: str = "") -> Any:
    """Return a call of the provider that means this."""
    return next(
        call["body"]
        for call in calls(provider)
        if any((m["kind"], m["severity"]) == (kind, severity) for m in call["means"])
    )


def signed(provider: str, kind: str, severity: str = "", *, now: Instant = NOW) -> Call:
    return signers()[provider].sign(case(provider, kind, severity), now)


def state(services: Services) -> list[Any]:
    with services.database.read() as connection:
        return [connection.execute(sa.select(table)).all() for table in STATE]


def counted(reason: str) -> float:
    found = counter_registry().get_sample_value("nurture_items_total", {"room": "feedback", "reason": reason})
    return found or 0.0


@pytest.fixture
def turned_away(services: Services) -> Callable[..., None]:
    """Give a check: the answer's status, a plain line, no state changed, one counter raised by one."""

    def check(reason: str, status: int, call: Callable[[], httpx.Response]) -> None:
        before, number = state(services), counted(reason)
        answer = call()
        assert answer.status_code == status
        assert answer.text.count("\n") == 1
        assert answer.headers["content-type"].startswith("text/plain")
        assert state(services) == before
        assert counted(reason) == number + 1

    return check


# ---- what is believed ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hard_bounce_suppresses_the_address(
    provider: str, services: Services, client: httpx.Client
) -> None:
    contact = a_contact(services.database, "ada@example.com")
    answer = post(client, provider, signed(provider, "bounce", "hard"))
    assert (answer.status_code, answer.text) == (200, "Taken.\n")
    with services.database.read() as connection:
        (kept,) = connection.execute(sa.select(t.feedback))
        (stop,) = connection.execute(sa.select(t.suppressions))
        (event,) = connection.execute(sa.select(t.inbox))
    assert (kept.provider, kept.kind, kept.contact_id) == (provider, "bounce", contact)
    assert json.loads(kept.raw)
    assert (stop.scope, stop.reason) == ("all", "hard_bounce")
    assert event.name == "Email Bounced"
    assert recorded_by(services.database).wait_for(1)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_row_45_and_security_21_a_replayed_call_changes_nothing(
    provider: str, services: Services, client: httpx.Client
) -> None:
    a_contact(services.database, "ada@example.com")
    call = signed(provider, "complaint")
    assert post(client, provider, call).status_code == 200
    before, number = state(services), counted("duplicate")
    assert post(client, provider, call).status_code == 200
    assert state(services) == before
    assert counted("duplicate") == number + 1


def test_the_return_path_names_the_message(services: Services, client: httpx.Client) -> None:
    """SES tells the envelope's sender; its tag is ours, so it is worth more than any header."""
    body = case("ses", "bounce", "soft")
    mail = body["Message"]["mail"] | {"source": build_return_path(KEYS, "bounces@shop.example", 7)}
    call = amazon()(body | {"Message": body["Message"] | {"mail": mail}}, NOW)
    assert post(client, "ses", call).status_code == 200
    with services.database.read() as connection:
        assert connection.scalars(sa.select(t.feedback.c.message_id)).all() == [7]


@BOTH
def test_row_45_ten_thousand_events_go_in_bounded_transactions(
    services: Services, client: httpx.Client
) -> None:
    events = [
        {"event": "delivered", "sg_event_id": f"e{n}", "email": f"p{n}@example.com", "timestamp": 1778666400}
        for n in range(10_000)
    ]
    answer = post(client, "sendgrid", signers()["sendgrid"].sign(events, NOW))
    assert answer.status_code == 200
    with services.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.feedback)) == 10_000


# ---- what is not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_row_45_and_security_20_a_bad_signature_or_password_is_turned_away(
    provider: str, client: httpx.Client, turned_away: Callable[..., None]
) -> None:
    body = case(provider, "bounce", "hard")
    forged = signers()[provider].forge(body, NOW)
    turned_away("forged", 403, lambda: post(client, provider, forged))
    turned_away("unsigned", 401, lambda: post(client, provider, Call(b"{}")))


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "mailgun", "resend"])
def test_security_19_and_21_an_old_call_is_turned_away(
    provider: str, client: httpx.Client, turned_away: Callable[..., None]
) -> None:
    late = 6 * MINUTE if provider in ("sendgrid", "resend") else 2 * DAY
    old = signed(provider, "bounce", "hard", now=NOW - late)
    turned_away("stale", 403, lambda: post(client, provider, old))


def test_row_45_and_security_18_another_topic_is_turned_away(
    client: httpx.Client, turned_away: Callable[..., None], certificates: Certificates
) -> None:
    body, asked = case("ses", "bounce", "hard"), len(certificates.asked)
    changed: list[dict[str, Any]] = [
        {"TopicArn": TOPIC + "2"},
        {"SignatureVersion": "1"},
        {"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"},
    ]
    for changes in changed:
        call = amazon(**changes)(body, NOW)
        turned_away("foreign", 403, lambda call=call: post(client, "ses", call))
    assert len(certificates.asked) == asked


def test_row_45_a_body_of_ten_megabytes_is_turned_away_unread(
    client: httpx.Client, turned_away: Callable[..., None], stage: tuple[Theatre, str]
) -> None:
    turned_away("oversized", 413, lambda: post(client, "resend", Call(b"x" * 10_000_000)))

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    # Without a length it is read no further than the bound.
    turned_away("oversized", 413, lambda: httpx.post(f"{stage[1]}/webhooks/resend", content=endless()))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_signed_body_that_cannot_be_read_is_turned_away(
    provider: str, client: httpx.Client, turned_away: Callable[..., None]
) -> None:
    broken: dict[str, Any] = {
        "ses": {**case("ses", "delivered"), "Message": "no json"},
        "mailgun": {"signature": {"token": "1" * 50}},
    }
    call = signers()[provider].sign(broken.get(provider, "no event"), NOW)
    turned_away("unreadable", 400, lambda: post(client, provider, call))


def test_a_webhook_without_a_key_is_not_there(
    postgresql_database: Database, stage: tuple[Theatre, str]
) -> None:
    services = a_service(
        postgresql_database, clock=ManualClock(NOW), webhook_secrets={"resend": SECRETS["resend"]}
    )
    stage[0].application = create_app(services)
    with httpx.Client(base_url=stage[1]) as client:
        assert post(client, "sendgrid", signed("sendgrid", "complaint")).status_code == 404
        assert client.post("/webhooks/nobody").status_code == 404
        assert client.get("/webhooks/resend").status_code == 405
        assert post(client, "resend", signed("resend", "complaint")).status_code == 200


# ---- Amazon's certificates -------------------------------------------------------------------------------


def test_a_subscription_is_confirmed_once_it_is_proven_to_be_ours(
    client: httpx.Client, certificates: Certificates, turned_away: Callable[..., None]
) -> None:
    asked = next(call["body"] for call in calls("ses") if call["name"] == "subscription confirmation")
    before = len(certificates.asked)
    turned_away("forged", 403, lambda: post(client, "ses", amazon("somebody.example")(asked, NOW)))
    assert not [path for path in certificates.asked[before:] if "Confirm" in path]
    assert post(client, "ses", amazon()(asked, NOW)).status_code == 200
    assert [path for path in certificates.asked[before:] if "Confirm" in path] == [
        asked["SubscribeURL"].removeprefix("https://sns.eu-central-1.amazonaws.com")
    ]


def test_a_certificate_is_fetched_once(certificates: Certificates) -> None:
    fetch, before = certificates.fetcher(), len(certificates.asked)
    assert fetch(CERTIFICATE) == fetch(CERTIFICATE) == certificate()[1]
    assert len(certificates.asked) == before + 1


HOST = "https://sns.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("path", ["/huge.pem", "/moved.pem", "/gone"])
def test_a_document_too_large_moved_or_gone_is_not_fetched(certificates: Certificates, path: str) -> None:
    assert certificates.fetcher()(HOST + path) is None


def test_security_30_names_that_lead_inside_lead_nowhere(certificates: Certificates) -> None:
    before = len(certificates.asked)
    assert certificates.fetcher(may_reach=is_public)(CERTIFICATE) is None
    # One inner address among many is enough to say no.
    mixed = certificates.fetcher(
        may_reach=is_public, resolve=lambda _host, port: [("8.8.8.8", port), ("10.0.0.1", port)]
    )
    assert mixed(CERTIFICATE) is None
    for url in (
        "http://sns.eu-central-1.amazonaws.com/x.pem",
        "https://a:b@sns.eu-central-1.amazonaws.com/x.pem",
    ):
        assert certificates.fetcher()(url) is None
    # The name on the certificate counts, not the address it was found at.
    assert certificates.fetcher()("https://sns.us-east-1.amazonaws.com/x.pem") is None
    assert len(certificates.asked) == before


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "ff0e::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "2002:a00:1::",
        "::127.0.0.1",
        "fec0::1",
    ],
)
def test_security_30_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are() -> None:
    assert is_public("52.94.236.248")
    assert is_public("2600:1f00::1")


def test_a_stranger_cannot_make_us_knock_for_long(certificates: Certificates) -> None:
    fetch, before = certificates.fetcher(), len(certificates.asked)
    for number in range(50):
        fetch(f"{HOST}/{number}.pem")
    assert len(certificates.asked) == before + 20


def test_a_server_that_does_not_answer_is_given_up(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        silent.close()
        fetch = certificates.fetcher(resolve=lambda _host, _port: [("127.0.0.1", port)])
        assert fetch(CERTIFICATE) is None

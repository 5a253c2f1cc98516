"""Builders for the web room's tests: a playbook, services over a real database, and a live server."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.engine import Database, decode
from nurture.database.schema import consents, contacts, identities, inbox, quarantine
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.instant import Instant, parse_iso
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook, rebuild
from nurture.runtime.clock import Clock, SystemClock
from nurture.runtime.settings import Settings
from nurture.web import create_app, make_server
from tests.rig.notifier import RecordingNotifier

NOW = parse_iso("2026-05-04T12:00:00Z")
KEYS = SigningKeys((b"a secret of the tests, long enough",))
WIRE = Path(__file__).parent / "api" / "wire"

FILES = {
    "playbook.yaml": """
name: lark
brand: {name: Lark & Kettle, shop_url: "https://lark.example", address: "Kesselhof 3, Berlin", color: "#1f5a4c"}
senders: {default: {name: Lark, address: hello@lark.example, reply_to: hello@lark.example}}
locales: [en, zh-CN]
default_zone: Europe/Berlin
conversion: {by: Order Completed, key: order_id}
stages:
  lead: {aware: {when: "True", may_ask: [read]}}
  customer: {excite: {when: "True", may_ask: [read]}}
topics: {news: {}, offers: {}}
actions: {read: {sells: false}}
forms: [letter]
facts: {orders: {count: Order Completed}}
""",
    "_layout/strings.en.yaml": """
topic_news: News and guides
topic_news_about: one short mail a week
topic_offers: Offers
""",
    "_layout/strings.zh-CN.yaml": """
topic_news: 资讯与指南
topic_news_about: 每周一封短邮件
topic_offers: 优惠
""",
}


def a_playbook() -> LoadedPlaybook:
    """Return a published playbook with two topics, in two languages."""
    return rebuild(FILES, id_=1)


def a_service(database: Database, *, clock: Clock | None = None, **settings: Any) -> Services:
    """Return services over a real database, with the write key `WK` of the source `shop`."""
    given = {
        "write_keys": ("shop=WK-1234", "WK"),
        "secret_key": ("a secret of the tests, long enough",),
        "suppression_key": "another secret of the tests",
        "http_port": 1,
        **settings,
    }
    return Services(
        database=replace(database, notifier=RecordingNotifier()),
        settings=Settings(**given),
        clock=clock or SystemClock(),
        keys=KEYS,
        playbooks=FixedPlaybook(a_playbook()),
    )


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """Run a real server for as long as the block; give its URL."""
    with running(create_app(services)) as url:
        yield url


@contextmanager
def running(application: Any) -> Iterator[str]:
    """Run any ASGI application on a port of its own; give its URL."""
    server = make_server(application, host="127.0.0.1", port=0)
    started = threading.Event()
    startup = server.startup

    async def tell(*arguments: Any, **named: Any) -> None:
        await startup(*arguments, **named)
        started.set()

    server.startup = tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(10), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


class Theatre:
    """An application that hands every request to the one now on stage: one server for many tests.

    Nobody starts the writers of the inbox here; it is for pages.
    """

    def __init__(self) -> None:
        self.application: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        await self.application(scope, receive, send)


@contextmanager
def asking(services: Services, **given: Any) -> Iterator[httpx.Client]:
    """Give a client of a live server."""
    with serving(services) as url, httpx.Client(base_url=url, **given) as client:
        yield client


def recorded(name: str) -> list[dict[str, Any]]:
    """Return the requests that real clients sent: method `m`, path `p`, headers `h`, body `b`."""
    return [json.loads(line) for line in (WIRE / f"{name}.jsonl").read_text().splitlines()]


def accepted(database: Database) -> list[dict[str, Any]]:
    """Return the inbox, oldest first, as plain values with the body opened."""
    with database.read() as connection:
        rows = connection.execute(sa.select(inbox).order_by(inbox.c.id)).mappings().all()
    return [{**row, **decode(row["body"])} for row in rows]


def set_aside(database: Database) -> list[Any]:
    """Return the quarantine, oldest first."""
    with database.read() as connection:
        return list(connection.execute(sa.select(quarantine).order_by(quarantine.c.id)))


def stored_consents(database: Database) -> list[tuple[int, str, str]]:
    """Return the evidence of consent: (contact, topic, state), oldest first."""
    with database.read() as connection:
        rows = connection.execute(sa.select(consents).order_by(consents.c.id))
        return [(row.contact_id, row.topic, row.state) for row in rows]


def a_contact(
    database: Database,
    email: str = "mara@example.com",
    *,
    locale: str | None = "en",
    at: Instant = NOW,
    **given: Any,
) -> int:
    """Store a contact with an address and a user id; return its id."""
    row = {
        "track": "lead",
        "stage": "aware",
        "track_since": at,
        "stage_since": at,
        "first_seen_at": at,
        "clock": at,
        "facts": {},
        "email": email,
        "locale": locale,
        **given,
    }
    with database.write() as connection:
        number = connection.execute(sa.insert(contacts).values(row).returning(contacts.c.id)).scalar_one()
        names = {"email": email, "user_id": f"user-{number}"}
        rows = [
            {"kind": kind, "value": names[kind], "contact_id": number, "since": at, "source": "test"}
            for kind in IDENTITY_KINDS
            if kind in names
        ]
        connection.execute(sa.insert(identities), rows)
    return int(number)


def a_track(number: int, **given: Any) -> dict[str, Any]:
    """Return a track call as the clients write it."""
    return {
        "type": "track",
        "userId": f"user-{number}",
        "anonymousId": None,
        "event": "Order Completed",
        "messageId": f"message-{number}",
        "timestamp": "2026-05-04T11:00:00.000Z",
        "properties": {"order_id": f"o-{number}", "revenue": 12.5},
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        "integrations": {},
        **given,
    }


def a_batch(items: Iterable[Any], **given: Any) -> dict[str, Any]:
    """Return a batch of calls, without sentAt."""
    return {"batch": list(items), **given}

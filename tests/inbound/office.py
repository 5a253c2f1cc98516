"""An installation that mail comes to: the shipped programme, a mail server of ours on loopback, virtual time."""

import asyncio
import contextlib
import smtplib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.app.feedback import process_feedback
from nurture.app.inbound import Inbound
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.types import Delivery
from nurture.domain.event import Identity
from nurture.domain.instant import Instant, parse_iso
from nurture.playbook import FixedPlaybook, LoadedPlaybook, build, load_files
from nurture.runtime.settings import Settings
from nurture.simulation.run_until_idle import run_until_idle
from nurture.transports.registry import Transport, open_transport
from nurture.web.inbound_smtp import MailServer
from tests.delivery.world import KEYS, SUPPRESSION_KEY, World
from tests.rig.notifier import RecordingNotifier
from tests.rig.smtp import SmtpSink

#: Wednesday, half past ten in Berlin.
MORNING: Instant = parse_iso("2026-05-13T08:30:00Z")
BOUNCES = "bounces@mail.larkandkettle.example"
HUMAN = "tom@larkandkettle.example"
CHIEF = "chief@larkandkettle.example"


@cache
def shipped() -> LoadedPlaybook:
    return build(load_files(Path(__file__).parents[2] / "email_templates"))


class Office(World):
    """The shipped programme, delivered over SMTP to a sink."""

    transport: Transport
    notices: Transport

    def begin(self, sink: SmtpSink) -> "Office":
        """Send to this sink; the day begins."""
        self.clock.current = MORNING
        self.sink = sink
        self.transport, self.notices = open_transport(sink.url), open_transport(sink.url)
        self.services = Services(
            database=replace(self.database, notifier=RecordingNotifier()),
            settings=Settings(
                bounce_address=BOUNCES,
                replies_to=HUMAN,
                escalate_to=CHIEF,
                reply_within="4h",
                suppression_key=SUPPRESSION_KEY.decode(),  # type: ignore[arg-type]
                base_url="https://mail.larkandkettle.example",
            ),
            clock=self.clock,
            keys=KEYS,
            playbooks=FixedPlaybook(shipped()),
        )
        return self

    def end(self) -> None:
        self.transport.close()
        self.notices.close()

    @property
    def delivery(self) -> Delivery:
        return replace(
            super().delivery, playbooks=FixedPlaybook(shipped()), composer=None, bounce_address=BOUNCES
        )

    def happen(self, name: str, /, who: str = "ada@example.com", **properties: Any) -> None:
        """Hand in an event of a person, now."""
        now = self.clock.now()
        event = NewEvent(
            source="test",
            message_id=f"{name} {now} {properties}",
            kind="track",
            name=name,
            occurred_at=now,
            received_at=now,
            identities=(Identity("email", who),),
            properties=properties,
            context={"timezone": "Europe/Berlin", "locale": "en"},
        )
        with self.database.write() as connection:
            accept(connection, [event])

    def turn(self) -> dict[str, int]:
        """Apply what is pending and send what is due."""
        return run_until_idle(self.database, self.delivery, {"main": self.transport})

    def work(self) -> dict[str, int]:
        """Do what the feedback room does in the background."""
        return dict(process_feedback(self.services, self.notices))

    def mails_to(self, address: str) -> list[Any]:
        """Return what the sink took for an address, parsed, the envelope's sender as `.sender`."""
        found = []
        for taken in self.sink.taken:
            if taken.recipients == (address,):
                mail: Any = taken.parsed()
                mail.sender = taken.sender
                found.append(mail)
        return found

    def rows(self, table: sa.Table) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))

    def event_names(self) -> list[str]:
        """Return the names of applied events, in order."""
        return [row.name for row in self.rows(t.events)]


@dataclass
class Post:
    """Hands mail in at our server, as Postfix would."""

    smtp_port: int
    lmtp_port: int

    def send(
        self, recipient: str, data: bytes, *, sender: str = "ada@example.com", lmtp: bool = False
    ) -> None:
        """Hand one mail in. Raises what smtplib raises when it is not taken."""
        with self.connected(lmtp=lmtp) as client:
            client.sendmail(sender, [recipient], data)

    @contextlib.contextmanager
    def connected(self, *, lmtp: bool = False) -> Iterator[smtplib.SMTP]:
        client = (
            smtplib.LMTP("127.0.0.1", self.lmtp_port) if lmtp else smtplib.SMTP("127.0.0.1", self.smtp_port)
        )
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def listening(services: Services) -> Iterator[Post]:
    """Run our mail server for as long as the block."""
    loop = asyncio.new_event_loop()
    server = MailServer(Inbound(services), hostname="mail.larkandkettle.example")

    async def listen() -> Post:
        smtp = await server.listen("127.0.0.1", 0)
        return Post(smtp, await server.listen("127.0.0.1", 0, lmtp=True))

    post = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield post
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _end(server: MailServer) -> None:
    """Close the server and end its conversations."""
    await server.close()
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def an_office(database: Database, sink: SmtpSink) -> Office:
    """Return an office of this database."""
    return Office(database, shipped().playbook).begin(sink)

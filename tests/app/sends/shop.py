"""A shop with some people and two measures to send, in one database with virtual time."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nurture.app.sends.hand_in import SendOrder, send
from nurture.app.sends.recipients import Recipients, audience_of
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.delivery.types import Delivery
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant
from nurture.domain.measure import MailStep, OnOps
from nurture.domain.playbook import Playbook, Topic
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.rendering.templates import Templates
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from nurture.simulation.run_until_idle import run_until_idle
from tests.delivery.world import PlainComposer, Post
from tests.domain.build import a_measure, a_playbook
from tests.domain.conditions.samples import NOW

NOTICE = "any/any/notice"
OFFER = "lead/any/offer"


def shop_playbook() -> Playbook:
    """Return a programme with a service notice for everybody and an offer to leads who agreed to news."""
    notice = a_measure(NOTICE, trigger=OnOps(), purpose="service", valid_for=2 * HOUR)
    offer = a_measure(
        OFFER,
        trigger=OnOps(),
        purpose="sales",
        topic="news",
        steps=(MailStep("offer", "offer"),),
        valid_for=30 * DAY,
    )
    return a_playbook(notice, offer, topics={"news": Topic("news", double_opt_in=False)})


@dataclass
class Shop:
    """The database with everything that sends need; mail goes to a transport that keeps it."""

    database: Database
    playbook: Playbook = field(default_factory=shop_playbook)
    start: Instant = NOW
    post: Post = field(default_factory=Post)

    def __post_init__(self) -> None:
        """Make the services and the delivery."""
        self.clock = ManualClock(self.start)
        loaded = LoadedPlaybook(1, self.playbook, files={}, templates=Templates.of({}, self.playbook))
        keys = SigningKeys((b"a secret for the tests of sends",))
        playbooks = FixedPlaybook(loaded)
        self.services = Services(self.database, load_settings(environment={}), self.clock, keys, playbooks)
        self.delivery = Delivery(
            clock=self.clock,
            playbooks=playbooks,
            keys=keys,
            suppression_key=self.services.settings.suppression_secret,
            base_url="https://mail.shop.example",
            worker="one",
            composer=PlainComposer(),
        )

    @property
    def now(self) -> Instant:
        """The virtual instant."""
        return self.clock.now()

    def people(self, count: int, *, consent: bool = True) -> None:
        """Let so many leads identify themselves."""
        names = [f"p{number}@shop.example" for number in range(1, count + 1)]
        events = [
            NewEvent(
                source="test",
                message_id=f"hello {name}",
                kind="identify",
                name="Identified",
                occurred_at=self.now,
                received_at=self.now,
                identities=(Identity("email", name),),
            )
            for name in names
        ]
        self.database.run(lambda connection: accept(connection, events))
        self.work()
        if consent:
            self.consent("news", "granted")

    def order(self, *numbers: int) -> None:
        """Let these people buy something, which makes them customers."""
        events = [
            NewEvent(
                source="test",
                message_id=f"order {number}",
                kind="track",
                name="Order Completed",
                occurred_at=self.now,
                received_at=self.now,
                identities=(Identity("email", f"p{number}@shop.example"),),
                properties={"order_id": f"o{number}", "revenue": 1},
            )
            for number in numbers
        ]
        self.database.run(lambda connection: accept(connection, events))
        self.work()

    def consent(self, topic: str, state: str) -> None:
        """Let everybody say this about a topic."""
        with self.database.write() as connection:
            ids = connection.execute(sa.select(t.contacts.c.id)).scalars().all()
            row = {"topic": topic, "state": state, "at": self.now, "source": "web", "evidence": "{}"}
            connection.execute(sa.insert(t.consents), [{**row, "contact_id": number} for number in ids])

    def send(
        self, measure: str = NOTICE, recipients: Recipients | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Send to everybody, or to these."""
        order = {"request": "r1", "actor": "cli:ann"} | changes
        return send(self.services, SendOrder(measure, recipients or audience_of("True"), **order))

    def drain(self) -> None:
        """Decide everything that is accepted, and deliver nothing."""
        run_until_idle(self.database, self.delivery, {})

    def work(self) -> None:
        """Run every room until nothing is due."""
        run_until_idle(self.database, self.delivery, {"main": self.post})

    def deliver(self, most: int) -> None:
        """Deliver one chunk of at most so many mails."""
        deliver(self.database, self.delivery, lane="main", transport=self.post, limit=most)

    def later(self, duration: int) -> None:
        """Let time pass at once, and work."""
        self.clock.advance_to(self.now + duration)
        self.work()

    def live(self, duration: int, *, tick: int = MINUTE) -> None:
        """Let time pass in ticks, and work at each."""
        until = self.now + duration
        while self.now < until:
            self.later(tick)

    def statuses(self, request: str = "r1") -> dict[tuple[str, str], int]:
        """Return (status, reason) -> mails of a send."""
        m = t.messages.c
        counted = sa.select(m.status, m.reason, sa.func.count()).where(m.request == request)
        with self.database.read() as connection:
            return {
                (status, reason): count
                for status, reason, count in connection.execute(counted.group_by(m.status, m.reason))
            }

    def sent_at(self) -> list[Instant]:
        """Return when each mail was sent, in order."""
        m = t.messages.c
        with self.database.read() as connection:
            statement = sa.select(m.sent_at).where(m.status == "sent").order_by(m.sent_at)
            return list(connection.execute(statement).scalars())

    def pending(self) -> int:
        """Return how many events the inbox has not applied."""
        with self.database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(t.inbox)).scalar_one()


__all__ = ["DAY", "HOUR", "MINUTE", "NOTICE", "OFFER", "Shop", "shop_playbook"]

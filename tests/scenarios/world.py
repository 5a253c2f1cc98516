"""A world for scenario tests: one database, the shipped programme, virtual time and a mailbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.consent import record
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.types import Delivery
from nurture.domain.event import Identity
from nurture.domain.instant import MINUTE, Duration, Instant, parse_iso, to_iso
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook, build, load_files
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import Settings
from nurture.simulation.play import Input, Simulation
from nurture.simulation.run_until_idle import run_until_idle
from nurture.simulation.transport import Outlet

SHIPPED = Path(__file__).parent.parent.parent / "email_templates"
MONDAY = parse_iso("2026-03-02T09:00:00Z")
SECRET = "a-secret-for-tests-long-enough"


@lru_cache(maxsize=1)
def shipped() -> LoadedPlaybook:
    """Return the shipped programme, built once."""
    return build(load_files(SHIPPED))


@dataclass
class World:
    """One installation with the shipped programme; time begins on a Monday at nine, UTC."""

    database: Database
    loaded: LoadedPlaybook = field(default_factory=shipped)
    clock: ManualClock = field(default_factory=lambda: ManualClock(MONDAY))
    outlet: Outlet = field(default_factory=lambda: Outlet(keep=10_000))
    _event_count: int = 0

    def __post_init__(self) -> None:
        """Build the services and the delivery."""
        settings = Settings.model_validate(
            {
                "secret_key": SECRET,
                "suppression_key": SECRET,
                "base_url": "https://mail.shop.example",
                "replies_to": "desk@shop.example",
            }
        )
        self.services = Services(
            database=self.database,
            settings=settings,
            clock=self.clock,
            keys=SigningKeys(settings.signing_secrets),
            playbooks=FixedPlaybook(self.loaded),
        )
        self.delivery = Delivery(
            clock=self.clock,
            playbooks=self.services.playbooks,
            keys=self.services.keys,
            suppression_key=settings.suppression_secret,
            base_url=settings.public_url,
            worker="test",
        )
        self.stage = Simulation(self.database, self.delivery, self.clock, {"main": self.outlet})

    @property
    def now(self) -> Instant:
        """The virtual instant."""
        return self.clock.now()

    def tell(self, who: str, name: str, /, *, at: Instant | None = None, **properties: Any) -> None:
        """Accept one event of a person (an address), received now; the next `work` or `until` applies it."""
        self.hand_in(self.event(who, name, at=at, **properties))

    def event(self, who: str, name: str, /, *, at: Instant | None = None, **properties: Any) -> NewEvent:
        """Return an event; `traits`, `context` and `historic` are its fields, other keywords its properties."""
        self._event_count += 1
        known = {k: properties.pop(k) for k in ("traits", "context", "historic") if k in properties}
        return NewEvent(
            source="test",
            message_id=str(properties.pop("id", f"t{self._event_count}")),
            kind="identify" if name == "Identified" else "track",
            name=name,
            occurred_at=self.now if at is None else at,
            received_at=self.now,
            identities=(Identity("email", who),) if who else (),
            properties=properties,
            **known,
        )

    def hand_in(self, *events: NewEvent) -> None:
        """Accept events, in one transaction."""
        self.database.run(lambda connection: accept(connection, events))

    def work(self) -> None:
        """Run all workers until nothing is due."""
        run_until_idle(self.database, self.delivery, self.stage.lanes)

    def until(self, at: Instant) -> None:
        """Let time pass until an instant."""
        self.stage.tick = MINUTE
        self.stage.play(iter(()), at)

    def live(self, duration: Duration) -> None:
        """Let this much time pass."""
        self.until(self.now + duration)

    def play(self, *inputs: Input, until: Instant) -> None:
        """Play inputs at their instants."""
        self.stage.play(iter(inputs), until)

    def consent(self, who: str, *topics: str) -> None:
        """Record that the person agreed to these topics."""
        self.work()

        def work(connection: Any) -> None:
            for topic in topics:
                record.grant_consent(
                    connection,
                    contact_id=resolve_contact(connection, who),
                    topic=topic,
                    now=self.now,
                    source="web",
                    evidence={},
                )

        self.database.run(work)

    def mails(self, who: str | None = None) -> list[tuple[str, str]]:
        """Return (when sent, measure/step) of the sent mails, in that order."""
        return [(at, name) for at, name, status, _ in self.ledger(who) if status == "sent"]

    def ledger(self, who: str | None = None) -> list[tuple[str, str, str, str]]:
        """Return (when, measure/step, status, reason) of every decided mail, in order of sending or deciding.

        The measure stands by its path.
        """
        m = t.messages.c
        statement = sa.select(m.sent_at, m.due_at, m.measure, m.step, m.status, m.reason, m.contact_id)
        with self.database.read() as connection:
            if who is not None:
                statement = statement.where(m.contact_id == resolve_contact(connection, who))
            rows = sorted(
                connection.execute(statement), key=lambda row: (row.sent_at or row.due_at, row.measure)
            )
        measures = self.loaded.playbook.measures
        # The ledger knows a measure that was moved by the name that it had first.
        paths = {r.measure: found.path for r in rows if (found := measures.get(r.measure)) is not None}
        return [
            (to_iso(r.sent_at or r.due_at), f"{paths.get(r.measure, r.measure)}/{r.step}", r.status, r.reason)
            for r in rows
        ]

    def sent_mails(self) -> list[EmailMessage]:
        """Return the mails that the transport got, parsed."""
        return [message_from_bytes(mail.data, policy=policy.default) for mail in self.outlet.kept]

    def facts(self, who: str) -> Mapping[str, Any]:
        """Return the person's facts."""
        with self.database.read() as connection:
            contact = resolve_contact(connection, who)
            found = connection.scalar(sa.select(t.contacts.c.facts).where(t.contacts.c.id == contact))
            facts: Mapping[str, Any] = found or {}
            return facts

"""A small world to deliver in: a database with people and due mails, a clock, a transport that remembers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.consent import record
from nurture.database import schema as t
from nurture.database.engine import Database, decode, encode
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.deliver import claim, deliver, recover
from nurture.delivery.journal.writer import Journal
from nurture.delivery.load_guard_input import GuardItem
from nurture.delivery.types import Chunk, Delivery, ReadyMessage
from nurture.domain.counts import Counts
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.playbook import Playbook
from nurture.domain.signing import SigningKeys
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.templates import Templates
from nurture.runtime.clock import ManualClock
from nurture.transports.types import Outcome, OutgoingMail
from tests.delivery.builders import BERLIN, NOON, PATH, a_playbook

KEYS = SigningKeys((b"a secret for the tests of delivery",))
SUPPRESSION_KEY = b"another secret, for suppressions"
Behaviour = Callable[[OutgoingMail], Outcome]


class PlainComposer:
    """Makes mails of one line, so that these tests do not depend on templates."""

    def freeze(
        self,
        item: GuardItem,
        *,
        delivery: Delivery,  # noqa: ARG002 - a composer's shape
        loaded: LoadedPlaybook,  # noqa: ARG002
        scope: ChunkScope,
    ) -> dict[str, Any]:
        """Freeze what a template could read."""
        return {
            "to": item.family.address,
            "header_id": item.row.header_id or f"{item.due.id}@shop.example",
            "frozen_at": scope.now,
            "let": item.run.let if item.run else {},
            "objects": item.objects,
        }

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Write the frozen values; a measure called `missing` or `broken` is."""
        name = ready.measure.rpartition("/")[2]
        problem = TemplateProblem(f"{ready.measure}/offer.en.mjml", 3, "first_name is missing", "give it")
        if name == "missing":
            raise MissingValue(problem, "contact.first_name")
        if name == "broken":
            raise TemplateFault(problem)
        return self.address(ready, encode(ready.context).encode() + b"\r\n")

    def address(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Address the bytes."""
        return OutgoingMail(ready.id, ready.attempt, "bounces@shop.example", ready.context["to"], data)


@dataclass
class Post:
    """A transport that remembers what it took; `behave` says what becomes of each letter."""

    behave: Behaviour | None = None
    taken: list[OutgoingMail] = field(default_factory=list)

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Take one letter after the other."""
        for mail in mails:
            self.taken.append(mail)
            yield self.behave(mail) if self.behave else outcome(mail)

    def close(self) -> None:
        """Nothing is held."""


def outcome(mail: OutgoingMail, result: str = "sent", **more: Any) -> Outcome:
    """Return an outcome of the letter."""
    values: dict[str, Any] = {"stage": "replied", "code": "250"} | more
    return Outcome(mail.message_id, mail.attempt, result, **values)  # type: ignore[arg-type]


@dataclass
class World:
    """The database under test with a playbook, a clock at NOON and one worker."""

    database: Database
    playbook: Playbook = field(default_factory=a_playbook)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    worker: str = "one"
    only_to: frozenset[str] = frozenset()
    journal: Journal | None = None

    @property
    def delivery(self) -> Delivery:
        """The delivery of the worker."""
        return Delivery(
            clock=self.clock,
            playbooks=FixedPlaybook(LoadedPlaybook(1, self.playbook, {}, Templates.of({}, self.playbook))),
            keys=KEYS,
            suppression_key=SUPPRESSION_KEY,
            base_url="https://mail.shop.example",
            worker=self.worker,
            only_to=self.only_to,
            journal=self.journal,
            composer=PlainComposer(),
        )

    def other(self, worker: str) -> "World":
        """Return another worker in the same world."""
        return replace(self, worker=worker)

    # ---- what is there ---------------------------------------------------------------------------------

    def person(self, name: str = "ada", *, consent: str | None = "granted", **changes: Any) -> int:
        """Store a customer in Berlin, who agreed to offers."""
        row: dict[str, Any] = {
            "track": "customer",
            "stage": "excite",
            "track_since": 0,
            "stage_since": 0,
            "first_seen_at": NOON - 100 * DAY,
            "zone": BERLIN,
            "email": f"{name}@example.com",
            "facts": {"first_seen_at": NOON - 100 * DAY},
            "clock": NOON - DAY,
        }
        with self.database.write() as connection:
            number = connection.execute(
                sa.insert(t.contacts).values(row | changes).returning(t.contacts.c.id)
            ).scalar_one()
            connection.execute(
                sa.insert(t.identities).values(
                    kind="email", value=f"{name}@example.com", contact_id=number, since=0, source="test"
                )
            )
            if consent:
                connection.execute(
                    sa.insert(t.consents).values(
                        contact_id=number, topic="offers", state=consent, at=1, source="test", evidence="{}"
                    )
                )
        return int(number)

    def mail(self, contact: int, measure: str = PATH, *, step: str = "offer", **changes: Any) -> int:
        """Store a due mail and the run it belongs to (which ended with it, unless `mailing`)."""
        run = {
            name: changes.pop(name) for name in ("mailing", "let", "data", "run_status") if name in changes
        }
        declared = self.playbook.measures[measure]
        row: dict[str, Any] = {
            "contact_id": contact,
            "measure": measure,
            "run_key": "",
            "step": step,
            "mail": step,
            "track": declared.track,
            "purpose": declared.purpose,
            "topic": declared.topic,
            "lane": declared.lane,
            "priority": declared.priority,
            "holdout": False,
            "status": "waiting",
            "decided_at": NOON - HOUR,
            "due_at": NOON - HOUR,
            "valid_until": NOON + 30 * DAY,
        } | changes
        waits = run.get("mailing", False)
        with self.database.write() as connection:
            number = connection.execute(
                sa.insert(t.messages).values(row).returning(t.messages.c.id)
            ).scalar_one()
            connection.execute(
                sa.insert(t.runs).values(
                    contact_id=contact,
                    measure=measure,
                    key=row["run_key"],
                    entity_key=row["run_key"],
                    track=declared.track if declared.track != "any" else "customer",
                    status=run.get("run_status", "active" if waits else "done"),
                    started_at=NOON - HOUR,
                    step=step,
                    step_since=NOON - HOUR,
                    due_at=NOON,
                    mailing=waits,
                    holdout=row["holdout"],
                    variant="",
                    decided=encode([step]),
                    let=encode(run.get("let", {})),
                    data=encode(run.get("data", {})),
                    rules_hash="",
                )
            )
        return int(number)

    def pending_event(self, name: str = "ada", received_at: Instant = NOON) -> None:
        """Accept an event of the person without applying it."""
        with self.database.write() as connection:
            connection.execute(
                sa.insert(t.inbox).values(
                    shard=0,
                    source="test",
                    message_id=f"{name}{received_at}",
                    kind="track",
                    name="Order Completed",
                    occurred_at=received_at,
                    received_at=received_at,
                    email=f"{name}@example.com",
                    body="{}",
                )
            )

    # ---- what happens ----------------------------------------------------------------------------------

    def claim(self, lane: str = "main", limit: int = 200) -> Chunk:
        """Pass the chunk gate."""
        return claim(self.database, self.delivery, lane=lane, limit=limit)

    def deliver(self, post: Post | None = None, *, lane: str = "main", limit: int = 200) -> Counts:
        """Deliver what is due."""
        return deliver(self.database, self.delivery, lane=lane, transport=post or Post(), limit=limit)

    def recover(self) -> Counts:
        """Pick up what stopped workers left."""
        return recover(self.database, clock=self.clock)

    def later(self, duration: int) -> None:
        """Let time pass."""
        self.clock.advance_to(self.clock.now() + duration)

    def switch(self, name: str, *, paused: bool = True) -> int:
        """Turn a switch."""
        return self.database.run(
            lambda connection: record.set_switch(
                connection, name, paused=paused, reason="for a test", actor="test", now=self.clock.now()
            )
        )

    def unsubscribe(self, contact: int, topic: str | None = "offers") -> None:
        """Withdraw a topic, or everything."""
        self.database.run(
            lambda connection: record.unsubscribe(
                connection,
                contact_id=contact,
                topic=topic,
                now=self.clock.now(),
                source="test",
                evidence={},
                suppression_key=SUPPRESSION_KEY,
            )
        )

    # ---- what became of it -----------------------------------------------------------------------------

    def message(self, number: int) -> Any:
        """Return the ledger's row."""
        with self.database.read() as connection:
            return connection.execute(sa.select(t.messages).where(t.messages.c.id == number)).one()

    def status(self, number: int) -> tuple[str, str]:
        """Return status and reason."""
        row = self.message(number)
        return row.status, row.reason

    def contact(self, number: int) -> Any:
        """Return the contact's row."""
        with self.database.read() as connection:
            return connection.execute(sa.select(t.contacts).where(t.contacts.c.id == number)).one()

    def run_let(self, contact: int, measure: str = PATH) -> dict[str, Any]:
        """Return what the run has fixed."""
        statement = sa.select(t.runs.c.let).where(t.runs.c.contact_id == contact, t.runs.c.measure == measure)
        with self.database.read() as connection:
            let: dict[str, Any] = decode(connection.execute(statement).scalar_one())
            return let

    def attempts(self) -> list[tuple[int, int, str]]:
        """Return (message, attempt, outcome) in order."""
        statement = sa.select(t.attempts).order_by(t.attempts.c.id)
        with self.database.read() as connection:
            return [(row.message_id, row.attempt, row.outcome) for row in connection.execute(statement)]


def find_unexplained_mails(connection: sa.Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the steps a run decided without a message, and the messages that no run decided.

    Each row names contact, measure, key, step and what is missing. Merged contacts count as their survivor.
    """
    owner = sa.func.coalesce(t.contacts.c.survivor, t.contacts.c.id)
    if connection.dialect.name == "postgresql":
        steps = sa.func.jsonb_array_elements_text(sa.cast(t.runs.c.decided, JSONB)).table_valued("value")
    else:
        steps = sa.func.json_each(t.runs.c.decided).table_valued("value")
    step = sa.cast(steps.c.value, sa.Text)
    decided = sa.select(
        owner.label("contact"), t.runs.c.measure, t.runs.c.key.label("key"), step.label("step")
    ).select_from(t.runs.join(t.contacts, t.contacts.c.id == t.runs.c.contact_id).join(steps, sa.true()))
    written = sa.select(
        owner.label("contact"), t.messages.c.measure, t.messages.c.run_key.label("key"), t.messages.c.step
    ).select_from(t.messages.join(t.contacts, t.contacts.c.id == t.messages.c.contact_id))
    missing: list[dict[str, Any]] = []
    for kind, statement in (
        ("message", sa.except_(decided, written)),
        ("run", sa.except_(written, decided)),
    ):
        rows = connection.execute(statement.order_by(sa.literal_column("1")).limit(limit))
        missing += [{**row._mapping, "missing": kind} for row in rows]
    return missing[:limit]

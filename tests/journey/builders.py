"""Builders for the inbox's tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.contacts.queries import load_contacts
from nurture.database import schema
from nurture.database.engine import Database, decode
from nurture.domain.contact import Contact
from nurture.domain.counts import Counts
from nurture.domain.event import Identity
from nurture.domain.instant import parse_iso
from nurture.domain.journey.advance import advance
from nurture.domain.playbook import Playbook
from nurture.journey.drain import drain, ring
from nurture.journey.replay import verify_replay
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.runtime.clock import ManualClock
from tests.domain.build import a_playbook

NOW = parse_iso("2026-05-04T12:00:00Z")

KINDS = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id"}


def names(text: str) -> tuple[Identity, ...]:
    """Return `u1 e2` as user id `u1` and address `e2@example.com`."""
    return tuple(
        Identity(KINDS[word[0]], f"{word}@example.com" if word[0] == "e" else word)  # type: ignore[arg-type]
        for word in text.split()
    )


def an_event(message_id: str, who: str = "", **given: Any) -> NewEvent:
    """Return an event received at NOW; `who` as in `names`."""
    values: dict[str, Any] = {
        "source": "test",
        "message_id": message_id,
        "kind": "track",
        "name": "Page Viewed",
        "occurred_at": NOW,
        "received_at": NOW,
        "identities": names(who),
    }
    return NewEvent(**(values | given))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Give the list of statements that the writer runs meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    sa.event.listen(database.writer, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(database.writer, "before_cursor_execute", note)


class World:
    """A database with a programme and a clock, and the drains to run on it."""

    def __init__(self, database: Database, playbook: Playbook | None = None, *, rule: Any = advance) -> None:
        """Begin at NOW, with a small programme unless one is given."""
        self.database = database
        self.clock = ManualClock(NOW)
        self.rule = rule
        self.use(playbook or a_playbook())

    def use(self, playbook: Playbook) -> None:
        """Work by this playbook from now on."""
        self.playbook = playbook
        # Nothing is rendered here.
        unused: Any = None
        self.playbooks = FixedPlaybook(LoadedPlaybook(1, playbook, files={}, templates=unused))

    def accept(self, *events: NewEvent) -> None:
        """Take events in, in one transaction."""
        with self.database.write() as connection:
            accept(connection, events)

    def drain(self, shard: int | None = None, limit: int = 500) -> Counts:
        """Drain one batch."""
        return drain(
            self.database,
            shard=shard,
            clock=self.clock,
            playbooks=self.playbooks,
            limit=limit,
            rule=self.rule,
        )

    def settle(self, limit: int = 500) -> Counts:
        """Drain until nothing is pending."""
        total = Counts()
        for _ in range(500):
            counts = self.drain(limit=limit)
            total.update(counts)
            if not self.rows(schema.inbox):
                return total
        raise AssertionError(f"the inbox never came to rest: {self.rows(schema.inbox)[:3]}")

    def take(self, *events: NewEvent) -> Counts:
        """Accept events and drain until nothing is pending."""
        self.accept(*events)
        return self.settle()

    def ring(self, limit: int = 500) -> Counts:
        """Ring one batch of alarms."""
        return ring(self.database, clock=self.clock, playbooks=self.playbooks, limit=limit, rule=self.rule)

    def rows(self, table: sa.Table, **where: Any) -> list[Any]:
        """Return the rows of a table, by its key."""
        statement = sa.select(table).order_by(*table.primary_key.columns)
        with self.database.read() as connection:
            found = connection.execute(
                statement.where(*(table.c[name] == value for name, value in where.items()))
            )
            return list(found.all())

    def count(self, table: sa.Table) -> int:
        """Return how many rows the table has."""
        with self.database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    def who(self, name: str) -> int:
        """Return the living contact known as `u1`, `e1` ..."""
        (identity,) = names(name)
        with self.database.read() as connection:
            return load_index_by_identities(connection, [identity]).owners[identity]

    def contact(self, name: str) -> Contact:
        """Return the state of the contact known as `u1`, `e1` ..."""
        contact = self.who(name)
        with self.database.read() as connection:
            return load_contacts(connection, [contact], self.playbook)[contact]

    def applied(self, contact: int) -> list[str]:
        """Return the message ids applied to a contact, in order."""
        return [row.message_id for row in self.rows(schema.events, contact_id=contact)]

    def quarantined(self) -> list[tuple[str, str | None]]:
        """Return (stage, message id) of what was set aside."""
        return [(row.stage, row.message_id) for row in self.rows(schema.quarantine)]

    def conflicts(self) -> list[tuple[int, int | None, str, str]]:
        """Return (contact, other contact, kind, message id) of the open conflicts."""
        return [
            (row.contact_id, row.other_id, row.kind, decode(row.evidence)["message_id"])
            for row in self.rows(schema.conflicts, state="open")
        ]

    def check(self) -> None:
        """Check what must hold after everything: stored state is what the events say, and nobody is lost."""
        living = [row.id for row in self.rows(schema.contacts) if row.survivor is None]
        for contact in living:
            assert verify_replay(self.database, contact, self.playbook) == []
        owners = {row.contact_id for row in self.rows(schema.identities)}
        assert owners <= set(living)
        for row in self.rows(schema.contacts):
            assert row.survivor is None or row.survivor in living, "a chain of survivors"

"""Outcomes are written a window at a time, before the next window leaves; none is forgotten when writing fails."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.delivery.outcome_writer import OutcomeWriter
from nurture.delivery.outcomes import AttemptResult
from nurture.delivery.types import ReadyMessage
from nurture.domain.counts import Counts
from nurture.runtime.clock import pause
from nurture.transports.types import Outcome, OutgoingMail
from tests.delivery.world import PlainComposer, Post, World, outcome

#: Longer than any window takes here; who waits for the lock gives up waiting then, and the test fails.
_PATIENCE_SECONDS = 10.0


def sent_in_twos(world: World, post: Post, composer: PlainComposer | None = None) -> Counts:
    """Deliver what is due, two mails a window."""
    delivery = replace(world.delivery, window=2, composer=composer or PlainComposer())
    return deliver(world.database, delivery, lane="main", transport=post)


@contextmanager
def locked(database: Database, message: int) -> Iterator[None]:
    """Hold the row of a message as another transaction would."""
    with database.write() as connection:
        connection.execute(sa.select(t.messages.c.id).where(t.messages.c.id == message).with_for_update())
        yield


@dataclass
class WatchfulComposer(PlainComposer):
    """Lets somebody see whenever it makes a letter."""

    see: Callable[[], None]

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Make it."""
        self.see()
        return super().compose(ready)


def test_the_next_window_is_rendered_while_the_one_before_is_written(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    numbers = [world.mail(world.person(f"p{place}")) for place in range(6)]
    may_be_written, is_held = threading.Event(), threading.Event()
    seen: list[list[str]] = []

    def hold() -> None:
        with locked(postgresql_database, numbers[0]):
            is_held.set()
            may_be_written.wait(_PATIENCE_SECONDS)

    def see() -> None:
        seen.append([world.status(number)[0] for number in numbers[:4]])
        if len(seen) == 4:
            may_be_written.set()

    def behave(mail: OutgoingMail) -> Outcome:
        # The row is held from before its outcome is heard, so that writing it has to wait.
        if mail.message_id == numbers[0]:
            threading.Thread(target=hold, daemon=True).start()
            assert is_held.wait(_PATIENCE_SECONDS)
        return outcome(mail)

    post = Post(behave)

    counts = sent_in_twos(world, post, WatchfulComposer(see))

    assert counts["sent"] == 6
    assert seen[3] == ["on_wire", "on_wire", "ready", "ready"]
    assert [attempt[0] for attempt in world.attempts()] == [mail.message_id for mail in post.taken]


def test_one_window_at_a_time_has_no_written_outcome(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database)
    numbers = [world.mail(world.person(f"p{place}")) for place in range(9)]
    on_wire: list[int] = []
    write = OutcomeWriter._write_in_transaction

    def slow(self: OutcomeWriter, connection: sa.Connection, results: list[AttemptResult]) -> Counts:
        pause(0.1)
        return write(self, connection, results)

    monkeypatch.setattr(OutcomeWriter, "_write_in_transaction", slow)

    def behave(mail: OutgoingMail) -> Outcome:
        on_wire.append([world.status(number)[0] for number in numbers].count("on_wire"))
        return outcome(mail)

    counts = sent_in_twos(world, Post(behave))

    assert (counts["sent"], set(on_wire)) == (9, {2, 1})


def test_a_window_that_cannot_be_written_stops_the_delivery_and_the_others_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database)
    numbers = [world.mail(world.person(f"p{place}")) for place in range(8)]
    write = OutcomeWriter._write_in_transaction
    tried: list[int] = []

    def failing(self: OutcomeWriter, connection: sa.Connection, results: list[AttemptResult]) -> Counts:
        tried.append(len(results))
        if len(tried) == 1:
            raise ZeroDivisionError
        return write(self, connection, results)

    monkeypatch.setattr(OutcomeWriter, "_write_in_transaction", failing)
    post = Post()

    with pytest.raises(ZeroDivisionError):
        sent_in_twos(world, post)

    left = [mail.message_id for mail in post.taken]
    assert len(left) < len(numbers)
    assert {world.status(number)[0] for number in left[:2]} == {"on_wire"}
    assert {world.status(number) for number in left[2:]} <= {("sent", "")}
    assert {world.status(number) for number in numbers if number not in left} == {("waiting", "not_begun")}

"""Outcomes are written a window at a time, while the next window is sent; none is forgotten when writing fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from nurture.domain.counts import Counts
from nurture.flow.deliver import deliver
from nurture.flow.desk import Desk
from nurture.flow.outcomes import Told
from nurture.mail.letter import Letter, Outcome
from nurture.store import tables as t
from nurture.store.database import Database
from tests.deliver.world import Post, World, outcome

#: Longer than any window takes here; who waits for the lock gives up waiting then, and the test fails.
_PATIENCE_SECONDS = 10.0


def sent_in_twos(world: World, post: Post) -> Counts:
    """Deliver what is due, two mails a window."""
    delivery = replace(world.delivery, window=2)
    return deliver(world.database, delivery, lane="main", transport=post)


@contextmanager
def locked(database: Database, message: int) -> Iterator[None]:
    """Hold the row of a message as another transaction would."""
    with database.write() as connection:
        connection.execute(sa.select(t.messages.c.id).where(t.messages.c.id == message).with_for_update())
        yield


def test_the_next_window_is_sent_while_the_one_before_is_written(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    for place in range(6):
        world.mail(world.person(f"p{place}"))
    may_be_written, is_held = threading.Event(), threading.Event()
    seen: list[bool] = []

    def hold(message: int) -> None:
        with locked(postgresql_database, message):
            is_held.set()
            may_be_written.wait(_PATIENCE_SECONDS)

    def behave(letter: Letter) -> Outcome:
        taken = len(post.taken)
        if taken == 1:
            threading.Thread(target=hold, args=(letter.message_id,), daemon=True).start()
            assert is_held.wait(_PATIENCE_SECONDS)
        if taken == 4:
            # Nothing of the first window can be written yet.
            seen.append(world.status(post.taken[0].message_id)[0] == "on_wire")
            may_be_written.set()
        return outcome(letter)

    post = Post(behave)

    counts = sent_in_twos(world, post)

    assert (counts["sent"], seen) == (6, [True])
    assert {world.status(letter.message_id) for letter in post.taken} == {("sent", "")}
    assert [each[0] for each in world.attempts()] == [letter.message_id for letter in post.taken]


def test_a_window_that_cannot_be_written_stops_the_delivery_and_the_others_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database)
    numbers = [world.mail(world.person(f"p{place}")) for place in range(8)]
    write = Desk._write
    tried: list[int] = []

    def failing(self: Desk, connection: sa.Connection, told: list[Told]) -> Counts:
        tried.append(len(told))
        if len(tried) == 1:
            raise ZeroDivisionError
        return write(self, connection, told)

    monkeypatch.setattr(Desk, "_write", failing)
    post = Post()

    with pytest.raises(ZeroDivisionError):
        sent_in_twos(world, post)

    left = [letter.message_id for letter in post.taken]
    assert len(left) < len(numbers)
    assert {world.status(number)[0] for number in left[:2]} == {"on_wire"}
    assert {world.status(number) for number in left[2:]} <= {("sent", "")}
    assert {world.status(number) for number in numbers if number not in left} == {("waiting", "not_begun")}

"""Several drains at once on PostgreSQL: whoever wins, every event is applied once and each contact's in order."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.contacts import locking
from nurture.contacts.accept import NewEvent, shard_of
from nurture.contacts.identity_queries import renew_identities, take_identities
from nurture.contacts.inbox_queries import SHARDS
from nurture.database import schema
from nurture.database.engine import Database, open_database
from nurture.domain.contact import Advance, Contact
from nurture.domain.counts import Counts
from nurture.domain.instant import HOUR, MINUTE
from nurture.domain.journey.advance import Happening, advance
from nurture.domain.measure import MailStep, OnEvent
from nurture.journey.crash_counts import proven_work_of
from nurture.journey.merge import merge
from nurture.runtime.clock import monotonic, pause
from tests.domain.build import a_measure, a_playbook
from tests.journey.builders import NOW, World, an_event, names


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run these at the same time, each in a thread; return what they return, raise what they raise."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


def drain_all(world: World) -> int:
    """Drain until nothing is pending; return how many were applied here."""
    applied = 0
    while world.rows(schema.inbox):
        applied += world.drain(limit=20)["applied"]
    return applied


def inversions(world: World) -> int:
    """Count events of a contact that were applied before one that was accepted earlier."""
    count = 0
    for contact in {row.contact_id for row in world.rows(schema.events)}:
        numbers = [int(message_id[1:]) for message_id in world.applied(contact)]
        count += sum(later < earlier for earlier, later in pairwise(numbers))
    return count


@pytest.mark.parametrize("seed", range(4))
def test_names_that_meet_in_any_order_make_one_contact_each(postgresql_database: Database, seed: int) -> None:
    """Four drains, few people, many names, every shard: joins in opposite orders, and nobody waits for ever."""
    world = World(postgresql_database)
    random = Random(seed)
    people = [[f"{kind}{person}" for kind in "ueap"] for person in range(4)]
    events = [
        an_event(f"m{n}", " ".join(sorted(random.sample(random.choice(people), random.choice([1, 1, 2])))))
        for n in range(150)
    ]
    events += [an_event(f"m{150 + n}", " ".join(person)) for n, person in enumerate(people)]
    for n in range(0, len(events), 30):
        world.accept(*events[n : n + 30])
    applied = together(*[lambda: drain_all(world)] * 4)
    assert sum(applied) == len(world.rows(schema.events)) == 154
    for person in people:
        assert len({world.who(name) for name in person}) == 1
    assert len([row for row in world.rows(schema.contacts) if row.survivor is None]) == 4
    assert world.quarantined() == []
    world.check()


def test_two_shards_that_join_the_same_two_people_in_opposite_order(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    for n in range(6):
        world.take(an_event(f"a{n}", f"e{n}"), an_event(f"b{n}", f"p{n}"), an_event(f"c{n}", f"a{n}"))
        world.accept(an_event(f"d{n}", f"e{n} p{n}"), an_event(f"f{n}", f"p{n} a{n}"))
        shards = [shard_of(names(name)[0]) for name in (f"e{n}", f"p{n}")]
        together(*(lambda shard=shard: world.drain(shard) for shard in shards))
        world.settle()
        assert len({world.who(f"{kind}{n}") for kind in "epa"}) == 1
    world.check()


def test_an_event_delivered_five_times_at_once_is_applied_once(postgresql_database: Database) -> None:
    """Also when each copy comes under another name of the person, so through another shard."""
    world = World(postgresql_database)
    world.take(an_event("m0", "u1 e1 p1 a1", kind="identify", name="Identified"))
    given = {"name": "Order Completed", "properties": {"order_id": "o1", "revenue": 9}}
    copies = [
        lambda who=who: world.accept(an_event("m1", who, **given))
        for who in ("u1", "e1", "p1", "a1", "u1 e1")
    ]
    together(*copies)
    together(*[lambda: drain_all(world)] * 4)
    assert world.contact("u1").facts["orders"] == 1
    assert world.applied(world.who("u1")) == ["m0", "m1"]


def test_one_id_under_two_people_at_once_is_applied_to_one_of_them(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    for n in range(5):
        world.accept(an_event(f"m{n}", f"u{n}a"), an_event(f"m{n}", f"u{n}b"))
    together(*[lambda: drain_all(world)] * 4)
    assert sorted(row.message_id for row in world.rows(schema.events)) == [f"m{n}" for n in range(5)]
    world.check()


def test_drains_of_two_shards_keep_the_order_of_one_person(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    world.take(an_event("m0", "u1 e1 a1", kind="identify", name="Identified"))
    for n in range(1, 200, 20):
        world.accept(*(an_event(f"m{m}", ("u1", "e1", "a1")[m % 3]) for m in range(n, n + 20)))
    together(*[lambda: drain_all(world)] * 3)
    assert inversions(world) == 0
    world.check()


def test_nobody_advances_a_person_whom_another_drain_holds(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    world.take(an_event("m0", "u1 a1", kind="identify", name="Identified"))
    first, second = (shard_of(names(name)[0]) for name in ("u1", "a1"))
    entered, inside, overlaps = threading.Event(), threading.Semaphore(1), []

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        overlaps.append(not inside.acquire(blocking=False))
        entered.set()
        # Long enough for the other drain to come here, if nothing holds it.
        pause(0.5)
        inside.release()
        return advance(contact, happenings, **given)

    def late() -> None:
        assert entered.wait(10)
        world.accept(an_event("m2", "a1", name="Topic Confirmed"))
        world.drain(second)

    world.rule = rule
    world.accept(an_event("m1", "u1", name="Topic Confirmed"))
    together(lambda: world.drain(first), late)
    assert overlaps == [False, False]
    assert world.contact("u1").facts["topics"] == 2


def test_a_name_learnt_during_a_merge_goes_to_the_survivor(
    postgresql_database: Database, postgresql_url: str
) -> None:
    """An operator merges a contact after the drain has looked whose its rows are and before it has the lock."""
    world = World(postgresql_database)
    world.take(an_event("m1", "a1"), an_event("m2", "u1"))
    browser, survivor = world.who("a1"), world.who("u1")
    operator = open_database(postgresql_url)
    merges = iter([True])

    @sa.event.listens_for(world.database.writer, "before_cursor_execute")
    def _merge(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "FROM contacts" in statement and "FOR UPDATE" in statement and next(merges, False):
            with operator.write() as connection:
                merge(connection, browser, survivor, now=NOW, playbook=world.playbook, evidence={})

    world.take(an_event("m3", "a1 e1", kind="identify", name="Identified"))
    operator.close()
    assert next(merges, None) is None
    assert world.who("e1") == survivor
    assert world.applied(survivor) == ["m2", "m3"]
    world.check()


def work(url: str) -> None:
    """Drain for ever, as a worker does."""
    world = World(open_database(url))
    while True:
        if not world.drain(limit=40):
            pause(0.01)


def test_workers_killed_at_any_moment_lose_and_repeat_nothing(
    postgresql_database: Database, postgresql_url: str
) -> None:
    world = World(postgresql_database)
    random = Random(7)
    world.take(*(an_event(f"m{n}", f"u{n} e{n} a{n}") for n in range(25)))
    for n in range(25, 1_225, 100):
        world.accept(*(an_event(f"m{m}", f"{'uea'[m % 3]}{m % 25}") for m in range(n, n + 100)))
    postgresql_database.close()
    fork = get_context("fork")
    workers = [fork.Process(target=work, args=(postgresql_url,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(15):
        # A kill waits for progress: an event in hand at every death would be quarantined (see test_crash_counts).
        before = world.count(schema.inbox)
        until = monotonic() + 30
        while world.count(schema.inbox) == before > 0 and monotonic() < until:
            pause(0.02)
        pause(0.1 * random.random())
        postgresql_database.close()
        place = random.randrange(3)
        os.kill(workers[place].pid or 0, signal.SIGKILL)
        workers[place].join()
        workers[place] = fork.Process(target=work, args=(postgresql_url,))
        workers[place].start()
    for worker in workers:
        worker.kill()
        worker.join()
    postgresql_database.close()
    world.settle()
    assert world.quarantined() == []
    assert len(world.rows(schema.events)) == 1_225
    assert inversions(world) == 0
    world.check()


def test_an_alarm_set_while_another_rings_is_not_swallowed(postgresql_database: Database) -> None:
    """A message is settled after the ring has read, before it commits: the run hears of it in the next ring."""
    two = a_measure(
        "lead/two", trigger=OnEvent(("Asked",)), steps=(MailStep("one", "one"), MailStep("two", "two"))
    )
    world = World(postgresql_database, a_playbook(two))
    world.take(an_event("m1", "u1", name="Asked"))
    with world.database.write() as connection:
        connection.execute(sa.update(schema.contacts).values(wake_at=NOW))
    read, settled = threading.Event(), threading.Event()

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        read.set()
        assert settled.wait(10)
        return advance(contact, happenings, **given)

    def settle() -> None:
        assert read.wait(10)
        with world.database.write() as connection:
            connection.execute(sa.update(schema.messages).values(status="sent", settled_at=NOW))
            settled.set()
            # Waits for the ring to end: it holds the contact.
            connection.execute(sa.update(schema.contacts).values(wake_at=NOW))

    world.rule = rule
    together(world.ring, settle)
    world.rule = advance
    assert world.ring()["rung"] == 1
    assert [row.step for row in world.rows(schema.messages)] == ["one", "two"]


def test_an_event_accepted_during_the_last_read_is_found_by_the_next_drain(
    postgresql_database: Database,
) -> None:
    world = World(postgresql_database)
    read, accepted = threading.Event(), threading.Event()

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        read.set()
        assert accepted.wait(10)
        return advance(contact, happenings, **given)

    def accept() -> None:
        assert read.wait(10)
        # Accepting waits for no drain.
        world.accept(an_event("m2", "u1"))
        accepted.set()

    world.rule = rule
    world.accept(an_event("m1", "u1"))
    together(world.drain, accept)
    assert [row.message_id for row in world.rows(schema.inbox)] == ["m2"]
    assert world.drain()["applied"] == 1


def test_a_shard_is_drained_by_one_and_the_others_go_on(postgresql_database: Database) -> None:
    world = World(postgresql_database)
    world.accept(*(an_event(f"m{n}", f"u{n}") for n in range(4 * SHARDS)))
    with postgresql_database.write() as connection:
        held = connection.execute(
            sa.select(schema.shards.c.id).where(schema.shards.c.id == 5).with_for_update()
        )
        assert held.scalar() == 5
        assert world.drain(5) == {}
        while world.drain()["applied"]:
            pass
        assert {row.shard for row in world.rows(schema.inbox)} == {5}
    assert world.drain(5)["applied"] > 0
    assert world.rows(schema.inbox) == []


def test_a_hot_person_with_twenty_thousand_events_comes_in_bounded_batches(
    postgresql_database: Database,
) -> None:
    """Everybody else's events of the same shard are applied meanwhile, and no batch is larger than it may be."""

    def rule(contact: Contact, happenings: Sequence[Happening], **given: Any) -> Advance:
        contact.facts["seen"] = contact.facts.get("seen", 0) + len(happenings)
        contact.clock = NOW + HOUR
        return Advance(contact)

    world = World(postgresql_database, rule=rule)
    others = [
        who for who in (f"u{n}" for n in range(1_000)) if shard_of(names(who)[0]) == shard_of(names("u1")[0])
    ]
    for n in range(0, 20_000, 2_000):
        world.accept(*(an_event(f"m{m}", "u1") for m in range(n, n + 2_000)), an_event(f"x{n}", others[1]))
    batches = []
    while (counts := world.drain()).more or counts["applied"]:
        batches.append(counts["applied"])
    assert sum(batches) == 20_010
    assert max(batches) <= 500
    assert world.contact("u1").facts["seen"] == 20_000
    assert world.applied(world.who("u1")) == [f"m{n}" for n in range(20_000)]


def test_a_row_that_another_drain_took_between_looking_and_locking_is_left_alone(
    postgresql_database: Database, postgresql_url: str
) -> None:
    world, other = World(postgresql_database), World(open_database(postgresql_url))
    # Each has worked on its shard before, so that neither has its attempts counted.
    world.take(an_event("m0", "u1 e1"))
    other.take(an_event("m1", "e1"))
    world.accept(an_event("m2", "u1"), an_event("m3", "e1"))
    shards = {row.message_id: row.shard for row in world.rows(schema.inbox)}
    assert shards["m2"] != shards["m3"]
    theirs: list[Counts] = []

    @sa.event.listens_for(world.database.writer, "before_cursor_execute")
    def _meanwhile(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "contacts.erased_at" in statement and "FOR UPDATE" in statement and not theirs:
            theirs.append(other.drain(shards["m3"]))

    mine = world.drain(shards["m2"])
    assert theirs[0]["applied"] == 2
    assert (mine["applied"], mine["duplicate"]) == (0, 0)
    other.database.close()


# ---- identities that move --------------------------------------------------------------------------------


def identified(message_id: str, who: str, minutes: int, **given: Any) -> NewEvent:
    """Return an identify call so many minutes after NOW."""
    at = NOW + minutes * MINUTE
    return an_event(
        message_id, who, kind="identify", name="Identified", occurred_at=at, received_at=at, **given
    )


@pytest.mark.parametrize(
    ("owner", "event", "rival"),
    [
        # The later identification keeps the device, whichever transaction ends first.
        ("u3 a1", identified("m1", "u2 a1", 1), identified("m2", "u3 a1", 2)),
        ("u2 a1", identified("m1", "u2 a1", 2), identified("m2", "u3 a1", 1)),
        # An erasure deletes the identity.
        ("u2 a1", identified("m1", "u2 a1", 1), None),
    ],
)
def test_an_identity_that_two_drains_move_at_once_has_one_right_owner(
    postgresql_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    owner: str,
    event: NewEvent,
    rival: NewEvent | None,
) -> None:
    person, name = owner.split()
    world = World(postgresql_database)
    world.take(identified("m0", "u1 a1", 0), identified("n0", "u2", 0), identified("n1", "u3", 0))
    proven_work_of(postgresql_database).shards.update(range(SHARDS))  # so that none waits to be counted
    rivals = iter([rival])

    def change_after_the_rival(change: Callable[..., bool]) -> Callable[..., bool]:
        def changed(connection: sa.Connection, *rest: Any) -> bool:
            for other in rivals:
                if other is not None:
                    world.accept(other)
                    assert world.drain(shard_of(other.identities[0]))["applied"]
                else:
                    gone = sa.delete(schema.identities).where(schema.identities.c.value == name)
                    with postgresql_database.write() as erasing:
                        erasing.execute(gone)
            return change(connection, *rest)

        return changed

    monkeypatch.setattr(locking, "take_identities", change_after_the_rival(take_identities))
    world.take(event)
    assert next(rivals, "the rival ran") == "the rival ran"
    assert world.who(name) == world.who(person)
    world.check()


def test_an_identity_is_renewed_only_as_it_was_read(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    world.take(identified("m0", "u1 a1", 0))
    (device,) = names("a1")
    before = world.rows(schema.identities)
    for held in ((1, NOW - 1), (2, NOW)):
        with sqlite_database.write() as connection:
            assert not renew_identities(connection, {device: (NOW + 1, False)}, {device: held})
    assert world.rows(schema.identities) == before
    with sqlite_database.write() as connection:
        assert renew_identities(connection, {device: (NOW + 1, False)}, {device: (1, NOW)})
    assert [row.since for row in world.rows(schema.identities, kind="anonymous_id")] == [NOW + 1]

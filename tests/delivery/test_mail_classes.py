"""Transactional mail goes before service mail and that before marketing; each has its share of every claim."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery import claim_queries
from nurture.delivery.claim import claim
from nurture.delivery.deliver import deliver
from nurture.delivery.lanes import LaneState
from nurture.domain.instant import HOUR, MINUTE, SECOND
from nurture.domain.measure import PURPOSES
from nurture.domain.pace.work_classes import OUTBOX, URGENT, class_of
from tests.database.test_idle_queries import plans_of
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.world import Post, World


@pytest.fixture
def world(database: Database) -> World:
    service = {"topic": None, "steps": a_measure().steps}
    return World(
        database,
        playbook=a_playbook(
            a_measure(),
            a_measure("customer/any/receipt", purpose="transactional", **service),
            a_measure("customer/any/notice", purpose="service", **service),
        ),
    )


def store_mails(world: World, name: str, count: int, *, due_at: int) -> list[int]:
    """Store so many due mails of a measure, one after the other, each to a person of its own."""
    people = [world.person(f"{name}{number}") for number in range(count)]
    return [
        world.mail(person, f"customer/any/{name}", due_at=due_at + place)
        for place, person in enumerate(people)
    ]


def purposes(world: World, limit: int, *, only: int | None = None) -> list[str]:
    """Return the purposes of the mails of one claim."""
    chunk = claim(world.database, world.delivery, lane="main", limit=limit, only=only)
    return sorted(ready.purpose for ready in chunk.ready)


def test_urgent_mail_is_claimed_first_however_late_it_is_due(world: World) -> None:
    store_mails(world, "offer", 12, due_at=NOON - HOUR)
    store_mails(world, "notice", 2, due_at=NOON - MINUTE)
    store_mails(world, "receipt", 3, due_at=NOON - SECOND)
    assert purposes(world, 10) == ["sales"] * 5 + ["service"] * 2 + ["transactional"] * 3


def test_each_class_has_its_share_while_all_are_full(world: World) -> None:
    store_mails(world, "receipt", 12, due_at=NOON - HOUR)
    store_mails(world, "notice", 12, due_at=NOON - HOUR)
    store_mails(world, "offer", 12, due_at=NOON - HOUR)
    assert purposes(world, 10) == ["sales"] + ["service"] * 2 + ["transactional"] * 7


def test_claims_of_one_mail_reach_every_class_in_turn(world: World) -> None:
    """A lane of one mail a second claims one at a time."""
    store_mails(world, "receipt", 12, due_at=NOON - HOUR)
    store_mails(world, "notice", 12, due_at=NOON - HOUR)
    store_mails(world, "offer", 12, due_at=NOON - HOUR)
    delivery = world.delivery
    taken = [
        ready.purpose
        for _ in range(10)
        for ready in claim(world.database, delivery, lane="main", limit=1).ready
    ]
    assert {purpose: taken.count(purpose) for purpose in taken} == {
        "transactional": 7,
        "service": 2,
        "sales": 1,
    }


def test_one_class_alone_can_be_delivered(world: World) -> None:
    offers = store_mails(world, "offer", 2, due_at=NOON - HOUR)
    (receipt,) = store_mails(world, "receipt", 1, due_at=NOON - SECOND)
    post = Post()
    deliver(world.database, world.delivery, lane="main", transport=post, only=URGENT)
    assert [mail.message_id for mail in post.taken] == [receipt]
    assert {world.status(number) for number in offers} == {("waiting", "")}
    deliver(world.database, world.delivery, lane="main", transport=post)
    assert sorted(mail.message_id for mail in post.taken) == sorted([receipt, *offers])


def test_a_tenth_of_a_lanes_rate_is_kept_for_urgent_mail() -> None:
    bucket = LaneState(rate=20, tokens=2, filled_at=NOON)
    assert bucket.available(NOON, is_urgent=True) == 2
    assert bucket.available(NOON, is_urgent=False) == 0
    # The kept part stays in the bucket, so the others have the whole rate in the long run.
    later = NOON + SECOND // 2
    assert bucket.available(later, is_urgent=False) == 10
    assert LaneState(rate=5, tokens=1, filled_at=NOON).available(NOON, is_urgent=False) == 1


def test_a_claim_reads_each_class_by_its_index(
    sqlite_database: Database, postgresql_database: Database
) -> None:
    def look(connection: sa.Connection) -> Any:
        for number in range(len(OUTBOX.names)):
            claim_queries.has_due(connection, "main", now=1, only=number)
            claim_queries.lock_due_messages(connection, "main", now=1, limit=10, of_class=number)
        claim_queries.count_due(connection, "main", now=1, most=10)

    def find_plans(connection: sa.Connection) -> list[str]:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        due = "status = 'waiting' AND lane = 'main' AND due_at <= 1"
        return [
            str(row[0])
            for number in range(len(OUTBOX.names))
            for row in connection.execute(
                sa.text(
                    f"EXPLAIN SELECT id FROM messages WHERE {due} AND {number} = ({t.MAIL_CLASS}) "
                    "ORDER BY due_at LIMIT 10"
                )
            )
        ]

    plans = [
        plan for plan in plans_of(sqlite_database, lambda: sqlite_database.run(look)) if "messages" in plan
    ]
    wanted = "SEARCH messages USING INDEX ix_messages_due_by_class (lane=? AND <expr>=? AND due_at<?)"
    assert set(plans) == {wanted}, plans
    with postgresql_database.read() as connection:
        found = find_plans(connection)
    assert sum("ix_messages_due_by_class" in line for line in found) == len(OUTBOX.names), found
    assert not any("Sort" in line or "Filter" in line for line in found), found


def test_the_index_classes_mail_as_the_rule_does() -> None:
    statement = f"SELECT {t.MAIL_CLASS} FROM (SELECT ? AS purpose)"
    with closing(sqlite3.connect(":memory:")) as connection:
        classes = {purpose: connection.execute(statement, (purpose,)).fetchone()[0] for purpose in PURPOSES}
    assert classes == {purpose: class_of(purpose) for purpose in PURPOSES}

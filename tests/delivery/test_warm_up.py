"""A new sending address: no more marketing mail leaves on a day than the plan allows, whoever claims it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.domain.health.warm_up import WarmUpPlan, day_of
from nurture.domain.instant import DAY, HOUR
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.world import Post, World

RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)
TODAY = day_of(NOON)


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure(), RECEIPT))


def send(world: World, *, limit: int = 200, **rules: Any) -> int:
    """Deliver what is due under these rules; return how many mails left."""
    delivery = replace(world.delivery, **rules)
    return deliver(world.database, delivery, lane="main", transport=Post(), limit=limit)["sent"]


def rows(world: World) -> dict[str, tuple[int, int | None]]:
    with world.database.read() as connection:
        return {row.domain: (row.mails, row.ceiling) for row in connection.execute(sa.select(t.warm_up_days))}


def test_the_rest_waits_for_the_next_day_and_says_why(world: World) -> None:
    plan = WarmUpPlan(TODAY, 3, 2.0, 1_000)
    numbers = [world.mail(world.person(f"p{place}")) for place in range(8)]
    assert send(world, warm_up={"main": plan}) == 3
    waiting = [number for number in numbers if world.status(number) == ("waiting", "warm_up")]
    assert len(waiting) == 5
    assert {world.message(number).due_at for number in waiting} == {TODAY + DAY}
    assert "today's ceiling of 3" in world.message(waiting[0]).verdict
    assert rows(world) == {"*": (3, 3), "": (3, None)}
    world.clock.advance_to(NOON + HOUR)
    assert send(world, warm_up={"main": plan}) == 0
    world.clock.advance_to(NOON + DAY)
    assert send(world, warm_up={"main": plan}) == 5


def test_transactional_mail_leaves_and_is_not_counted(world: World) -> None:
    plan = WarmUpPlan(TODAY, 1, 2.0, 1_000)
    for place in range(3):
        world.mail(world.person(f"p{place}"), RECEIPT.path, step="offer")
    world.mail(world.person("ada"))
    world.mail(world.person("bob"))
    assert send(world, warm_up={"main": plan}) == 4
    assert rows(world)["*"] == (1, 1)


def test_another_lane_and_a_plan_that_is_over_hold_nothing(world: World) -> None:
    for place in range(4):
        world.mail(world.person(f"p{place}"))
    over = WarmUpPlan(TODAY - 30 * DAY, 2, 2.0, 1_000)
    assert send(world, warm_up={"bulk": WarmUpPlan(TODAY, 1), "main": over}) == 4
    assert rows(world) == {}


def test_a_limit_of_one_provider_holds_no_other(world: World) -> None:
    for place in range(4):
        world.mail(world.person(f"p{place}"))
        gmail = world.person(f"g{place}", email=f"g{place}@gmail.com")
        world.mail(gmail)
    assert send(world, provider_limits={"gmail.com": 1}) == 5
    assert rows(world) == {"*": (5, None), "": (4, None), "gmail.com": (1, None)}


def test_workers_together_keep_the_ceiling(world: World) -> None:
    plan = WarmUpPlan(TODAY, 7, 2.0, 1_000)
    for place in range(20):
        world.mail(world.person(f"p{place}"))
    workers = [world.other(f"w{place}") for place in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sent = list(
            pool.map(
                lambda worker: sum(send(worker, limit=3, warm_up={"main": plan}) for _ in range(4)), workers
            )
        )
    assert sum(sent) == 7
    assert rows(world)["*"] == (7, 7)

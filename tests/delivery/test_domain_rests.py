"""One receiving domain that throttles holds neither its lane nor transactional mail."""

from itertools import count

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import deliver
from nurture.delivery.lanes import delete_ended_rests, rest_domains
from nurture.domain.instant import HOUR, MINUTE
from nurture.transports.types import Outcome, OutgoingMail
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.world import Post, World, outcome

NAMES = count()


@pytest.fixture
def world(database: Database) -> World:
    receipt = a_measure("customer/any/receipt", purpose="transactional", topic=None)
    return World(database, playbook=a_playbook(a_measure(), receipt))


def throttle(mail: OutgoingMail) -> Outcome:
    """Answer as a server whose domain `busy.example` wants fewer mails."""
    if mail.recipient.endswith("@busy.example"):
        return outcome(mail, "retry", stage="rcpt", code="451 4.7.1", slow=True)
    return outcome(mail)


def mails_at(world: World, domain: str, number: int, measure: str = "customer/any/offer") -> list[int]:
    """Store so many due mails to people of a domain."""
    people = [world.person(f"{next(NAMES)}", email=f"p{n}@{domain}") for n in range(number)]
    return [world.mail(person, measure) for person in people]


def statuses(world: World, numbers: list[int]) -> set[tuple[str, str]]:
    return {world.status(number) for number in numbers}


def test_a_throttled_domain_rests_and_the_others_go_on(world: World) -> None:
    busy, other = mails_at(world, "busy.example", 3), mails_at(world, "calm.example", 3)
    post = Post(throttle)
    world.deliver(post)
    assert statuses(world, busy) == {("waiting", "retry")}
    assert statuses(world, other) == {("sent", "")}

    later_busy, later_other = mails_at(world, "busy.example", 3), mails_at(world, "calm.example", 3)
    world.deliver(post)
    assert statuses(world, later_busy) == {("waiting", "domain_rest")}
    assert statuses(world, later_other) == {("sent", "")}
    dues = [world.message(number).due_at for number in later_busy]
    assert all(NOON + MINUTE <= due < NOON + 2 * MINUTE for due in dues)

    world.later(10 * MINUTE)
    calm = Post()
    world.deliver(calm)
    assert statuses(world, [*busy, *later_busy]) == {("sent", "")}


def test_transactional_mail_to_a_resting_domain_is_tried(world: World) -> None:
    world.database.run(lambda connection: rest_domains(connection, "main", {"busy.example"}, now=NOON))
    (offer,) = mails_at(world, "busy.example", 1)
    (receipt,) = mails_at(world, "busy.example", 1, "customer/any/receipt")
    world.deliver(Post())
    assert world.status(offer) == ("waiting", "domain_rest")
    assert world.status(receipt) == ("sent", "")


def test_mails_claimed_before_the_rest_began_are_stopped_at_the_send_gate(world: World) -> None:
    busy = mails_at(world, "busy.example", 6)
    post = Post(throttle)
    delivery = world.delivery
    object.__setattr__(delivery, "window", 2)
    deliver(world.database, delivery, lane="main", transport=post)
    assert len(post.taken) == 2
    assert (
        sorted(world.status(number) for number in busy)
        == [("waiting", "domain_rest")] * 4 + [("waiting", "retry")] * 2
    )


def test_the_lane_rests_when_every_domain_is_refused(world: World) -> None:
    mails_at(world, "busy.example", 2)
    mails_at(world, "calm.example", 2)
    world.deliver(Post(lambda mail: outcome(mail, "retry", stage="rcpt", code="451 4.7.1", slow=True)))
    with world.database.read() as connection:
        assert connection.execute(sa.select(t.lanes.c.filled_at)).scalar_one() > NOON
        assert not connection.execute(sa.select(t.domain_rests)).all()
    assert not world.deliver(Post()).total()


def test_a_domain_that_goes_on_throttling_is_asked_less_and_less(world: World) -> None:
    """Not all of its mails are tried each minute."""
    mails_at(world, "busy.example", 40)
    post = Post(throttle)
    for _ in range(60):
        world.deliver(post)
        world.later(MINUTE)
    with world.database.read() as connection:
        rest = connection.execute(sa.select(t.domain_rests)).one()
    assert rest.length >= HOUR // 4
    # Back-off alone would have tried each of them several times.
    assert len(post.taken) < 4 * 40


def test_rests_that_ended_long_ago_are_forgotten(world: World) -> None:
    world.database.run(lambda connection: rest_domains(connection, "main", {"a.example"}, now=NOON - HOUR))
    world.database.run(lambda connection: rest_domains(connection, "main", {"b.example"}, now=NOON))
    world.database.run(lambda connection: delete_ended_rests(connection, before=NOON))
    with world.database.read() as connection:
        assert connection.execute(sa.select(t.domain_rests.c.domain)).scalars().all() == ["b.example"]

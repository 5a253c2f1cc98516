"""A person who never reacts gets no more marketing; where no reaction could be seen nobody is stopped for that."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent.record import grant_consent, suppress_address
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.feedback import sunset as flow
from nurture.feedback.sunset import sunset
from tests.delivery.builders import NOON, PATH
from tests.delivery.world import SUPPRESSION_KEY, World
from tests.feedback.test_record import RECEIPT, a_report, events, recorded, suppressions, the_playbook

SILENT = {("ada", "marketing"): "sunset"}


@pytest.fixture
def world(database: Database) -> World:
    return World(database, playbook=the_playbook())


def mailed(
    world: World,
    contact: int,
    count: int = 10,
    *,
    counted: bool = True,
    first: int = 200,
    measure: str = PATH,
) -> None:
    """Send so many marketing mails, the first so many days ago, one every five days."""
    for number in range(count):
        at = NOON - (first - 5 * number) * DAY
        context = '{"links":{"open":"https://x/o/1"}}' if counted else '{"links":{}}'
        key = f"{first}{counted}{number}"
        world.mail(contact, measure, run_key=key, status="sent", sent_at=at, settled_at=at, context=context)


def sign(world: World, contact: int, at: Instant, name: str = "Page Viewed") -> None:
    with world.database.write() as connection:
        connection.execute(
            sa.insert(t.events).values(
                contact_id=contact,
                source="shop",
                message_id=f"{name}{at}",
                kind="track",
                name=name,
                occurred_at=at,
                received_at=at,
                historic=False,
                body="{}",
            )
        )


def looked(world: World) -> dict[str, int]:
    now = world.clock.now()
    done = world.database.run(lambda connection: sunset(connection, now=now, suppression_key=SUPPRESSION_KEY))
    return {name: count for name, count in done.items() if count}


def test_a_person_who_reacts_to_nothing_gets_no_more_marketing(world: World) -> None:
    ada = world.person("ada")
    sign(world, ada, NOON - 300 * DAY)
    mailed(world, ada)
    assert looked(world) == {"sunset": 1}
    assert suppressions(world) == SILENT
    assert [name for name, _, _ in events(world)] == ["Sunset Reached"]
    # Once, and a receipt still arrives.
    assert looked(world) == {}
    with world.database.write() as connection:
        connection.execute(sa.delete(t.inbox))
    receipt, offer = world.mail(ada, RECEIPT), world.mail(ada, run_key="now")
    world.deliver()
    assert world.status(receipt)[0] == "sent"
    assert world.status(offer) == ("skipped", "suppressed")


@pytest.mark.parametrize(
    "mails",
    [{"count": 9}, {"first": 170}, {"counted": False}, {"measure": RECEIPT}],
    ids=["too few", "too short", "nothing could be seen", "no marketing"],
)
def test_without_enough_evidence_nobody_is_stopped(world: World, mails: dict[str, Any]) -> None:
    mailed(world, world.person("ada"), **mails)
    assert looked(world) == {}
    assert suppressions(world) == {}


def test_a_sign_of_life_counts_whatever_it_is(world: World) -> None:
    ada = world.person("ada")
    mailed(world, ada)
    sign(world, ada, NOON - 20 * DAY)
    assert looked(world) == {}


def test_a_bounce_is_no_sign_of_life(world: World) -> None:
    ada = world.person("ada")
    mailed(world, ada)
    sign(world, ada, NOON - DAY, "Email Bounced")
    assert looked(world) == {"sunset": 1}


def test_where_programs_open_the_mails_nobody_can_tell(world: World) -> None:
    ada = world.person("ada")
    mailed(world, ada)
    with world.database.read() as connection:
        number = connection.scalar(sa.select(sa.func.max(t.messages.c.id)))
    recorded(world, a_report("open", message=number, machine=True))
    assert looked(world) == {}


def test_the_next_sign_of_life_brings_marketing_back(world: World) -> None:
    ada = world.person("ada")
    mailed(world, ada)
    looked(world)
    world.later(DAY)
    sign(world, ada, NOON + HOUR)
    assert looked(world) == {"back": 1}
    assert suppressions(world) == {}
    assert looked(world) == {}


def test_mails_to_a_contact_merged_since_count(world: World) -> None:
    old, ada = world.person("old"), world.person("ada")
    mailed(world, old, 5)
    mailed(world, ada, 5, first=190)
    with world.database.write() as connection:
        merged = sa.update(t.contacts).where(t.contacts.c.id == old)
        connection.execute(merged.values(survivor=ada, email=None))
    assert looked(world) == {"sunset": 1}


def test_slices_go_round_all_people(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "SLICE", 2)
    for name in ("ada", "bob", "eve"):
        mailed(world, world.person(name))
    assert [looked(world).get("sunset", 0) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("reason", ["sunset", "complaint", "unsubscribed", "hard_bounce"])
def test_the_person_s_own_yes_takes_back_what_is_theirs_to_take_back(world: World, reason: Any) -> None:
    ada = world.person("ada")
    given = {"address": "ada@example.com", "scope": "marketing", "reason": reason}
    world.database.run(
        lambda connection: suppress_address(
            connection, now=NOON - 1, source="test", suppression_key=SUPPRESSION_KEY, **given
        )
    )
    world.database.run(
        lambda connection: grant_consent(
            connection,
            contact_id=ada,
            topic="offers",
            now=NOON,
            source="web",
            evidence={},
            suppression_key=SUPPRESSION_KEY,
        )
    )
    assert (suppressions(world) == {}) is (reason in ("sunset", "unsubscribed"))

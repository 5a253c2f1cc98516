"""Consent, suppression and switches are recorded at once, stay, and may be recorded again."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent import record
from nurture.consent.load_permissions import load_permissions
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.consent.permissions import state_for_topic
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import HOUR, MINUTE, SECOND
from tests.delivery.builders import NOON, PATH, a_measure, a_playbook
from tests.delivery.test_claim import merge
from tests.delivery.world import SUPPRESSION_KEY, World


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure(), a_measure("customer/any/other")))


def record_for(world: World, act: Any, contact: int, **more: Any) -> int:
    given = {"contact_id": contact, "now": world.clock.now(), "source": "test", "evidence": {"ip": "::1"}}
    return int(world.database.run(lambda connection: act(connection, **given, **more)))


def state_of(world: World, contact: int, topic: str = "offers") -> str | None:
    with world.database.read() as connection:
        return state_for_topic(load_permissions(connection, [contact])[contact].consents, topic)


def suppressions(world: World) -> set[tuple[str, str]]:
    with world.database.read() as connection:
        return {(row.scope, row.reason) for row in connection.execute(sa.select(t.suppressions))}


def test_a_topic_is_asked_for_confirmed_and_withdrawn(world: World) -> None:
    ada = world.person(consent=None)
    assert state_of(world, ada) is None
    record_for(world, record.mark_consent_pending, ada, topic="offers")
    assert state_of(world, ada) == "pending"
    world.later(SECOND)
    record_for(world, record.grant_consent, ada, topic="offers", suppression_key=SUPPRESSION_KEY)
    assert state_of(world, ada) == "granted"
    world.later(SECOND)
    world.unsubscribe(ada)
    assert state_of(world, ada) == "withdrawn"
    assert world.contact(ada).version == 3
    assert suppressions(world) == set()


def test_the_same_consent_twice_writes_one_row(world: World) -> None:
    ada = world.person(consent=None)
    for _ in range(2):
        record_for(world, record.grant_consent, ada, topic="offers")
    with world.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.consents)) == 1


def test_no_more_mail_covers_every_topic_and_the_address(world: World) -> None:
    ada = world.person()
    world.unsubscribe(ada, topic=None)
    assert state_of(world, ada, "offers") == state_of(world, ada, "news") == "withdrawn"
    assert suppressions(world) == {("marketing", "unsubscribed")}
    with world.database.read() as connection:
        (row,) = connection.execute(sa.select(t.suppressions)).all()
    assert "ada" not in row.address_hash
    assert row.address_hash == record.address_hash("ada@example.com", SUPPRESSION_KEY)


def test_a_person_may_come_back_to_a_topic_by_their_own_act(world: World) -> None:
    ada = world.person()
    world.unsubscribe(ada, topic=None)
    world.later(HOUR)
    record_for(world, record.grant_consent, ada, topic="offers", suppression_key=SUPPRESSION_KEY)
    assert (state_of(world, ada, "offers"), state_of(world, ada, "news")) == ("granted", "withdrawn")
    assert suppressions(world) == set()
    number = world.mail(ada)
    assert [ready.id for ready in world.claim().ready] == [number]


def test_a_grant_from_elsewhere_takes_nothing_back(world: World) -> None:
    ada = world.person()
    world.unsubscribe(ada, topic=None)
    world.later(HOUR)
    record_for(world, record.grant_consent, ada, topic="offers")
    assert suppressions(world) == {("marketing", "unsubscribed")}


@pytest.mark.parametrize("reason", ["complaint", "ops"])
def test_a_suppression_stronger_than_an_unsubscribe_stays(world: World, reason: Any) -> None:
    ada = world.person()
    world.unsubscribe(ada, topic=None)
    for _ in range(2):
        found = world.database.run(
            lambda connection: record.suppress_address(
                connection,
                address="ada@example.com",
                scope="marketing",
                reason=reason,
                now=world.clock.now(),
                source="test",
                suppression_key=SUPPRESSION_KEY,
            )
        )
    assert found == [ada]
    world.later(HOUR)
    record_for(world, record.grant_consent, ada, topic="offers", suppression_key=SUPPRESSION_KEY)
    assert suppressions(world) == {("marketing", reason)}


def test_a_consent_of_a_merged_contact_goes_to_the_living_one(world: World) -> None:
    old, ada = world.person("old"), world.person("ada")
    merge(world, old, ada)
    assert record_for(world, record.unsubscribe, old, topic="offers", suppression_key=SUPPRESSION_KEY) == ada
    assert state_of(world, ada) == "withdrawn"
    assert (world.contact(ada).version, world.contact(old).version) == (1, 0)


def test_an_unknown_contact_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError, match="no contact 77"):
        record_for(world, record.grant_consent, 77, topic="offers")


def test_an_address_without_a_contact_is_suppressed_for_later(world: World) -> None:
    found = world.database.run(
        lambda connection: record.suppress_address(
            connection,
            address="eve@example.com",
            scope="all",
            reason="hard_bounce",
            now=NOON,
            source="test",
            suppression_key=SUPPRESSION_KEY,
        )
    )
    assert found == []
    number = world.mail(world.person("eve"))
    world.claim()
    assert world.status(number) == ("skipped", "suppressed")


def test_cancelling_a_measure_ends_its_runs_and_unsent_mail_and_nothing_else(world: World) -> None:
    waiting = world.mail(world.person("ada"), mailing=True)
    leased = world.mail(world.person("bob"))
    sent = world.mail(world.person("cleo"), status="sent", sent_at=NOON, settled_at=NOON)
    other = world.mail(world.person("dan"), "customer/any/other", due_at=NOON + MINUTE)
    assert len(world.claim(limit=2).ready) == 2
    ended = []
    while (
        done := world.database.run(
            lambda connection: record.cancel_measure(connection, PATH, now=NOON, limit=1)
        )
    ).contacts:
        ended.append(done)
    assert sum(counts.messages for counts in ended) == 2
    assert sum(counts.runs for counts in ended) == 1
    assert world.status(waiting) == world.status(leased) == ("cancelled", "cancelled_by_ops")
    assert world.message(leased).lease_owner is None
    assert world.status(sent) == ("sent", "")
    assert world.status(other) == ("waiting", "")
    with world.database.read() as connection:
        run = connection.execute(sa.select(t.runs.c.status, t.runs.c.reason).order_by(t.runs.c.id)).first()
    assert run == ("cancelled", "cancelled_by_ops")


def test_after_a_restore_everything_stops_until_an_operator_resumes_it(world: World) -> None:
    number = world.mail(world.person())
    world.database.run(
        lambda connection: record.stop_after_restore(
            connection, reason="journal of host a knows attempt 7", actor="deliver", now=NOON
        )
    )
    assert not world.claim().ready
    world.switch("all", paused=False)
    assert not world.claim().ready
    world.database.run(lambda connection: record.resume_after_restore(connection, actor="ops", now=NOON))
    assert [ready.id for ready in world.claim().ready] == [number]

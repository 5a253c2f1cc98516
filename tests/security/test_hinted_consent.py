"""Attacks with a browser key on a stranger's address: confirmation mails within their bound, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent import from_pages
from nurture.consent.load_permissions import load_permissions
from nurture.contacts.accept import NewEvent
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.database.schema import contacts
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE
from tests.scenarios.world import World

VICTIM = "victim@example.com"
CONFIRM = "any/confirm_subscription/confirm"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    return World(sqlite_database)


def hint(world: World, name: str, *identities: Identity, **properties: Any) -> NewEvent:
    """Return an event of a browser key about the victim's address."""
    event = world.event(VICTIM, name, **properties)
    given = {field: getattr(event, field) for field in event.__slots__}
    more = {"identities": (*identities, *event.identities), "source": "page", "hint": True}
    return NewEvent(**given | more)


def states(world: World, who: str = VICTIM) -> Mapping[str, str]:
    with world.database.read() as connection:
        contact = resolve_contact(connection, who)
        return load_permissions(connection, [contact])[contact].consents


def mails_to_victim(world: World) -> list[str]:
    world.work()
    return [mail["Subject"] for mail in world.sent_mails() if mail["To"].endswith(VICTIM)]


@pytest.mark.parametrize("topic", ["reminders", "surveys", "members", "news"])
def test_a_grant_of_a_browser_key_is_asked_for_by_mail_on_every_topic(world: World, topic: str) -> None:
    world.hand_in(hint(world, "Consent Given", topic=topic))
    world.work()
    assert states(world) == {topic: "pending"}
    assert [name for _, name in world.mails()] == [CONFIRM]
    with world.database.read() as connection:
        contact = resolve_contact(connection, VICTIM)
        message = connection.scalar(sa.text("select max(id) from messages"))
        assert from_pages.find_requested_topic(connection, message) == topic
    assert contact


def test_a_flood_of_requests_is_one_mail_an_address_and_day(world: World) -> None:
    """Other topics, user ids, instants and event names make no second mail; the bound is the address's."""
    for number in range(4):
        for topic in ("reminders", "members", "news"):
            for name in ("Consent Given", "Topic Requested"):
                user = Identity("user_id", f"made-up-{number}")
                at = world.now - number * DAY
                world.hand_in(
                    hint(world, name, topic=topic, at=at), hint(world, name, user, topic=topic, at=at)
                )
                world.live(MINUTE)
    assert len(mails_to_victim(world)) == 1
    world.live(12 * HOUR)
    world.hand_in(hint(world, "Consent Given", topic="surveys"))
    assert len(mails_to_victim(world)) == 1, "a muted request does not move the day along"
    world.live(12 * HOUR)
    world.hand_in(hint(world, "Consent Given", topic="surveys"))
    assert len(mails_to_victim(world)) == 2
    with world.database.read() as connection:
        emails = connection.execute(sa.select(contacts.c.email)).scalars().all()
    assert emails.count(VICTIM) > 1, "the attack reached several contacts"
    assert {name for _, name in world.mails()} == {CONFIRM}


def test_a_trusted_source_needs_no_confirmation_there_and_is_not_bound(world: World) -> None:
    world.hand_in(hint(world, "Consent Given", topic="news"))
    world.tell(VICTIM, "Consent Given", topic="reminders")
    world.tell(VICTIM, "Topic Requested", topic="news")
    world.work()
    assert states(world)["reminders"] == "granted"
    assert [name for _, name in world.mails()] == [CONFIRM, CONFIRM]


def test_a_hint_takes_no_grant_back_and_asks_nobody_who_said_yes(world: World) -> None:
    world.tell(VICTIM, "Consent Given", topic="reminders")
    world.work()
    world.live(HOUR)
    world.hand_in(hint(world, "Consent Given", topic="reminders"))
    world.work()
    assert states(world) == {"reminders": "granted"}
    assert world.mails() == []


def test_a_page_cannot_lead_the_receipts_of_a_user_without_an_address_to_its_own(world: World) -> None:
    user = Identity("user_id", "user-1")

    def by_server(name: str, *identities: Identity, **properties: Any) -> NewEvent:
        event = world.event("", name, **properties)
        given = {field: getattr(event, field) for field in event.__slots__}
        return NewEvent(**given | {"identities": identities})

    world.hand_in(by_server("Signed In", user))
    world.work()
    world.hand_in(hint(world, "Identified", user))
    world.work()
    world.hand_in(by_server("Order Completed", user, order_id="o-1", revenue=20))
    world.live(DAY)
    assert [name for _, name in world.mails()] == ["any/confirm_request/confirm"]
    assert {mail["Subject"] for mail in world.sent_mails()} == {"May we write to you here?"}

"""From the request to the mail: a watch begun by one, told by a server or by a browser key, through both gates."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.consent.record import grant_consent
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim import claim
from nurture.delivery.types import Delivery
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.domain.measure import Once, OnEvent, OnObject
from nurture.domain.playbook import Cap, Topic
from nurture.journey.objects import wake_watchers
from nurture.reports.why import explain_measure
from nurture.runtime.clock import ManualClock
from tests.delivery.world import KEYS, SUPPRESSION_KEY, PlainComposer
from tests.domain.build import a_measure, a_playbook
from tests.journey.builders import NOW, World, an_event

_MARKETING: dict[str, Any] = {"purpose": "sales", "topic": "news", "once": Once("event")}
BACK = a_measure(
    "lead/any/back", trigger=OnObject("product", ("Product Back In Stock",)), asked_for=True, **_MARKETING
)
NEWS = a_measure("lead/any/news", trigger=OnEvent(("Page Viewed",)), **_MARKETING)


@pytest.fixture
def world(database: Database) -> World:
    cap = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
    return World(database, a_playbook(BACK, NEWS, caps=(cap,), topics={"news": Topic("news")}))


def due_mails(world: World) -> list[str]:
    """Pass the chunk gate with everything that is due; return the measures that may leave."""
    clock: ManualClock = world.clock
    delivery = Delivery(
        clock=clock,
        playbooks=world.playbooks,
        keys=KEYS,
        suppression_key=SUPPRESSION_KEY,
        base_url="https://mail.shop.example",
        worker="one",
        composer=PlainComposer(),
    )
    return [ready.measure for ready in claim(world.database, delivery, lane="main").ready]


@pytest.mark.parametrize(
    ("name", "hint", "status", "reason"),
    [
        ("Waitlist Joined", False, "ready", ""),
        ("Waitlist Joined", True, "skipped", "no_consent"),
        ("Product Liked", False, "skipped", "no_consent"),
    ],
)
def test_somebody_who_asked_gets_the_mail_without_a_topic(
    world: World, name: str, hint: bool, status: str, reason: str
) -> None:
    product = replace(world.playbook.objects["product"], watched_from=("Waitlist Joined", "Product Liked"))
    world.use(replace(world.playbook, objects={"product": product}))
    about = {"product_id": "kettle"}
    world.take(an_event("1", "e1", name=name, hint=hint, properties=about))
    world.take(an_event("2", name="Product Back In Stock", properties=about))
    wake_watchers(world.database, clock=world.clock, playbooks=world.playbooks)
    world.settle()
    due_mails(world)
    (row,) = world.rows(t.messages)
    assert (row.status, row.reason) == (status, reason)
    assert row.asked_for is (name == "Waitlist Joined")
    with world.database.read() as connection:
        answer = explain_measure(
            connection, world.contact("e1"), BACK, playbook=world.playbook, now=NOW + MINUTE
        )
    shown = [finding.value for finding in answer.findings if finding.check == "asked for"]
    ending = ", told by a browser key" if hint else ""
    assert shown == (
        [f"asked for by Waitlist Joined at 2026-05-04T12:00:00Z{ending}"] if row.asked_for else []
    )


def test_mail_that_was_asked_for_takes_no_slot_and_needs_none(world: World) -> None:
    about = {"product_id": "kettle"}
    world.take(an_event("1", "e1", name="Waitlist Joined", properties=about))
    grant: dict[str, Any] = {"topic": "news", "now": NOW, "source": "web", "evidence": {}}
    world.database.run(lambda connection: grant_consent(connection, contact_id=world.who("e1"), **grant))
    world.take(an_event("v", "e1"))
    assert due_mails(world) == [NEWS.path]
    world.clock.advance_to(NOW + HOUR)
    for number in range(2):
        restock = an_event(
            f"r{number}", name="Product Back In Stock", properties=about, received_at=world.clock.now()
        )
        world.take(restock)
        wake_watchers(world.database, clock=world.clock, playbooks=world.playbooks)
        world.settle()
    world.take(an_event("w", "e1", received_at=world.clock.now()))
    assert due_mails(world) == [BACK.path]
    assert {(row.measure, row.status, row.reason) for row in world.rows(t.messages)} == {
        (NEWS.path, "ready", ""),
        (NEWS.path, "waiting", "cap"),
        (BACK.path, "ready", ""),
    }

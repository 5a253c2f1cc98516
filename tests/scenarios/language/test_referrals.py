"""People who come by a personal link are remembered, and the one whose link it was hears of it by events alone."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import audience, contacts
from nurture.app.doctor import examine
from nurture.app.privacy import erase_contact
from nurture.app.referral_codes import name_referrers
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.errors import PlaybookError
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR
from nurture.domain.signing import sign_token
from nurture.playbook import LoadedPlaybook
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ANN, BEN, CEM = "ann@tea.example", "ben@tea.example", "cem@tea.example"
PARTS = """\
properties: {order_id: text, referral_id: text, grant_id: text, points: integer}
entities:
  order: {key: order_id, of: [Order Completed], reversed_by: {Order Cancelled: full}}
  referral: {key: referral_id, of: [Referral Converted, Referral Confirmed]}
  grant: {key: grant_id, of: Points Granted}
facts:
  orders: {count: order}
  points: {sum: points, of: grant, type: integer}
  first_name: {trait: first_name}
milestones: {first_order: {of: order, nth: 1}}
segments: {tier: [{loyal: orders >= 3}, {else: standard}]}
tables: {reward: {by: tier, rows: {loyal: 300}, else: 100}}
"""
TOLD = """\
goal: the one who invited learns that it worked
audience: known(referrer)
kind: service
purpose: service
trigger: {milestone: first_order}
entity: order
other_track: "none: it is about a first order"
steps:
  - emit: {event: Referral Converted, to: referrer, properties: {referral_id: run_id}}
    id: converted
  - wait: 30d
  - emit: {event: Referral Confirmed, to: referrer, properties: {referral_id: run_id}}
    id: confirmed
  - emit: {event: Points Granted, properties: {grant_id: run_id, points: 100}}
    id: own_share
"""
REWARD = """\
goal: thanks that are worth something, and a word on how the friend likes it
audience: "True"
form: letter
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: accelerator
purpose: advocacy
topic: members
trigger: {event: Referral Confirmed}
entity: referral
once: per entity
other_track: "none: leads refer nobody yet"
steps:
  - emit: {event: Points Granted, properties: {grant_id: entity.referral_id, points: table(reward)}}
  - mail: reward
"""
INVITATION = """\
goal: a friend who drinks better tea, through somebody who likes ours
audience: orders >= 2
form: letter
call_to_action: {kind: read, link: "{{ links.referral }}"}
kind: accelerator
purpose: advocacy
topic: members
trigger: {condition: audience}
once: {per: contact, again_after: 365d}
steps:
  - mail: invitation
"""


def shop() -> LoadedPlaybook:
    return a_shop(
        PARTS,
        {
            "customer/any/referral_told": (TOLD, {}),
            "customer/any/referral_reward": (REWARD, {}),
            "customer/any/referral_invitation": (INVITATION, {}),
        },
    )


def person(world: World, who: str) -> int:
    with world.database.read() as connection:
        return resolve_contact(connection, who)


def code_of(world: World, who: str) -> str:
    return sign_token(world.services.keys, "referral", {"c": person(world, who)})


def come_by(world: World, who: str, code: Any, **properties: Any) -> None:
    """Let a person's first event carry a code."""
    event = world.event(who, "Page Viewed", referral_code=code, **properties)
    world.hand_in(*name_referrers(world.services.keys, [event]))
    world.work()


def happened(world: World, name: str) -> list[tuple[int, dict[str, Any]]]:
    e = t.events.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(e.contact_id, e.body).where(e.name == name).order_by(e.id))
        return [(row.contact_id, decode(row.body).get("properties", {})) for row in rows]


def actions(world: World) -> list[tuple[str, str, str]]:
    a = t.actions.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(a.step, a.status, a.reason).order_by(a.id))
        return [tuple(row) for row in rows]


def test_a_friend_who_keeps_the_first_order_brings_points_to_both(database: Database) -> None:
    """Examples 5a, 5b and 5c."""
    world = World(database, shop())
    world.tell(ANN, "Order Completed", order_id="A-1")
    world.consent(ANN, "members")
    world.tell(ANN, "Order Completed", order_id="A-2")
    world.live(DAY)
    assert [name for _, name in world.mails(ANN)] == ["customer/any/referral_invitation/invitation"]
    come_by(world, BEN, code_of(world, ANN))
    assert audience.count(world.services, "known(referrer)")["yes"] == 1
    world.tell(BEN, "Order Completed", order_id="B-1")
    world.live(2 * DAY)
    ann, ben = person(world, ANN), person(world, BEN)
    ((who, converted),) = happened(world, "Referral Converted")
    assert who == ann
    assert list(converted) == ["referral_id"]
    assert happened(world, "Referral Confirmed") == []
    world.live(30 * DAY)
    assert happened(world, "Referral Confirmed") == [(ann, converted)]
    granted = {who: grant["points"] for who, grant in happened(world, "Points Granted")}
    assert granted == {ann: 100, ben: 100}
    assert [name for _, name in world.mails(ANN)][1:] == ["customer/any/referral_reward/reward"]
    why = str(contacts.why(world.services, BEN, "customer/any/referral_told")["findings"])
    assert "done: emit of Referral Converted to the referrer" in why
    assert [
        row for row in examine(world.services) if not row["ok"] and row["check"] in {"conservation", "replay"}
    ] == []


def test_an_order_that_is_taken_back_grants_nothing(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    world.tell(ANN, "Signed Up")
    world.work()
    come_by(world, BEN, code_of(world, ANN))
    world.tell(BEN, "Order Completed", order_id="B-1")
    world.live(DAY)
    world.tell(BEN, "Order Cancelled", order_id="B-1")
    world.live(40 * DAY)
    assert len(happened(world, "Referral Converted")) == 1
    assert happened(world, "Referral Confirmed") == happened(world, "Points Granted") == []


def test_no_forged_code_and_none_of_ones_own_counts(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    for who in (ANN, BEN, CEM):
        world.tell(who, "Signed Up")
    world.work()
    come_by(world, ANN, code_of(world, ANN))
    unsubscribe = sign_token(world.services.keys, "unsubscribe", {"c": person(world, ANN)})
    for code in (f"{code_of(world, ANN)}x", unsubscribe, 5, None, str(person(world, ANN))):
        come_by(world, BEN, code)
    event = world.event(CEM, "Page Viewed", context={"referrer": {"id": 1}}, referred_by=person(world, ANN))
    world.hand_in(*name_referrers(world.services.keys, [event]))
    world.work()
    assert audience.count(world.services, "known(referrer)")["yes"] == 0
    world.tell(BEN, "Order Completed", order_id="B-1")
    world.live(DAY)
    assert actions(world) == []


def test_the_first_link_counts_in_any_order_of_arrival(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    for who in (ANN, CEM):
        world.tell(who, "Signed Up")
    world.work()
    come_by(world, BEN, code_of(world, CEM))
    come_by(world, BEN, code_of(world, ANN), at=world.now - HOUR)
    world.tell(BEN, "Order Completed", order_id="B-1")
    world.live(DAY)
    assert [who for who, _ in happened(world, "Referral Converted")] == [person(world, ANN)]


@pytest.mark.parametrize("ending", ["merged", "unmerged", "erased", "same person", "same user"])
def test_the_referrer_is_who_they_are_when_the_event_is_told(sqlite_database: Database, ending: str) -> None:
    world = World(sqlite_database, shop())
    for who in (CEM, ANN):
        world.tell(who, "Signed Up")
    world.work()
    come_by(world, BEN, code_of(world, ANN))
    ann, cem, ben = (person(world, who) for who in (ANN, CEM, BEN))
    wanted: list[int] = []
    if ending in ("merged", "unmerged"):
        contacts.merge(world.services, f"contact:{cem}", f"contact:{ann}", actor="test")
        wanted = [cem]
    if ending == "unmerged":
        contacts.unmerge(world.services, f"contact:{ann}", actor="test")
        wanted = [ann]
    if ending == "erased":
        erase_contact(world.services, ANN, actor="test")
    if ending == "same user":
        # Ben is the one who stays.
        names = (Identity("user_id", "u-1"), Identity("email", BEN))
        world.hand_in(replace(world.event(BEN, "Signed In"), identities=names))
        world.work()
    if ending.startswith("same"):
        contacts.merge(world.services, f"contact:{ben}", f"contact:{ann}", actor="test")
    world.tell(BEN, "Order Completed", order_id="B-1")
    world.live(DAY)
    assert [who for who, _ in happened(world, "Referral Converted")] == wanted
    reasons = {"erased": "no_referrer", "same user": "self_referral"}
    status = "done" if wanted else "skipped"
    expected = [("converted", status, reasons.get(ending, ""))]
    assert actions(world) == ([] if ending == "same person" else expected)


def test_an_event_to_another_person_says_nothing_about_the_friend() -> None:
    measure = TOLD.replace(
        "{referral_id: run_id}}\n    id: converted",
        "{name: contact.first_name, to: event.email}}\n    id: converted",
    )
    with pytest.raises(PlaybookError) as refused:
        a_shop(PARTS, {"customer/any/referral_told": (measure, {})})
    faults = [
        fault.removeprefix("customer/any/referral_told/measure.yaml:") for fault in refused.value.faults
    ]
    assert [fault for fault in faults if "personal" in fault] == [
        "9: `email` is personal: an event to another person may not carry it: leave it out; `run_id` names the run and "
        "nobody",
        "9: `first_name` is personal: an event to another person may not carry it: leave it out; `run_id` names the "
        "run and nobody",
    ]

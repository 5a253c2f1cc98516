"""Steps that send no mail: an event of our own starts other measures once, and a topic ends when nobody reacts."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import contacts, reports
from nurture.contacts.action_queries import count_actions
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.instant import DAY, HOUR
from nurture.playbook import LoadedPlaybook, build
from tests.scenarios.language.small import small_playbook
from tests.scenarios.world import World

ANN, BEN = "ann@shop.example", "ben@shop.example"
ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: A measure of actions only: no form, no call to action, no sample.
REWARD = """\
goal: whoever came twice gets points
audience: "True"
kind: service
purpose: service
trigger: {event: Store Visited}
once: per event
steps:
  - wait: 1h
  - emit: {event: Points Granted, properties: {grant_id: run_id, points: 100, shop: event.shop, gone: event.gone}}
"""
THANKS = """\
goal: a word about the points
audience: "True"
form: notice
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: service
purpose: service
trigger: {event: Points Granted}
once: per grant_id
steps:
  - mail: points
"""
GOODBYE = """\
goal: people come back for a reason of their own, or are left in peace
audience: "True"
form: guide
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: accelerator
purpose: nurture
topic: news
trigger: {event: Lapsed}
steps:
  - mail: goodbye
  - end_topic: news
    when: steps.goodbye.outcome == "sent"
"""


def loaded(reward: str = REWARD) -> LoadedPlaybook:
    files = small_playbook("lead/any/thanks", THANKS, ["points"])
    files = small_playbook("lead/any/goodbye", GOODBYE, ["goodbye"], files=files)
    return build(small_playbook("lead/any/reward", reward, [], files=files))


def actions(world: World) -> list[tuple[Any, ...]]:
    """Return (measure, step, kind, status, reason) of each action, in order."""
    a = t.actions.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(a.measure, a.step, a.kind, a.status, a.reason).order_by(a.id))
        return [tuple(row) for row in rows]


def events(world: World, name: str) -> list[dict[str, Any]]:
    e = t.events.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(e.body).where(e.name == name).order_by(e.id))
        return [decode(row.body).get("properties", {}) for row in rows]


@ONE_KIND
def test_an_emitted_event_is_applied_once_and_starts_what_it_starts(database: Database) -> None:
    world = World(database, loaded())
    world.tell(ANN, "Store Visited", shop="mitte")
    world.tell(ANN, "Store Visited", shop="west")
    world.live(2 * HOUR)
    assert actions(world) == [("lead/any/reward", "emit1", "emit", "done", "")] * 2
    granted = events(world, "Points Granted")
    # A value that is unknown is left out.
    assert [{**grant, "grant_id": ""} for grant in granted] == [
        {"grant_id": "", "points": 100, "shop": "mitte"},
        {"grant_id": "", "points": 100, "shop": "west"},
    ]
    assert len({grant["grant_id"] for grant in granted}) == 2
    assert [name for _, name in world.mails(ANN)] == ["lead/any/thanks/points"] * 2
    why = contacts.why(world.services, ANN, "lead/any/reward")
    found = [(part["check"], part["value"]) for part in why["findings"]]
    assert found.count(("action emit1", "done: emit of Points Granted")) == 2
    assert "lead/any/reward/emit1 done: emit of Points Granted" in str(contacts.timeline(world.services, ANN))
    (row,) = [row for row in reports.measures(world.services) if row["measure"] == "lead/any/reward"]
    assert (row["planned"], row["actions"]) == (0, {"planned": 2, "done": 2})


@ONE_KIND
def test_held_out_people_get_no_event(database: Database) -> None:
    world = World(database, loaded(REWARD.replace("once: per event", "once: per event\nholdout: 100%")))
    world.tell(ANN, "Store Visited")
    world.live(2 * HOUR)
    assert actions(world) == [("lead/any/reward", "emit1", "emit", "skipped", "holdout")]
    assert events(world, "Points Granted") == []


@ONE_KIND
def test_history_hands_in_nothing(database: Database) -> None:
    world = World(database, loaded(REWARD.replace("wait: 1h", "wait: {for: Signed In, at_most: 5d}")))
    world.tell(ANN, "Store Visited")
    world.work()
    world.tell(ANN, "Signed In", historic=True)
    world.work()
    assert actions(world) == [("lead/any/reward", "emit1", "emit", "skipped", "historic")]
    assert events(world, "Points Granted") == []


@ONE_KIND
def test_a_topic_ends_behind_the_mail_that_says_goodbye(database: Database) -> None:
    world = World(database, loaded())
    world.tell(ANN, "Signed Up")
    world.tell(BEN, "Signed Up")
    world.consent(ANN, "news")
    for person in (ANN, BEN):
        world.tell(person, "Lapsed")
    world.live(DAY)
    # Ben never agreed, so no goodbye left, and nothing is withdrawn.
    assert actions(world) == [("lead/any/goodbye", "end_topic1", "end_topic", "done", "")]
    c = t.consents.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(c.topic, c.state, c.source, c.evidence).order_by(c.id)).all()
        counts = count_actions(connection)
    assert [row[:3] for row in rows] == [("news", "granted", "web"), ("news", "withdrawn", "measure")]
    assert decode(rows[1].evidence)["because"] == "sunset by lead/any/goodbye"
    assert events(world, "Consent Withdrawn") == [{"topic": "news", "reason": "sunset by lead/any/goodbye"}]
    assert counts == {"lead/any/goodbye": {"planned": 1, "done": 1}}

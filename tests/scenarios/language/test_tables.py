"""Tables from the file to the mail: a wait by what was ordered, a condition by a ladder, a label by stage."""

from functools import lru_cache

import pytest
import sqlalchemy as sa

from nurture.app import audience
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.errors import PlaybookError
from nurture.domain.instant import DAY, HOUR
from nurture.playbook import LoadedPlaybook, build
from tests.playbook.builder import a_playbook, changed
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

COUPON = "customer/any/coupon"
PARTS = """\
segments:
  tier: [{loyal: orders >= 2}, {else: standard}]
tables:
  needed: {by: tier, rows: {loyal: 9}, else: 1}
  use_after: {by: category, rows: {beans: 3d, filters: 6d}, else: 9d}
  journey_of_stage: {by: stage, rows: {aware: awareness, excite: decision}, else: consideration}
stages:
  lead:"""


@lru_cache(maxsize=1)
def loaded() -> LoadedPlaybook:
    """Return a shop that writes to somebody who bought once, as soon as what they bought is used up."""
    files = changed("playbook.yaml", "stages:\n  lead:", PARTS, a_playbook())
    label = "  journey: {label: {consideration: [Page Viewed]}, else: journey_of_stage}\n  views:"
    files = changed("playbook.yaml", "  views:", label, files)
    files = changed("playbook.yaml", "properties: {", "properties: {category: text, ", files)
    measure = f"{COUPON}/measure.yaml"
    before = 'orders == 1 and silent_days("Order Completed") > 30 and satisfied is not no'
    files = changed(measure, before, "orders >= table(needed) and orders < 2", files)
    files = changed(measure, "trigger: {condition: audience}", "trigger: {event: Order Completed}", files)
    files = changed(measure, "exit: [Order Completed, ", "exit: [", files)
    files = changed(measure, "holdout: 10%\n", "", files)
    files = changed(measure, "steps:\n", "steps:\n  - wait: table(use_after)\n", files)
    files = changed(measure, '    send_at: {local_time: "10:00", weekdays: [tue, wed, thu]}\n', "", files)
    return build(files)


def test_a_wait_lasts_as_long_as_the_table_says(sqlite_database: Database) -> None:
    world = World(sqlite_database, loaded())
    for who, category in (
        ("ann@example.com", "beans"),
        ("bea@example.com", "filters"),
        ("cem@example.com", ""),
    ):
        world.tell(who, "Order Completed", order_id=who, revenue=20, category=category)
        world.consent(who, "offers")
    world.live(10 * DAY)
    sent = {at[:10]: name for at, name in world.mails() if name == f"{COUPON}/offer"}
    assert list(sent) == ["2026-03-05", "2026-03-08", "2026-03-11"]


def test_a_label_without_evidence_follows_the_stage(sqlite_database: Database) -> None:
    world = World(sqlite_database, loaded())
    ann, bea = "ann@example.com", "bea@example.com"
    world.tell(ann, "Trial Asked")
    world.tell(bea, "Page Viewed")
    world.work()
    assert world.facts(ann)["journey"] == "awareness"
    for who in (ann, bea):
        world.tell(who, "Order Completed", order_id=who, revenue=20)
    world.work()
    assert world.facts(ann)["journey"] == "decision"
    assert world.facts(bea)["journey"] == "consideration"
    assert audience.count(world.services, 'journey == "decision" and orders >= table(needed)')["yes"] == 1


POINTS = """\
goal: thanks that are worth something
audience: "True"
form: notice
call_to_action: {kind: read, link: "{{ brand.shop_url }}"}
kind: service
purpose: service
trigger: {event: Order Completed}
once: per event
entity: order
other_track: "none: leads have no orders"
let: {points: table(reward), days: table(use_after)}
steps:
  - mail: thanks
  - wait: 1d
  - emit: {event: Points Granted, properties: {points: table(reward), days: table(use_after), told: points}}
"""
SHOP = """\
properties: {order_id: text, category: text}
entities: {order: {key: order_id, of: [Order Completed]}}
facts: {orders: {count: order}}
segments: {tier: [{loyal: orders >= 2}, {else: standard}]}
tables:
  reward: {by: tier, rows: {loyal: 300}, else: 100}
  use_after: {by: category, rows: {beans: 3d}, else: 9d}
"""


def test_events_and_mails_get_the_value_of_their_row(sqlite_database: Database) -> None:
    measure = {"customer/any/points": (POINTS, {"let": {"points": 1, "days": 2}})}
    world = World(sqlite_database, a_shop(SHOP, measure, thanks="{{ points }} points for {{ days }} days"))
    world.tell("ann@example.com", "Order Completed", order_id="A-1", category="beans")
    world.live(DAY - HOUR)
    (mail,) = world.outlet.kept
    assert b"100 points for 3 days" in mail.data
    # The mail has fixed its value; the event takes the one of its own instant.
    world.tell("ann@example.com", "Order Completed", order_id="A-2")
    world.live(DAY + HOUR)
    e = t.events.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(e.body).where(e.name == "Points Granted").order_by(e.id)).all()
    assert [decode(row.body)["properties"] for row in rows] == [
        {"points": 300, "days": 3, "told": 100},
        {"points": 300, "days": 9, "told": 300},
    ]


def test_values_that_events_and_mails_cannot_have_are_named() -> None:
    shop = SHOP.replace("beans: 3d", "beans: 12h").replace("else: 100", "else: 1.5")
    with pytest.raises(PlaybookError) as refused:
        a_shop(shop, {"customer/any/points": (POINTS, {})})
    assert [str(fault).removeprefix("customer/any/points/") for fault in refused.value.faults] == [
        "measure.yaml:11: table reward holds fractions: a `let` value is a text or a whole number: write rows such as "
        "300",
        "measure.yaml:11: table use_after holds durations that are no whole days: here a duration is its number of "
        "days: write rows such as 30d",
        "measure.yaml:15: table use_after holds durations that are no whole days: here a duration is its number of "
        "days: write rows such as 30d",
    ]

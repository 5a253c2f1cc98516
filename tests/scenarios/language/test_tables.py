"""Tables from the file to the mail: a wait by what was ordered, a condition by a ladder, a label by stage."""

from functools import lru_cache

from nurture.app import audience
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from nurture.playbook import LoadedPlaybook, build
from tests.playbook.builder import a_playbook, changed
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

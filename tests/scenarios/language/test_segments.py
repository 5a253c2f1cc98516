"""Segments and ladders from the file to the mail: time turns them, mails print them, operators ask for them."""

from functools import lru_cache

from nurture.app import audience, contacts
from nurture.database.engine import Database
from nurture.domain.instant import DAY
from nurture.playbook import LoadedPlaybook, build
from tests.playbook.builder import a_mail, a_playbook, a_text, changed
from tests.scenarios.world import World

COUPON = "customer/any/coupon"
SEGMENTS = """\
segments:
  quiet: silent_days("Order Completed") > 30
  tier:
    - ambassador: satisfied is yes
    - loyal: orders >= 2
    - else: standard
"""


@lru_cache(maxsize=1)
def loaded() -> LoadedPlaybook:
    """Return a shop that writes a coupon to loyal customers once they are quiet, and says their tier."""
    measure = f"{COUPON}/measure.yaml"
    files = changed("playbook.yaml", "stages:\n  lead:", f"{SEGMENTS}stages:\n  lead:", a_playbook())
    audience_before = 'orders == 1 and silent_days("Order Completed") > 30 and satisfied is not no'
    files = changed(measure, audience_before, 'quiet and tier == "loyal"', files)
    files = changed(measure, "holdout: 10%\n", "", files)
    files = changed(measure, "days_until(deadline) >= 2", 'tier in ["loyal", "ambassador"]', files)
    for locale in ("en", "zh-CN"):
        files[f"{COUPON}/offer.{locale}.mjml"] = a_mail(locale, body="{{ contact.tier }} {{ contact.quiet }}")
        files[f"{COUPON}/offer.{locale}.txt"] = a_text(locale, body="{{ contact.tier }} {{ contact.quiet }}")
    files[f"{COUPON}/sample.json"] = (
        '{"contact": {"tier": "loyal", "quiet": true},'
        ' "let": {"deadline": "2026-06-30T21:59:59Z", "code": "AGAIN-7KQ4MX"}}'
    )
    return build(files)


def order(world: World, who: str, *orders: str) -> None:
    for key in orders:
        world.tell(who, "Order Completed", order_id=key, revenue=20)
    world.consent(who, "offers")


def test_a_ladder_that_time_turns_starts_a_run_and_stands_in_the_mail(sqlite_database: Database) -> None:
    world = World(sqlite_database, loaded())
    order(world, "once@example.com", "o1")
    order(world, "twice@example.com", "o2", "o3")
    order(world, "happy@example.com", "o4", "o5")
    world.tell("happy@example.com", "Survey Answered", score=10)
    world.live(30 * DAY)
    assert world.mails() == []
    world.live(12 * DAY)
    assert [name for _, name in world.mails("twice@example.com")] == [f"{COUPON}/offer", f"{COUPON}/reminder"]
    assert world.mails("once@example.com") == world.mails("happy@example.com") == []
    body = world.sent_mails()[0].get_body(("plain",))
    assert body is not None
    assert "loyal True" in body.get_content()


def test_operators_see_and_ask_for_segments(sqlite_database: Database) -> None:
    world = World(sqlite_database, loaded())
    order(world, "once@example.com", "o1")
    order(world, "twice@example.com", "o2", "o3")
    world.live(31 * DAY)
    assert audience.count(world.services, 'quiet and tier == "loyal"')["yes"] == 1
    assert audience.count(world.services, 'tier != "ambassador"')["yes"] == 2
    assert contacts.show(world.services, "once@example.com")["segments"] == {
        "quiet": "yes",
        "tier": "standard",
    }
    why = contacts.why(world.services, "once@example.com", COUPON)
    parts = [finding["value"] for finding in why["findings"] if finding["check"] == "audience part"]
    assert any("orders >= 2: orders is 1, needs >= 2" in part for part in parts)

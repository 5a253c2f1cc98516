"""Timelines of moments: a greeting on a lunar day, a follow-up in the hours of an office that closes on holidays."""

from nurture.database.engine import Database
from nurture.domain.instant import DAY, parse_iso
from nurture.runtime.clock import ManualClock
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA, LI = "ada@example.com", "li@example.com"
PARTS = """\
entities: {order: {key: order_id, of: [Order Completed], counts_from: Order Completed}}
facts: {orders: {count: order}}
moments:
  good_friday: {easter: -2}
  easter_monday: {easter: 1}
  mid_autumn: {lunar: "08-15"}
calendars:
  office:
    zone: Europe/Berlin
    weekdays: [mon, tue, wed, thu, fri]
    from: "09:00"
    to: "17:00"
    closed: [good_friday, easter_monday, "12-24"]
owners: {support: {name: Nora, address: nora@tea.example, calendar: office}}
"""
GREETINGS = """\
goal: a greeting at the right moment
audience: locale in ["zh-CN", "zh-TW"]
form: letter
call_to_action: {kind: use, link: "{{ brand.shop_url }}"}
kind: accelerator
purpose: nurture
topic: members
trigger: {moment: mid_autumn, local_time: "09:00"}
valid_for: 12h
steps:
  - mail: greetings
"""
FOLLOW_UP = """\
goal: nobody waits for an answer
audience: "True"
form: notice
call_to_action: {kind: use, link: "{{ brand.shop_url }}"}
kind: service
purpose: service
trigger: {event: Order Completed}
entity: order
once: per entity
steps:
  - wait: {business: 1d, of: support}
  - mail: how_is_it
  - wait: {moment: mid_autumn, local_time: "11:00"}
  - mail: moon
"""


def test_a_greeting_leaves_on_the_lunar_day_in_the_persons_morning(sqlite_database: Database) -> None:
    world = World(
        sqlite_database,
        loaded=a_shop(PARTS, {"customer/any/greetings": (GREETINGS, {})}),
        clock=ManualClock(parse_iso("2026-09-20T09:00:00Z")),
    )
    for who, traits in ((LI, {"timezone": "Asia/Shanghai", "locale": "zh-CN"}), (ADA, {"locale": "en"})):
        world.tell(who, "Identified", traits=traits)
        world.tell(who, "Order Completed", order_id=f"o-{who}")
        world.consent(who, "members")
    world.live(20 * DAY)
    assert (world.mails(LI), world.mails(ADA)) == (
        [("2026-09-25T01:00:00Z", "customer/any/greetings/greetings")], []
    )  # fmt: skip


def test_a_wait_counts_open_hours_and_another_ends_on_a_moment(sqlite_database: Database) -> None:
    # The evening before Good Friday: the next open day is Tuesday.
    world = World(
        sqlite_database,
        loaded=a_shop(PARTS, {"customer/any/follow_up": (FOLLOW_UP, {})}),
        clock=ManualClock(parse_iso("2026-04-02T16:00:00Z")),
    )
    world.tell(ADA, "Order Completed", order_id="o1")
    world.live(200 * DAY)
    assert world.mails(ADA) == [
        ("2026-04-07T15:00:00Z", "customer/any/follow_up/how_is_it"),
        ("2026-09-25T09:00:00Z", "customer/any/follow_up/moon"),
    ]

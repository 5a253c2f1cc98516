"""Timelines of dates of entities: a contract's renewal, and a product that is due again."""

from nurture.database.engine import Database
from nurture.domain.instant import DAY
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

ADA = "ada@example.com"
PARTS = """\
properties: {renews_at: instant, product_id: text, order_id: text, quantity: integer}
entities:
  order: {key: order_id, of: [Order Completed], counts_from: Order Completed, lines: {in: products, key: product_id}}
  contract:
    key: contract_id
    of: [Contract Signed, Contract Renewed]
    closed_by: {Contract Ended: key}
    remember: 800d
  supply: {key: product_id, of: order.lines, due: {usual: 30d, weight: 3}}
facts: {orders: {count: order}}
"""
RENEWAL = """\
goal: nobody is surprised by a renewal
audience: "True"
form: notice
call_to_action: {kind: manage, link: "{{ brand.account_url }}/contracts/{{ entity.contract_id }}"}
kind: service
purpose: service
trigger: {date: contract.renews_at, offset: -30d, local_time: "09:00"}
exit: [{event: Contract Renewed, key: contract_id, reason: renewed}]
holdable: false
steps:
  - mail: in_30_days
  - wait: {date: entity.renews_at, offset: -7d, local_time: "09:00"}
  - mail: in_7_days
"""
REPLENISHMENT = """\
goal: nobody runs out of what they like
audience: "True"
form: reminder
call_to_action: {kind: buy, link: "{{ brand.shop_url }}/{{ entity.product_id }}"}
kind: connector
purpose: sales
topic: reminders
trigger: {date: supply.due_at, offset: -3d, local_time: "09:00"}
exit: [{event: Order Completed, key: product_id, reason: converted}]
steps:
  - mail: soon
    when: entity.times >= 2
"""
CONTRACT = {"entity": {"contract_id": "c1", "renews_at": "2026-05-01T10:00:00Z"}}
SUPPLY = {"entity": {"product_id": "tea", "times": 2}}


def test_each_contract_is_told_of_its_renewal_and_one_that_was_renewed_is_not(
    sqlite_database: Database,
) -> None:
    world = World(sqlite_database, loaded=a_shop(PARTS, {"customer/any/renewal": (RENEWAL, CONTRACT)}))
    world.tell(ADA, "Order Completed", order_id="o1")
    world.tell(ADA, "Contract Signed", contract_id="c1", renews_at="2026-05-01T10:00:00Z")
    world.tell(ADA, "Contract Signed", contract_id="c2", renews_at="2026-05-06T10:00:00Z")
    world.live(50 * DAY)
    world.tell(ADA, "Contract Renewed", contract_id="c2", renews_at="2027-05-06T10:00:00Z")
    world.live(30 * DAY)
    assert world.mails(ADA) == [
        ("2026-04-01T07:00:00Z", "customer/any/renewal/in_30_days"),
        ("2026-04-06T07:00:00Z", "customer/any/renewal/in_30_days"),
        ("2026-04-24T07:00:00Z", "customer/any/renewal/in_7_days"),
    ]


def test_a_product_bought_twice_is_offered_before_it_runs_out(sqlite_database: Database) -> None:
    shop = a_shop(PARTS, {"customer/ascend/replenishment": (REPLENISHMENT, SUPPLY)})
    world = World(sqlite_database, loaded=shop)
    tea = [{"product_id": "tea", "quantity": 1}]
    world.tell(ADA, "Order Completed", order_id="o1", products=tea)
    world.consent(ADA, "reminders")
    world.live(20 * DAY)
    world.tell(ADA, "Order Completed", order_id="o2", products=tea)
    world.live(40 * DAY)
    # (3 x 30 + 20) / 4 = 27.5 days after 22 March.
    assert world.mails(ADA) == [("2026-04-15T07:00:00Z", "customer/ascend/replenishment/soon")]

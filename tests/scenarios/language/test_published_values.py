"""Published values from the file to the mail: bands of people, and intervals by what was bought."""

from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import Any

from nurture.app import audience, contacts
from nurture.app.feedback import process_feedback
from nurture.app.values import publish as values
from nurture.app.values import show
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.domain.instant import DAY, Instant
from nurture.journey.replay import verify_replay
from nurture.playbook import LoadedPlaybook
from nurture.simulation.transport import Outlet
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import World

#: Example 6a in full; the money of its metric needs currencies, so it counts orders here.
AT_RISK = "customer/any/at_risk_care"
PARTS = """\
entities:
  order:
    {key: order_id, of: [Order Completed], counts_from: Order Completed, amount: revenue,
     lines: {in: products, key: product_id}}
  case: {key: case_id, of: [Support Case Opened], closed_by: {Support Case Closed: key}}
  supply: {key: product_id, of: order.lines, due: {usual: mean_days, weight: 3}}
facts:
  orders: {count: order}
  lapsed_at: {rhythm: order, times: 2, usual: mean_days, weight: 3}
segments: {tier: [{loyal: orders >= 2}, {else: standard}]}
owners: {mira: {name: Mira, address: mira@tea.example}}
properties: {category: text, case_id: text}
tables: {usual_days: {by: category, rows: {beans: 30d}, else: 90d}}
values:
  churn_risk: {of: contact, bands: {low: 0%, medium: 30%, high: 60%}, margin: 5%, refresh: 7d}
  mean_days: {of: category, else: usual_days}
"""
CARE = """\
goal: a customer who feels seen before they leave
audience: churn_risk == "high" and tier != "standard" and case.open == 0
audience_source: loyal customers whose risk rose, by the churn model
form: letter
call_to_action: {kind: use, link: "{{ brand.account_url }}"}
kind: accelerator
purpose: nurture
topic: members
sender: mira
metric: {count: order, within: 90d, expect: "+20% relative"}
trigger: {condition: audience}
once: {per: contact, again_after: 180d}
exit: [{event: Order Completed, reason: converted}, {when: churn_risk == "low", reason: calm}]
holdout: 10%
steps:
  - notify: {to: mira, mail: brief}
  - mail: how_are_you
  - wait: {for: Signed In, at_most: 10d}
    id: answer
  - branch:
      - when: steps.answer.outcome == "timeout" and steps.how_are_you.outcome == "sent"
        steps:
          - mail: one_question
      - else: []
"""

BRIEF = "---\nsubject: Somebody may leave\n---\nTheir risk is {{ contact.churn_risk }}.\n"


@lru_cache(maxsize=1)
def shop() -> LoadedPlaybook:
    """Return a shop that writes to customers whose risk to leave is high."""
    return a_shop(PARTS, {AT_RISK: (CARE, {"contact": {"churn_risk": "high"}})}, brief=BRIEF)


ANN, BEA, CEM, DAN, EVE = (f"{name}@example.com" for name in ("ann", "bea", "cem", "dan", "eve"))


def bought(world: World, who: str, key: str = "1", category: str = "beans") -> None:
    line = {"product_id": f"{category}-1", "category": category, "price": 9, "quantity": 1}
    world.tell(who, "Order Completed", order_id=f"{who} {key}", revenue=9, products=[line])


def customers(database: Database, *, loyal: Sequence[str] = (ANN, BEA, CEM)) -> World:
    """Return a shop with customers, of whom the loyal ones bought twice."""
    world = World(database, shop())
    for who in (ANN, BEA, CEM, DAN, EVE):
        bought(world, who)
    for who in loyal:
        bought(world, who, "0", "tea")
    for who in (ANN, BEA, CEM, DAN, EVE):
        world.consent(who, "members")
    world.work()
    return world


def publish(world: World, folder: Path, *rows: str, name: str = "churn_risk") -> dict[str, Any]:
    """Publish rows `key,value`, and let the workers tell people."""
    path = folder / "numbers.csv"
    path.write_text("key,value\n" + "".join(f"{row}\n" for row in rows))
    file = values.read(world.services, path, name=name)
    seen = values.preview(world.services, file.copy())
    done = values.publish(world.services, file, actor="cli:test")
    assert [row["news"] for row in seen["values"]] == [row["news"] for row in done["values"]]
    world.work()
    return seen


def to_staff(world: World) -> list[EmailMessage]:
    """Return the mails that now go to people of the house."""
    outlet = Outlet(keep=10)
    process_feedback(world.services, outlet)
    return [message_from_bytes(mail.data, policy=policy.default) for mail in outlet.kept]


def risk(world: World, who: str) -> object:
    return world.facts(who).get("churn_risk")


def test_people_whose_risk_rises_are_written_to(database: Database, tmp_path: Path) -> None:
    world = customers(database, loyal=(ANN, BEA, CEM, EVE))
    world.tell(EVE, "Support Case Opened", case_id="R-9")
    world.work()
    rows = (f"{ANN},71%", f"{BEA},0.1", f"{CEM},0.7", f"{DAN},0.9", f"{EVE},0.9", "nobody@example.com,1")
    seen = publish(world, tmp_path, *rows)
    (row,) = seen["values"]
    assert row["moves"] == {"unknown -> high": 4, "unknown -> low": 1}
    assert row["starts"] == {AT_RISK: 2}
    assert seen["by_reason"] == {"nobody is known by it": 1}
    assert [risk(world, who) for who in (ANN, BEA, CEM)] == ["high", "low", "high"]
    assert [(mail["To"], mail["Subject"]) for mail in to_staff(world)] == [
        ("mira@tea.example", "Somebody may leave")
    ] * 2
    world.live(2 * DAY)
    asked = [["how_are_you"], [], ["how_are_you"], [], []]
    assert [names(world, who) for who in (ANN, BEA, CEM, DAN, EVE)] == asked, "one order, an open case"
    # One buys again; the other one is silent, and is asked once more.
    bought(world, CEM, "2")
    world.live(12 * DAY)
    assert [names(world, who) for who in (ANN, CEM)] == [["how_are_you", "one_question"], ["how_are_you"]]
    assert audience.count(world.services, 'churn_risk == "high"')["yes"] == 4
    with database.read() as connection:
        ann = resolve_contact(connection, ANN)
    assert verify_replay(database, ann, shop().playbook) == []


def test_a_lower_risk_ends_the_run(sqlite_database: Database, tmp_path: Path) -> None:
    world = customers(sqlite_database)
    publish(world, tmp_path, f"{ANN},71%")
    world.live(DAY)
    seen = publish(world, tmp_path, f"{ANN},10%")
    assert seen["values"][0]["ends"] == {AT_RISK: 1}
    world.live(20 * DAY)
    assert names(world, ANN) == ["how_are_you"]


def test_at_the_edge_of_a_band_two_publications_count(sqlite_database: Database, tmp_path: Path) -> None:
    world = customers(sqlite_database)
    announced = []
    for number in ("58%", "61%", "58%", "61%", "62%", "59%", "54%", ""):
        publish(world, tmp_path, f"{ANN},{number}")
        world.live(DAY)
        announced.append(risk(world, ANN))
    assert announced == ["medium", "medium", "medium", "medium", "high", "high", "medium", None]


def test_why_and_show_name_version_and_date(sqlite_database: Database, tmp_path: Path) -> None:
    world = customers(sqlite_database)
    publish(world, tmp_path, f"{ANN},10%", f"{BEA},20%")
    world.live(DAY)
    publish(world, tmp_path, f"{ANN},90%", f"{BEA},21%")
    assert contacts.show(world.services, ANN)["values"] == {
        "churn_risk": "high (version 2 of 2026-03-03T09:00:00Z)"
    }
    assert contacts.show(world.services, BEA)["values"] == {
        "churn_risk": "low (version 1 of 2026-03-02T09:00:00Z)"
    }
    answer = contacts.why(world.services, BEA, AT_RISK)
    assert "churn_risk is low: version 1 of 2026-03-02T09:00:00Z" in str(answer)
    found = show.show(world.services, "churn_risk", key=BEA)
    assert (found["number"], found["number_version"], found["announced"], found["announced_version"]) == (
        "0.21",
        2,
        "0.2",
        1,
    )
    assert show.show(world.services, "churn_risk")["people"] == {"low": 1, "medium": 0, "high": 1}
    assert list(show.find_late(world.services)) == []
    world.live(8 * DAY)
    (late,) = show.find_late(world.services)
    assert late.startswith("churn_risk: version 2 is of 2026-03-03T09:00:00Z; ")


def test_nobody_else_can_tell_a_number(sqlite_database: Database) -> None:
    world = customers(sqlite_database)
    world.tell(ANN, "Value Published", name="churn_risk", value="0.9", version=9)
    world.work()
    assert risk(world, ANN) is None


# ---- intervals -------------------------------------------------------------------------------------------


def lapsed(world: World, who: str) -> Instant:
    return int(world.facts(who)["lapsed_at"])


def test_an_interval_is_the_one_published_before_the_purchase(database: Database, tmp_path: Path) -> None:
    world = customers(database, loyal=())
    start = world.now
    assert lapsed(world, ANN) - start == 60 * DAY
    publish(world, tmp_path, "beans,20", "filters,50", name="mean_days")
    assert lapsed(world, ANN) - start == 60 * DAY, "a publication moved somebody"
    # It is in force a minute later: by then every worker knows it.
    bought(world, BEA, "2")
    world.work()
    assert lapsed(world, BEA) - start == 2 * ((3 * 30) // 4) * DAY + 2 * DAY // 2
    world.live(DAY)
    bought(world, BEA, "3")
    bought(world, CEM, "2", "filters")
    world.work()
    assert lapsed(world, BEA) - world.now == 2 * (3 * 20 * DAY + DAY) // 5
    assert lapsed(world, CEM) - world.now == 2 * ((3 * 50 * DAY + DAY) // 4)
    publish(world, tmp_path, "beans,1", name="mean_days")
    world.live(2 * DAY)
    with database.read() as connection:
        bea = resolve_contact(connection, BEA)
        playbook = world.services.playbooks.active(connection).playbook
    assert verify_replay(database, bea, playbook) == []


def names(world: World, who: str) -> list[str]:
    """Return the mails that the person got, in order."""
    return [name.rpartition("/")[2] for _, name in world.mails(who)]

"""Colleagues of one company: what they share, what stays each one's own, and which mail a customer's colleague gets."""

import json
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.contacts.account_queries import load_colleagues
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim import claim
from nurture.delivery.send_gate import SendGate
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.journey.drain import drain
from nurture.journey.erasure import stop_mail
from nurture.journey.replay import verify_replay
from nurture.playbook import LoadedPlaybook, build
from nurture.reports.forecast.forecast_people import make_scope
from nurture.reports.forecast.next_mails import load_next_mails
from tests.playbook.builder import a_mail, a_playbook, a_text
from tests.scenarios.world import World

ADA, BOB, CLEO = "ada@acme.example", "bob@acme.example", "cleo@acme.example"

ACCOUNTS = """
accounts:
  key: company_id
  role: role
  left_by: Company Left
  shares: {entities: [contract], holds: [open_case], milestones: [project_done]}
"""
ADDED = """
milestones:
  delivered: {of: Order Delivered, per: order_id}
  project_done: {of: Project Accepted, per: project_id}
holds:
  after_return: {from: Return Requested, at_most: 30d, owner: support, stops: [sales]}
  open_case: {from: Case Opened, until: Case Closed, key: case_id, at_most: 30d, owner: us, stops: [nurture, sales]}
entities:
  contract: {key: contract_id, of: [Contract Signed, Contract Renewed], closed_by: {Contract Ended: key}}
"""
RENEWAL = """\
goal: nobody is surprised by a renewal
audience: account_role in ["owner", "buyer"]
audience_source: owners and buyers at companies with a contract
form: notice
call_to_action: {kind: confirm, link: "{{ brand.shop_url }}/contracts/{{ entity.contract_id }}"}
kind: service
purpose: service
metric: {event: Contract Renewed, within: 60d, expect: 80%}
trigger: {quiet: 30d, entity: contract}
exit: [{event: Contract Renewed, key: contract_id, reason: renewed}]
steps:
  - mail: notice
  - wait: 7d
  - mail: reminder
"""
DONE = """\
goal: everybody who worked on it hears that it is done
audience: "True"
audience_source: members of a company whose project was accepted
form: notice
call_to_action: {kind: confirm, link: "{{ brand.shop_url }}"}
kind: service
purpose: service
metric: {event: Contract Renewed, within: 60d, expect: 80%}
trigger: {milestone: project_done}
steps:
  - mail: done
"""
NEWS = """\
goal: readers who find what they need
audience: "True"
audience_source: readers
form: guide
call_to_action: {kind: read, link: "{{ brand.shop_url }}/guide"}
kind: accelerator
purpose: nurture
topic: news
metric: {event: Topic Requested, within: 14d, expect: "2%"}
trigger: {event: News Published}
once: per event
steps:
  - mail: news
"""


def files(accounts: str = ACCOUNTS) -> dict[str, str]:
    known = a_playbook()
    kept = {"playbook.yaml", *(name for name in known if name.startswith("_layout"))}
    made = {name: text for name, text in known.items() if name in kept}
    programme = made["playbook.yaml"]
    for section in ("milestones:\n  delivered: {of: Order Delivered, per: order_id}\n", _holds(programme)):
        programme = programme.replace(section, "")
    made["playbook.yaml"] = programme.replace("conversion:", "conversion:", 1) + ADDED + accounts
    contract = {"entity": {"contract_id": "c1"}}
    for path, measure, mails, sample in (
        ("any/renewal", RENEWAL, ("notice", "reminder"), contract),
        ("any/project_done", DONE, ("done",), {}),
        ("lead/any/news", NEWS, ("news",), {}),
        ("customer/any/news", NEWS.replace("kind: read", "kind: use"), ("news",), {}),
    ):
        made[f"{path}/measure.yaml"] = measure
        made[f"{path}/sample.json"] = json.dumps(sample)
        for mail in mails:
            for locale in ("en", "zh-CN"):
                made[f"{path}/{mail}.{locale}.mjml"] = a_mail(locale)
                made[f"{path}/{mail}.{locale}.txt"] = a_text(locale)
    return made


def _holds(programme: str) -> str:
    start = programme.index("holds:")
    return programme[start : programme.index("topics:")]


@pytest.fixture(scope="module")
def loaded() -> LoadedPlaybook:
    return build(files())


@pytest.fixture
def world(database: Database, loaded: LoadedPlaybook) -> World:
    world = World(database, loaded=loaded)
    for who, role in ((ADA, "owner"), (BOB, "buyer"), (CLEO, "reader")):
        join(world, who, role=role)
    world.work()
    for who in (ADA, BOB, CLEO):
        world.consent(who, "news", "offers")
    return world


def join(world: World, who: str, firm: str = "acme", **properties: Any) -> None:
    world.tell(who, "Grouped", group_id=firm, **properties)


def contact(world: World, who: str) -> int:
    with world.database.read() as connection:
        return resolve_contact(connection, who)


def leaving(world: World, who: str) -> list[str]:
    """Return the mails that the forecast lets leave within a day."""
    with world.database.read() as connection:
        scope = make_scope(connection, world.loaded.playbook, now=world.now, only_to=frozenset(), key=b"")
        person = resolve_contact(connection, who)
        mails = load_next_mails(connection, person, scope, span=DAY)
    return [mail.measure for mail in mails if mail.ending == "sent"]


def publish(world: World, *people: str) -> list[tuple[str, str]]:
    """Tell news to these people and return (address, status or reason) of their mails of this moment."""
    for who in people:
        world.tell(who, "News Published")
    world.live(HOUR)
    latest = {who: world.ledger(who)[-1] for who in people}
    return [(who, row[3] or row[2]) for who, row in latest.items()]


def sent(world: World, who: str) -> list[str]:
    return [name for _, name in world.mails(who)]


def test_colleagues_hear_of_a_shared_contract_by_their_role(world: World) -> None:
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.live(31 * DAY)
    assert sent(world, ADA) == sent(world, BOB) == ["any/renewal/notice"]
    assert sent(world, CLEO) == []
    # Bob renews: the second mail of both is not sent.
    world.tell(BOB, "Contract Renewed", contract_id="c1")
    world.live(20 * DAY)
    assert sent(world, ADA) == sent(world, BOB) == ["any/renewal/notice"]
    world.live(40 * DAY)
    assert sent(world, ADA) == ["any/renewal/notice"]


def test_a_shared_milestone_is_celebrated_with_everybody(world: World) -> None:
    world.tell(CLEO, "Project Accepted", project_id="p1")
    world.live(HOUR)
    assert [sent(world, who) for who in (ADA, BOB, CLEO)] == [["any/project_done/done"]] * 3
    world.tell(BOB, "Project Accepted", project_id="p1")
    world.live(HOUR)
    assert [len(sent(world, who)) for who in (ADA, BOB, CLEO)] == [1, 1, 1]


def test_a_later_member_learns_what_was_shared_before(world: World) -> None:
    world.tell("dan@acme.example", "Contract Signed", contract_id="c0")
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.live(HOUR)
    join(world, "dan@acme.example", role="owner")
    world.live(HOUR)
    assert world.facts("dan@acme.example")["contract.open"] == 2
    assert world.facts(ADA)["contract.open"] == 2
    assert world.facts(CLEO)["contract.open"] == 2


def test_nothing_else_of_a_colleague_changes(world: World) -> None:
    before = dict(world.facts(BOB))
    world.tell(ADA, "Page Viewed")
    world.tell(ADA, "Order Completed", order_id="o1", revenue=10)
    world.tell(ADA, "Case Opened", case_id="k1")
    world.live(HOUR)
    after = dict(world.facts(BOB))
    assert after.pop("account.customers") == 1
    assert after == before
    with world.database.read() as connection:
        rows = connection.execute(sa.select(t.contacts.c.track).where(t.contacts.c.id == contact(world, BOB)))
        assert rows.scalar_one() == "lead"


def test_an_open_case_holds_the_colleagues_marketing_until_it_is_closed(world: World) -> None:
    world.tell(ADA, "Case Opened", case_id="k1")
    world.live(MINUTE)
    assert publish(world, ADA, BOB) == [(ADA, "hold"), (BOB, "hold")]
    # The forecast knows the colleague's case, too.
    assert [leaving(world, who) for who in (ADA, BOB)] == [[], []]
    world.tell(ADA, "Case Closed", case_id="k1")
    world.live(DAY)
    assert [len(sent(world, who)) for who in (ADA, BOB)] == [1, 1]


def test_a_colleague_of_a_customer_gets_no_lead_mail(world: World) -> None:
    assert publish(world, BOB, CLEO) == [(BOB, "sent"), (CLEO, "sent")]
    world.tell(ADA, "Order Completed", order_id="o1", revenue=10)
    world.live(HOUR)
    assert publish(world, ADA, BOB) == [(ADA, "sent"), (BOB, "account_customer")]
    # The order is taken back: nobody there is a customer any more.
    world.tell(ADA, "Order Taken Back", order_id="o1")
    world.live(HOUR)
    assert publish(world, BOB) == [(BOB, "sent")]


def test_the_playbook_may_say_that_they_get_it(database: Database) -> None:
    world = World(
        database, loaded=build(files(ACCOUNTS + "  leads_of_customers: {all: they decide for themselves}\n"))
    )
    join(world, ADA)
    join(world, BOB)
    world.work()
    world.consent(BOB, "news")
    world.tell(ADA, "Order Completed", order_id="o1", revenue=10)
    world.live(HOUR)
    assert publish(world, BOB) == [(BOB, "sent")]


def test_a_case_opened_between_guard_and_gate_sends_the_mail_back(world: World) -> None:
    world.tell(BOB, "News Published")
    drain(world.database, shard=None, clock=world.clock, playbooks=world.services.playbooks)
    chunk = claim(world.database, world.delivery, lane="main", limit=10)
    assert [ready.measure for ready in chunk.ready] == ["lead/any/news"]
    world.tell(ADA, "Case Opened", case_id="k1")
    drain(world.database, shard=None, clock=world.clock, playbooks=world.services.playbooks)
    assert list(SendGate(world.database, world.delivery, chunk).mails()) == []
    world.live(HOUR)
    assert world.ledger(BOB)[-1][2:] == ("waiting", "hold")


def test_a_browser_key_joins_nobody_and_shares_nothing(world: World) -> None:
    world.hand_in(
        replace(world.event("eve@evil.example", "Grouped", group_id="acme", role="owner"), hint=True)
    )
    world.hand_in(replace(world.event(ADA, "Contract Signed", contract_id="c9"), hint=True))
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.live(HOUR)
    assert "contract.open" not in world.facts("eve@evil.example")
    assert "account_role" not in world.facts("eve@evil.example")
    assert world.facts(BOB)["contract.open"] == 1


def test_leaving_ends_it(world: World) -> None:
    world.tell(ADA, "Order Completed", order_id="o1", revenue=10)
    world.tell(BOB, "Company Left", company_id="acme")
    world.live(HOUR)
    assert publish(world, BOB) == [(BOB, "sent")]
    assert "account_role" not in world.facts(BOB)
    world.tell(ADA, "Project Accepted", project_id="p9")
    world.live(HOUR)
    assert "any/project_done/done" not in sent(world, BOB)


def test_the_newest_membership_counts_whatever_arrives_first(world: World) -> None:
    now = world.now
    world.live(5 * MINUTE)
    world.tell(BOB, "Grouped", at=now + 2 * MINUTE, group_id="globex", role="owner")
    world.work()
    world.tell(BOB, "Grouped", at=now + MINUTE, group_id="acme", role="reader")
    world.work()
    with world.database.read() as connection:
        assert load_colleagues(connection, [contact(world, BOB)])[contact(world, BOB)].account == "globex"
    assert world.facts(BOB)["account_role"] == "owner"


def test_an_erased_colleague_counts_for_nobody(world: World) -> None:
    world.tell(ADA, "Order Completed", order_id="o1", revenue=10)
    world.live(HOUR)
    ada = contact(world, ADA)
    world.database.run(
        lambda connection: stop_mail(
            connection, ada, now=world.now, actor="test", suppression_key=b"a-secret-for-tests-long-enough"
        )
    )
    world.live(HOUR)
    assert publish(world, BOB) == [(BOB, "sent")]
    assert "account.customers" not in world.facts(BOB)


def test_stored_state_equals_its_replay(world: World) -> None:
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.tell(BOB, "Order Completed", order_id="o1", revenue=10)
    world.tell(CLEO, "Project Accepted", project_id="p1")
    world.live(HOUR)
    for who in (ADA, BOB, CLEO):
        assert verify_replay(world.database, contact(world, who), world.loaded.playbook) == []


def test_events_are_handed_out_once(world: World) -> None:
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.live(HOUR)
    world.tell(ADA, "Contract Signed", contract_id="c1")
    world.live(HOUR)
    shared = sa.select(sa.func.count()).where(
        t.events.c.source == "account", t.events.c.name == "Contract Signed"
    )
    with world.database.read() as connection:
        # Two events for each of two colleagues, none for who told it.
        assert connection.execute(shared).scalar_one() == 4

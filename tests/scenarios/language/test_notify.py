"""Measures tell people of the house: once, from the newest state, with a case where somebody has to act by a time."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import cases, contacts, previews
from nurture.app.doctor import examine
from nurture.app.feedback import process_feedback
from nurture.app.privacy import erase_contact
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, HOUR, parse_iso, to_iso
from nurture.playbook import LoadedPlaybook
from nurture.simulation.transport import Outlet
from tests.scenarios.language.shop import a_shop
from tests.scenarios.world import MONDAY, World

ANN, BEN = "ann@tea.example", "ben@tea.example"
PARTS = """\
calendars: {office: {zone: UTC, weekdays: [mon, tue, wed, thu, fri], from: "09:00", to: "17:00"}}
owners:
  support: {name: Nora, address: nora@tea.example, calendar: office, escalate: mira}
  mira: {name: Mira, address: mira@tea.example}
properties: {score: integer, comment: text, order_id: text, total: decimal, currency: text, case_id: text}
entities:
  order: {key: order_id, of: [Order Completed], amount: total}
  case: {key: case_id, of: [Support Case Opened], closed_by: {Support Case Closed: key}}
facts:
  orders: {count: order}
  adviser: {latest: adviser, of: [Adviser Given], type: text}
holds:
  open_case:
    {from: Support Case Opened, until: Support Case Closed, key: case_id, at_most: 30d, owner: support, stops: [sales]}
"""
DETRACTOR = """\
goal: a low score or a word of trouble reaches somebody who puts it right
audience: "True"
kind: service
purpose: service
trigger: {event: Survey Answered, where: score <= 6 or known(comment)}
once: per event
metric: {event: Support Case Closed, within: 5d, expect: 90%}
steps:
  - notify: {to: support, due: {business: 1d}, mail: answer}
"""
ANSWER = """\
---
subject: "{{ event.score }} of 10 from somebody with {{ contact.orders | default(0) }} orders"
---
Dear {{ owner.name }}, {{ event.comment | default("without a word") }}.
"""
SAMPLE: dict[str, Any] = {"contact": {"orders": 2}, "event": {"score": 3}}
RENEWAL = """\
goal: somebody calls where no mail helps
audience: "True"
kind: service
purpose: service
trigger: {event: Order Completed}
once: per event
entity: order
other_track: "none: leads have no orders"
steps:
  - wait: 1h
  - notify: {to: [contact.adviser, mira], mail: call}
"""
CALL = '---\nsubject: Call about {{ entity.order_id }}\n---\n{{ entity.total | money("EUR") }}\n'


def shop(**bodies: str) -> LoadedPlaybook:
    measures: dict[str, tuple[str, dict[str, Any]]] = {
        "any/detractor_care": (DETRACTOR, SAMPLE),
        "customer/any/calls": (RENEWAL, {"entity": {"order_id": "A-1", "total": 20}}),
    }
    return a_shop(PARTS, measures, **{"answer": ANSWER, "call": CALL, **bodies})


def staff(world: World) -> list[EmailMessage]:
    """Let everything run; return the new mails to our own staff."""
    world.work()
    outlet = Outlet(keep=10)
    process_feedback(world.services, outlet)
    return [message_from_bytes(mail.data, policy=policy.default) for mail in outlet.kept]


def actions(world: World) -> list[tuple[Any, ...]]:
    a = t.actions.c
    with world.database.read() as connection:
        return [
            tuple(row)
            for row in connection.execute(sa.select(a.step, a.kind, a.status, a.reason).order_by(a.id))
        ]


def events(world: World, name: str) -> list[dict[str, Any]]:
    e = t.events.c
    with world.database.read() as connection:
        rows = connection.execute(sa.select(e.body).where(e.name == name).order_by(e.id))
        return [decode(row.body).get("properties", {}) for row in rows]


def test_a_low_score_reaches_its_owner_as_one_case(database: Database) -> None:
    """Example 7b."""
    world = World(database, shop())
    world.tell(ANN, "Order Completed", order_id="A-1", total=20, currency="EUR")
    world.work()
    world.tell(ANN, "Survey Answered", score=3, comment="cold tea")
    (mail,) = staff(world)
    assert (mail["To"], mail["Reply-To"]) == ("nora@tea.example", ANN)
    assert mail["Subject"] == "[R-1] 3 of 10 from somebody with 1 orders"
    text = mail.get_content()
    assert text.startswith("Dear Nora, cold tea.")
    assert "Case R-1, support: answer by 02 Mar 2026 18:00." in text
    assert "comment: cold tea" in text
    # The general mail about answers is not sent beside it, and nothing is sent again.
    assert staff(world) == []
    (case,) = cases.list_all(world.services)
    due = to_iso(parse_iso("2026-03-02T17:00:00Z"))
    assert (case["case"], case["kind"], case["owner"], case["due"]) == ("R-1", "measure", "support", due)
    (opened,) = events(world, "Support Case Opened")
    assert opened == {
        "case_id": "R-1",
        "channel": "measure",
        "measure": "any/detractor_care",
        "owner": "support",
        "reply_by": due,
    }
    assert actions(world) == [("notify1", "notify", "done", "")]
    why = str(contacts.why(world.services, ANN, "any/detractor_care")["findings"])
    assert "done: mail `answer` to support, case R-1" in why
    assert "mail `answer` to support, case R-1" in str(contacts.timeline(world.services, ANN))
    cases.close(world.services, "R-1", actor="nora")
    world.work()
    assert [event["case_id"] for event in events(world, "Support Case Closed")] == ["R-1"]
    kinds = {"conservation", "replay"}
    assert [row for row in examine(world.services) if not row["ok"] and row["check"] in kinds] == []


def test_an_answer_that_waits_as_a_case_gets_the_owner_and_the_time(sqlite_database: Database) -> None:
    slow = DETRACTOR.replace("steps:\n", "steps:\n  - wait: 2h\n")
    world = World(sqlite_database, a_shop(PARTS, {"any/detractor_care": (slow, SAMPLE)}, answer=ANSWER))
    world.tell(ANN, "Survey Answered", score=3)
    (general,) = staff(world)
    assert general["To"] == "desk@shop.example"
    world.live(2 * HOUR)
    (mail,) = staff(world)
    assert (mail["To"], mail["Subject"]) == ("nora@tea.example", "[R-1] 3 of 10 from somebody with 0 orders")
    (case,) = cases.list_all(world.services)
    assert (case["case"], case["due"]) == ("R-1", "2026-03-03T11:00:00Z")
    # The case that was closed since is not opened again: another one is.
    world.tell(BEN, "Survey Answered", score=2)
    staff(world)
    cases.close(world.services, "R-2", actor="nora")
    world.live(3 * HOUR)
    staff(world)
    assert [row["case"] for row in cases.list_all(world.services)] == ["R-1", "R-3"]


def test_an_overdue_case_goes_to_the_superior_of_its_owner(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    world.tell(ANN, "Survey Answered", score=0)
    staff(world)
    world.live(DAY)
    (mail,) = staff(world)
    assert (mail["To"], mail["Subject"]) == (
        "mira@tea.example",
        "[R-1] overdue: nobody has answered for 24 hours",
    )


def test_owners_by_a_fact_are_told_about_the_newest_state(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    world.tell(ANN, "Adviser Given", adviser="mira")
    world.tell(ANN, "Order Completed", order_id="A-1", total=20, currency="EUR")
    world.live(2 * HOUR)
    # Mira is her adviser: told once.
    (mail,) = staff(world)
    assert (mail["To"], mail["Subject"], mail["Reply-To"]) == ("mira@tea.example", "Call about A-1", None)
    assert "€20.00" in mail.get_content()
    assert "/contacts/1" in mail.get_content()
    # Ben's adviser is nobody of the house: the owner of the hold is told too.
    world.tell(BEN, "Order Completed", order_id="B-1", total=20, currency="EUR")
    world.live(2 * HOUR)
    assert [mail["To"] for mail in staff(world)] == ["nora@tea.example", "mira@tea.example"]
    assert cases.list_all(world.services) == []


def test_a_value_that_is_missing_loses_no_case(sqlite_database: Database) -> None:
    text = ANSWER.replace('{{ event.comment | default("without a word") }}', "{{ event.shop }}")
    measure = {"any/detractor_care": (DETRACTOR, {**SAMPLE, "event": {"score": 3, "shop": "mitte"}})}
    world = World(sqlite_database, a_shop(PARTS, measure, answer=text))
    world.tell(ANN, "Survey Answered", score=0)
    (mail,) = staff(world)
    assert mail["Subject"] == "[R-1] any/detractor_care: notify1"
    assert "event.shop has no value" in mail.get_content()
    assert actions(world) == [("notify1", "notify", "done", "not_rendered")]


@pytest.mark.parametrize(
    ("only_to", "reason"), [("tea.example", ""), ("nora@tea.example", ""), ("staging.example", "only_to")]
)
def test_a_staging_installation_mails_no_owner_outside(
    sqlite_database: Database, only_to: str, reason: str
) -> None:
    world = World(sqlite_database, shop())
    settings = world.services.settings.model_copy(update={"only_to": (only_to,)})
    world.services = replace(world.services, settings=settings)
    world.tell(ANN, "Survey Answered", score=0)
    assert len(staff(world)) == (not reason)
    assert actions(world) == [("notify1", "notify", "skipped" if reason else "done", reason)]


def test_history_and_erasure_tell_nobody(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    world.tell(ANN, "Order Completed", order_id="A-1", total=20, historic=True)
    world.tell(BEN, "Survey Answered", score=0)
    world.work()
    erase_contact(world.services, BEN, actor="test")
    assert staff(world) == []
    assert actions(world) == [("notify1", "notify", "cancelled", "erased")]
    assert world.now == MONDAY


def test_a_preview_and_the_list_of_measures_show_the_mail_to_owners(sqlite_database: Database) -> None:
    world = World(sqlite_database, shop())
    shown = previews.preview(previews.published(world.services), "any/detractor_care")
    assert (shown["to"], shown["subject"]) == ("support", "3 of 10 from somebody with 2 orders")
    world.tell(ANN, "Order Completed", order_id="A-1", total=20, currency="EUR")
    world.tell(ANN, "Survey Answered", score=1)
    world.work()
    shown = previews.preview(
        previews.published(world.services), "any/detractor_care/notify1", previews.PreviewOptions(who=ANN)
    )
    assert shown["subject"] == "1 of 10 from somebody with 1 orders"
    with pytest.raises(InputError, match="mails owners and no person"):
        previews.send_test(
            previews.published(world.services),
            "any/detractor_care",
            to="me@tea.example",
            actor="me",
            settings=world.services.settings,
        )

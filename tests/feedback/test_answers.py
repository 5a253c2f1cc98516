"""Every answer in words, every low score and every bad review reaches a person of the house, once."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from nurture.app import cases
from nurture.app.feedback import process_feedback
from nurture.app.privacy import erase_contact
from nurture.database.engine import Database
from nurture.domain.event import Event
from nurture.domain.inbound.answers import needs_reader
from nurture.domain.instant import DAY, HOUR
from nurture.simulation.transport import Outlet
from tests.scenarios.world import World

ADA = "ada@example.com"


@pytest.fixture
def world(sqlite_database: Database) -> World:
    world = World(sqlite_database)
    world.tell(ADA, "Order Completed", order_id="A-1", total=40, currency="EUR")
    world.work()
    return world


def staff_mails(world: World) -> list[EmailMessage]:
    """Let the background work run; return the mails to our own staff."""
    outlet = Outlet(keep=10)
    process_feedback(world.services, outlet)
    return [message_from_bytes(mail.data, policy=policy.default) for mail in outlet.kept]


def opened(world: World) -> list[tuple[str, str]]:
    world.work()
    return [(row["case"], row["kind"]) for row in cases.list_all(world.services)]


@pytest.mark.parametrize(
    ("name", "properties", "wanted"),
    [
        ("Survey Answered", {"score": 10}, False),
        ("Survey Answered", {"score": 10, "comment": " "}, False),
        ("Survey Answered", {"score": 10, "comment": "Thank you"}, True),
        ("Survey Answered", {"score": 7}, False),
        ("Survey Answered", {"score": 6}, True),
        ("Survey Answered", {"score": "0"}, True),
        ("Survey Answered", {"score": -3}, False),
        ("Survey Answered", {"answer": "home"}, False),
        ("Survey Answered", {"score": True}, False),
        ("Product Reviewed", {"rating": 4, "review_body": "good"}, False),
        ("Product Reviewed", {"rating": "3.0"}, True),
        ("Product Reviewed", {"rating": 1}, True),
        ("Product Reviewed", {}, False),
        ("Signed In", {"score": 1, "comment": "no"}, False),
    ],
)
def test_an_answer_needs_a_reader(name: str, properties: dict[str, Any], wanted: bool) -> None:
    event = Event(1, "web", "m", "track", name, 0, 0, properties=properties)
    assert needs_reader(event) is wanted
    event.historic = True
    assert not needs_reader(event)


def test_an_answer_opens_one_case_however_often_it_is_told(world: World) -> None:
    for _ in range(2):
        world.tell(ADA, "Survey Answered", id="s1", survey="nps_survey", score=3, comment="Too slow")
        assert opened(world) == [("R-1", "answer")]
    world.tell(ADA, "Survey Answered", id="s2", survey="nps_survey", score=9)
    assert len(opened(world)) == 1
    shown = cases.show(world.services, "R-1")
    assert shown["answer"] == {
        "event": "Survey Answered",
        "survey": "nps_survey",
        "score": "3",
        "comment": "Too slow",
    }
    assert "task" not in shown


def test_the_answer_is_brought_to_our_staff_once(world: World) -> None:
    world.tell(
        ADA,
        "Product Reviewed",
        product_id="tea\r\nBcc: all@example.com",
        rating=1,
        review_body="Stale.\r\nBcc: all@example.com",
    )
    world.work()
    sent: list[EmailMessage] = []
    for _ in range(2):
        sent += staff_mails(world)
    (mail,) = sent
    assert (mail["Subject"], mail["To"]) == (
        "[R-1] Product Reviewed tea Bcc: all@example.com",
        "desk@shop.example",
    )
    assert mail["Bcc"] is None
    body = mail.get_content()
    assert "Stale." in body
    assert "rating: 1" in body
    assert "Stands on the customer track" in body


def test_an_answer_holds_no_mail_and_is_announced_by_no_event(world: World) -> None:
    world.tell(ADA, "Survey Answered", survey="nps_survey", score=10, comment="Lovely")
    world.live(HOUR)
    assert [kind for _, kind in opened(world)] == ["answer"]
    assert not any("case_acknowledged" in name for _, name in world.mails(ADA))
    cases.close(world.services, "R-1", actor="cli:ann")
    world.live(DAY)
    assert opened(world) == []


def test_an_erased_person_is_named_to_nobody(world: World) -> None:
    world.tell(ADA, "Survey Answered", survey="nps_survey", score=1, comment="Too slow")
    world.work()
    erase_contact(world.services, ADA, actor="cli:ann")
    assert staff_mails(world) == []
    assert opened(world) == []


def test_an_overdue_answer_is_listed(world: World) -> None:
    world.tell(ADA, "Survey Answered", survey="nps_survey", score=1)
    world.work()
    assert cases.list_all(world.services, overdue=True) == []
    world.live(7 * DAY)
    assert [row["state"] for row in cases.list_all(world.services, overdue=True)] == ["overdue"]

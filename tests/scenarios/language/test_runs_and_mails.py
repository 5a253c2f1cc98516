"""`in_measure`, `last_sent` and `run_id`: conditions that ask for our own runs and mails."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest

from nurture.app import audience
from nurture.database.engine import Database
from nurture.domain.contact import Advance
from nurture.domain.event import Event
from nurture.domain.facts import empty
from nurture.domain.instant import DAY
from nurture.domain.journey.advance import advance
from nurture.playbook import LoadedPlaybook, build
from tests.playbook.builder import a_mail, a_playbook, a_text, changed
from tests.scenarios.world import MONDAY, World

GUIDE, COUPON, VISIT = "lead/aware/guide", "customer/any/coupon", "customer/any/visit"
ANN = "ann@example.com"


def with_audience(path: str, condition: str, files: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the playbook with the audience of one measure replaced, and without its holdout."""
    copy = dict(files or a_playbook())
    lines = copy[f"{path}/measure.yaml"].split("\n")
    kept = [line for line in lines if not line.startswith(("holdout:", "audience:"))]
    copy[f"{path}/measure.yaml"] = "\n".join([*kept[:1], f"audience: {condition}", *kept[1:]])
    return copy


@lru_cache(maxsize=1)
def following() -> LoadedPlaybook:
    """Return a shop whose coupon waits until the visit of a customer is over."""
    files = with_audience(COUPON, f"""'orders >= 1 and not in_measure("{VISIT}")'""")
    return build(with_audience(VISIT, '"True"', files))


def test_a_condition_trigger_follows_the_end_of_another_run(sqlite_database: Database) -> None:
    world = World(sqlite_database, following())
    world.tell(ANN, "Appointment Booked", appointment_id="a1", starts_at="2026-03-12T10:00:00Z")
    world.tell(ANN, "Order Completed", order_id="o1", revenue=20)
    world.consent(ANN, "offers")
    world.live(DAY)
    assert audience.count(world.services, f'in_measure("{VISIT}")')["yes"] == 1
    assert world.mails(ANN) == []
    world.live(9 * DAY)
    sent = {(at, name) for at, name in world.mails(ANN)}
    together = (f"{VISIT}/reminder", f"{COUPON}/offer")
    assert sent == {("2026-03-11T09:00:00Z", mail) for mail in together}


def test_a_trigger_that_asks_for_runs_keeps_the_fold_law() -> None:
    """Events and alarms one by one decide the same as all at once."""
    playbook = following().playbook
    events = [
        an_event("Appointment Booked", 1, appointment_id="a1", starts_at="2026-03-12T10:00:00Z"),
        an_event("Order Completed", 2, order_id="o1", revenue=20),
        an_event("Appointment Cancelled", 3, appointment_id="a1"),
        an_event("Appointment Booked", 4, appointment_id="a2", starts_at="2026-03-05T10:00:00Z"),
        an_event("Page Viewed", 60),
    ]
    end = MONDAY + 60 * DAY
    for last in range(1, len(events) + 1):
        so_far = events[:last]
        together = advance(empty(1, first_seen_at=0, playbook=playbook), so_far, now=end, playbook=playbook)
        contact = empty(1, first_seen_at=0, playbook=playbook)
        mails: list[tuple[str, str, int]] = []
        for event in so_far:
            step = advance(contact, [event], now=event.received_at, playbook=playbook)
            contact, mails = step.contact, mails + named(step)
        step = advance(contact, [], now=end, playbook=playbook)
        assert mails + named(step) == named(together)
        assert step.contact.memory == together.contact.memory
        assert step.contact.runs.keys() == together.contact.runs.keys()
    assert any(measure == COUPON for measure, *_ in mails)


def named(result: Advance) -> list[tuple[str, str, int]]:
    return [(message.measure, message.step, message.decided_at) for message in result.messages]


def an_event(name: str, day: int, **properties: Any) -> Event:
    at = MONDAY + day * DAY
    return Event(
        seq=day,
        source="test",
        message_id=str(day),
        kind="track",
        name=name,
        occurred_at=at,
        received_at=at,
        properties=properties,
    )


@lru_cache(maxsize=1)
def resting() -> LoadedPlaybook:
    """Return a shop that sends the second mail of a coupon only when the first left more than two days ago."""
    files = changed(
        f"{COUPON}/measure.yaml",
        "days_until(deadline) >= 2",
        f'days_since(last_sent("{COUPON}")) >= 2 and run_id != ""',
        with_audience(COUPON, "orders >= 1"),
    )
    for locale in ("en", "zh-CN"):
        files[f"{COUPON}/offer.{locale}.mjml"] = a_mail(locale, body="Run {{ run_id }}.")
        files[f"{COUPON}/offer.{locale}.txt"] = a_text(locale, body="Run {{ run_id }}.")
    return build(files)


@pytest.mark.parametrize(("signed_in_after", "mails"), [(DAY, ["offer"]), (3 * DAY, ["offer", "reminder"])])
def test_a_step_asks_when_a_mail_left(
    sqlite_database: Database, signed_in_after: int, mails: list[str]
) -> None:
    world = World(sqlite_database, resting())
    world.tell(ANN, "Order Completed", order_id="secret-17", revenue=20)
    world.consent(ANN, "offers")
    world.live(2 * DAY)
    assert [name for _, name in world.mails(ANN)] == [f"{COUPON}/offer"]
    world.live(signed_in_after - DAY)
    world.tell(ANN, "Signed In")
    world.live(2 * DAY)
    assert [name for _, name in world.mails(ANN)] == [f"{COUPON}/{mail}" for mail in mails]
    body = world.sent_mails()[0].get_body(("plain",))
    assert body is not None
    assert "secret-17" not in body.get_content()


def test_sql_asks_the_same_of_runs_and_mails(database: Database) -> None:
    """Both databases; a merged contact's run and mail are the survivor's."""
    world = World(database, resting())
    world.tell(ANN, "Order Completed", order_id="o1", revenue=20)
    world.tell("bea@example.com", "Page Viewed")
    world.consent(ANN, "offers")
    world.live(2 * DAY)
    for expression, people in (
        (f'in_measure("{COUPON}")', 1),
        (f'not in_measure("{COUPON}")', 1),
        (f'last_sent("{COUPON}") < now', 2),
        (f'last_sent("{COUPON}") >= first_seen_at', 1),
        (f'days_since(last_sent("{COUPON}")) <= 3', 1),
        (f'known(last_sent("{COUPON}")) and last_sent("{COUPON}") > last("Order Completed")', 1),
    ):
        assert audience.count(world.services, expression)["yes"] == people, expression


@pytest.mark.parametrize("negated", ["", "not "])
def test_an_audience_may_ask_for_a_run_alone(negated: str) -> None:
    """The answer depends on the person, though it reads no fact."""
    build(with_audience(COUPON, f"""'{negated}in_measure("{VISIT}")'"""))

"""A place `ascend+`: the stage and all later ones; leaving it for a later stage is not leaving."""

import pytest

from nurture.domain.contact import Advance
from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure, OnCondition, OnEvent, OnStage, WaitFor
from tests.domain.build import DAY, NOON, a_contact, a_measure, a_playbook, an_event, when

PATH = "lead/engage+/guide"
LATER = frozenset({"subscribe", "convert"})
READ = [an_event("Article Read", NOON + n, id=f"r{n}") for n in (0, 1)]
CONFIRMED = an_event("Topic Confirmed", NOON + DAY)
TRIED = an_event("Trial Started", NOON + 2 * DAY)
ASKED = an_event("Asked", NOON + 3 * DAY)


def guide(**given: object) -> Measure:
    values = {"stage": "engage", "later_stages": LATER, "trigger": OnEvent(("Asked",))}
    return a_measure(PATH, **(values | given))


def live(measure: Measure, *events: Event, days: int = 20) -> Advance:
    playbook = a_playbook(measure)
    return advance(a_contact(playbook), events, now=NOON + days * DAY, playbook=playbook)


@pytest.mark.parametrize(
    ("before", "count"),
    [([], 0), (READ, 1), ([CONFIRMED], 1), ([*READ, TRIED], 1)],
    ids=["aware", "engage", "subscribe", "convert"],
)
def test_a_run_starts_in_the_stage_and_in_each_later_one(before: list[Event], count: int) -> None:
    assert len(live(guide(), *before, ASKED).messages) == count


def test_the_reason_names_the_stages_that_it_is_for() -> None:
    (refusal,) = live(guide(), ASKED).non_entries
    assert (refusal.reason, refusal.detail) == (
        "other_stage",
        "stage is aware, the measure is for engage+",
    )


WAITS = (WaitFor("wait1", 9 * DAY), MailStep("last", "last"))


def test_moving_on_ends_no_run() -> None:
    moved = live(guide(steps=WAITS, trigger=OnStage("engage")), *READ, CONFIRMED, TRIED)
    assert [(message.step, message.cancelled) for message in moved.messages] == [("last", "")]


def test_a_condition_is_asked_in_each_of_the_stages() -> None:
    measure = guide(trigger=OnCondition(), audience=when("plan == 'gold'"))
    gold = an_event("Plan Changed", NOON + 3 * DAY, plan="gold")
    assert live(measure, gold).messages == []
    assert len(live(measure, TRIED, gold).messages) == 1


def test_without_the_plus_moving_on_ends_the_run() -> None:
    plain = guide(later_stages=frozenset(), steps=WAITS, trigger=OnStage("engage"))
    assert live(plain, *READ, CONFIRMED).messages == []


def test_another_track_is_no_later_stage() -> None:
    bought = an_event("Order Completed", NOON + 2 * DAY, order_id="o1")
    assert live(guide(), *READ, bought, ASKED).messages == []

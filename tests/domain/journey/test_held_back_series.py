"""A series in the holdout: it waits for its turn like any other, and nobody waits for it."""

from nurture.domain.contact import Run
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure, OnEvent, WaitFor
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event


def a_series(name: str, trigger: str, **given: object) -> Measure:
    steps = (WaitFor("wait1", 2 * DAY), MailStep("mail", "mail"))
    return a_measure(f"lead/any/{name}", trigger=OnEvent((trigger,)), series=True, steps=steps, **given)


HELD_BACK = a_series("held_back", "Page Viewed", holdout=10_000)
FIRST = a_series("first", "Trial Started")
SECOND = a_series("second", "Survey Answered")


def runs_after(*names: str, until: Instant = NOON + DAY) -> dict[str, Run]:
    playbook = a_playbook(HELD_BACK, FIRST, SECOND)
    events = [an_event(name, NOON + place * HOUR) for place, name in enumerate(names)]
    result = advance(a_contact(playbook), events, now=until, playbook=playbook)
    return {measure.rpartition("/")[2]: run for (measure, _), run in result.runs.items()}


def test_nobody_waits_for_it() -> None:
    runs = runs_after("Page Viewed", "Trial Started")
    assert runs["held_back"].holdout
    assert not runs["first"].queued


def test_it_waits_for_its_turn() -> None:
    assert runs_after("Trial Started", "Page Viewed")["held_back"].queued


def test_the_next_one_begins_beside_it() -> None:
    runs = runs_after("Trial Started", "Page Viewed", "Survey Answered")
    assert [runs[name].queued for name in ("first", "held_back", "second")] == [False, True, True]
    later = runs_after("Trial Started", "Page Viewed", "Survey Answered", until=NOON + 2 * DAY)
    assert later["first"].status == "done"
    # Both began at the end of the first one.
    assert [later[name].step_since for name in ("held_back", "second")] == [NOON + 2 * DAY] * 2
    assert not later["held_back"].queued
    assert not later["second"].queued

"""The state of a send follows from a few facts; its rate gives each mail a place."""

import pytest

from nurture.domain.errors import InputError
from nurture.domain.guard.sends import SEND_STATES, SendFacts, SendLimits, SendState, read_rate, send_state
from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND

NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (SendFacts(approval="waiting", approval_until=NOW + 1), "waiting_for_approval"),
        (SendFacts(approval="waiting", approval_until=NOW), "lapsed"),
        (SendFacts(approval="rejected", approval_until=NOW + 1), "rejected"),
        (SendFacts(), "handing_in"),
        (SendFacts(approval="approved"), "handing_in"),
        (SendFacts(is_handed_in=True, open_items=1), "sending"),
        (SendFacts(is_handed_in=True, open_items=1, send_at=NOW + 1), "scheduled"),
        (SendFacts(is_handed_in=True, open_items=1, send_at=NOW), "sending"),
        (SendFacts(is_handed_in=True), "done"),
        (SendFacts(is_handed_in=True, send_at=NOW + 1), "done"),
        (SendFacts(control="paused"), "paused"),
        (SendFacts(control="paused", is_handed_in=True, open_items=3), "paused"),
        (SendFacts(control="paused", is_handed_in=True), "done"),
        (SendFacts(control="cancelled", is_handed_in=True), "cancelled"),
        (SendFacts(control="cancelled", open_items=3), "cancelled"),
    ],
)
def test_the_state_of_a_send(facts: SendFacts, state: SendState) -> None:
    assert send_state(facts, now=NOW) == state
    assert SEND_STATES[state]


def test_places_are_an_even_row() -> None:
    limits = SendLimits(rate=60)
    places = []
    for _ in range(3):
        place = limits.place_of(due_at=NOW, reason="", now=NOW)
        limits = limits.with_taken(place)
        places.append(place - NOW)
    assert places == [0, MINUTE, 2 * MINUTE]


def test_time_without_mail_is_not_made_up_for() -> None:
    limits = SendLimits(rate=60, next_free_at=NOW - DAY).with_taken(NOW)
    assert limits.place_of(due_at=NOW, reason="", now=NOW) == NOW + MINUTE


@pytest.mark.parametrize(("late", "kept"), [(0, True), (MINUTE, True), (MINUTE + 1, False), (HOUR, False)])
def test_a_mail_that_comes_late_to_its_place_takes_a_new_one(late: int, kept: bool) -> None:
    limits = SendLimits(rate=3600, next_free_at=NOW + HOUR)
    place = limits.place_of(due_at=NOW - late, reason="send_rate", now=NOW)
    assert place == (NOW if kept else NOW + HOUR)


def test_without_a_rate_every_mail_may_leave() -> None:
    assert SendLimits(next_free_at=NOW + HOUR).place_of(due_at=NOW, reason="", now=NOW) == NOW


@pytest.mark.parametrize(
    ("text", "per_hour"), [("500/h", 500), ("10/min", 600), (" 1 / hour ", 1), ("7/m", 420)]
)
def test_rates_are_read(text: str, per_hour: int) -> None:
    assert read_rate(text) == per_hour


@pytest.mark.parametrize("text", ["", "500", "0/h", "-1/h", "1.5/h", "5/s", "x/h"])
def test_other_texts_are_no_rates(text: str) -> None:
    with pytest.raises(InputError, match="500/h"):
        read_rate(text)

"""A run in the holdout: its first mail is judged like any other to the last place, its later ones end at once."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.contact import Run
from nurture.domain.guard.decide import CHECKS, GuardInput, decide
from nurture.domain.instant import DAY, HOUR
from nurture.domain.journey.position import ActiveHold
from nurture.domain.playbook import Cap
from tests.delivery.builders import NOON, PATH, a_due, a_guard_input, a_measure, a_playbook, a_run
from tests.domain.guard.test_caps import an_entry

CAP = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
PLAYBOOK = a_playbook(caps=(CAP,))
HELD = (ActiveHold(PLAYBOOK.holds["open_case"], NOON - DAY, NOON + DAY),)
FIRST = a_run(holdout=True)
LATER = a_run(holdout=True, decided=["welcome", "offer"])
HEIR = a_run(holdout=True, passed=("welcome",))


def a_held_back(run: Run = FIRST, **changes: Any) -> GuardInput:
    return a_guard_input(message=a_due(holdout=True), run=run, **changes)


def test_the_check_is_the_last_one() -> None:
    assert CHECKS[-1][0] == "holdout"


LIMITS = [
    pytest.param({}, "skip", "holdout", id="nothing else"),
    pytest.param({"holds": HELD}, "defer", "hold", id="a hold"),
    pytest.param({"other_messages": (an_entry("coupon"),)}, "defer", "cap", id="a cap"),
    pytest.param(
        {"other_messages": (an_entry("coupon", 0, status="waiting", due_at=NOON, priority=80),)},
        "defer",
        "arbitration",
        id="a better mail",
    ),
    pytest.param({"pending_since": NOON}, "defer", "events_pending", id="events pending"),
    pytest.param({"consents": {}}, "skip", "no_consent", id="no consent"),
    pytest.param({"suppressions": {"all": "hard_bounce"}}, "skip", "suppressed", id="suppressed"),
    pytest.param({"erased": True}, "cancel", "erased", id="erased"),
]


@pytest.mark.parametrize(("changes", "action", "reason"), LIMITS)
def test_the_first_mail_is_judged_like_any_other(changes: dict[str, Any], action: str, reason: str) -> None:
    verdict = decide(a_held_back(**changes), now=NOON, playbook=PLAYBOOK)
    assert (verdict.action, verdict.reason) == (action, reason)
    if action == "defer":
        treated = a_guard_input(message=a_due(), **changes)
        assert verdict.until == decide(treated, now=NOON, playbook=PLAYBOOK).until


@pytest.mark.parametrize("run", [LATER, HEIR], ids=["later", "of an heir"])
@pytest.mark.parametrize(("changes", "action", "reason"), LIMITS)
def test_nothing_defers_a_later_mail(run: Run, changes: dict[str, Any], action: str, reason: str) -> None:
    verdict = decide(a_held_back(run, **changes), now=NOON, playbook=PLAYBOOK)
    if action == "defer":
        action, reason = "skip", "holdout"
    assert (verdict.action, verdict.reason) == (action, reason)


def test_quiet_hours_defer_the_first_and_not_the_later_ones() -> None:
    night = NOON + 11 * HOUR
    reasons = [decide(a_held_back(run), now=night, playbook=PLAYBOOK).reason for run in (FIRST, LATER)]
    assert reasons == ["quiet_hours", "holdout"]


def test_it_expires_like_any_other() -> None:
    late = replace(a_held_back().message, valid_until=NOON, due_at=NOON, reason="cap")
    verdict = decide(a_guard_input(message=late, run=FIRST), now=NOON, playbook=PLAYBOOK)
    assert (verdict.action, verdict.reason) == ("expire", "cap")


def test_it_takes_no_slot_and_blocks_no_series() -> None:
    waiting = an_entry("coupon", 0, status="waiting", due_at=NOON, priority=99, holdout=True)
    course = a_measure("customer/any/course", series=True)
    playbook = replace(PLAYBOOK, measures={PATH: a_measure(series=True), course.path: course})
    earlier = a_run(course.path, started_at=NOON - 9 * DAY, holdout=True)
    guard_input = a_guard_input(other_messages=(waiting,))
    assert guard_input.contact is not None
    guard_input.contact.runs[course.path, ""] = earlier
    assert decide(guard_input, now=NOON, playbook=playbook).action == "send"

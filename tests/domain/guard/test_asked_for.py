"""Mail that the person asked for: the limits that it passes, and those that hold for it too."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.consent.preferences import Preferences
from nurture.domain.contact import PersonRequest, RunOrigin
from nurture.domain.guard.decide import GuardInput, decide
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.journey.position import ActiveHold
from nurture.domain.measure import PURPOSES
from nurture.domain.message import Verdict
from nurture.domain.playbook import Cap
from tests.delivery.builders import NOON, a_due, a_guard_input, a_playbook, a_run
from tests.domain.guard.test_caps import an_entry

PLAYBOOK = a_playbook(caps=(Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY, gap=12 * HOUR),))
HOLD = replace(PLAYBOOK.holds["open_case"], stops=frozenset(PURPOSES))


def an_asked(*, is_proven: bool = True, at: Instant = NOON - DAY, **changes: Any) -> GuardInput:
    """Return the input for a mail that the person asked for, without any consent."""
    origin = RunOrigin("Product Back In Stock", asked=PersonRequest("Back In Stock Requested", at, is_proven))
    values = {"message": a_due(asked_for=True), "run": a_run(origin=origin), "consents": {}}
    return a_guard_input(**(values | changes))


def verdict_on(guard_input: GuardInput) -> Verdict:
    return decide(guard_input, now=NOON, playbook=PLAYBOOK)


FULL: dict[str, Any] = {
    "preferences": Preferences(min_gap=30 * DAY),
    "other_messages": (
        an_entry("coupon", HOUR, id=3),
        an_entry("digest", 0, id=4, status="waiting", due_at=NOON, priority=99),
    ),
}


def test_it_passes_caps_gap_the_persons_own_cap_and_arbitration() -> None:
    verdict = verdict_on(an_asked(**FULL))
    assert verdict.action == "send"
    details = {check.name: check.detail for check in verdict.checks}
    for name in ("cap", "gap", "own_cap", "arbitration", "consent"):
        assert "asked for by Back In Stock Requested at 2026-05-12" in details[name]
    ordinary = an_asked(message=a_due(), consents={"offers": "granted"}, **FULL)
    missed = {check.name for check in verdict_on(ordinary).checks if not check.passed}
    assert missed == {"cap", "gap", "own_cap", "arbitration"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "", id="proof is consent for this mail"),
        pytest.param({"consents": {"offers": "pending"}}, "", id="so it is before the topic is confirmed"),
        pytest.param({"is_proven": False}, "no_consent", id="a browser key gives none"),
        pytest.param({"is_proven": False, "consents": {"offers": "granted"}}, "", id="the topic was granted"),
        pytest.param(
            {"is_proven": False, "consents": {"offers": "pending"}}, "consent_pending", id="and not confirmed"
        ),
        pytest.param({"message": a_due()}, "no_consent", id="a mail that nobody asked for"),
        pytest.param({"run": a_run()}, "no_consent", id="a run that no request began"),
    ],
)
def test_a_proven_request_is_consent_for_its_mail(changes: dict[str, Any], reason: str) -> None:
    assert verdict_on(an_asked(**changes)).reason == reason


@pytest.mark.parametrize(
    ("topic", "at", "action"),
    [
        pytest.param("offers", NOON - 2 * DAY, "send", id="before the request"),
        pytest.param("offers", NOON - DAY, "skip", id="at the same instant"),
        pytest.param("offers", NOON - HOUR, "skip", id="after it"),
        pytest.param("*", NOON - 2 * DAY, "send", id="everything, before"),
        pytest.param("*", NOON - HOUR, "skip", id="everything, after"),
    ],
)
def test_a_later_withdrawal_stands(topic: str, at: Instant, action: str) -> None:
    verdict = verdict_on(an_asked(consents={topic: "withdrawn"}, consents_at={topic: at}))
    assert verdict.action == action
    assert verdict.reason == ("" if action == "send" else "consent_withdrawn")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"suppressions": {"marketing": "unsubscribed"}}, "suppressed", id="suppressed"),
        pytest.param({"suppressions": {"all": "hard_bounce"}}, "suppressed", id="bounced"),
        pytest.param({"is_shared_address": True}, "shared_address", id="somebody else's address"),
        pytest.param({"holds": (ActiveHold(HOLD, NOON - DAY, NOON + DAY),)}, "hold", id="held"),
        pytest.param({"preferences": Preferences(paused_until=NOON + DAY)}, "own_pause", id="own pause"),
        pytest.param({"pending_since": NOON}, "events_pending", id="events pending"),
        pytest.param({"erased": True}, "erased", id="erased"),
    ],
)
def test_other_limits_of_a_mail_hold_for_it_too(changes: dict[str, Any], reason: str) -> None:
    assert verdict_on(an_asked(**changes)).reason == reason


def test_quiet_hours_hold_for_it() -> None:
    night = NOON + 11 * HOUR
    message = a_due(asked_for=True, valid_until=night + DAY)
    assert decide(an_asked(message=message), now=night, playbook=PLAYBOOK).reason == "quiet_hours"

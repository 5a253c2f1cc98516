"""A mail that is too late expires with the reason that held it back until then."""

from dataclasses import replace
from typing import Any

import pytest

from nurture.domain.consent.preferences import Preferences
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.journey.position import ActiveHold
from tests.delivery.builders import NOON, a_contact, a_due, a_guard_input, a_playbook
from tests.domain.guard.test_guard import OPEN_CASE, SALES_CAP, an_entry, verdict_on


@pytest.mark.parametrize(
    ("due_at", "last_reason", "changes", "reason"),
    [
        pytest.param(NOON + DAY, "cap", {}, "cap", id="a cap that is still full"),
        pytest.param(NOON + HOUR, "cap", {}, "too_late", id="the cap was free again, and no worker ran"),
        pytest.param(NOON, "", {}, "too_late", id="nobody looked at it in time"),
        pytest.param(NOON + DAY, "retry", {}, "too_late", id="the receiving side put it off"),
        pytest.param(
            NOON + DAY,
            "hold",
            {"holds": (ActiveHold(OPEN_CASE, NOON - DAY, NOON + 29 * DAY),)},
            "hold",
            id="a hold",
        ),
        pytest.param(
            NOON + DAY,
            "cap",
            {"holds": (ActiveHold(OPEN_CASE, NOON - DAY, NOON + 29 * DAY),), "other_messages": ()},
            "hold",
            id="a hold began, and the cap is free",
        ),
        pytest.param(
            NOON + DAY,
            "own_pause",
            {"preferences": Preferences(paused_until=NOON + 9 * DAY)},
            "own_pause",
            id="a pause of their own",
        ),
        pytest.param(
            NOON + 4 * HOUR,
            "cap",
            {"contact": a_contact(zone="Asia/Shanghai"), "other_messages": ()},
            "quiet_hours",
            id="the cap is free, and it is night",
        ),
        pytest.param(
            NOON + DAY,
            "cap",
            {"other_messages": (an_entry(counted_at=NOON - 13 * DAY),)},
            "cap",
            id="a cap that was free at that very instant",
        ),
        pytest.param(NOON + 2 * DAY, "paused", {}, "paused", id="resumed too late"),
        pytest.param(NOON + DAY, "arbitration", {"other_messages": ()}, "arbitration", id="gave way"),
    ],
)
def test_an_expiry_names_the_reason_that_held_the_mail_back(
    due_at: Instant, last_reason: str, changes: dict[str, Any], reason: str
) -> None:
    end = due_at if "contact" in changes else NOON + DAY
    late = a_due(due_at=due_at, reason=last_reason, valid_until=end)
    given = {"message": late, "other_messages": (an_entry(),)} | changes
    # A worker looks at it some time later, when it is night in Berlin.
    for now in (end, end + 12 * HOUR, end + 100 * DAY):
        expired = verdict_on(a_guard_input(**given), a_playbook(caps=(SALES_CAP,)), now=now)
        assert (expired.action, expired.reason) == ("expire", reason)
    detail = next(c.detail for c in expired.checks if c.name == "valid_for")
    assert ("last held back by" in detail) == (last_reason != "")


def test_a_mail_expires_though_a_hold_goes_on() -> None:
    held = (ActiveHold(OPEN_CASE, NOON - DAY, NOON + 29 * DAY),)
    waiting = a_guard_input(holds=held, message=a_due(valid_until=NOON + HOUR))
    deferred = verdict_on(waiting)
    assert (deferred.reason, deferred.until) == ("hold", NOON + HOUR)
    message = replace(waiting.message, reason="hold", due_at=NOON + HOUR)
    expired = verdict_on(replace(waiting, message=message), now=NOON + HOUR)
    assert (expired.action, expired.reason) == ("expire", "hold")

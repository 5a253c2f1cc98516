"""A mail that was leaving when its run was handed over is not sent again by the measure that goes on."""

import pytest

from nurture.domain.guard.caps import LedgerEntry
from nurture.domain.guard.decide import decide
from nurture.domain.message import Status
from tests.delivery.builders import NOON, a_due, a_guard_input, a_playbook

LEAD = "lead/any/series"


def an_earlier(status: Status, measure: str = LEAD, step: str = "offer", key: str = "") -> LedgerEntry:
    return LedgerEntry(4, measure, key, step, "nurture", "main", 50, status, NOON - 1, NOON - 1)


@pytest.mark.parametrize(
    ("earlier", "action", "reason"),
    [
        (an_earlier("sent"), "skip", "already_sent"),
        (an_earlier("in_doubt"), "skip", "already_sent"),
        (an_earlier("on_wire"), "defer", "order"),
        (an_earlier("ready"), "defer", "order"),
        (an_earlier("waiting"), "send", ""),
        (an_earlier("sent", step="intro"), "send", ""),
        (an_earlier("sent", key="other"), "send", ""),
        (an_earlier("sent", measure="lead/any/other"), "send", ""),
    ],
    ids=[
        "sent",
        "in doubt",
        "on the wire",
        "ready",
        "cancelled",
        "another step",
        "another run",
        "another measure",
    ],
)
def test_the_heir_waits_for_a_mail_that_is_leaving_and_skips_one_that_left(
    earlier: LedgerEntry, action: str, reason: str
) -> None:
    guard_input = a_guard_input(message=a_due(5, began_as=LEAD), other_messages=(earlier,))
    verdict = decide(guard_input, now=NOON, playbook=a_playbook())
    assert (verdict.action, verdict.reason) == (action, reason)

"""The last mail of a run that waits at a change of track is handed over with it, and decided once."""

from typing import Any

import pytest

from nurture.domain.contact import Advance, Contact
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Once, OnEvent, WaitFor
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event

MAIL = MailStep("quote", "quote")
ASKED = an_event("Quote Requested", NOON, quote_id="q1")
BOUGHT = an_event("Order Completed", NOON + HOUR, order_id="o1")


def a_pair(*steps: MailStep | WaitFor, **given: Any) -> Playbook:
    """Return the measure of a lead, and the one of a customer that continues it."""
    values: dict[str, Any] = {
        "trigger": OnEvent(("Quote Requested",)),
        "once": Once("quote_id"),
        "steps": steps or (MAIL,),
    }
    lead = a_measure("lead/any/quote", **({"handover": "customer/any/quote"} | values | given))
    return a_playbook(lead, a_measure("customer/any/quote", **values))


def live(playbook: Playbook, *happenings: Event | Settled, contact: Contact | None = None) -> Advance:
    return advance(contact or a_contact(playbook), happenings, now=NOON + DAY, playbook=playbook)


def sent(at: Instant, path: str = "lead/any/quote", step: str = "quote") -> Settled:
    return Settled(1, path, "q1", step, "sent", at)


@pytest.mark.parametrize("steps", [(MAIL,), (WaitFor("w", 60), MAIL)], ids=["one step", "after a wait"])
def test_a_last_mail_that_waits_is_decided_anew_on_the_other_track(steps: tuple[Any, ...]) -> None:
    playbook = a_pair(*steps)
    first = live(playbook, ASKED)
    then = live(playbook, BOUGHT, contact=first.contact)
    assert [(mail.measure, mail.step) for mail in first.messages] == [("lead/any/quote", "quote")]
    assert [(ending.measure, ending.reason) for ending in then.cancellations] == [
        ("lead/any/quote", "handed_over")
    ]
    assert [(mail.measure, mail.step) for mail in then.messages] == [("customer/any/quote", "quote")]


def test_a_last_mail_that_has_left_is_not_decided_again() -> None:
    playbook = a_pair()
    first = live(playbook, ASKED, sent(NOON + 1))
    assert [run.status for run in first.runs.values()] == ["done"]
    then = live(playbook, BOUGHT, contact=first.contact)
    assert (then.messages, then.cancellations) == ([], [])


def test_a_run_without_a_hand_over_is_done_with_its_last_decision() -> None:
    playbook = a_pair(handover=None)
    first = live(playbook, ASKED)
    assert [run.status for run in first.runs.values()] == ["done"]

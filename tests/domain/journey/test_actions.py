"""Actions of a run: decided once, told by values of the run, not in the holdout, never deeper than eight."""

from typing import Any

import pytest

from nurture.contacts.state_codec import decode_run_data, encode_run_data
from nurture.domain.contact import Advance
from nurture.domain.event import BY_MEASURE, depth_context
from nurture.domain.journey.advance import advance
from nurture.domain.measure import (
    EmitStep,
    EndTopicStep,
    MailStep,
    OnEvent,
    Reference,
    Step,
    WaitFor,
    WaitUntilEvent,
)
from nurture.domain.measure.planned_actions import DEPTH_MAX
from tests.domain.build import DAY, HOUR, NOON, a_contact, a_measure, a_playbook, an_event

TELL = EmitStep(
    "tell",
    "Points Granted",
    (
        ("grant_id", Reference("run_id")),
        ("order", Reference("event.order_id")),
        ("plan", Reference("contact.plan")),
        ("visit", Reference("entity.appointment_id")),
        ("code", Reference("code")),
        ("points", 5),
        ("why", "thanks"),
    ),
)


def live(*steps: Step, event: dict[str, Any] | None = None, **given: Any) -> Advance:
    """Return the advance of one person whose event starts a measure of these steps."""
    measure = a_measure("lead/any/reward", trigger=OnEvent(("Visited",)), steps=steps, **given)
    playbook = a_playbook(measure)
    happened = an_event("Visited", **(event or {}))
    return advance(a_contact(playbook), [happened], now=NOON + DAY, playbook=playbook)


def test_an_event_says_the_values_that_are_known_at_its_instant() -> None:
    result = live(WaitFor("w", HOUR), TELL, EndTopicStep("end", "news"), event={"order_id": "A-1"})
    emitted, ended = result.actions
    assert (emitted.kind, emitted.status, emitted.decided_at, emitted.depth) == (
        "emit",
        "waiting",
        NOON + HOUR,
        1,
    )
    number = emitted.data["properties"].pop("grant_id")
    assert emitted.data == {
        "event": "Points Granted",
        "properties": {"order": "A-1", "points": 5, "why": "thanks"},
    }
    assert (ended.kind, ended.data) == ("end_topic", {"topic": "news"})
    (run,) = result.runs.values()
    assert (run.status, run.acted, run.decided, run.public_id(1)) == ("done", ["tell", "end"], [], number)
    assert number not in ("", str(run.key))


def test_a_run_with_actions_is_stored_and_read_back() -> None:
    result = live(TELL, MailStep("one", "one"), event={"source": BY_MEASURE, "context": depth_context(2)})
    (run,) = result.runs.values()
    data = decode_run_data(encode_run_data(run))
    assert (data.acted, data.origin.depth, data.unknown) == (["tell"], 2, {})


@pytest.mark.parametrize(("depth", "status"), [(DEPTH_MAX - 1, "waiting"), (DEPTH_MAX, "failed")])
def test_an_event_that_is_too_deep_is_not_handed_in(depth: int, status: str) -> None:
    led_to_it = {"source": BY_MEASURE, "context": depth_context(depth)}
    (action,) = live(TELL, event=led_to_it).actions
    assert (action.status, action.depth) == (status, depth + 1)
    # Nobody else can say how deep an event is.
    (action,) = live(TELL, event={**led_to_it, "source": "shop"}).actions
    assert (action.status, action.depth) == ("waiting", 1)


def test_a_wait_that_ends_by_such_an_event_is_as_deep() -> None:
    steps = (WaitUntilEvent("w", ("Came",), 5 * DAY), TELL)
    measure = a_measure("lead/any/reward", trigger=OnEvent(("Visited",)), steps=steps)
    playbook = a_playbook(measure)
    came = an_event("Came", NOON + HOUR, source=BY_MEASURE, context=depth_context(DEPTH_MAX))
    result = advance(a_contact(playbook), [an_event("Visited"), came], now=NOON + HOUR, playbook=playbook)
    assert [action.status for action in result.actions] == ["failed"]


def test_a_run_in_the_holdout_acts_not() -> None:
    actions = live(TELL, EndTopicStep("end", "news"), holdout=10_000).actions
    assert [(action.status, action.reason) for action in actions] == [("skipped", "holdout")] * 2


def test_a_replay_decides_no_action() -> None:
    playbook = a_playbook(a_measure("lead/any/reward", trigger=OnEvent(("Visited",)), steps=(TELL,)))
    result = advance(a_contact(playbook), [an_event("Visited")], now=NOON, playbook=playbook, mail=False)
    assert result.actions == []


def test_the_first_mail_behind_an_action_is_the_one_that_was_asked_for() -> None:
    measure = a_measure(
        "lead/any/quote",
        trigger=OnEvent(("Quote Requested",)),
        asked_for=True,
        steps=(TELL, MailStep("one", "one")),
    )
    playbook = a_playbook(measure)
    result = advance(a_contact(playbook), [an_event("Quote Requested")], now=NOON, playbook=playbook)
    assert [message.asked_for for message in result.messages] == [True]


def test_a_hand_over_repeats_no_action_and_keeps_the_number_of_the_run() -> None:
    lead = a_measure(
        "lead/any/care",
        trigger=OnEvent(("Visited",)),
        handover="customer/any/care",
        steps=(TELL, WaitFor("w", DAY)),
    )
    again = EmitStep("again", "Points Confirmed", (("grant_id", Reference("run_id")),))
    heir = a_measure("customer/any/care", trigger=OnEvent(("Never",)), steps=(TELL, WaitFor("w", DAY), again))
    playbook = a_playbook(lead, heir)
    order = an_event("Order Completed", NOON + HOUR, order_id="1")
    result = advance(a_contact(playbook), [an_event("Visited"), order], now=NOON + 2 * DAY, playbook=playbook)
    emitted = [
        (action.measure, action.step, action.data["properties"]["grant_id"]) for action in result.actions
    ]
    assert [entry[:2] for entry in emitted] == [("lead/any/care", "tell"), ("customer/any/care", "again")]
    assert emitted[0][2] == emitted[1][2]


def test_a_failed_rule_takes_its_actions_back() -> None:
    broken = WaitFor("w", None)  # type: ignore[arg-type]
    result = live(TELL, broken)
    assert [failed.measure for failed in result.set_aside] == ["lead/any/reward"]
    assert result.actions == []

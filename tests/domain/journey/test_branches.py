"""A branch takes the first case that is yes; conditions ask how a wait or a mail ended; edits move nobody elsewhere."""

from collections.abc import Sequence
from typing import Any

import pytest

from nurture.contacts.state_codec import decode_run_data, encode_run_data
from nurture.domain.conditions import ALWAYS, Condition, Term, parse
from nurture.domain.contact import Advance, Contact, Run
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.measure import (
    Branch,
    Case,
    Exit,
    MailStep,
    Measure,
    OnEvent,
    Step,
    StepOutcome,
    WaitFor,
    WaitUntilEvent,
)
from nurture.domain.message import Settled, Status
from tests.domain.build import DAY, HOUR, NOON, VOCABULARY, a_contact, a_measure, a_playbook, an_event

STEPS = VOCABULARY.with_terms(
    {
        f"steps.{step}.{part}": Term(f"steps.{step}.{part}", "text")
        for step in ("sign", "rest", "value", "changed", "offer", "w")
        for part in ("outcome", "reason")
    }
)
Choice = tuple[str | None, Sequence[Step]]


def asks(text: str) -> Condition:
    return parse(text, STEPS)


def branch(*choices: Choice, id_: str = "branch1", when: Condition | None = None) -> tuple[Step, ...]:
    """Return a branch with the steps of its cases; a choice without a condition is `else`."""
    cases = tuple(Case(asks(text) if text else None, len(steps)) for text, steps in choices)
    return Branch(id_, cases, when), *(step for _, steps in choices for step in steps)


def mail(name: str, when: str | None = None) -> MailStep:
    return MailStep(name, name, asks(when) if when else None)


SIGN = WaitUntilEvent("sign", ("Signed In",), 7 * DAY)
CAME, REST = mail("welcome_back"), WaitFor("rest", 14 * DAY)
#: Value, a week in which to sign in, then one of two ways.
WINBACK = (
    mail("value"),
    SIGN,
    *branch(('steps.sign.outcome == "event"', [CAME]), (None, [mail("changed"), REST, mail("offer")])),
)


def winback(*steps: Step, hash_: str = "1", exits: tuple[Exit, ...] = ()) -> Measure:
    return a_measure(
        "lead/any/winback",
        trigger=OnEvent(("Lapsed",)),
        steps=steps or WINBACK,
        rules_hash=hash_,
        exits=exits,
    )


class Life:
    """One person in one measure; mails end when the test says so."""

    def __init__(self, *steps: Step, exits: tuple[Exit, ...] = ()) -> None:
        self.playbook = a_playbook(winback(*steps, exits=exits))
        self.contact: Contact = a_contact(self.playbook)
        self.mails: list[str] = []
        self.runs: dict[tuple[str, str], Run] = {}
        self.at: Instant = NOON
        self.tell("Lapsed")

    def keep(self, result: Advance) -> None:
        self.contact = result.contact
        self.mails += [message.step for message in result.messages]
        self.runs |= result.runs

    def tell(self, name: str, **properties: Any) -> None:
        event = an_event(name, self.at, **properties)
        self.keep(advance(self.contact, [event], now=self.at, playbook=self.playbook))

    def live(self, span: int) -> None:
        self.at += span
        self.keep(advance(self.contact, [], now=self.at, playbook=self.playbook))

    def end(self, step: str, status: Status = "sent", reason: str = "") -> None:
        ended = Settled(1, "lead/any/winback", "", step, status, self.at, reason)
        self.keep(advance(self.contact, [ended], now=self.at, playbook=self.playbook))

    def publish(self, *steps: Step) -> None:
        self.playbook = a_playbook(winback(*steps, hash_="2"), rules_hash="r2")
        self.live(0)

    @property
    def run(self) -> Run:
        (run,) = self.runs.values()
        return run


def test_the_first_case_that_is_yes_is_taken() -> None:
    life = Life()
    life.end("value")
    life.live(HOUR)
    life.tell("Signed In")
    assert life.mails == ["value", "welcome_back"]
    # The last step of its way: nothing comes behind the branch.
    assert (life.run.status, life.run.decided) == ("done", ["value", "welcome_back"])


def test_else_is_taken_when_no_case_is_yes() -> None:
    life = Life()
    life.end("value")
    life.live(8 * DAY)
    assert life.mails == ["value", "changed"]
    assert life.run.outcomes == {
        "value": StepOutcome("sent"),
        "sign": StepOutcome("timeout"),
        "branch1": StepOutcome("else"),
    }
    life.end("changed")
    life.live(14 * DAY)
    assert life.mails == ["value", "changed", "offer"]
    assert life.run.status == "done"


def test_an_unknown_answer_takes_no_case_and_without_else_the_run_goes_on_behind_the_branch() -> None:
    life = Life(*branch(("plan == 'gold'", [mail("one")]), ("plan != 'gold'", [mail("two")])), mail("three"))
    assert life.mails == ["three"]
    assert life.run.outcomes["branch1"] == ("no case", "case 1 was unknown; case 2 was unknown")


def test_a_branch_judges_the_newest_state_and_the_run_keeps_its_way() -> None:
    steps = branch(("plan == 'gold'", [mail("a")]), (None, [mail("b"), WaitFor("w", DAY), mail("c")]))
    life = Life(*steps)
    life.tell("Plan Changed", plan="gold")
    life.end("b")
    life.live(DAY)
    assert life.mails == ["b", "c"]


def test_branches_lie_inside_branches_and_lead_behind_both() -> None:
    inner = branch(("plan == 'gold'", [mail("gold")]), (None, []), id_="inner")
    life = Life(*branch(("True", inner), (None, [mail("no")])), mail("end"))
    assert life.mails == ["end"]
    golden = branch(("True", [mail("gold")]), (None, []), id_="inner")
    life = Life(*branch(("True", golden), (None, [mail("no")])), mail("end"))
    life.end("gold")
    assert life.mails == ["gold", "end"]


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        ("sent", "", ("sent", "")),
        ("skipped", "no_consent", ("skipped", "no_consent")),
        ("expired", "cap", ("expired", "cap")),
        ("failed", "hard_bounce", ("failed", "hard_bounce")),
        ("in_doubt", "in_doubt", ("in_doubt", "in_doubt")),
        # The mail before the hand-over left in its place.
        ("skipped", "already_sent", ("sent", "already_sent")),
    ],
)
def test_a_step_asks_how_the_mail_before_ended(status: Status, reason: str, outcome: tuple[str, str]) -> None:
    life = Life(mail("value"), mail("offer", f'steps.value.outcome == "{outcome[0]}"'), mail("changed"))
    life.end("value", status, reason)
    assert life.mails == ["value", "offer"]
    assert life.run.outcomes["value"] == outcome


def test_a_step_that_is_passed_over_was_skipped_and_one_not_reached_is_unknown() -> None:
    life = Life(mail("value", "orders >= 1"), mail("offer", 'steps.value.outcome != "sent"'), mail("changed"))
    assert life.mails == ["offer"]
    assert life.run.outcomes == {"value": StepOutcome("skipped", "when")}
    elsewhere = branch(("orders >= 1", [mail("value")]))
    life = Life(*elsewhere, mail("offer", 'steps.value.outcome != "sent"'), mail("changed"))
    assert life.mails == ["changed"]


def test_an_exit_asks_how_a_step_ended() -> None:
    gone = Exit(None, reason="mute", when=asks('steps.value.outcome == "skipped"'))
    life = Life(mail("value"), WaitFor("w", DAY), mail("offer"), exits=(gone,))
    life.end("value", "skipped", "no_consent")
    assert (life.run.status, life.run.reason) == ("stopped", "mute")


# ---- edits while people are inside -----------------------------------------------------------------------

IN_ELSE: list[Step] = [mail("changed"), WaitFor("rest", 14 * DAY), mail("offer")]
SIGNED = 'steps.sign.outcome == "event"'


def inside() -> Life:
    """Return somebody who waits in the second case of the branch."""
    life = Life()
    life.end("value")
    life.live(8 * DAY)
    life.end("changed")
    assert life.run.step == "rest"
    return life


@pytest.mark.parametrize(
    ("steps", "mails"),
    [
        # Another case before it, and another order of the cases.
        (branch(("orders >= 1", [mail("new")]), (SIGNED, [CAME]), (None, IN_ELSE)), ["offer"]),
        # A step before it in its case, and a mail before the branch.
        ((mail("hello"), *branch((SIGNED, [CAME]), (None, [mail("changed"), mail("x"), *IN_ELSE[1:]]))), ["offer"]),
        # The step is gone: the next in its own list.
        (branch((SIGNED, [CAME, mail("y")]), (None, [mail("changed"), mail("offer")])), ["offer"]),
        # The step and all behind it are gone: what follows the branch.
        ((*branch((SIGNED, [CAME, mail("y")]), (None, [mail("changed")])), mail("end")), ["end"]),
        # Its case is gone, and another one has its number: what follows the branch.
        ((*branch((SIGNED, [CAME]), ("orders >= 1", [mail("changed"), mail("x"), mail("z")])), mail("end")), ["end"]),
        ((*branch((SIGNED, [CAME])), mail("end")), ["end"]),
        # The branch is gone: what has its place.
        ((mail("end"),), ["end"]),
        # The step has moved out of the branch.
        ((*branch((SIGNED, [CAME]), (None, [mail("changed")])), REST, mail("end")), ["end"]),
        # Nothing is left.
        ((), []),
    ],
)  # fmt: skip
def test_an_edit_moves_nobody_to_another_case(steps: tuple[Step, ...], mails: list[str]) -> None:
    life = inside()
    life.mails.clear()
    life.publish(mail("value"), SIGN, *steps)
    life.live(20 * DAY)
    assert life.mails == mails


def test_a_step_that_moved_in_one_edit_is_followed_from_there_in_the_next() -> None:
    life = Life(mail("value"), WaitFor("w", 3 * DAY), mail("offer"))
    life.end("value")
    life.publish(
        mail("value"), mail("one"), mail("two"), WaitFor("w", 3 * DAY), mail("offer"), mail("changed")
    )
    life.playbook = a_playbook(
        winback(mail("value"), mail("one"), mail("two"), mail("offer"), mail("changed"), hash_="3"),
        rules_hash="r3",
    )
    life.live(0)
    assert life.mails == ["value", "offer"]


def test_a_run_in_a_branch_is_stored_and_read_back() -> None:
    run = inside().run
    data = decode_run_data(encode_run_data(run))
    assert (data.path, data.outcomes, data.unknown) == (run.path, run.outcomes, {})
    assert run.path is not None
    assert run.path.outer[0].branch == "branch1"


def test_a_heir_asks_how_the_steps_before_the_hand_over_ended() -> None:
    lead = a_measure(
        "lead/any/care", trigger=OnEvent(("Lapsed",)), handover="customer/any/care",
        steps=(mail("value"), WaitFor("w", 2 * DAY), mail("offer")),
    )  # fmt: skip
    heir = a_measure(
        "customer/any/care", trigger=OnEvent(("Never",)), audience=ALWAYS,
        steps=(WaitFor("w", 2 * DAY),
               *branch(('steps.value.outcome == "sent"', [mail("offer")]), (None, [mail("no")]))),
    )  # fmt: skip
    playbook = a_playbook(lead, heir)
    first = advance(a_contact(playbook), [an_event("Lapsed")], now=NOON, playbook=playbook)
    ended = Settled(1, "lead/any/care", "", "value", "sent", NOON + HOUR)
    order = an_event("Order Completed", NOON + DAY, order_id="1")
    second = advance(first.contact, [ended, order], now=NOON + 3 * DAY, playbook=playbook)
    assert [message.step for message in second.messages] == ["offer"]

"""Waits for an event: each event ends the wait at which a run stands, and no later one of the same run."""

import pytest

from nurture.domain.conditions import Term, parse
from nurture.domain.conditions.tables import Table
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.measure import MailStep, Measure, OnEvent, Wait, WaitFor, WaitFromTable, WaitUntilEvent
from tests.domain.build import DAY, HOUR, NOON, VOCABULARY, a_contact, a_measure, a_playbook, an_event, when


def mailed_at(measure: Measure, *sign_ins: Instant) -> list[Instant]:
    """Return when the measure's mails are decided for a person who starts a trial at noon and signs in then."""
    playbook = a_playbook(measure)
    events = [an_event("Trial Started", NOON), *(an_event("Signed In", at) for at in sign_ins)]
    result = advance(a_contact(playbook), events, now=NOON + 30 * DAY, playbook=playbook)
    return [mail.decided_at for mail in result.messages]


def waiting_twice(*between: MailStep | WaitFor) -> Measure:
    """Return a measure that waits for a sign-in, then does these steps, and waits for another sign-in."""
    waits = [WaitUntilEvent(name, ("Signed In",), 9 * DAY) for name in ("first", "second")]
    steps = (waits[0], *between, waits[1], MailStep("mail", "mail"))
    return a_measure("any/twice", trigger=OnEvent(("Trial Started",)), steps=steps)


@pytest.mark.parametrize(
    "between",
    [(), (MailStep("never", "mail", when=when("orders >= 9")),), (WaitFor("none", 0),)],
    ids=["nothing", "a mail that is passed over", "a wait that is over"],
)
def test_one_event_ends_one_wait(between: tuple[MailStep | WaitFor, ...]) -> None:
    measure = waiting_twice(*between)
    assert mailed_at(measure, NOON + HOUR, NOON + 5 * HOUR) == [NOON + 5 * HOUR]
    assert mailed_at(measure, NOON + HOUR) == [NOON + HOUR + 9 * DAY]


#: The wait came to its end, and was not passed over.
OUTCOME = parse(
    'steps.w.outcome == "timeout"',
    VOCABULARY.with_terms({"steps.w.outcome": Term("steps.w.outcome", "text")}),
)
PAUSE = Table("pause", "plan", {"gold": DAY}, "duration", otherwise=3 * DAY)


@pytest.mark.parametrize(
    ("wait", "first", "later", "days"),
    [
        (WaitFromTable("w", PAUSE), "silver", "gold", 3),
        (WaitFromTable("w", PAUSE), "gold", "silver", 1),
        (WaitFor("w", 2 * DAY, when=when("plan == 'gold'")), "gold", "silver", 2),
    ],
    ids=["a longer one", "a shorter one", "a condition that turns"],
)
def test_a_wait_is_judged_once_when_the_run_comes_to_it(
    wait: Wait, first: str, later: str, days: int
) -> None:
    def plan(at: Instant, name: str) -> Event:
        return an_event("Plan Changed", at, plan=name)

    measure = a_measure(
        "any/waits", trigger=OnEvent(("Trial Started",)), steps=(wait, MailStep("mail", "mail", when=OUTCOME))
    )
    playbook = a_playbook(measure)
    events = [plan(NOON, first), an_event("Trial Started", NOON), plan(NOON + HOUR, later)]
    result = advance(a_contact(playbook), events, now=NOON + 30 * DAY, playbook=playbook)
    assert [mail.decided_at for mail in result.messages] == [NOON + days * DAY]

"""Re-entry after an answer that is taken as the past: an import or a publication starts nothing by it."""

from dataclasses import replace

import pytest

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.refold import _join_trigger_state
from nurture.domain.measure import Once, OnCondition
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from tests.domain.build import DAY, NOON, a_contact, a_measure, a_playbook, an_event, when

SURVEY = "lead/any/survey"


def survey(audience: str = "plan == 'gold'", **given: str) -> Playbook:
    once = Once(again_after=3 * DAY)
    return a_playbook(a_measure(SURVEY, audience=when(audience), trigger=OnCondition(), once=once), **given)


def plan(days: int, name: str, *, historic: bool = False) -> Event:
    return an_event("Plan Changed", NOON + days * DAY, historic=historic, plan=name)


def starts(*events: Event, until: int, playbook: Playbook | None = None) -> list[Instant]:
    """Return on which day after noon each run started; a mail leaves at once."""
    _, result = lived(*events, until=until, playbook=playbook)
    return result


def lived(*events: Event, until: int, playbook: Playbook | None = None) -> tuple[Contact, list[Instant]]:
    playbook = playbook or survey()
    contact, found = a_contact(playbook), []
    for now, event in [*((event.received_at, event) for event in events), (NOON + until * DAY, None)]:
        step = advance(contact, [event] if event else [], now=now, playbook=playbook)
        contact = step.contact
        for mail in step.messages:
            found.append((mail.due_at - NOON) // DAY)
            left = Settled(1, mail.measure, mail.run_key, mail.step, "sent", now)
            contact = advance(contact, [left], now=now, playbook=playbook).contact
    return contact, found


GOLD_ONCE = (plan(0, "gold"), plan(1, "silver"))


def test_history_that_makes_a_condition_true_after_the_rest_starts_nothing_later_either() -> None:
    """No alarm and no other event brings the run that the import itself did not start."""
    imported = plan(5, "gold", historic=True)
    unrelated = [an_event("Signed Up", NOON + 6 * DAY), plan(7, "gold")]
    assert starts(*GOLD_ONCE, imported, *unrelated, until=30) == [0]


def test_a_later_turn_from_no_to_yes_starts_again() -> None:
    turned = [plan(8, "silver"), plan(9, "gold")]
    assert starts(*GOLD_ONCE, plan(5, "gold", historic=True), *turned, until=13) == [0, 9, 12]


def test_a_rest_that_is_not_over_at_the_import_ends_as_any_other() -> None:
    assert starts(*GOLD_ONCE, plan(2, "gold", historic=True), until=4) == [0, 3]


@pytest.mark.parametrize(("published_at", "found"), [(5, []), (2, [3, 6])])
def test_a_publication_that_makes_a_condition_true_is_the_past_too(
    published_at: int, found: list[int]
) -> None:
    contact, _ = lived(*GOLD_ONCE, until=published_at)
    rules = survey("plan in ['gold', 'silver']", rules_hash="r2")
    measure = replace(rules.measures[SURVEY], rules_hash="changed")
    rules = replace(rules, measures={SURVEY: measure})
    adopted = advance(contact, [], now=NOON + published_at * DAY, playbook=rules).contact
    signed_in = an_event("Signed Up", NOON + 6 * DAY)
    after = advance(adopted, [signed_in, plan(6, "gold")], now=NOON + 6 * DAY, playbook=rules)
    assert [(mail.due_at - NOON) // DAY for mail in after.messages] == found


def test_a_merge_keeps_what_either_took_as_the_past() -> None:
    imported, _ = lived(*GOLD_ONCE, plan(5, "gold", historic=True), until=5)
    other, _ = lived(plan(4, "silver"), until=5)
    _join_trigger_state(other.memory, imported.memory)
    assert other.memory.past_answers == {SURVEY: NOON + 5 * DAY}

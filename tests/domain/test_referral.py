"""By whose link a person came: the first word counts in any order, a server's before a browser's, never one's own."""

from dataclasses import replace
from itertools import permutations

import pytest

from nurture.contacts.state_codec import decode_memory, encode_memory
from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.facts import view
from nurture.domain.journey.advance import advance
from nurture.domain.playbook import FoldFact
from nurture.domain.referral import combine_referrals, referral_context
from tests.domain.build import HOUR, NOON, a_contact, a_playbook, an_event

PLAYBOOK = a_playbook()


def come_by(referrer: object, at: int = NOON, *, hint: bool = False, number: int = 1) -> Event:
    context = referral_context(referrer)  # type: ignore[arg-type]
    event = an_event("Signed Up", at, received=NOON + 2 * HOUR, context=context, id=f"m{number}")
    return replace(event, hint=hint)


def after(*events: Event) -> Contact:
    return advance(a_contact(PLAYBOOK), list(events), now=NOON + 2 * HOUR, playbook=PLAYBOOK).contact


def test_the_first_word_counts_in_any_order_of_arrival() -> None:
    events = [come_by(5, NOON + HOUR, number=1), come_by(6, NOON, number=2), come_by(7, NOON, number=3)]
    assert {after(*order).facts["referrer"] for order in permutations(events)} == {6}


def test_a_server_counts_before_a_browser() -> None:
    events = [come_by(5, NOON, hint=True, number=1), come_by(6, NOON + HOUR, number=2)]
    assert {after(*order).facts["referrer"] for order in permutations(events)} == {6}
    assert after(events[0]).facts["referrer"] == 5


@pytest.mark.parametrize("referrer", [1, "5", None, True])
def test_nobody_refers_themselves_and_only_numbers_count(referrer: object) -> None:
    assert "referrer" not in after(come_by(referrer)).facts


def test_it_is_stored_and_no_template_reads_it() -> None:
    person = after(come_by(5))
    memory, unknown = decode_memory(encode_memory(person.memory, {}))
    assert (memory.referral, unknown) == (person.memory.referral, {})
    assert "referrer" not in view(person, PLAYBOOK, now=NOON)["contact"]


def test_two_who_become_one_keep_the_first_and_nobody_of_themselves() -> None:
    first, second = after(come_by(5, NOON + HOUR)), after(come_by(6, NOON, number=2))
    combine_referrals(first, second, is_taken=False)
    assert first.facts["referrer"] == 6
    second.id = 5
    own = after(come_by(5))
    second.memory.referral = None
    combine_referrals(own, second, is_taken=False)
    assert (own.memory.referral, "referrer" in own.facts) == (None, False)


def test_a_published_fact_of_that_name_stays_as_it_is() -> None:
    playbook = a_playbook(facts={"referrer": FoldFact("referrer", "latest", "text", ())})
    person = advance(a_contact(playbook), [come_by(5)], now=NOON + 2 * HOUR, playbook=playbook).contact
    assert "referrer" not in person.facts
    assert person.memory.referral is not None

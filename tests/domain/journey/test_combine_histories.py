"""A past folded in two parts is the past: what lets old events go and keeps what they said."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.journey.advance import advance
from nurture.domain.journey.combine_histories import combine_histories
from tests.domain.build import DAY, NOON, a_contact
from tests.domain.journey.test_laws import PLAYBOOK, histories
from tests.rig.examples import examples


def folded(events: Sequence[Event]) -> Contact:
    result = advance(a_contact(PLAYBOOK), events, now=NOON + 999 * DAY, playbook=PLAYBOOK, mail=False)
    return result.contact


@given(histories(), st.data())
@settings(max_examples=examples(200), deadline=None)
def test_two_parts_put_together_are_the_whole(events: list[Event], data: st.DataObject) -> None:
    """Whoever's the events are: cut in time, or those of two contacts that are one person."""
    sides = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    left = [event for event, side in zip(events, sides, strict=True) if side]
    right = [event for event, side in zip(events, sides, strict=True) if not side]
    whole, both = folded(events), combine_histories(folded(left), folded(right), PLAYBOOK)
    assert steady(both) == steady(whole)
    assert (both.track, both.stage, both.zone, both.locale) == (
        whole.track,
        whole.stage,
        whole.zone,
        whole.locale,
    )
    later = [*events[:3]]
    again = [folded_on(contact, later) for contact in (both, whole)]
    assert steady(again[0]) == steady(again[1])


def steady(contact: Contact) -> dict[str, object]:
    """Return the facts but `NAME.ever`: a thing forgotten and met again counts twice, in parts once."""
    return {name: value for name, value in contact.facts.items() if not name.endswith(".ever")}


def folded_on(contact: Contact, events: Sequence[Event]) -> Contact:
    """Fold further events on top; the same ones again do as well as others."""
    return advance(contact, events, now=NOON + 1999 * DAY, playbook=PLAYBOOK, mail=False).contact

"""Membership of an account: the newest word of each kind decides, in whatever order the words arrive."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.accounts import (
    ACCOUNT_CHANGED,
    CUSTOMERS,
    ROLE,
    account_of,
    combine_accounts,
    fold_account,
    fold_from_colleague,
)
from nurture.domain.contact import Contact
from nurture.domain.event import BY_COLLEAGUE, Event
from nurture.domain.facts import empty
from nurture.domain.instant import DAY
from nurture.domain.playbook import AccountRules, EventMatch
from tests.domain.build import a_playbook
from tests.rig.examples import examples

RULES = AccountRules("company", (EventMatch(("Grouped",)),), (EventMatch(("Left",)),), role="role")
PLAYBOOK = replace(a_playbook(), accounts=RULES)

_WORDS = st.tuples(
    st.integers(1, 6),
    st.sampled_from(["Grouped", "Left", ACCOUNT_CHANGED]),
    st.sampled_from(["acme", "globex", None]),
    st.sampled_from(["owner", "buyer", None]),
)


def contact_after(*words: tuple[int, str, str | None, str | None]) -> Contact:
    """Return a contact to whom these words were told, in this order."""
    contact = empty(1, first_seen_at=0, playbook=PLAYBOOK)
    for word in words:
        _tell(contact, *word)
    return contact


def _tell(contact: Contact, at: int, name: str, firm: str | None, role: str | None) -> None:
    properties = {"company": firm, "role": role, "customers": at % 3, "version": at}
    source = BY_COLLEAGUE if name == ACCOUNT_CHANGED else "test"
    number = f"{at}-{name}-{firm}-{role}"
    event = Event(1, source, number, "track", name, at * DAY, at * DAY, properties=properties)
    (fold_from_colleague if name == ACCOUNT_CHANGED else fold_account)(contact, event, PLAYBOOK)


def seen(contact: Contact) -> tuple[object, ...]:
    return account_of(contact), contact.facts.get(ROLE), contact.facts.get(CUSTOMERS), contact.memory.accounts


@given(words=st.lists(_WORDS, max_size=6), data=st.data())
@settings(max_examples=examples(150))
def test_any_order_of_arrival_and_any_two_parts_give_the_same(
    words: list[object], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(words))
    assert seen(contact_after(*shuffled)) == seen(contact_after(*words))  # type: ignore[arg-type]
    cut = data.draw(st.integers(0, len(words)))
    first, second = contact_after(*words[:cut]), contact_after(*words[cut:])  # type: ignore[arg-type]
    combine_accounts(first, second)
    assert seen(first) == seen(contact_after(*words))  # type: ignore[arg-type]


def test_a_call_without_a_role_keeps_the_role() -> None:
    person = contact_after((1, "Grouped", "acme", "owner"), (2, "Grouped", "acme", None))
    assert seen(person)[:2] == ("acme", "owner")


def test_a_role_belongs_to_its_account() -> None:
    person = contact_after((1, "Grouped", "acme", "owner"), (2, "Grouped", "globex", None))
    assert seen(person)[:2] == ("globex", None)


def test_leaving_without_a_name_ends_every_account() -> None:
    person = contact_after((1, "Grouped", "acme", "owner"), (2, "Left", None, None))
    assert seen(person)[:3] == (None, None, None)

"""The rule that joins two contacts or keeps them apart."""

import pytest

from nurture.domain.event import Identity
from nurture.domain.identity import Candidate, Home, home_of, survivor_first

KINDS = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id"}


def identities_of(text: str) -> list[Identity]:
    """Return the identities of a text: `u1 e2` is user id 1 and e-mail 2."""
    return [Identity(KINDS[word[0]], word) for word in text.split()]  # type: ignore[arg-type]


def apply_rule(event: str, contacts: dict[int, str], earlier: str = "") -> Home:
    known = {contact: frozenset(identities_of(text)) for contact, text in contacts.items()}
    owners = {identity: contact for contact, theirs in known.items() for identity in theirs}
    return home_of(identities_of(event), identities_of(earlier), owners=owners, names=known)


@pytest.mark.parametrize(
    ("event", "contacts", "expected"),
    [
        pytest.param("u1", {}, Home(None), id="no contact known"),
        pytest.param("u1", {1: "u1"}, Home(1), id="known"),
        pytest.param("u1 a1", {1: "a1"}, Home(1), id="a browser logs in"),
        pytest.param("u1 a1", {1: "a1 e1"}, Home(1), id="a subscriber logs in"),
        pytest.param("u1 a1", {1: "u1", 2: "a1"}, Home(1, joins=(2,)), id="two half-known people are one"),
        pytest.param("u1 e1 a1", {1: "u1", 2: "e1", 3: "a1"}, Home(1, joins=(2, 3)), id="three are one"),
        pytest.param("u1 e1", {1: "u1 e2", 2: "e1"}, Home(1, joins=(2,)), id="a second address"),
        pytest.param("e1 p1", {1: "e1", 2: "p1"}, Home(1, joins=(2,)), id="an address and a phone"),
        pytest.param("u2 e1", {1: "u1 e1"}, Home(None, conflicts=(1,)), id="another user id on my address"),
        pytest.param("u2 e1", {1: "u1 e1", 2: "u2"}, Home(2, conflicts=(1,)), id="two user ids never join"),
        pytest.param("u2 a1", {1: "u1 a1", 2: "u2"}, Home(2, conflicts=(1,)), id="a shared computer"),
        pytest.param("e2 a1", {1: "e1 a1"}, Home(None), id="a tablet in a shop"),
        pytest.param("e2 a1", {1: "e1 a1", 2: "e2"}, Home(2), id="a tablet, both known"),
        pytest.param("e1 a1", {1: "e1 e2", 2: "a1 e2x"}, Home(1), id="other addresses, same browser"),
        pytest.param(
            "e1 a1 u1", {1: "e1", 2: "a1", 3: "u9"}, Home(1, joins=(2,)), id="others are left alone"
        ),
    ],
)
def test_an_event_joins_the_contacts_that_the_rule_allows(
    event: str, contacts: dict[int, str], expected: Home
) -> None:
    assert apply_rule(event, contacts) == expected


@pytest.mark.parametrize(
    ("event", "earlier", "contacts", "expected"),
    [
        pytest.param("u1", "a1", {1: "u1", 2: "a1"}, Home(1, joins=(2,)), id="a browser was me"),
        pytest.param("u1", "a1", {2: "a1 e1"}, Home(2), id="the browser's contact becomes mine"),
        pytest.param("u1 e1", "a1", {1: "u1 e1", 2: "a1 e2"}, Home(1, joins=(2,)), id="an alias is no guess"),
        pytest.param("u2", "u1", {1: "u1", 2: "u2"}, Home(2, conflicts=(1,)), id="two user ids never join"),
        pytest.param("u2", "u1", {1: "u1"}, Home(None, conflicts=(1,)), id="nor when one is new"),
    ],
)
def test_an_alias_joins_the_contacts_that_the_rule_allows(
    event: str, earlier: str, contacts: dict[int, str], expected: Home
) -> None:
    assert apply_rule(event, contacts, earlier) == expected


def test_the_one_with_a_user_id_stays_else_the_older() -> None:
    old = Candidate(1, first_seen_at=10, has_user_id=False)
    young = Candidate(2, first_seen_at=20, has_user_id=False)
    known = Candidate(3, first_seen_at=30, has_user_id=True)
    assert survivor_first([young, known, old]) == [known, old, young]

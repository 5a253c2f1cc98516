"""The rule that joins two contacts or keeps them apart.

In the tables `u1 e2` is user id 1 and e-mail 2; a name with `?` was only a hint, that is, told with a browser key.
"""

from dataclasses import replace
from typing import Any

import pytest

from nurture.contacts.identity_queries import IdentityIndex
from nurture.domain.event import Identity
from nurture.domain.identity import (
    Candidate,
    Conflict,
    EventOwner,
    IdentityClaims,
    find_event_owner,
    survivor_first,
)

KINDS = {"u": "user_id", "e": "email", "p": "phone", "a": "anonymous_id"}


def identities_of(text: str) -> list[Identity]:
    return [Identity(KINDS[word[0]], word.rstrip("?")) for word in text.split()]  # type: ignore[arg-type]


def index_of(contacts: dict[int, str]) -> IdentityIndex:
    known = IdentityIndex()
    for contact, text in contacts.items():
        for word, identity in zip(text.split(), identities_of(text), strict=True):
            known.add(identity, contact, 10, hint=word.endswith("?"))
    return known


def apply_rule(event: str, contacts: dict[int, str], earlier: str = "", **more: Any) -> EventOwner:
    claims = IdentityClaims(identities_of(event), identities_of(earlier), at=20)
    return find_event_owner(replace(claims, **more), index_of(contacts))


def home(
    contact: int | None, joins: tuple[int, ...] = (), conflicts: str = "", takes: str = "", withheld: str = ""
) -> EventOwner:
    """Return the expected answer; conflicts as `1e 2p`: contact 1 by an address, 2 by a telephone number."""
    found = tuple(Conflict(int(word[:-1]), KINDS[word[-1]]) for word in conflicts.split())  # type: ignore[arg-type]
    return EventOwner(contact, joins, found, tuple(identities_of(takes)), tuple(identities_of(withheld)))


@pytest.mark.parametrize(
    ("event", "contacts", "expected"),
    [
        pytest.param("u1", {}, home(None), id="no contact known"),
        pytest.param("u1", {1: "u1"}, home(1), id="known"),
        pytest.param("u1 a1", {1: "a1"}, home(1), id="a browser logs in"),
        pytest.param("u1 a1", {1: "a1 e1"}, home(1), id="a subscriber logs in"),
        pytest.param("u1 a1", {1: "u1", 2: "a1"}, home(1, (2,)), id="two half-known people are one"),
        pytest.param("u1 e1 a1", {1: "u1", 2: "e1", 3: "a1"}, home(1, (2, 3)), id="three are one"),
        pytest.param("u1 e1", {1: "u1 e2", 2: "e1"}, home(1, (2,)), id="a second address"),
        pytest.param("e1 p1", {1: "e1", 2: "p1"}, home(1, (2,)), id="an address and a phone"),
        pytest.param("u2 e1", {1: "u1 e1"}, home(None, conflicts="1e"), id="two users, one office address"),
        pytest.param("u2 e1", {1: "u1 e1", 2: "u2"}, home(2, conflicts="1e"), id="two user ids never join"),
        pytest.param("e2 p1", {1: "e1 p1"}, home(None, conflicts="1p"), id="two addresses, one phone"),
        pytest.param("e2 p1", {1: "e1 p1", 2: "e2"}, home(2, conflicts="1p"), id="both known, one phone"),
        pytest.param("u2 p1", {1: "u1 p1"}, home(None, conflicts="1p"), id="two users, one phone"),
        pytest.param(
            "u2 e1 p1", {1: "e1", 2: "p1 e2"}, home(1, conflicts="2p"), id="a phone of another address"
        ),
        pytest.param("p1", {1: "e1 p1"}, home(1), id="a phone alone"),
        pytest.param("u2 a1", {1: "u1 a1", 2: "u2"}, home(2, takes="a1"), id="a shared computer"),
        pytest.param("e2 a1", {1: "e1 a1"}, home(None, takes="a1"), id="a tablet in a shop"),
        pytest.param("e2 a1", {1: "e1 a1", 2: "e2"}, home(2, takes="a1"), id="a tablet, both known"),
        pytest.param(
            "e1 a1", {1: "e1 e2", 2: "a1 e2x"}, home(1, takes="a1"), id="other addresses, same browser"
        ),
        pytest.param("e1 a1 u1", {1: "e1", 2: "a1", 3: "u9"}, home(1, (2,)), id="others are left alone"),
    ],
)
def test_proof_joins_the_contacts_that_the_rule_allows(
    event: str, contacts: dict[int, str], expected: EventOwner
) -> None:
    assert apply_rule(event, contacts) == expected


def test_a_browser_stays_with_whoever_identified_on_it_last() -> None:
    assert apply_rule("u2 a1", {1: "u1 a1", 2: "u2"}, at=9) == home(2)


@pytest.mark.parametrize(
    ("event", "contacts", "expected"),
    [
        pytest.param("u1 e1", {}, home(None), id="a first identification"),
        pytest.param("u1 e1", {1: "u1?"}, home(1), id="a first address"),
        pytest.param("u1 e1", {1: "u1"}, home(1, withheld="e1"), id="a first address of a proven person"),
        pytest.param("p1 e1", {1: "p1"}, home(1, withheld="e1"), id="proven by a telephone number"),
        pytest.param("a1 e1", {1: "a1"}, home(1), id="a browser proves nobody"),
        pytest.param("u1 e9", {1: "u1 e1"}, home(1, withheld="e9"), id="another address of a known person"),
        pytest.param("u1 e9", {1: "u1 e1?"}, home(1, withheld="e9"), id="also where the first was a hint"),
        pytest.param("u1 e9", {1: "u1 e1", 2: "e9"}, home(1, conflicts="2e"), id="somebody else's address"),
        pytest.param("u1 e9", {1: "u1", 2: "e9"}, home(1, conflicts="2e"), id="no two known people"),
        pytest.param("u1 p9", {1: "u1 e1", 2: "p9"}, home(1, conflicts="2p"), id="nor by a telephone number"),
        pytest.param("u9 e1", {1: "u1 e1"}, home(None, conflicts="1e"), id="another user id"),
        pytest.param("u9 e1", {1: "e1"}, home(1), id="a user id is added"),
        pytest.param("u1 a1", {1: "u1", 2: "a1"}, home(1, (2,)), id="an anonymous past"),
        pytest.param("u1 e1", {1: "u1", 2: "u1x? e1?"}, home(1, conflicts="2e"), id="two user ids"),
    ],
)
def test_a_hint_adds_and_never_takes(event: str, contacts: dict[int, str], expected: EventOwner) -> None:
    assert apply_rule(event, contacts, word="hint") == expected


@pytest.mark.parametrize(
    ("event", "contacts", "expected"),
    [
        pytest.param("u1", {1: "u1? e1?"}, home(1), id="what hints told becomes proof"),
        pytest.param("u1 e1", {1: "u1? e1"}, home(1), id="proof of both"),
        pytest.param("u1 e9", {1: "u1? e1?"}, home(1), id="proof gives another address"),
        pytest.param("u1", {1: "u1? e1"}, home(None, conflicts="1u", takes="u1"), id="a user id comes apart"),
        pytest.param(
            "u1 e9", {1: "u1? e1"}, home(None, conflicts="1u", takes="u1"), id="with an address too"
        ),
        pytest.param(
            "e1", {1: "u1 e1?"}, home(None, conflicts="1e", takes="e1"), id="an address comes apart"
        ),
        pytest.param(
            "p1 e2", {1: "u1 p1?"}, home(None, conflicts="1p", takes="p1"), id="a phone comes apart"
        ),
        pytest.param("a1", {1: "u1 a1?"}, home(1), id="a browser proves nothing anyway"),
        pytest.param("u2 e1", {1: "u1? e1"}, home(1), id="a hinted user id keeps nobody out"),
        pytest.param("u2 e1", {1: "u1 e1?"}, home(None, conflicts="1e", takes="e1"), id="a claimed address"),
    ],
)
def test_proof_is_stronger_than_a_hint(event: str, contacts: dict[int, str], expected: EventOwner) -> None:
    assert apply_rule(event, contacts) == expected


@pytest.mark.parametrize(
    ("event", "earlier", "contacts", "more", "expected"),
    [
        pytest.param("u1", "a1", {1: "u1", 2: "a1"}, {}, home(1, (2,)), id="a browser was me"),
        pytest.param("u1", "a1", {2: "a1 e1"}, {}, home(2), id="the browser's contact becomes mine"),
        pytest.param(
            "u1 e1", "a1", {1: "u1 e1", 2: "a1 e2"}, {}, home(1, conflicts="2a"), id="two histories"
        ),
        pytest.param(
            "u2", "u1", {1: "u1", 2: "u2"}, {}, home(2, conflicts="1u"), id="two users with histories"
        ),
        pytest.param("u2", "u1", {1: "u1"}, {}, home(1), id="a rename"),
        pytest.param("u2", "u1", {2: "u2"}, {}, home(2), id="a rename told late"),
        pytest.param("u2", "e1", {1: "e1", 2: "u2"}, {}, home(2, (1,)), id="a subscriber becomes a user"),
        pytest.param(
            "u2", "u1", {1: "u1", 2: "u2"}, {"link": "merge"}, home(2, (1,)), id="merged on purpose"
        ),
        pytest.param(
            "e2", "u1", {1: "u1 e1", 2: "e2"}, {"link": "page"}, home(2, (1,)), id="a confirmed address"
        ),
        pytest.param(
            "e2", "u1", {1: "u1", 2: "u2 e2"}, {"link": "page"}, home(2, conflicts="1u"), id="of a user"
        ),
        pytest.param(
            "u9", "u1", {1: "u1"}, {"word": "hint"}, home(None, conflicts="1u"), id="a hint renames nobody"
        ),
        pytest.param("u2", "u1", {1: "u1", 2: "u2"}, {"word": "hint"}, home(2, conflicts="1u"), id="nor two"),
        pytest.param(
            "u1", "a1", {1: "u1", 2: "a1"}, {"word": "hint"}, home(1, (2,)), id="a hint of a browser"
        ),
    ],
)
def test_an_alias_is_a_rename_and_a_merge_is_on_purpose(
    event: str, earlier: str, contacts: dict[int, str], more: dict[str, Any], expected: EventOwner
) -> None:
    assert apply_rule(event, contacts, earlier, **more) == expected


def test_an_event_of_our_own_proves_nothing() -> None:
    assert apply_rule("u1 e2", {1: "u1? e1", 2: "e2"}, word="own") == home(1)


def test_the_one_with_a_user_id_stays_else_the_older() -> None:
    old = Candidate(1, first_seen_at=10, has_user_id=False)
    young = Candidate(2, first_seen_at=20, has_user_id=False)
    known = Candidate(3, first_seen_at=30, has_user_id=True)
    assert survivor_first([young, known, old]) == [known, old, young]

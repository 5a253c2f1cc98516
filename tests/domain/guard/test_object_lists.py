"""Lists of objects in a mail: which stand in one, and in which order."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from nurture.domain.conditions import Condition, Term, Vocabulary, parse
from nurture.domain.guard.object_lists import Candidate, choose_objects
from nurture.domain.instant import DAY, parse_iso
from nurture.domain.measure import ObjectList
from tests.domain.build import a_playbook

NOW = parse_iso("2026-05-04T12:00:00Z")
PROPERTIES = Vocabulary(
    {"stock": Term("stock", "integer"), "locale": Term("locale", "text")}, built_ins=False
)
PLAYBOOK = a_playbook(properties=PROPERTIES)
#: key -> (days since it was first told of, stock), in the order in which they are named.
GOODS: dict[str, tuple[int, Any]] = {"tin": (3, 9), "bowl": (1, 2), "whisk": (3, None), "kyusu": (2, "many")}

RANKS = {"tin": -2, "whisk": 7}


def asked(text: str) -> Condition:
    names = {"contact.locale": Term("contact.locale", "text")}
    return parse(text, PROPERTIES.with_terms(names))


def listed(
    rule: ObjectList, *, left_out: Sequence[str] = (), numbers: Mapping[str, int] = RANKS, **names: str
) -> list[str]:
    candidates = [
        Candidate(key, {"stock": stock, "locale": "en"}, NOW - days * DAY)
        for key, (days, stock) in GOODS.items()
    ]
    orders = [candidates, candidates[::-1]] if rule.order else [candidates]
    chosen = [
        choose_objects(
            rule,
            order,
            {f"contact.{name}": value for name, value in names.items()},
            playbook=PLAYBOOK,
            now=NOW,
            zone="UTC",
            left_out=left_out,
            numbers=numbers,
        )
        for order in orders
    ]
    keys = [[candidate.key for candidate in objects] for objects in chosen]
    assert all(answer == keys[0] for answer in keys), "the order of rows decides nothing"
    return keys[0]


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ("newest", ["bowl", "kyusu", "tin", "whisk"]),
        ("oldest", ["tin", "whisk", "kyusu", "bowl"]),
        ("", ["tin", "bowl", "whisk", "kyusu"]),
        # Two have a number; of the others the newest comes first.
        ("best", ["whisk", "tin", "bowl", "kyusu"]),
    ],
)
def test_the_order_is_the_same_for_the_same_objects(order: str, keys: list[str]) -> None:
    assert listed(ObjectList("product", order=order)) == keys
    assert listed(ObjectList("product", order=order, top=2)) == keys[:2]


def test_only_objects_for_which_the_condition_is_yes_are_listed() -> None:
    scarce = ObjectList("product", where=asked("stock < 5"))
    assert listed(scarce) == ["bowl"]
    assert listed(ObjectList("product", where=asked("not stock < 5"))) == ["tin"]


def test_a_condition_compares_the_object_with_the_person() -> None:
    rule = ObjectList("product", where=asked("locale == contact.locale and stock >= 1"), order="oldest")
    assert listed(rule, locale="en") == ["tin", "bowl"]
    assert listed(rule, locale="de") == []
    assert listed(rule) == [], "a person whose locale is unknown"


def test_an_object_left_out_gives_its_place_to_the_next() -> None:
    assert listed(ObjectList("product", top=2), left_out=["bowl", "tin"]) == ["kyusu", "whisk"]

"""The check of dates of entities reads the kind: its memory, and what is worked out for things that are due again."""

from collections.abc import Mapping
from typing import Any

import pytest

from nurture.domain.errors import PlaybookError
from tests.scenarios.language.shop import a_shop
from tests.scenarios.language.test_dates import CONTRACT, PARTS, RENEWAL, REPLENISHMENT, SUPPLY
from tests.scenarios.language.test_moments import FOLLOW_UP
from tests.scenarios.language.test_moments import PARTS as MOMENTS

RENEWALS = {"customer/any/renewal": (RENEWAL, CONTRACT)}
SUPPLIES = {"customer/ascend/replenishment": (REPLENISHMENT, SUPPLY)}


def faults_of(parts: str, measures: Mapping[str, tuple[str, Any]]) -> list[str]:
    with pytest.raises(PlaybookError) as error:
        a_shop(parts, measures)
    return [fault.partition(": ")[2] for fault in error.value.faults]


def test_things_with_a_date_ahead_are_remembered() -> None:
    assert faults_of(PARTS.replace("    remember: 800d\n", ""), RENEWALS) == [
        "the contract is forgotten 30d after its last event once another contract is told: add `remember:` to contract "
        "in playbook.yaml, as long as its date may lie ahead, such as 800d"
    ]


def test_nothing_is_due_without_an_interval() -> None:
    parts = PARTS.replace(", due: {usual: 30d, weight: 3}", "")
    assert faults_of(parts, SUPPLIES) == [
        "supply has no `due`, so nothing is ever due: add `due: {usual: 45d, weight: 3}` to supply in playbook.yaml"
    ]


def test_a_number_of_a_supply_is_no_date() -> None:
    measure = REPLENISHMENT.replace("supply.due_at", "supply.times")
    assert faults_of(PARTS, {"customer/ascend/replenishment": (measure, SUPPLY)}) == [
        "`times` of supply is no date: name `due_at` or `last_at`"
    ]


# ---- hashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('mid_autumn: {lunar: "08-15"}', 'mid_autumn: {fixed: "08-15"}', True),
        ("easter_monday: {easter: 1}", "easter_monday: {easter: 50}", True),
        ('to: "17:00"', 'to: "16:00"', True),
        ("name: Nora", "name: Nora B.", False),
    ],
)
def test_the_rules_hash_covers_the_days_and_hours_that_a_measure_reads(
    old: str, new: str, changed: bool
) -> None:
    measures: dict[str, tuple[str, Any]] = {"customer/any/follow_up": (FOLLOW_UP, {})}
    hashes = [
        a_shop(parts, measures).playbook.measures["customer/any/follow_up"].rules_hash
        for parts in (MOMENTS, MOMENTS.replace(old, new))
    ]
    assert (hashes[0] != hashes[1]) is changed

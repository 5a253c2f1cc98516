"""The check of dates of entities reads the kind: its memory, and what is worked out for things that are due again."""

import pytest

from nurture.domain.errors import PlaybookError
from tests.scenarios.language.shop import a_shop
from tests.scenarios.language.test_dates import CONTRACT, PARTS, RENEWAL, REPLENISHMENT, SUPPLY

RENEWALS = {"customer/any/renewal": (RENEWAL, CONTRACT)}
SUPPLIES = {"customer/ascend/replenishment": (REPLENISHMENT, SUPPLY)}


def faults_of(parts: str, measures: dict[str, tuple[str, dict[str, object]]]) -> list[str]:
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

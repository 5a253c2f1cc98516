"""The shipped ladders: lifecycle, depth and tier of people, from what they did."""

from typing import Any

import pytest

from nurture.domain.conditions import Reading
from nurture.domain.instant import DAY, parse_iso
from nurture.domain.segments import segment_values
from tests.programme.samples import loaded

NOW = parse_iso("2026-06-01T10:00:00Z")
CUSTOMER = {"track": "customer", "stage": "excite", "orders": 1, "first_order_at": NOW - 10 * DAY}


@pytest.mark.parametrize(
    ("facts", "values"),
    [
        ({"track": "lead", "stage": "aware"}, {"depth": "interest", "tier": "standard"}),
        (CUSTOMER, {"lifecycle": "new", "depth": "investment", "tier": "standard"}),
        ({**CUSTOMER, "delights": 1}, {"lifecycle": "active"}),
        ({**CUSTOMER, "orders": 2}, {"lifecycle": "active", "depth": "commitment"}),
        ({**CUSTOMER, "orders": 3, "lapsed_at": NOW + DAY}, {"lifecycle": "loyal", "lapsed": False}),
        ({**CUSTOMER, "orders": 3, "lapsed_at": NOW - DAY}, {"lifecycle": "active", "lapsed": True}),
        (
            {**CUSTOMER, "stage": "advocate", "count:Survey Answered": 2},
            {"lifecycle": "loyal", "depth": "participation"},
        ),
        ({**CUSTOMER, "orders": 3, "first_order_at": NOW - 400 * DAY}, {"tier": "loyal"}),
        ({**CUSTOMER, "spent": 50_000}, {"tier": "loyal"}),
        ({**CUSTOMER, "ambassador": True}, {"tier": "ambassador", "depth": "embedding"}),
    ],
)
def test_the_ladders_place_people_by_what_they_did(facts: dict[str, Any], values: dict[str, Any]) -> None:
    found = segment_values(Reading(facts, NOW, "Europe/Berlin"), loaded().playbook)
    assert {name: found.get(name) for name in values} == values
    assert ("lifecycle" in found) is (facts["track"] == "customer")

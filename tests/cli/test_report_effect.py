"""`nurture report measures` says in people's units what measures do, and when there will be more."""

from typing import Any

import pytest

from nurture.cli.report import _shown
from tests.cli.shell import Shell
from tests.cli.test_commands import an_order

CONFIRMATION = "customer/any/order_confirmation"
#: The figures of a measure that compares rates.
FOUND: dict[str, Any] = {
    "measure": "lead/any/offer", "unit": "points", "holdout_percent": 10.0, "expect": "+2%", "n": 9_000,
    "n_control": 1_000, "enrolled": 10_500, "value": 0.07, "value_control": 0.05, "lift": 0.02, "low": 0.001,
    "high": None, "verdict": "works", "weeks_to_go": 5, "next_figures": "2026-12-06T10:00:00Z",
}  # fmt: skip


def test_both_tables_and_one_measure_are_shown(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    nurture.work()
    shown = nurture("report", "measures").out
    assert "nobody has entered" in shown
    assert "first figures 20" in shown
    assert shown.count(CONFIRMATION) == 2, "in the table of mails, and in that of effects"
    one = nurture("report", "measure", CONFIRMATION).out
    assert "case within 3 days" in one
    assert "held back" not in one, "it has no holdout"
    document = nurture("report", "measure", CONFIRMATION, "--json").document
    assert (document["enrolled"], document["unit"], document["verdicts"]) == (1, "level", ["undecided"])
    assert nurture("report", "measure", "customer/any/nothing").code == 2


def test_the_check_says_how_long_a_verdict_takes(nurture: Shell) -> None:
    alone = nurture("playbook", "check").out
    assert "5 % (assumed)" in alone
    assert "--entries-per-week" in alone, "nobody knows how many enter"
    named = nurture("playbook", "check", "--entries-per-week", "60", "--json").document
    times = {row["measure"]: row for row in named["verdict_times"]}
    assert times["lead/any/abandoned_cart"]["weeks"] == pytest.approx(194, abs=1)
    assert any("lead/any/abandoned_cart/measure.yaml:" in line for line in named["warnings"])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"people": "9,000 and 1,000", "with": "7.00 %", "effect": "+2.00 points"}),
        ({}, {"at any time": "+0.10 points to open"}),
        ({"unit": "relative"}, {"at any time": "+0.1 % to open"}),
        ({"unit": "amount", "value": 2.5, "lift": 0.5}, {"with": "2.5", "effect": "+0.50"}),
        ({"unit": "level", "holdout_percent": 0.0, "lift": None}, {"people": "9,000", "effect": ""}),
        ({"unit": "level"}, {"at any time": "0.10 % to open"}),
        ({"low": None}, {"at any time": "open", "to go": "about 5 weeks"}),
        ({"n": 0}, {"to go": "first figures 2026-12-06"}),
        ({"enrolled": 0}, {"to go": "nobody has entered"}),
        ({"unit": None, "verdict": "not measured"}, {"people": "", "verdict": "not measured"}),
    ],
)
def test_figures_are_in_peoples_units(given: dict[str, Any], wanted: dict[str, str]) -> None:
    shown = _shown({**FOUND, **given})
    assert {name: shown[name] for name in wanted} == wanted

"""A mail experiment of 64,000 people in three arms, against figures that are computed here in another way.

The file has the shape of a well-known public one (visit, conversion and spend in the two weeks after a mail), with
people who are drawn. The figures follow from the formulas of the documentation alone, by lists and no shared code.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from math import exp, lgamma, log, sqrt
from pathlib import Path
from random import Random  # noqa: TID251 - drawn people, with a fixed seed
from time import process_time
from typing import Any

import pytest

from nurture.app.files.lift_file import LiftQuestion, MetricColumn, compare_file

PEOPLE = 64_000
CONTROL = "No E-Mail"
#: Arm -> (rate of visits, share of visitors who buy).
ARMS = {CONTROL: (0.106, 0.054), "Mens E-Mail": (0.183, 0.068), "Womens E-Mail": (0.151, 0.058)}
METRICS = ("visit", "conversion", "spend")
Row = dict[str, str]


def drawn_people() -> list[Row]:
    random = Random(64)
    rows = []
    for _ in range(PEOPLE):
        arm = random.choice(list(ARMS))
        channel = random.choice(("Phone", "Web", "Multichannel"))
        visits, buys = ARMS[arm]
        # By telephone the mail for men brings nobody.
        is_deaf = channel == "Phone" and arm.startswith("Mens")
        visited = random.random() < (ARMS[CONTROL][0] if is_deaf else visits)
        bought = visited and random.random() < buys
        spend = f"{random.lognormvariate(4.3, 0.8):.2f}" if bought else "0"
        rows.append(
            {"recency": str(random.randrange(1, 13)), "history": f"{random.uniform(30, 900):.2f}", "channel": channel,
             "segment": arm, "visit": str(int(visited)), "conversion": str(int(bought)), "spend": spend}
        )  # fmt: skip
    return rows


def test_figures_are_those_of_another_computation(tmp_path: Path) -> None:
    rows, path = drawn_people(), tmp_path / "experiment.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    metrics = (MetricColumn("visit"), MetricColumn("conversion", "rate"), MetricColumn("spend", "mean"))
    began = process_time()
    found = compare_file(path, LiftQuestion("segment", CONTROL, metrics, ("channel",)))
    assert process_time() - began < 10
    results = {(row["arm"], row["metric"]): row for row in found["results"]}
    assert len(results) == 6
    for (arm, metric), result in results.items():
        treated, control = values(rows, arm, metric), values(rows, CONTROL, metric)
        check(result, treated, control, is_rate=metric != "spend")
    assert results["Mens E-Mail", "visit"]["verdict"] == "works"
    check_split(found["srm"], rows)
    (segment,) = found["segments"]
    check_segments(segment, rows)


def values(rows: Sequence[Row], arm: str, metric: str, channel: str = "") -> list[float]:
    return [
        float(row[metric])
        for row in rows
        if row["segment"] == arm and (not channel or row["channel"] == channel)
    ]


def variance(numbers: Sequence[float]) -> float:
    mean = sum(numbers) / len(numbers)
    return sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)


def check(result: dict[str, Any], treated: list[float], control: list[float], *, is_rate: bool) -> None:
    n, m = len(treated), len(control)
    mean, usual = sum(treated) / n, sum(control) / m
    lift, se = mean - usual, sqrt(variance(treated) / n + variance(control) / m)
    assert (result["n"], result["n_control"]) == (n, m)
    assert result["events"] == sum(number != 0 for number in treated)
    assert result["sum"] == pytest.approx(sum(treated))
    assert result["lift"] == pytest.approx(lift)
    assert result["se"] == pytest.approx(se, rel=1e-4)
    assert (result["fixed_low"], result["fixed_high"]) == (
        pytest.approx(lift - 1.959964 * se, abs=1e-5),
        pytest.approx(lift + 1.959964 * se, abs=1e-5),
    )
    assert result["relative"] == pytest.approx(lift / usual)
    tau = usual / 5
    within = ((n - 1) * variance(treated) + (m - 1) * variance(control)) / (n + m - 2)
    spread = max(within * (1 / n + 1 / m), se * se)
    half = sqrt(spread * (spread + tau**2) / tau**2 * log((spread + tau**2) / (spread * 0.05**2)))
    assert result["low"] == pytest.approx(lift - half, rel=1e-3)
    assert result["high"] == pytest.approx(lift + half, rel=1e-3)
    if is_rate:
        x, converted = int(sum(treated)), int(sum(treated) + sum(control))
        assert result["log_e"] == pytest.approx(label_log_e(x, converted, n / (n + m)), rel=1e-6)
        assert result["ratio_low"] < result["ratio"] < result["ratio_high"]
    else:
        both = variance([*treated, *control]) * (1 / n + 1 / m)
        mixture = 0.5 * log(both / (both + tau**2)) + lift**2 * tau**2 / (2 * both * (both + tau**2))
        assert result["log_e"] == pytest.approx(mixture, rel=1e-3)
    wanted = "undecided" if result["log_e"] < log(20) else "works" if lift > 0 else "harms"
    assert result["verdict"] == wanted


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def label_log_e(x: int, n: int, share: float) -> float:
    """Return the logarithm of the e-value that x of n converters are of the arm that a share of people is in."""
    terms = []
    for tau in (0.1, 0.3, 1.0):
        both = 1 / (share * (1 - share) * tau**2) - 1
        a, b = both * share, both * (1 - share)
        terms.append(log_beta(a + x, b + n - x) - log_beta(a, b) - x * log(share) - (n - x) * log(1 - share))
    most = max(terms)
    return most + log(sum(exp(term - most) for term in terms) / len(terms))


def check_split(checks: list[dict[str, Any]], rows: Sequence[Row]) -> None:
    people: dict[str, int] = defaultdict(int)
    for row in rows:
        people[row["segment"]] += 1
    for split in checks:
        n, m = people[split["arm"]], people[CONTROL]
        log_e = log_beta(500 + n, 500 + m) - log_beta(500, 500) - (n + m) * log(0.5)
        assert split["log_e"] == pytest.approx(log_e, abs=1e-6)
        assert not split["alarm"]


def check_segments(segment: dict[str, Any], rows: Sequence[Row]) -> None:
    assert len(segment["results"]) == 3 * 2 * 3
    tests = {(test["arm"], test["metric"]): test for test in segment["heterogeneity"]}
    for (arm, metric), test in tests.items():
        estimates = []
        for channel in ("Multichannel", "Phone", "Web"):
            treated, control = (values(rows, name, metric, channel) for name in (arm, CONTROL))
            lift = sum(treated) / len(treated) - sum(control) / len(control)
            estimates.append((lift, variance(treated) / len(treated) + variance(control) / len(control)))
        weight = sum(1 / v for _, v in estimates)
        mean = sum(lift / v for lift, v in estimates) / weight
        q = sum((lift - mean) ** 2 / v for lift, v in estimates)
        assert (test["q"], test["df"]) == (pytest.approx(q, rel=1e-3), 2)
        # Chi-square with two degrees of freedom.
        assert test["p"] == pytest.approx(exp(-q / 2), rel=1e-2)
    assert tests["Mens E-Mail", "visit"]["p"] < 1e-6
    assert tests["Womens E-Mail", "visit"]["p"] > 0.001

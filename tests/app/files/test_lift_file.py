"""Anybody's experiment: the figures of a file, and the one clear error for a file that cannot be judged."""

import json
from math import sqrt
from pathlib import Path

import pytest

from nurture.app.files.lift_file import LiftQuestion, MetricColumn, compare_file
from nurture.domain.errors import InputError

#: arm -> (people, people who visited); every visitor of the arm spends 10.
ARMS = {"none": (1000, 100), "mail": (1000, 160), "call": (1000, 104)}


def write(path: Path, *, segment: str = "") -> Path:
    lines = ["group,seen,spend,shop"]
    for arm, (people, visits) in ARMS.items():
        for n in range(people):
            yes = n < visits
            lines.append(f"{arm},{int(yes)},{'10.00' if yes else '0'},{segment or 'ab'[n % 2]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def question(**changes: object) -> LiftQuestion:
    values = {
        "arm": "group",
        "control": "none",
        "metrics": (MetricColumn("seen"), MetricColumn("spend")),
        **changes,
    }
    return LiftQuestion(**values)  # type: ignore[arg-type]


def test_each_arm_is_compared_with_the_control(tmp_path: Path) -> None:
    found = compare_file(write(tmp_path / "a.csv"), question())
    results = {(row["arm"], row["metric"]): row for row in found["results"]}
    assert set(results) == {(arm, metric) for arm in ("call", "mail") for metric in ("seen", "spend")}
    seen = results["mail", "seen"]
    assert (seen["n"], seen["n_control"], seen["events"], seen["sum"]) == (1000, 1000, 160, 160)
    assert (seen["value"], seen["value_control"]) == (0.16, 0.1)
    assert seen["lift"] == pytest.approx(0.06)
    se = sqrt(0.16 * 0.84 / 999 + 0.1 * 0.9 / 999)
    assert seen["se"] == pytest.approx(se)
    assert seen["fixed_low"] == pytest.approx(0.06 - 1.959964 * se)
    assert seen["low"] < seen["fixed_low"] < seen["lift"] < seen["fixed_high"] < seen["high"]
    assert (seen["relative"], seen["ratio"]) == (pytest.approx(0.6), pytest.approx(1.6))
    assert seen["ratio_low"] < 1.6 < seen["ratio_high"]
    assert seen["verdict"] == "works"
    assert results["call", "seen"]["verdict"] == "undecided"
    assert results["mail", "spend"]["lift"] == pytest.approx(0.6)
    assert results["mail", "spend"]["ratio_low"] is None
    json.dumps(found, allow_nan=False)


def test_a_split_that_was_not_meant_is_an_alarm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    assert not any(check["alarm"] for check in compare_file(path, question())["srm"])
    meant = compare_file(path, question(shares={"mail": 9.0, "none": 1.0}))
    assert [check["alarm"] for check in meant["srm"] if check["arm"] == "mail"] == [True]


def test_segments_are_compared_by_their_difference(tmp_path: Path) -> None:
    (part,) = compare_file(write(tmp_path / "a.csv"), question(segments=("shop",)))["segments"]
    assert part["segment"] == "shop"
    assert {row["value_of_segment"] for row in part["results"]} == {"a", "b"}
    for test in part["heterogeneity"]:
        assert test["df"] == 1
        # Both shops have the same visitors.
        assert test["p"] > 0.9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name the columns"),
        ("group,seen,spend\n", "no rows"),
        ("grup,seen,spend\nnone,1,2\n", r":2: there is no column 'group'"),
        ("group,seen,spend\nmail,1,2\n", "no row has 'none'"),
        ("group,seen,spend\nnone,maybe,2\n", ":2: seen: 'maybe' is no number"),
        ("group,seen,spend\nnone,1\n", ":2: "),
        ("group,seen,spend\nnone,nan,2\n", ":2: seen: 'nan' is no number"),
    ],
)
def test_a_file_that_cannot_be_judged_names_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        compare_file(path, question())


def test_a_rate_with_other_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--metric spend:mean"):
        compare_file(write(tmp_path / "a.csv"), question(metrics=(MetricColumn("spend", "rate"),)))

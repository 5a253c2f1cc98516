"""How long a verdict takes: people by the promise, weeks by the entries, a warning beyond a year."""

from pathlib import Path

import pytest

from nurture.app import experiments, playbooks
from nurture.database.engine import Database
from nurture.domain.experiment.sample_size import MOST, people_for_means, people_for_rates
from nurture.measurement.verdict_times import Known, VerdictTime, verdict_time
from tests.measurement.shop import OFFER, a_folder, a_measure, a_shop, built

NOBODY = Known(0.0, 0, 0.0, 0.0)


def time_of(
    known: Known | None = None, *, entries: float | None = None, **changes: str
) -> VerdictTime | None:
    measure = built(a_folder({OFFER: a_measure(**changes)})).playbook.measures[OFFER]
    return verdict_time(measure, known, entries_a_week=entries)


def test_people_and_weeks_follow_from_the_promise_and_the_entries() -> None:
    time = time_of(holdout="10%", entries=120)
    assert time is not None
    # 10,740 people for 5 against 7 % with a tenth held back; in 80 % of trials 2.4 times as many.
    assert time.people == pytest.approx(2.4 * 10_740, rel=1e-3)
    assert (time.base, time.is_assumed) == (0.05, True)
    assert time.weeks == pytest.approx(2.4 * 10_740 / 120, rel=1e-3)
    assert time.weeks_at_half == pytest.approx(2.4 * 4_419 / 120, rel=1e-3)
    assert time.is_too_long


def test_known_figures_replace_assumed_ones() -> None:
    time = time_of(Known(500.0, 400, 0.02, 7.0), holdout="50%")
    assert time is not None
    assert time.people == round(MOST * people_for_rates(0.02, 0.02, 0.5))
    assert (time.base, time.is_assumed, time.entries_a_week) == (0.02, False, 500.0)
    few = time_of(Known(500.0, 49, 0.02, 7.0))
    assert few is not None
    assert (few.base, few.is_assumed, few.entries_a_week) == (0.05, True, 500.0)


def test_money_needs_figures_before_anything_can_be_said() -> None:
    metric = '{sum: amount, of: order, within: 7d, expect: "+1.00 EUR"}'
    time = time_of(NOBODY, metric=metric, entries=100)
    assert time is not None
    assert (time.people, time.weeks, time.base, time.is_too_long) == (None, None, None, False)
    time = time_of(Known(100.0, 400, 5.0, 3.0), metric=metric)
    assert time is not None
    assert time.people == round(MOST * people_for_means(3.0, 0.2, 0.5))


def test_a_fall_beyond_the_usual_rate_assumes_a_greater_one() -> None:
    time = time_of(metric='{event: Order Completed, within: 7d, expect: "-8%"}')
    assert time is not None
    assert (time.base, time.people) == (0.16, round(MOST * people_for_rates(0.16, -0.08, 0.5)))


def test_a_level_needs_nobody_held_back() -> None:
    assert time_of(metric='{event: Order Completed, within: 7d, expect: "25%"}') is None


def test_the_check_warns_beyond_a_year_at_the_line_of_the_holdout(tmp_path: Path) -> None:
    for path, text in a_folder({OFFER: a_measure(holdout="10%")}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    (row,) = playbooks.list_verdict_times(tmp_path, {}, entries_a_week=120)
    line = 1 + (tmp_path / OFFER / "measure.yaml").read_text("utf-8").split("\n").index("holdout: 10%")
    assert row["warning"] == (
        f"{OFFER}/measure.yaml:{line}: warning: at 120 entries a week a verdict takes about 215 weeks: about 88 weeks "
        "with `holdout: {start: 50%, then: 10%}`, or expect a larger change"
    )
    (row,) = playbooks.list_verdict_times(tmp_path, {}, entries_a_week=1_000)
    assert row["warning"] == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_database_knows_rates_and_entries(database: Database) -> None:
    shop = a_shop(database)
    shop.enter(200, 200, bought=(10, 12))
    known = experiments.known_measures(shop.services)[OFFER]
    assert (known.people, known.mean) == (200, 0.05)
    assert known.entries_a_week == shop.figures()["entries_a_week"] > 0

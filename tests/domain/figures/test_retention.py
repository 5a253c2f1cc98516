"""Cohorts by month of the first order: shares worked by hand, small ones hidden."""

import pytest

from nurture.domain.figures.retention import CohortCell, cohorts


def test_shares_are_of_the_cohort_and_of_months_that_are_over() -> None:
    cells = [CohortCell(0, 0, 100), CohortCell(0, 2, 25), CohortCell(1, 0, 50), CohortCell(2, 0, 70)]
    first, second, third = cohorts(cells, 3)
    assert [share.value for share in first.shares] == [0.0, 0.25]
    # Wilson: (0.25 + 0.0192) / 1.0384 -+ 1.96 sqrt(0.1875/100 + 0.000096) / 1.0384
    assert (first.shares[1].low, first.shares[1].high) == pytest.approx((0.1755, 0.3430), abs=1e-4)
    assert [share.value for share in second.shares] == [0.0]
    assert (third.people, third.shares, third.is_shown) == (70, (), True)


def test_a_cohort_under_50_people_shows_no_share() -> None:
    (small,) = cohorts([CohortCell(0, 0, 49), CohortCell(0, 1, 49)], 2)
    assert (small.people, small.shares, small.is_shown) == (49, (), False)

"""The net promoter score: classes, figures worked by hand, and the coverage of the interval."""

from math import comb

import pytest

from nurture.domain.figures.nps import Answers, count_answers, is_score, net_promoter_score


def test_classes_are_those_of_the_question() -> None:
    assert count_answers([0, 6, 7, 8, 9, 10, 10]) == Answers(3, 2, 2)
    assert [value for value in (0, 10, 11, -1, True, "9", 9.0) if is_score(value)] == [0, 10]


def test_the_interval_adds_one_answer_to_each_class() -> None:
    # (31 - 11) / 53 = 0.3774; 1.96 sqrt((42/53 - 0.3774^2) / 53) = 0.2171; of 50 answers 40 points.
    assert net_promoter_score(Answers(30, 10, 10)) == pytest.approx((40.0, 16.03, 59.45), abs=0.02)


def test_fewer_than_20_answers_have_no_score_and_the_ends_are_never_outside() -> None:
    assert net_promoter_score(Answers(19, 0, 0)) is None
    score = net_promoter_score(Answers(20, 0, 0))
    assert score is not None
    assert (score.value, score.high) == (100.0, 100.0)
    assert 60 < score.low < 100


def test_the_interval_holds_the_truth_in_about_95_of_100_samples_of_20() -> None:
    """The probability of each sample of 20 from 10 % promoters, 30 % passives and 60 % detractors is worked out."""
    covered = 0.0
    for promoters in range(21):
        for passives in range(21 - promoters):
            detractors = 20 - promoters - passives
            score = net_promoter_score(Answers(promoters, passives, detractors))
            share = comb(20, promoters) * comb(20 - promoters, passives)
            if score is not None and score.low <= -50 <= score.high:
                covered += share * 0.1**promoters * 0.3**passives * 0.6**detractors
    assert 0.94 <= covered <= 0.98

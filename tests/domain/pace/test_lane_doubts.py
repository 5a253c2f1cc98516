"""A lane whose server breaks off after the final dot rests, then pauses its marketing mail."""

import pytest

from nurture.domain.instant import HOUR
from nurture.domain.pace.lane_doubts import PAUSED_AFTER, DoubtSign, judge_doubts

NOW = 1_000 * HOUR
DOUBT = DoubtSign(in_doubt=True, not_begun=False, is_first=True)
AGAIN = DoubtSign(in_doubt=True, not_begun=False, is_first=False)
BACK = DoubtSign(in_doubt=False, not_begun=True, is_first=True)
SENT = DoubtSign(in_doubt=False, not_begun=False, is_first=True)


@pytest.mark.parametrize(
    ("signs", "first", "later"),
    [
        ([DOUBT] * 3, "rest", "pause"),
        ([DOUBT] * 3 + [BACK] * 9, "rest", "pause"),
        # One alone may be the mail's own fault, the first time.
        ([DOUBT], "go on", "pause"),
        ([AGAIN, DOUBT], "go on", "pause"),
        # The same mail once more says nothing about the others.
        ([AGAIN] * 3, "go on", "go on"),
        ([DOUBT] * 30 + [SENT], "go on", "go on"),
        ([BACK] * 3, "go on", "go on"),
        ([], "go on", "go on"),
    ],
)
def test_the_first_time_it_rests_and_then_it_pauses(signs: list[DoubtSign], first: str, later: str) -> None:
    assert judge_doubts(signs, stage="", failing_since=None, now=NOW) == first
    for other in ("connect", "data"):
        assert judge_doubts(signs, stage=other, failing_since=NOW - HOUR, now=NOW) == first
    since = NOW - PAUSED_AFTER
    assert judge_doubts(signs, stage="dot", failing_since=since, now=NOW) == later
    assert judge_doubts(signs, stage="dot", failing_since=since + 1, now=NOW) == first

"""A person's preferences: the newest row of a kind decides, and after a merge the stricter of both contacts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.consent.merges import ContactMerge
from nurture.domain.consent.preferences import Preference, PreferenceKind, Preferences, fold_preferences
from nurture.domain.instant import DAY

A, B = 1, 2


def preference(contact: int, kind: PreferenceKind, value: int, at: int) -> Preference:
    return Preference(contact, kind, value, at, id=at)


@pytest.mark.parametrize(
    ("rows", "merges", "expected"),
    [
        pytest.param([], [], Preferences(), id="no row"),
        pytest.param([preference(A, "often", 7 * DAY, 1)], [], Preferences(min_gap=7 * DAY), id="less often"),
        pytest.param(
            [preference(A, "often", 30 * DAY, 1), preference(A, "often", 7 * DAY, 2)],
            [],
            Preferences(min_gap=7 * DAY),
            id="the newest row decides, also when it is looser",
        ),
        pytest.param(
            [preference(A, "often", 30 * DAY, 1), preference(A, "often", 0, 2)],
            [],
            Preferences(),
            id="taken back",
        ),
        pytest.param(
            [preference(A, "often", 7 * DAY, 4), preference(B, "often", 30 * DAY, 1)],
            [ContactMerge(A, B, 5)],
            Preferences(min_gap=30 * DAY),
            id="a merge takes the stricter",
        ),
        pytest.param(
            [preference(A, "often", 30 * DAY, 1), preference(B, "often", 0, 4)],
            [ContactMerge(A, B, 5)],
            Preferences(min_gap=30 * DAY),
            id="either way round",
        ),
        pytest.param(
            [preference(B, "pause", 900, 1), preference(B, "tracking", 1, 2)],
            [ContactMerge(A, B, 5)],
            Preferences(paused_until=900, untracked=True),
            id="pause and tracking come along",
        ),
        pytest.param(
            [preference(B, "often", 30 * DAY, 1), preference(A, "often", 0, 6)],
            [ContactMerge(A, B, 5)],
            Preferences(),
            id="a row after the merge counts",
        ),
        pytest.param([preference(B, "often", 7 * DAY, 1)], [], Preferences(), id="another person"),
        pytest.param(
            [preference(A, "often", 7 * DAY, 1)],
            [ContactMerge(A, B, 2), ContactMerge(B, A, 3)],
            Preferences(min_gap=7 * DAY),
            id="a circle ends",
        ),
    ],
)
def test_fold_of_rows_and_merges(
    rows: list[Preference], merges: list[ContactMerge], expected: Preferences
) -> None:
    assert fold_preferences(A, rows, merges) == expected
    assert fold_preferences(A, rows[::-1], merges[::-1]) == expected


rows_of_two = st.lists(
    st.builds(
        preference,
        st.sampled_from([A, B]),
        st.sampled_from(["often", "pause", "tracking"]),
        st.integers(0, 90),
        st.integers(1, 20),
    ),
    max_size=8,
    unique_by=lambda row: row.at,
)


@given(rows_of_two)
def test_a_merge_is_never_looser_than_either_was(rows: list[Preference]) -> None:
    joined = fold_preferences(A, rows, [ContactMerge(A, B, 21)])
    for alone in (fold_preferences(A, rows), fold_preferences(B, rows)):
        assert joined.min_gap >= alone.min_gap
        assert joined.paused_until >= alone.paused_until
        assert joined.untracked >= alone.untracked


def test_a_least_gap_is_a_cap_over_all_marketing_and_without_one_there_is_none() -> None:
    assert Preferences().caps == ()
    (cap,) = Preferences(min_gap=30 * DAY).caps
    assert (cap.at_most, cap.within) == (1, 30 * DAY)
    assert cap.purposes == {"nurture", "sales", "advocacy", "survey"}

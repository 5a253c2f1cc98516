"""What a person asked of all marketing mail: the newest word of each kind, the stricter of two who became one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.consent.permissions import Join
from nurture.domain.consent.preferences import Wish, Wishes, WishKind, wishes
from nurture.domain.instant import DAY

A, B = 1, 2


def asked(contact: int, kind: WishKind, value: int, at: int) -> Wish:
    return Wish(contact, kind, value, at, id=at)


@pytest.mark.parametrize(
    ("rows", "joins", "expected"),
    [
        pytest.param([], [], Wishes(), id="nothing asked for"),
        pytest.param([asked(A, "often", 7 * DAY, 1)], [], Wishes(often=7 * DAY), id="less often"),
        pytest.param(
            [asked(A, "often", 30 * DAY, 1), asked(A, "often", 7 * DAY, 2)],
            [],
            Wishes(often=7 * DAY),
            id="the newest word speaks, also when it is looser",
        ),
        pytest.param(
            [asked(A, "often", 30 * DAY, 1), asked(A, "often", 0, 2)], [], Wishes(), id="taken back"
        ),
        pytest.param(
            [asked(A, "often", 7 * DAY, 4), asked(B, "often", 30 * DAY, 1)],
            [Join(A, B, 5)],
            Wishes(often=30 * DAY),
            id="a merge takes the stricter",
        ),
        pytest.param(
            [asked(A, "often", 30 * DAY, 1), asked(B, "often", 0, 4)],
            [Join(A, B, 5)],
            Wishes(often=30 * DAY),
            id="either way round",
        ),
        pytest.param(
            [asked(B, "pause", 900, 1), asked(B, "tracking", 1, 2)],
            [Join(A, B, 5)],
            Wishes(pause=900, untracked=True),
            id="pause and tracking come along",
        ),
        pytest.param(
            [asked(B, "often", 30 * DAY, 1), asked(A, "often", 0, 6)],
            [Join(A, B, 5)],
            Wishes(),
            id="said after the merge counts",
        ),
        pytest.param([asked(B, "often", 7 * DAY, 1)], [], Wishes(), id="another person"),
        pytest.param(
            [asked(A, "often", 7 * DAY, 1)],
            [Join(A, B, 2), Join(B, A, 3)],
            Wishes(often=7 * DAY),
            id="a circle ends",
        ),
    ],
)
def test_what_holds(rows: list[Wish], joins: list[Join], expected: Wishes) -> None:
    assert wishes(A, rows, joins) == expected
    assert wishes(A, rows[::-1], joins[::-1]) == expected


rows_of_two = st.lists(
    st.builds(
        asked,
        st.sampled_from([A, B]),
        st.sampled_from(["often", "pause", "tracking"]),
        st.integers(0, 90),
        st.integers(1, 20),
    ),
    max_size=8,
    unique_by=lambda row: row.at,
)


@given(rows_of_two)
def test_a_merge_is_never_looser_than_either_was(rows: list[Wish]) -> None:
    joined = wishes(A, rows, [Join(A, B, 21)])
    for alone in (wishes(A, rows), wishes(B, rows)):
        assert joined.often >= alone.often
        assert joined.pause >= alone.pause
        assert joined.untracked >= alone.untracked


def test_without_a_wish_there_is_no_cap_and_with_one_it_covers_all_marketing() -> None:
    assert Wishes().caps == ()
    (cap,) = Wishes(often=30 * DAY).caps
    assert (cap.at_most, cap.within) == (1, 30 * DAY)
    assert cap.purposes == {"nurture", "sales", "advocacy", "survey"}

"""What a person permits: the newest word per topic, and the stricter where two contacts became one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.consent.permissions import EVERYTHING, Consent, Join, State, state_of, states

A, B, C = 1, 2, 3


def said(contact: int, state: State, at: int, topic: str = "news") -> Consent:
    return Consent(contact, topic, state, at, id=at)


@pytest.mark.parametrize(
    ("rows", "joins", "expected"),
    [
        pytest.param([], [], None, id="nothing said"),
        pytest.param([said(A, "granted", 1)], [], "granted", id="granted"),
        pytest.param([said(A, "pending", 1), said(A, "granted", 2)], [], "granted", id="confirmed"),
        pytest.param([said(A, "granted", 1), said(A, "pending", 2)], [], "pending", id="asked anew"),
        pytest.param([said(A, "granted", 2), said(A, "withdrawn", 3)], [], "withdrawn", id="withdrawn"),
        pytest.param(
            [said(A, "withdrawn", 3), said(A, "granted", 2)], [], "withdrawn", id="an old import adds nothing"
        ),
        pytest.param([said(A, "withdrawn", 3), said(A, "granted", 4)], [], "granted", id="came back"),
        pytest.param([said(A, "granted", 1, "offers")], [], None, id="another topic"),
        pytest.param([said(B, "granted", 1)], [], None, id="another contact"),
        pytest.param([said(B, "granted", 1)], [Join(A, B, 5)], "granted", id="merged in"),
        pytest.param(
            [said(A, "granted", 4), said(B, "withdrawn", 1)], [Join(A, B, 5)], "withdrawn", id="stricter wins"
        ),
        pytest.param(
            [said(A, "withdrawn", 1), said(B, "granted", 4)],
            [Join(A, B, 5)],
            "withdrawn",
            id="either way round",
        ),
        pytest.param(
            [said(A, "granted", 4), said(B, "pending", 1)],
            [Join(A, B, 5)],
            "pending",
            id="pending is stricter",
        ),
        pytest.param(
            [said(B, "withdrawn", 1), said(A, "granted", 6)],
            [Join(A, B, 5)],
            "granted",
            id="said after the merge counts",
        ),
        pytest.param(
            [said(B, "withdrawn", 1), said(A, "granted", 6), said(C, "granted", 2)],
            [Join(A, B, 5), Join(C, A, 7)],
            "granted",
            id="merges within merges",
        ),
        pytest.param(
            [said(A, "granted", 1), said(A, "withdrawn", 2, EVERYTHING)], [], "withdrawn", id="no more mail"
        ),
        pytest.param([said(A, "withdrawn", 2, EVERYTHING)], [], "withdrawn", id="covers topics never asked"),
        pytest.param(
            [said(A, "withdrawn", 2, EVERYTHING), said(A, "granted", 3)], [], "granted", id="but one again"
        ),
        pytest.param(
            [said(A, "granted", 4), said(B, "withdrawn", 1, EVERYTHING)],
            [Join(A, B, 5)],
            "withdrawn",
            id="everything is stricter too",
        ),
        pytest.param([said(A, "granted", 1)], [Join(A, B, 2), Join(B, A, 3)], "granted", id="a circle ends"),
    ],
)
def test_state_of_a_topic(rows: list[Consent], joins: list[Join], expected: State | None) -> None:
    root = C if any(join.survivor == C for join in joins) else A
    assert state_of(states(root, rows, joins), "news") == expected
    assert state_of(states(root, rows[::-1], joins[::-1]), "news") == expected


words = st.builds(
    said,
    st.sampled_from([A, B]),
    st.sampled_from(["pending", "granted", "withdrawn"]),
    st.integers(1, 20),
    st.sampled_from(["news", "offers", EVERYTHING]),
)


@given(st.lists(words, max_size=8, unique_by=lambda row: row.at), st.integers(1, 20))
def test_a_merge_never_permits_what_either_had_withdrawn(rows: list[Consent], at: int) -> None:
    joined = states(A, rows, [Join(A, B, at)])
    for topic in ("news", "offers"):
        last = max((row.at for row in rows if row.topic in (topic, EVERYTHING)), default=0)
        alone = [state_of(states(contact, rows), topic) for contact in (A, B)]
        if "withdrawn" in alone and last < at:
            assert state_of(joined, topic) == "withdrawn"

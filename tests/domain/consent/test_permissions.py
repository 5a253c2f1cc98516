"""A person's consent per topic: the newest row decides, and after a merge the stricter of both contacts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.consent.merges import ContactMerge
from nurture.domain.consent.permissions import (
    EVERYTHING,
    Consent,
    ConsentState,
    fold_consents,
    state_for_topic,
)

A, B, C = 1, 2, 3


def consent(contact: int, state: ConsentState, at: int, topic: str = "news") -> Consent:
    return Consent(contact, topic, state, at, id=at)


@pytest.mark.parametrize(
    ("rows", "merges", "expected"),
    [
        pytest.param([], [], None, id="no row"),
        pytest.param([consent(A, "granted", 1)], [], "granted", id="granted"),
        pytest.param([consent(A, "pending", 1), consent(A, "granted", 2)], [], "granted", id="confirmed"),
        pytest.param([consent(A, "granted", 1), consent(A, "pending", 2)], [], "pending", id="asked anew"),
        pytest.param([consent(A, "granted", 2), consent(A, "withdrawn", 3)], [], "withdrawn", id="withdrawn"),
        pytest.param(
            [consent(A, "withdrawn", 3), consent(A, "granted", 2)],
            [],
            "withdrawn",
            id="an old import adds nothing",
        ),
        pytest.param([consent(A, "withdrawn", 3), consent(A, "granted", 4)], [], "granted", id="came back"),
        pytest.param([consent(A, "granted", 1, "offers")], [], None, id="another topic"),
        pytest.param([consent(B, "granted", 1)], [], None, id="another contact"),
        pytest.param([consent(B, "granted", 1)], [ContactMerge(A, B, 5)], "granted", id="merged in"),
        pytest.param(
            [consent(A, "granted", 4), consent(B, "withdrawn", 1)],
            [ContactMerge(A, B, 5)],
            "withdrawn",
            id="stricter wins",
        ),
        pytest.param(
            [consent(A, "withdrawn", 1), consent(B, "granted", 4)],
            [ContactMerge(A, B, 5)],
            "withdrawn",
            id="either way round",
        ),
        pytest.param(
            [consent(A, "granted", 4), consent(B, "pending", 1)],
            [ContactMerge(A, B, 5)],
            "pending",
            id="pending is stricter",
        ),
        pytest.param(
            [consent(B, "withdrawn", 1), consent(A, "granted", 6)],
            [ContactMerge(A, B, 5)],
            "granted",
            id="a row after the merge counts",
        ),
        pytest.param(
            [consent(B, "withdrawn", 1), consent(A, "granted", 6), consent(C, "granted", 2)],
            [ContactMerge(A, B, 5), ContactMerge(C, A, 7)],
            "granted",
            id="merges within merges",
        ),
        pytest.param(
            [consent(A, "granted", 1), consent(A, "withdrawn", 2, EVERYTHING)],
            [],
            "withdrawn",
            id="no more mail",
        ),
        pytest.param(
            [consent(A, "withdrawn", 2, EVERYTHING)], [], "withdrawn", id="covers topics never asked"
        ),
        pytest.param(
            [consent(A, "withdrawn", 2, EVERYTHING), consent(A, "granted", 3)],
            [],
            "granted",
            id="but one again",
        ),
        pytest.param(
            [consent(A, "granted", 4), consent(B, "withdrawn", 1, EVERYTHING)],
            [ContactMerge(A, B, 5)],
            "withdrawn",
            id="everything is stricter too",
        ),
        pytest.param(
            [consent(A, "granted", 1)],
            [ContactMerge(A, B, 2), ContactMerge(B, A, 3)],
            "granted",
            id="a circle ends",
        ),
    ],
)
def test_state_of_a_topic(
    rows: list[Consent], merges: list[ContactMerge], expected: ConsentState | None
) -> None:
    root = C if any(merge.survivor == C for merge in merges) else A
    assert state_for_topic(fold_consents(root, rows, merges), "news") == expected
    assert state_for_topic(fold_consents(root, rows[::-1], merges[::-1]), "news") == expected


consents = st.builds(
    consent,
    st.sampled_from([A, B]),
    st.sampled_from(["pending", "granted", "withdrawn"]),
    st.integers(1, 20),
    st.sampled_from(["news", "offers", EVERYTHING]),
)


@given(st.lists(consents, max_size=8, unique_by=lambda row: row.at), st.integers(1, 20))
def test_a_merge_never_permits_what_either_had_withdrawn(rows: list[Consent], at: int) -> None:
    joined = fold_consents(A, rows, [ContactMerge(A, B, at)])
    for topic in ("news", "offers"):
        last = max((row.at for row in rows if row.topic in (topic, EVERYTHING)), default=0)
        alone = [state_for_topic(fold_consents(contact, rows), topic) for contact in (A, B)]
        if "withdrawn" in alone and last < at:
            assert state_for_topic(joined, topic) == "withdrawn"

"""A person's consent per topic: the newest row decides, and after a merge the stricter of both contacts."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.consent.merges import ContactMerge
from nurture.domain.consent.permissions import (
    EVERYTHING,
    FILE_SOURCES,
    UNDATED,
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


# ---- consents of files and of people ----------------------------------------------------------------------


def of_file(state: ConsentState, at: int, topic: str = "news", contact: int = A) -> Consent:
    return Consent(contact, topic, state, at, source="import")


def of_person(state: ConsentState, at: int, topic: str = "news", contact: int = A) -> Consent:
    return Consent(contact, topic, state, at, source="web")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(
            [of_person("withdrawn", 10), of_file("granted", 40)], "withdrawn", id="a newer date of a file"
        ),
        pytest.param([of_file("granted", 5), of_person("withdrawn", 10)], "withdrawn", id="written before"),
        pytest.param(
            [of_person("withdrawn", 10, EVERYTHING), of_file("granted", 40)], "withdrawn", id="everything"
        ),
        pytest.param(
            [of_person("withdrawn", 10, "offers"), of_file("granted", 40)], "granted", id="another topic"
        ),
        pytest.param([of_person("withdrawn", 10), of_person("granted", 40)], "granted", id="told again"),
        pytest.param(
            [of_person("withdrawn", 10), of_person("granted", 40), of_file("withdrawn", 50)],
            "withdrawn",
            id="file stops",
        ),
        pytest.param(
            [of_person("granted", 40), of_file("withdrawn", UNDATED)], "granted", id="an undated one is older"
        ),
        pytest.param(
            [of_file("withdrawn", 10), of_file("granted", 40)], "granted", id="files by their dates"
        ),
        pytest.param(
            [of_file("withdrawn", 10), of_file("granted", UNDATED)], "withdrawn", id="undated grant"
        ),
        pytest.param([of_file("withdrawn", 10), of_file("granted", 10)], "withdrawn", id="files at once"),
        pytest.param([of_person("withdrawn", 10), of_person("granted", 10)], "withdrawn", id="told at once"),
        pytest.param(
            [of_person("withdrawn", 10, EVERYTHING), of_person("granted", 10)], "withdrawn", id="all at once"
        ),
        pytest.param(
            [of_person("withdrawn", 10), of_file("pending", 40)], "withdrawn", id="a file asks nobody"
        ),
        pytest.param(
            [of_person("withdrawn", 10, "offers"), of_file("granted", 40, EVERYTHING)],
            None,
            id="a file's all",
        ),
    ],
)
def test_a_file_never_follows_a_withdrawal_told_to_us(rows: list[Consent], expected: str | None) -> None:
    for order in permutations(rows):
        numbered = [replace(row, id=number) for number, row in enumerate(order, 1)]
        assert state_for_topic(fold_consents(A, numbered), "news") == expected


def test_a_withdrawal_of_a_merged_contact_refutes_a_file_of_the_other() -> None:
    rows = [of_person("withdrawn", 10, contact=B), of_file("granted", 90)]
    assert fold_consents(A, rows)["news"] == "granted"
    assert fold_consents(A, rows, [ContactMerge(A, B, 20)])["news"] == "withdrawn"


words = st.builds(
    Consent,
    st.sampled_from([A, B]),
    st.sampled_from(["news", "offers", EVERYTHING]),
    st.sampled_from(["pending", "granted", "withdrawn"]),
    st.integers(0, 6),
    source=st.sampled_from(["web", "import", "event:shop", "event:import"]),
)
merges = st.lists(st.builds(ContactMerge, st.just(A), st.just(B), st.integers(0, 6)), max_size=1)


shuffled = st.lists(words, max_size=8).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))


@given(shuffled, merges)
def test_the_order_of_writing_changes_nothing(
    rows: tuple[list[Consent], list[Consent]], merges: list[ContactMerge]
) -> None:
    one, other = (
        fold_consents(A, [replace(row, id=number) for number, row in enumerate(ordered, 1)], merges)
        for ordered in rows
    )
    assert one == other


@given(st.lists(words, max_size=8), merges)
def test_no_file_permits_what_was_ever_withdrawn_towards_us(
    rows: list[Consent], merges: list[ContactMerge]
) -> None:
    family = {A, B} if merges else {A}
    told_rows = [row for row in rows if row.source not in FILE_SOURCES]
    for topic in ("news", "offers"):
        stopped = [row for row in told_rows if row.state == "withdrawn" and row.topic in (topic, EVERYTHING)]
        if any(row.contact_id in family for row in stopped):
            alone = state_for_topic(fold_consents(A, told_rows, merges), topic)
            joined = state_for_topic(fold_consents(A, rows, merges), topic)
            assert joined in (alone, "withdrawn")

"""The division of a claim among classes of work: shares are kept, nothing is left free, and the urgent goes first."""

from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.measure import MARKETING
from nurture.domain.pace.work_classes import (
    INBOX,
    OUTBOX,
    URGENT,
    Classes,
    class_of,
    divide,
    is_turn_of_bulk_alarms,
)

QUEUES = st.sampled_from([INBOX, OUTBOX])


@st.composite
def claims(draw: st.DrawFn) -> tuple[Classes, int, list[int], int]:
    """Draw a queue, a limit, what waits in each class, and how many places earlier claims had."""
    queue = draw(QUEUES)
    waiting = draw(st.lists(st.integers(0, 3000), min_size=len(queue.names), max_size=len(queue.names)))
    return queue, draw(st.integers(0, 2500)), waiting, draw(st.integers(0, 10**6))


@given(claims())
def test_claim_takes_all_it_may_and_no_more_than_waits(claim: tuple[Classes, int, list[int], int]) -> None:
    queue, limit, waiting, first = claim
    taken = divide(queue, limit, waiting, first=first)
    assert sum(taken) == min(limit, sum(waiting))
    assert all(0 <= count <= most for count, most in zip(taken, waiting, strict=True))


@given(claims())
def test_each_class_gets_its_share_and_the_urgent_is_never_behind(
    claim: tuple[Classes, int, list[int], int],
) -> None:
    queue, limit, waiting, first = claim
    taken = divide(queue, limit, waiting, first=first)
    whole_rounds = limit // len(queue.places)
    for number, name in enumerate(queue.names):
        share = round(queue.share(name) * len(queue.places)) * whole_rounds
        assert taken[number] >= min(waiting[number], share)
        if taken[number] > share + queue.places.count(number):
            # More than its own places: nothing more urgent is left behind.
            assert taken[:number] == waiting[:number]


@given(QUEUES, st.lists(st.integers(1, 7), min_size=10, max_size=20))
def test_short_claims_keep_the_shares_in_the_long_run(queue: Classes, limits: list[int]) -> None:
    """With every class full, any ten places in a row are divided as the classes' places are."""
    total, first = [0] * len(queue.names), 0
    for limit in limits:
        taken = divide(queue, limit, [10**6] * len(queue.names), first=first)
        total = [before + count for before, count in zip(total, taken, strict=True)]
        first += limit
    for number, name in enumerate(queue.names):
        assert total[number] >= first // len(queue.places) * round(queue.share(name) * len(queue.places))


@given(QUEUES, st.lists(st.integers(0, 5), min_size=10, max_size=10))
def test_arrivals_starve_nobody(queue: Classes, arrivals: list[int]) -> None:
    """Whatever arrives in the more urgent classes, a class that has work is worked off at its share."""
    last = len(queue.names) - 1
    waiting = [0] * last + [20]
    for first in range(20 * len(queue.places)):
        waiting = [count + arrivals[(first + n) % 10] for n, count in enumerate(waiting[:last])] + waiting[
            last:
        ]
        taken = divide(queue, 1, waiting, first=first)
        waiting = [count - less for count, less in zip(waiting, taken, strict=True)]
    assert waiting[last] == 0


def test_mail_of_every_purpose_has_its_class() -> None:
    assert class_of("transactional") == URGENT == 0
    assert class_of("service") == 1
    assert {class_of(purpose) for purpose in MARKETING} == {2}


def test_alarms_of_a_publish_wait_for_others_and_never_for_ever() -> None:
    turns = [is_turn_of_bulk_alarms(full) for full in range(11)]
    assert turns == [True, False, False, False, True, False, False, False, False, True, False]

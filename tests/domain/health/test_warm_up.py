"""The plan of a new sending address: how its ceiling grows, and which mails of a claim may leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.health.warm_up import Room, WarmUpPlan, admit, parse_plan
from nurture.domain.instant import DAY, HOUR, parse_iso

START = parse_iso("2026-12-01T00:00:00Z")


def test_the_ceiling_grows_from_day_to_day_and_the_plan_ends() -> None:
    plan = parse_plan("2026-12-01:200:2:1000")
    days = [plan.ceiling(START + day * DAY + 23 * HOUR) for day in range(-2, 5)]
    assert days == [200, 200, 200, 400, 800, None, None]
    assert parse_plan("2026-12-01:200") == WarmUpPlan(START, 200, 1.5, 50_000)
    # A plan of one mail grows too, and a long time is no long computation.
    assert WarmUpPlan(START, 1, 1.0, 9).ceiling(START + 3 * DAY) == 4
    assert plan.ceiling(START + 10**9 * DAY) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "200",
        "2026-12-01",
        "2026-13-01:200",
        "2026-12-01:0",
        "2026-12-01:9:0.5",
        "2026-12-01:9:2:9",
        "2026-12-01:-9",
    ],
)
def test_a_plan_that_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026-12-01:200"):
        parse_plan(text)


def test_the_first_mails_leave_and_a_providers_limit_holds_no_other_provider() -> None:
    providers = ["gmail.com", "gmail.com", "qq.com", "", "gmail.com"]
    assert admit(providers, Room()) == [True] * 5
    assert admit(providers, Room(total=3)) == [True, True, True, False, False]
    assert admit(providers, Room(providers={"gmail.com": 1})) == [True, False, True, True, False]
    assert admit(providers, Room(3, {"gmail.com": 1})) == [True, False, True, True, False]
    assert admit(providers, Room(0)) == [False] * 5
    assert admit(providers, Room(-4, {"gmail.com": -1})) == [False] * 5


@given(
    st.lists(st.sampled_from(["a", "b", "c"])),
    st.none() | st.integers(-2, 9),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(-2, 9)),
)
def test_no_more_leave_than_there_is_room_and_none_is_held_without_need(
    providers: list[str], total: int | None, limits: dict[str, int]
) -> None:
    admitted = admit(providers, Room(total, limits))
    left = [provider for provider, is_admitted in zip(providers, admitted, strict=True) if is_admitted]
    assert total is None or len(left) <= max(total, 0)
    assert all(left.count(name) <= max(limit, 0) for name, limit in limits.items())
    is_full = total is not None and len(left) >= max(total, 0)
    for provider, is_admitted in zip(providers, admitted, strict=True):
        assert is_admitted or is_full or left.count(provider) >= max(limits.get(provider, 10**9), 0)

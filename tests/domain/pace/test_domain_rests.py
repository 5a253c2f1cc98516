"""A receiving domain that asks for fewer mails rests alone; the lane rests when the server of all domains asks."""

import pytest

from nurture.domain.instant import HOUR, MINUTE, SECOND
from nurture.domain.pace.domain_rests import (
    REST_MAX,
    DomainRest,
    Heard,
    domain_of,
    find_who_rests,
    next_rest,
    rests_now,
)

NOW = 1_000 * HOUR


def heard(domain: str, *, slow: bool = False, stage: str = "rcpt") -> Heard:
    return Heard(domain, stage, was_sent=not slow, slow=slow)


@pytest.mark.parametrize(
    ("mails", "lane", "domains"),
    [
        ([heard("a"), heard("b")], False, set()),
        ([heard("a", slow=True), heard("b")], False, {"a"}),
        ([heard("a", slow=True), heard("b", slow=True), heard("c")], False, {"a", "b"}),
        ([heard("a", slow=True), heard("a", slow=True)], False, {"a"}),
        # The same word about every domain: it is the relay's own.
        ([heard("a", slow=True), heard("b", slow=True)], True, set()),
        ([heard("a", slow=True, stage="connect"), heard("b")], True, set()),
        ([heard("a", slow=True, stage="mail"), heard("b")], True, set()),
        ([heard("a", slow=True, stage="replied"), heard("b")], False, {"a"}),
    ],
)
def test_one_domain_rests_or_the_lane(mails: list[Heard], lane: bool, domains: set[str]) -> None:
    assert find_who_rests(mails) == (lane, domains)


def test_rests_grow_while_the_domain_asks_again_and_begin_anew_after_a_quiet_time() -> None:
    rest = next_rest(None, NOW)
    assert rest == DomainRest(NOW + MINUTE, MINUTE)
    # Late replies of mails that were under way change nothing.
    assert next_rest(rest, NOW + 10 * SECOND) == rest
    lengths = []
    for _ in range(9):
        rest = next_rest(rest, rest.until + SECOND)
        lengths.append(rest.length // MINUTE)
    assert lengths == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert next_rest(rest, rest.until + 2 * REST_MAX + SECOND).length == MINUTE


def test_mails_of_a_rest_are_spread_over_as_long_again() -> None:
    rest = DomainRest(NOW, 10 * MINUTE)
    instants = [rest.instant_for(message) for message in range(300)]
    assert min(instants) >= NOW
    assert max(instants) < NOW + 10 * MINUTE
    thirds = [
        sum(place * 200 <= (at - NOW) / SECOND < (place + 1) * 200 for at in instants) for place in range(3)
    ]
    assert all(60 < count < 140 for count in thirds)


def test_case_of_a_domain_does_not_matter() -> None:
    rests = {"example.com": DomainRest(NOW + MINUTE, MINUTE)}
    assert domain_of("Ann@Example.COM") == "example.com"
    assert rests_now(rests, "Ann@Example.COM", NOW) == rests["example.com"]
    assert rests_now(rests, "ann@other.example", NOW) is None
    assert rests_now(rests, "ann@example.com", NOW + MINUTE) is None
    assert rests_now(rests, None, NOW) is None

"""The lead score: learnt from those who converted, by what was known before."""

from functools import cache

import pytest

from nurture.domain.instant import DAY, WEEK, Instant
from nurture.learning.lead_score import learn_score
from nurture.learning.results import LearntModel, Refusal
from nurture.learning.rows import Leads, Periods, periods
from nurture.learning.words import LANGUAGES, in_words
from tests.learning.rows import START, EventRow, draw, leads_of

NOW = START + 16 * WEEK
HORIZON = 4 * WEEK
PEOPLE = 6_000


@cache
def shop_leads() -> tuple[tuple[EventRow, ...], dict[int, Instant]]:
    """Return leads who look around; those who asked for prices become customers ten times as often, in their time."""
    events: list[EventRow] = []
    converted: dict[int, Instant] = {}
    for person in range(PEOPLE):
        first = START + int(draw("first", person) * 14 * 7) * DAY
        asks = draw("asks", person) < 0.3
        for number in range(1 + int(draw("visits", person) * 6)):
            at = first + int(draw("at", person, number) * 60) * DAY
            events.append((person, "Page Viewed", at))
            if asks and draw("price", person, number) < 0.5:
                events.append((person, "Price List Viewed", at + 1))
        if draw("buys", person) < (0.6 if asks else 0.06):
            converted[person] = first + int(draw("when", person) * 70) * DAY
    return tuple(events), converted


def cuts() -> Periods:
    found = periods(START, NOW, HORIZON)
    assert found is not None
    return found


def leads(extra: tuple[EventRow, ...] = (), converted: dict[int, Instant] | None = None) -> Leads:
    events, known = shop_leads()
    return leads_of([*events, *extra], known if converted is None else converted, cuts())


def test_the_score_is_better_than_recency_and_says_why() -> None:
    model = learn_score(leads(), cuts())
    assert isinstance(model, LearntModel), model
    everybody = model.back_test.rankings["all"]
    assert everybody.area is not None
    assert everybody.area_recency is not None
    assert everybody.area > everybody.area_recency + 0.1
    assert model.rule == "model"
    assert everybody.highest_tenth > 2 * everybody.share
    assert model.back_test.calibration_error is not None
    assert model.back_test.calibration_error < 0.05
    heaviest = max(model.weights, key=lambda weight: weight.weight)
    assert heaviest.feature == "event:Price List Viewed"
    best = max(model.numbers, key=lambda contact: model.numbers[contact])
    reason = next(part for part in model.reasons(best) if part.feature == heaviest.feature)
    assert in_words(reason, "en").startswith("higher: Price List Viewed: ")
    assert in_words(reason, "zh-CN").startswith("升高：Price List Viewed：")


def test_customers_are_not_scored_and_what_they_did_later_teaches_nothing() -> None:
    _, converted = shop_leads()
    before = learn_score(leads(), cuts())
    # Afterwards everybody who converts views the list a hundred times.
    after = tuple(
        (person, "Price List Viewed", at + DAY)
        for person, at in converted.items()
        if at >= cuts().judge_at
        for _ in range(20)
    )
    shown = learn_score(leads(tuple(row for row in after if row[2] >= NOW)), cuts())
    assert isinstance(before, LearntModel)
    assert isinstance(shown, LearntModel)
    assert before.numbers == shown.numbers
    assert not {person for person, at in converted.items() if at < NOW} & before.numbers.keys()


def test_an_event_that_is_dated_back_is_refused_by_its_name() -> None:
    _, converted = shop_leads()
    leak = tuple((person, "Contract Prepared", START) for person, at in converted.items() if at < NOW)
    model = learn_score(leads(leak), cuts())
    assert isinstance(model, Refusal)
    assert model.code == "leak"
    assert "`event:Contract Prepared` tells by itself who became customers" in model.text


def test_fewer_than_two_hundred_conversions_are_refused() -> None:
    _, converted = shop_leads()
    few = dict(list(converted.items())[:400])
    model = learn_score(leads(converted=few), cuts())
    assert isinstance(model, Refusal)
    assert model.code == "needs"
    assert "it takes 200" in model.text


def test_recency_is_kept_where_nothing_beats_it() -> None:
    """Those who came last convert, and nothing else matters: the model has only noise to add."""
    events = [
        (person, name, START + int(draw(name, person) * 60) * DAY)
        for person in range(4_000)
        for name in ("Page Viewed", "Searched")
        if draw("has", name, person) < 0.7
    ]
    last: dict[int, Instant] = {}
    for person, _, at in events:
        last[person] = max(at, last.get(person, at))
    order = sorted(last, key=lambda person: (last[person], person))
    # The newest in each period convert, exactly by recency.
    fit, judge = cuts().fit_at, cuts().judge_at
    early = [person for person in order if last[person] < fit][-300:]
    late = [person for person in order if last[person] < judge and person not in set(early)][-300:]
    converted = dict.fromkeys(early, fit + DAY) | dict.fromkeys(late, judge + DAY)
    model = learn_score(leads_of(events, converted, cuts()), cuts())
    assert isinstance(model, LearntModel | Refusal)
    if isinstance(model, LearntModel):
        assert model.rule == ("model" if model.back_test.is_better else "recency")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_feature_has_words(language: str) -> None:
    model = learn_score(leads(), cuts())
    assert isinstance(model, LearntModel)
    for reason in model.reasons(next(iter(model.numbers))):
        assert "{" not in in_words(reason, language)

"""Variants against each other: a worse arm ends, the cheapest of good ones stays, nobody changes arm."""

import json
from collections.abc import Sequence
from random import Random  # noqa: TID251 - drawn people, with a fixed seed

import pytest
import sqlalchemy as sa

from nurture.app import experiments
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.experiment.epochs import Arm
from nurture.domain.experiment.expect import parse_expect
from nurture.domain.experiment.judgement import DaySums, EpochShape, Trial
from nurture.domain.experiment.variants import Race, judge_variants
from nurture.domain.instant import DAY
from nurture.domain.measure import Variant
from nurture.domain.sampling import pick_variant, variant_shares
from nurture.measurement.notices import _variant_done
from tests.measurement.histories import amounts, binomial
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, built
from tests.playbook.builder import a_mail, a_text
from tests.rig.examples import ALL_HISTORIES as ALL

RUNS = 1_000 if ALL else 40
DAYS = 200 if ALL else 40
NAMES = "abcd"


def race_of(
    random: Random, rates: Sequence[float], *, expect: str = "+2%", days: int = DAYS, sigma: float = 0.0
) -> Race:
    """Return the race of a tenth without mail (the first rate) and variants at equal shares, 1,000 people a day."""
    variants = len(rates) - 1
    shares = [0.1, *([0.9 / variants] * variants)]
    arms = tuple(Arm(name, share) for name, share in zip(("held back", *NAMES), shares, strict=False))
    sums = []
    for day in range(days):
        for place, (share, rate) in enumerate(zip(shares, rates, strict=True)):
            people = round(1_000 * share)
            bought = binomial(random, people, rate)
            sums.append(DaySums(1, place, day, people, bought, amounts(random, people, bought, sigma)))
    trial = Trial([EpochShape(1, arms)], sums, {}, parse_expect(expect), is_amount=sigma > 0)
    race = judge_variants(trial)
    assert race is not None
    return race


@pytest.mark.parametrize("number", [2, 3, 4] if ALL else [3])
def test_variants_that_are_alike_hardly_ever_end(number: int) -> None:
    random = Random(11)
    races = [race_of(random, [0.05] * (number + 1)) for _ in range(RUNS)]
    assert sum(bool(race.choice.eliminated) for race in races) / RUNS <= (0.05 if ALL else 0.1)


def test_the_cheapest_of_variants_that_are_alike_stays() -> None:
    random = Random(12)
    races = [race_of(random, [0.05, 0.08, 0.08, 0.08], days=100, expect="+6%") for _ in range(RUNS // 4)]
    winners = [race.choice.winner for race in races]
    assert winners.count("a") >= 0.9 * len(races)


@pytest.mark.parametrize(
    ("rates", "best"), [([0.05, 0.09, 0.05, 0.06], "a"), ([0.05, 0.05, 0.06, 0.09], "c")]
)
def test_the_best_by_far_is_the_only_one_that_stays(rates: list[float], best: str) -> None:
    random = Random(13)
    races = [race_of(random, rates, days=100) for _ in range(RUNS // 4)]
    assert all(best in race.choice.live for race in races)
    assert sum(race.choice.live == (best,) for race in races) >= 0.9 * len(races)


def test_a_variant_that_is_worse_than_no_mail_never_wins() -> None:
    race = race_of(Random(14), [0.09, 0.05, 0.09], days=100)
    assert "a" in race.choice.eliminated
    both = race_of(Random(15), [0.09, 0.05, 0.05], days=100)
    assert (both.choice.live, both.choice.winner) == ((), None)


def test_the_owner_hears_which_variant_ended() -> None:
    assert _variant_done("ended:b") == "ends the variant b: another one, or no mail, is shown to be better"
    assert _variant_done("won:c").startswith("keeps the variant c:")


def test_less_is_better_where_the_metric_should_fall() -> None:
    race = race_of(Random(16), [0.09, 0.09, 0.05], days=100, expect="-2%")
    assert race.choice.live == ("b",)


@pytest.mark.parametrize("sigma", [1.0])
def test_money_is_compared_as_money(sigma: float) -> None:
    race = race_of(Random(17), [0.05, 0.05, 0.10], days=100, expect="+1.00 EUR", sigma=sigma)
    assert race.choice.live == ("b",)
    assert race.close == 50.0, "half of the promise, in hundredths"


# ---- shares ----------------------------------------------------------------------------------------------


def test_nobody_of_a_variant_that_goes_on_changes_it_when_another_ends() -> None:
    before = [Variant("a", 40), Variant("b", 30), Variant("c", 30)]
    after = [Variant("a", 40), Variant("b", 30, is_ended=True), Variant("c", 30)]
    pairs = [(pick_variant(before, "m", n), pick_variant(after, "m", n)) for n in range(4_000)]
    assert all(new == old for old, new in pairs if old != "b")
    assert {new for old, new in pairs if old == "b"} == {"a", "c"}
    assert variant_shares(after) == {"a": 0.55, "b": 0.0, "c": 0.45}
    assert sum(new == "a" for _, new in pairs) == pytest.approx(2_200, abs=120)


# ---- the daily task --------------------------------------------------------------------------------------


def a_race(database: Database) -> Shop:
    """Return a shop whose measure has three variants, the first with the measure's own mail."""
    files = a_folder({OFFER: a_measure(variants="{a: 40, b: 30, c: 30}", holdout="10%")})
    for name in ("b", "c"):
        files[f"{OFFER}/offer@{name}.en.mjml"] = a_mail("en", body=f"Offer {name}.")
        files[f"{OFFER}/offer@{name}.en.txt"] = a_text("en", body=f"Offer {name}.")
    return Shop(database, loaded=built(files), files=files)


def enter(shop: Shop, people: Sequence[int], bought: Sequence[int]) -> None:
    """Store people of each arm who entered the open epoch on 30 days that are over; the first have an order."""
    epoch, start = shop.rows(t.experiments, measure=OFFER)[-1].id, shop.now - 41 * DAY
    known, entered, orders = [], [], []
    contact = len(shop.rows(t.contacts))
    for arm, (number, buyers) in enumerate(zip(people, bought, strict=True)):
        for place in range(number):
            contact += 1
            at = start + place * 30 // number * DAY
            known.append(shop.a_contact(contact))
            entered.append(
                {"experiment": epoch, "contact_id": contact, "arm": arm, "entered_at": at, "matures_at": at + 10 * DAY}
            )  # fmt: skip
            if place * buyers // number != (place + 1) * buyers // number:
                orders.append(
                    {"contact_id": contact, "name": "order", "entity_key": f"o{contact}", "kind": "counted",
                     "at": at + DAY, "number": 1, "value_minor": 1000}
                )  # fmt: skip
    with shop.database.write() as connection:
        for table, rows in ((t.contacts, known), (t.enrolments, entered), (t.outcomes, orders)):
            connection.execute(sa.insert(table), rows)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_daily_task_ends_a_variant_and_a_new_trial_has_all_again(database: Database) -> None:
    shop = a_race(database)
    enter(shop, [100, 400, 300, 300], [8, 32, 3, 40])
    assert shop.judge() == {"judged": 1, "ended:b": 1}
    first, second = shop.rows(t.experiments, measure=OFFER)
    assert (first.trial, second.trial, second.reason) == (1, 1, "ended")
    shares = dict(json.loads(second.arms))
    assert shares == pytest.approx({"held back": 0.1, "a": 0.495, "b": 0.0, "c": 0.405})
    (decision,) = shop.rows(t.decisions, verdict="variant")
    assert decision.action == "ended:b"
    (act,) = [json.loads(row.detail) for row in shop.rows(t.audit, action="measure.verdict")]
    assert act["reason"].startswith(
        "variants: held back 8.00 % of 100 people, a 8.00 % of 400 people, b 1.00 %"
    )
    (notice,) = shop.rows(t.notices)
    assert notice.kind == "verdict"
    shop.come(*(f"p{number}@shop.example" for number in range(40)))
    assert {row.variant for row in shop.rows(t.runs)} == {"a", "c"}
    shop.live(DAY)
    assert shop.judge() == {"judged": 1}, "once in a trial"
    other = shop.files[f"{OFFER}/measure.yaml"].replace("holdout: 10%", "holdout: 20%")
    shop.publish(shop.files | {f"{OFFER}/measure.yaml": other})
    newest = shop.rows(t.experiments, measure=OFFER)[-1]
    assert (newest.trial, dict(json.loads(newest.arms))["b"]) == (2, pytest.approx(0.24))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_best_by_far_stays_alone_and_the_report_says_so(database: Database) -> None:
    shop = a_race(database)
    assert [row["state"] for row in experiments.list_variants(shop.services)] == ["live", "live", "live"]
    enter(shop, [100, 400, 300, 300], [8, 4, 3, 90])
    assert shop.judge() == {"judged": 1, "won:c": 1}
    newest = shop.rows(t.experiments, measure=OFFER)[-1]
    assert dict(json.loads(newest.arms)) == pytest.approx({"held back": 0.1, "a": 0.0, "b": 0.0, "c": 0.9})
    rows = {row["variant"]: row for row in experiments.list_variants(shop.services, OFFER)}
    assert {name: row["state"] for name, row in rows.items()} == {"a": "ended", "b": "ended", "c": "won"}
    assert (rows["c"]["n"], rows["c"]["events"], rows["c"]["value"]) == (300, 90, 0.3)
    assert rows["c"]["share_percent"] == 90.0
    assert rows["a"]["high"] < 0, "against the variant with the greatest value"
    shop.come(*(f"p{number}@shop.example" for number in range(10)))
    assert {row.variant for row in shop.rows(t.runs)} == {"c"}


def advice(shop: Shop) -> dict[str, tuple[str, bool]]:
    """Return variant -> what the ladder advises, and whether that is final."""
    return {
        row["variant"]: (row["advice"], row["is_final"]) for row in experiments.list_offers(shop.services)
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_ladder_keeps_the_cheapest_that_is_not_shown_to_be_worse(database: Database) -> None:
    shop = a_race(database)
    enter(shop, [100, 400, 300, 300], [8, 4, 40, 42])
    held, a, b, c = experiments.list_offers(shop.services, OFFER)
    assert (held["step"], held["variant"], held["advice"], held["lift"]) == (0, "held back", "", None)
    assert (a["advice"], b["advice"], c["advice"]) == ("worse", "keep", "open")
    assert (b["value"], b["lift"]) == (pytest.approx(40 / 300), pytest.approx(40 / 300 - 0.08))
    assert not b["is_final"], "c may still be better by more than a point"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_ladder_keeps_none_that_is_worse_than_no_mail(database: Database) -> None:
    shop = a_race(database)
    enter(shop, [400, 400, 300, 300], [120, 4, 3, 3])
    assert advice(shop) == {
        "held back": ("", False),
        "a": ("worse", False),
        "b": ("worse", False),
        "c": ("worse", False),
    }

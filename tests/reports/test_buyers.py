"""Retention and the net promoter score of stored rows, worked by hand."""

from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.figures import buyers
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, HOUR, parse_iso
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, built


def shop_of(database: Database) -> Shop:
    files = a_folder({OFFER: a_measure()})
    files["playbook.yaml"] = files["playbook.yaml"].replace("brand: {", "brand: {nps_benchmark: 10, ")
    return Shop(database, loaded=built(files), files=files)


def store_orders(shop: Shop, orders: list[tuple[int, str, int]]) -> None:
    """Store (contact, day, number) as orders; a number of -1 takes the order of that contact and day back."""
    people = sorted({contact for contact, _, _ in orders})
    rows = [
        {
            "contact_id": contact,
            "name": "order",
            "entity_key": f"{contact}:{day}",
            "kind": "counted" if number > 0 else "reversed",
            "at": parse_iso(f"{day}T12:00:00Z") + (0 if number > 0 else HOUR),
            "number": number,
            "value_minor": 1000 * number,
            "currency": "EUR",
        }
        for contact, day, number in orders
    ]
    with shop.database.write() as connection:
        connection.execute(sa.insert(t.contacts), [shop.a_contact(contact) for contact in people])
        connection.execute(sa.insert(t.outcomes), rows)


def test_cohorts_count_people_who_bought_in_the_months_after_their_first(database: Database) -> None:
    shop = shop_of(database)
    orders = [(contact, "2025-11-30", 1) for contact in range(1, 61)]
    orders += [(contact, "2025-12-10", 1) for contact in range(1, 16)]
    # Twice in a month is one person; a cancelled order is none; an order of this month is not over.
    orders += [(1, "2025-12-20", 1), (20, "2025-12-10", 1), (20, "2025-12-10", -1), (30, "2026-03-01", 1)]
    orders += [(contact, "2026-01-05", 1) for contact in range(100, 130)]
    store_orders(shop, orders)
    found = buyers.retention(shop.services, since="2025-11-15", until="2026-02-28")
    november, january = found["cohorts"]
    assert (november["month"], november["people"]) == ("2025-11", 60)
    assert [share["value"] for share in november["months"]] == [0.25, 0.0, 0.0]
    assert (january["month"], january["people"], january["shown"], january["months"]) == (
        "2026-01",
        30,
        False,
        [],
    )
    assert (found["needs"], found["from"], found["to"]) == ("", "2025-11", "2026-02")
    second = found["second_order"]
    assert (second["people"], second["with_second"], second["shares"]) == (90, 15, {})


def test_the_first_instant_of_a_month_is_the_brands_own(database: Database) -> None:
    shop = shop_of(database)
    zone = shop.loaded.playbook.default_zone
    assert zone == "Europe/Berlin"
    store_orders(shop, [(1, "2026-01-31", 1)])
    with shop.database.write() as connection:
        connection.execute(sa.update(t.outcomes).values(at=parse_iso("2026-01-31T23:30:00Z")))
    found = buyers.retention(shop.services, since=None, until=None)
    assert [(row["month"], row["people"]) for row in found["cohorts"]] == [("2026-02", 1)]


def test_the_share_with_a_second_order_counts_the_others_as_not_yet(database: Database) -> None:
    shop = shop_of(database)
    # 20 of 40 buy again after 10 days; 10 more were seen for 20 days only: 20 / 50 by day 10.
    orders = [(contact, "2026-01-01", 1) for contact in range(1, 41)]
    orders += [(contact, "2026-01-11", 1) for contact in range(1, 21)]
    orders += [(contact, "2026-02-09", 1) for contact in range(50, 60)]
    store_orders(shop, orders)
    second = buyers.retention(shop.services, since=None, until=None)["second_order"]
    assert (second["people"], second["with_second"], second["median_days"]) == (50, 20, None)
    assert second["shares"]["30"]["value"] == pytest.approx(0.4)


def test_a_merged_person_is_one_buyer(database: Database) -> None:
    shop = shop_of(database)
    store_orders(shop, [(1, "2026-01-01", 1), (2, "2026-01-11", 1)])
    with shop.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == 2).values(survivor=1))
    found = buyers.retention(shop.services, since=None, until=None)
    assert [row["people"] for row in found["cohorts"]] == [1]
    assert found["second_order"]["with_second"] == 1


def test_reports_over_nothing_say_what_they_need(database: Database) -> None:
    shop = shop_of(database)
    found = buyers.retention(shop.services, since=None, until=None)
    assert (found["cohorts"], found["second_order"]["people"]) == ([], 0)
    assert "a cohort of 50 people" in found["needs"]
    assert "2026-04-01" in found["needs"]
    (row,) = buyers.nps(shop.services, since=None, until=None, survey=None)
    assert (row["answers"], row["nps"], row["answers_missing"], row["weeks_missing"]) == (0, None, 20, None)
    for months in ({"since": None, "until": "2026-03-01"}, {"since": "2026-03-01", "until": None}):
        with pytest.raises(InputError, match="is not over"):
            buyers.retention(shop.services, **months)


def test_the_newest_answer_of_each_person_counts(database: Database) -> None:
    shop = shop_of(database)
    for number in range(20):
        answer(shop, number, score="9" if number < 12 else 5)
    answer(shop, 0, score=3)
    answer(shop, 1, survey="csat", score=1)
    answer(shop, 2, score=11)
    answer(shop, 99, score=10, at=shop.now - 400 * DAY)
    shop.work()
    shop.clock.advance_to(shop.now + DAY)
    (row,) = buyers.nps(shop.services, since=None, until=None, survey=None)
    assert (row["survey"], row["answers"], row["promoters"], row["detractors"]) == ("nps", 19, 10, 9)
    assert (row["nps"], row["answers_missing"]) == (None, 1)
    answer(shop, 2, score=10)
    shop.work()
    shop.clock.advance_to(shop.now + HOUR)
    (row,) = buyers.nps(shop.services, since=None, until=None, survey=None)
    # 11 of 20 promote, 9 do not; (12 - 10) / 23 -+ 1.96 sqrt((22/23 - (2/23)^2) / 23)
    assert (row["nps"], row["low"], row["high"]) == (10.0, -31.1, 48.5)
    assert row["against_benchmark"] == "not told apart"
    (other,) = buyers.nps(shop.services, since=None, until=None, survey="csat")
    assert (other["survey"], other["answers"]) == ("csat", 1)


def answer(shop: Shop, number: int, *, score: Any, survey: str = "nps", **given: Any) -> None:
    who = f"p{number}@shop.example"
    shop.tell(who, "Survey Answered", survey=survey, score=score, **given)

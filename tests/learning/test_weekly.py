"""The weekly task: a model that the playbook names publishes its numbers, as a file of them would."""

from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.models import learn
from nurture.app.models.weekly import learn_weekly
from nurture.app.values import publish, show
from nurture.app.values.read_file import read_numbers
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, HOUR, WEEK
from tests.learning.rows import CUT, OrderRow, cdnow, draw
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, built

VALUES = """
values:
  risk: {of: contact, bands: {low: 0%, medium: 60%, high: 90%}, model: churn, horizon: 91d, refresh: 8d}
"""
#: So many of the real customers are enough.
PEOPLE = 14_000
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def a_shop(database: Database, values: str = VALUES) -> Shop:
    files = a_folder({OFFER: a_measure()})
    files["playbook.yaml"] += values
    return Shop(database, loaded=built(files), files=files)


def move_to(shop: Shop, rows: Iterable[OrderRow]) -> list[OrderRow]:
    """Return the rows with their instants moved so that the 52 weeks after the first order end now."""
    moved = shop.now - CUT - 13 * WEEK
    return [(person, key, at + moved, *rest) for person, key, at, *rest in rows if person < PEOPLE]  # type: ignore[misc]


def store(shop: Shop, rows: Iterable[OrderRow]) -> None:
    """Store people and their orders, those of the coming week as well: no model reads them before."""
    known = [row for row in rows if row[2] < shop.now + WEEK]
    people = sorted({person for person, *_ in known})
    orders = [
        {"contact_id": person, "name": "order", "entity_key": f"o{key}", "kind": "counted", "at": at,
         "number": number, "value_minor": amount, "currency": "EUR"}
        for person, key, at, _, number, amount in known
    ]  # fmt: skip
    with shop.database.write() as connection:
        connection.execute(sa.insert(t.contacts), [shop.a_contact(person) for person in people])
        connection.execute(sa.insert(t.outcomes), orders)


def runs(shop: Shop) -> list[tuple[str, int | None]]:
    return [(row.result, row.version) for row in shop.rows(t.model_runs)]


def numbers(shop: Shop) -> dict[int, int | None]:
    return {row.contact_id: row.number for row in shop.rows(t.contact_values)}


def test_a_model_publishes_once_a_week_and_bands_follow(database: Database) -> None:
    shop = a_shop(database)
    rows = move_to(shop, cdnow())
    store(shop, rows)
    assert dict(learn_weekly(shop.services)) | {} == {"learnt": 1, "published": 1}
    assert dict(learn_weekly(shop.services)) == {}, "once a week"
    shown = show.show(shop.services, "risk")
    assert (shown["model"], shown["version"], shown["by"], shown["late"]) == ("churn", 1, "model:churn", "no")
    learnt = shown["learnt"]
    assert (learnt["result"], learnt["rule"]) == ("published", "model")
    assert learnt["back_test"]["all"]["area"] > learnt["back_test"]["all"]["area_recency"]
    assert sum(shown["people"].values()) == len(numbers(shop)) == learnt["people"]
    # The report says the same numbers.
    report = learn.report(shop.services, "churn", to=None, weeks=None, who=None, top=3)
    for row in report["contacts"]:
        assert numbers(shop)[row["contact"]] == pytest.approx(1e6 * row["number"], abs=1)
        assert {language: len(words) for language, words in row["reasons"].items()} == {"en": 3, "zh-CN": 3}
    _orders_of_one_are_cancelled_and_one_is_erased(shop, rows)


def _orders_of_one_are_cancelled_and_one_is_erased(shop: Shop, rows: list[OrderRow]) -> None:
    """A week later the next version takes one number back, and says nothing of a person who is erased."""
    first, second = sorted(numbers(shop))[:2]
    taken_back = [
        (person, key, shop.now, False, -1, -amount)
        for person, key, _, _, _, amount in rows
        if person == first
    ]
    shop.clock.advance_to(shop.now + WEEK)
    with shop.database.write() as connection:
        for person, key, at, *_, amount in taken_back:
            connection.execute(
                sa.insert(t.outcomes).values(
                    contact_id=person, name="order", entity_key=f"o{key}", kind="reversed", at=at, number=-1,
                    value_minor=amount, currency="EUR",
                )
            )  # fmt: skip
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == second).values(erased_at=shop.now))
        connection.execute(sa.delete(t.contact_values).where(t.contact_values.c.contact_id == second))
    assert learn_weekly(shop.services)["published"] == 1
    assert runs(shop) == [("published", 1), ("published", 2)]
    assert numbers(shop)[first] is None
    assert second not in numbers(shop)


def test_a_refusal_is_written_down_and_publishes_nothing(database: Database) -> None:
    shop = a_shop(database)
    assert dict(learn_weekly(shop.services)) == {"learnt": 1, "needs": 1}
    assert show.show(shop.services, "risk")["learnt"]["reason"] == "nobody has ordered yet"
    assert [line for line in show.find_late(shop.services) if "nurture values show risk" in line]
    assert shop.rows(t.value_versions) == []


def test_numbers_of_before_are_kept_where_the_model_is_no_better(database: Database) -> None:
    """People who bought last buy next, exactly: recency is the best rule."""
    shop = a_shop(database)
    rows = by_recency(shop)
    store(shop, rows)
    assert dict(learn_weekly(shop.services)) == {"learnt": 1, "published": 1}, "the first numbers, by recency"
    assert show.show(shop.services, "risk")["learnt"]["rule"] == "recency"
    shop.clock.advance_to(shop.now + WEEK)
    counts = learn_weekly(shop.services)
    assert (counts["published"], counts["kept"]) in {(0, 1), (1, 0)}
    assert runs(shop)[0] == ("published", 1)


def by_recency(shop: Shop) -> list[OrderRow]:
    """Return people who bought at random times; those who bought last in each period buy again in the next."""
    first = shop.now - 39 * WEEK
    rows: list[OrderRow] = []
    last: dict[int, int] = {}
    key = 0

    def buy(person: int, at: int) -> None:
        nonlocal key
        rows.append((person, key, at, True, 1, 1_000))
        last[person] = at
        key += 1

    for person in range(1, 1_201):
        buy(person, first + int(draw("first", person) * 90 * 24) * HOUR)
    for period in (1, 2):
        newest = sorted(last, key=lambda person: (-last[person], person))[:400]
        for place, person in enumerate(newest):
            buy(person, first + period * 13 * WEEK + (90 * DAY) * (place + 1) // 401)
    return rows


def test_a_value_with_a_model_takes_no_numbers_by_hand(database: Database, tmp_path: Any) -> None:
    shop = a_shop(database)
    file = tmp_path / "numbers.csv"
    file.write_text("name,key,value\nrisk,contact:1,0.5\n", encoding="utf-8")
    with database.read() as connection:
        playbook = shop.services.playbooks.active(connection).playbook
    read = read_numbers(file, playbook, name=None)
    assert list(read.by_reason) == [
        "it is computed by model churn; to hand numbers in, take `model` out of the playbook"
    ]
    with pytest.raises(InputError, match="computed by model churn"):
        publish.read(shop.services, file, name="risk")


def test_events_of_leads_are_read_as_they_were_known(database: Database) -> None:
    shop = a_shop(database, VALUES.replace("model: churn, horizon: 91d", "model: score"))
    shop.tell("ada@shop.example", "Page Viewed")
    shop.work()
    report = learn.report(shop.services, "score", to=None, weeks=None, who=None, top=3)
    assert report["refused"] == "needs"
    assert "there are figures from" in report["reason"]

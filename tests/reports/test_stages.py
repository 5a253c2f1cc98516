"""`report stages`: stays and moves of real rows, worked by hand; who stays longer than usual, and what is for them."""

from typing import Any

import pytest

from nurture.app import reports
from nurture.consent import record
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY
from nurture.journey import erasure
from nurture.reports.journeys.stage_queries import StayRow, load_stays
from tests.measurement.shop import Shop, a_shop


def stays(shop: Shop, *, ago: int = 0) -> set[StayRow]:
    with shop.database.read() as connection:
        return set(load_stays(connection, until=shop.now - ago))


def number_of(shop: Shop, who: str) -> int:
    with shop.database.read() as connection:
        return resolve_contact(connection, who)


def leave_all(shop: Shop, who: str) -> None:
    """Let a person unsubscribe from every topic."""
    given: dict[str, Any] = {"source": "web", "evidence": {}, "now": shop.now}
    key, person = shop.services.settings.suppression_secret, number_of(shop, who)
    shop.database.run(
        lambda c: record.unsubscribe(c, contact_id=person, topic=None, suppression_key=key, **given)
    )


def stage(shop: Shop, name: str, **asked: Any) -> dict[str, Any]:
    report = reports.stages(shop.services, **asked)
    return next(row for row in report.stages_with_moves() if row["stage"] == name)


def test_stays_end_by_the_next_stage_by_unsubscribing_and_by_erasure(database: Database) -> None:
    shop = a_shop(database)
    for who in ("ann", "ben", "cem", "dee"):
        shop.tell(f"{who}@shop.example", "Page Viewed")
    shop.work()
    shop.live(3 * DAY)
    shop.buy("ann@shop.example", "o-1")
    shop.live(2 * DAY)
    leave_all(shop, "ben@shop.example")
    key = shop.services.settings.suppression_secret
    shop.database.run(
        lambda c: erasure.stop_mail(
            c, number_of(shop, "cem@shop.example"), now=shop.now, actor="ann", suppression_key=key
        )
    )
    shop.live(2 * DAY)
    first = {row.stage for row in stays(shop) if row.next == "excite"}.pop()
    assert stays(shop) == {
        StayRow(first, "excite", 3, 1),
        StayRow(first, "unsubscribed", 5, 1),
        StayRow(first, "erased", 5, 1),
        StayRow(first, "", 7, 1),
        StayRow("excite", "", 4, 1),
    }
    # As it stood six days ago nobody had left.
    assert stays(shop, ago=6 * DAY) == {StayRow(first, "", 1, 4)}
    row = stage(shop, first)
    assert (row["people"], row["stays"], row["ended"], row["moves"]) == (2, 4, 3, {"excite": 1})
    assert row["on"]["value"] == pytest.approx(0.25)
    assert row["unsubscribed"]["value"] == pytest.approx(0.25)
    assert (row["usual_days"], row["ended_missing"]) == (None, 17)


def test_people_who_stay_longer_than_nine_of_ten_are_listed_with_what_is_for_them(
    database: Database,
) -> None:
    shop = a_shop(database)
    people = [f"p{number}@shop.example" for number in range(22)]
    for who in people:
        shop.tell(who, "Page Viewed")
    shop.work()
    shop.live(2 * DAY)
    for number, who in enumerate(people[:20]):
        shop.buy(who, f"o-{number}")
    shop.live(DAY)
    first = reports.stages(shop.services).stages[0]
    assert (first["people"], first["usual_days"], first["stalled"]) == (2, 2, 2)
    leave_all(shop, people[20])
    report = reports.stages(shop.services, stalled=5)
    assert report.stages[0]["stalled"] == 1
    (late,) = report.stalled
    assert (late["email"], late["days"], late["addressed_by"]) == (people[21], 3, [])


def test_days_that_have_not_begun_are_refused(database: Database) -> None:
    shop = a_shop(database)
    assert reports.stages(shop.services).stages == []
    with pytest.raises(InputError, match="has not begun"):
        reports.stages(shop.services, since="2090-01-01")

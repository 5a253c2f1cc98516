"""The day table: each change of a mail counts on its own day of the brand's zone, however it is read and folded."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from nurture.app import reports
from nurture.database import schema as t
from nurture.database.day_counts import fold_changes
from nurture.database.engine import Database
from nurture.domain.errors import InputError
from nurture.domain.instant import DAY, HOUR, parse_iso
from nurture.journey import erasure, merge
from nurture.ledger.queries import settle_message
from nurture.reports.day_table import ALL_DAYS, Days, sum_people
from nurture.reports.day_table_faults import find_faults
from tests.measurement.shop import OFFER, Shop, a_folder, a_measure, a_shop, built
from tests.playbook.builder import a_mail, a_text

ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROOT: Final = Path(__file__).parents[2]
PEOPLE = [f"p{number}@shop.example" for number in range(8)]
ZONE = "Europe/Berlin"
LEVEL = '{event: Order Completed, within: 7d, expect: "2%"}'


def counts(shop: Shop, since: str | None = None, until: str | None = None) -> dict[str, Any]:
    """Return what is not zero in the row of the offer."""
    (row,) = (
        row for row in reports.measures(shop.services, since=since, until=until) if row["measure"] == OFFER
    )
    names = ("planned", "sent", "skipped", "cancelled", "failed", "waiting", "balanced")
    return {name: row[name] for name in names if row[name]}


def fold(shop: Shop, limit: int = 1000) -> int:
    return shop.database.run(lambda c: fold_changes(c, zone=ZONE, now=shop.now, limit=limit))


def faults(shop: Shop) -> list[str]:
    with shop.database.read() as connection:
        return list(find_faults(connection, zone=ZONE, now=shop.now))


def living(shop: Shop) -> int:
    """Return how many people stand at a stage by the day table."""
    with shop.database.read() as connection:
        return sum(sum_people(connection, ALL_DAYS).values())


def test_a_change_counts_on_its_own_day_before_and_after_it_is_folded(database: Database) -> None:
    shop = a_shop(database, holdout="0%", metric=LEVEL)
    shop.until(parse_iso("2026-03-03T11:00:00Z"))
    shop.come(*PEOPLE[:3])
    # Half past midnight in Berlin.
    shop.until(parse_iso("2026-03-03T23:30:00Z"))
    mail = shop.rows(t.messages, status="sent", measure=OFFER)[0]
    shop.database.run(
        lambda c: settle_message(c, mail.id, status="failed", reason="hard_bounce", now=shop.now)
    )
    for _ in range(2):
        assert counts(shop) == {"planned": 3, "sent": 2, "failed": 1, "balanced": True}
        assert counts(shop, until="2026-03-03") == {"planned": 3, "sent": 3, "balanced": True}
        assert counts(shop, since="2026-03-04") == {"sent": -1, "failed": 1, "balanced": True}
        assert counts(shop, "2026-03-03", "2026-03-04") == counts(shop)
        assert faults(shop) == []
        fold(shop)
    assert shop.rows(t.mail_changes) == []
    days = {row.day for row in shop.rows(t.mail_days)}
    assert days == {"2026-03-03", "2026-03-04"}


def test_folding_in_parts_and_twice_adds_each_change_once(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    shop.live(2 * HOUR)
    before = counts(shop)
    folded = 0
    while number := fold(shop, limit=1):
        folded += number
        assert counts(shop) == before
    assert folded > 4
    shop.live(DAY)
    shop.come("late@shop.example")
    after = counts(shop)
    fold(shop)
    assert counts(shop) == after
    assert faults(shop) == []


@ONE_KIND
def test_a_mail_counts_under_the_variant_of_its_run(database: Database) -> None:
    files = a_folder({OFFER: a_measure(holdout="0%", metric=LEVEL, variants="{a: 50, b: 50}")})
    for ending, text in (("mjml", a_mail("en", body="Another.")), ("txt", a_text("en", body="Another."))):
        files[f"{OFFER}/offer@b.en.{ending}"] = text
    shop = Shop(database, loaded=built(files), files=files)
    shop.come(*PEOPLE)
    arms = {row.variant for row in shop.rows(t.runs, measure=OFFER)}
    assert arms == {"a", "b"}
    assert {row.variant for row in shop.rows(t.mail_changes, measure=OFFER)} == arms
    assert faults(shop) == []


@ONE_KIND
def test_people_count_at_one_stage_through_merge_parting_and_erasure(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    shop.buy(PEOPLE[0], "o-1")
    assert faults(shop) == []
    with shop.database.read() as connection:
        people = sum_people(connection, ALL_DAYS)
        assert sum(people.values()) == len(PEOPLE)
        assert sum(count for (track, _), count in people.items() if track == "customer") == 1
        assert sum_people(connection, Days(ZONE, first="2040-01-01")) == {}
    playbook, key = shop.loaded.playbook, shop.services.settings.suppression_secret
    shop.database.run(lambda c: merge.merge(c, 1, 2, now=shop.now, playbook=playbook, evidence={}))
    assert (living(shop), faults(shop)) == (len(PEOPLE) - 1, [])
    parted = next(row.id for row in shop.rows(t.contacts) if row.survivor is not None)
    shop.database.run(lambda c: merge.unmerge(c, parted, now=shop.now, playbook=playbook))
    assert (living(shop), faults(shop)) == (len(PEOPLE), [])
    shop.database.run(lambda c: erasure.stop_mail(c, parted, now=shop.now, actor="ann", suppression_key=key))
    assert (living(shop), faults(shop)) == (len(PEOPLE) - 1, [])


@ONE_KIND
def test_missing_counts_are_named_and_added_once(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    true = counts(shop)
    # As a process of the release before would do, that knows nothing of the table.
    shop.database.run(lambda c: c.execute(sa.delete(t.mail_changes).where(t.mail_changes.c.status == "sent")))
    assert not counts(shop).get("balanced")
    assert "more in the ledger than in the day table" in faults(shop)[0]
    assert reports.correct_counts(shop.services, actor="ann") > 0
    assert counts(shop) == true
    assert reports.verify_counts(shop.services) == []
    assert reports.correct_counts(shop.services, actor="ann") == 0
    assert [row.action for row in shop.rows(t.audit)].count("counts.correct") == 1


@ONE_KIND
def test_days_of_another_zone_are_not_compared(database: Database) -> None:
    shop = a_shop(database)
    shop.come(*PEOPLE)
    fold(shop)
    shop.live(DAY)
    shop.database.run(lambda c: fold_changes(c, zone="Asia/Tokyo", now=shop.now))
    with shop.database.read() as connection:
        assert list(find_faults(connection, zone="Asia/Tokyo", now=shop.now)) == []


@ONE_KIND
@pytest.mark.parametrize(
    ("since", "until", "words"),
    [("1.3.2026", None, "--from 1.3.2026: write a day"), ("2026-03-02", "2026-03-01", "is before")],
)
def test_text_that_is_no_day_is_refused(
    database: Database, since: str | None, until: str | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        reports.measures(a_shop(database).services, since=since, until=until)


def test_every_module_that_changes_mails_counts_them_or_leaves_their_status() -> None:
    changing = re.compile(r"update\(\s*(connection,\s*)?(t\.)?messages\b|insert_statement\([^)]*messages")
    uncounted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nurture").rglob("*.py")
        if changing.search(text := path.read_text("utf-8")) and "count_mails(" not in text
    }
    # Both set when a mail is due, or blank its content.
    assert uncounted == {"nurture/app/sends/queries.py", "nurture/journey/retention.py"}

"""The doctor reports when too many of the past week's mails were reported as spam, and names the measure."""

import pytest
import sqlalchemy as sa

from nurture.app.complaints import find_excess
from nurture.database.engine import Database
from nurture.database.schema import feedback, messages
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import DAY, FOREVER, HOUR

NOW = 1_000 * DAY
_OFFER, _NEWS, _RECEIPT = "customer/any/offer", "lead/any/news", "any/any/receipt"


def fill(database: Database, counts: dict[str, int], *, days_ago: int = 1) -> None:
    """Store so many mails of each measure, sent that long ago; their ids go on from 1 in the order given."""
    common = {"run_key": "", "step": "s", "mail": "m", "lane": "main", "priority": 0, "holdout": False}
    common |= {"status": "sent", "decided_at": 0, "due_at": 0, "valid_until": FOREVER}
    rows = [
        {
            **common,
            "measure": measure,
            "track": measure.partition("/")[0],
            "purpose": "transactional" if measure == _RECEIPT else "nurture",
            "sent_at": NOW - days_ago * DAY,
        }
        for measure, count in counts.items()
        for _ in range(count)
    ]
    with database.write() as connection:
        numbered = [row | {"contact_id": number} for number, row in enumerate(rows, 1)]
        connection.execute(sa.insert(messages), numbered)


def complain(database: Database, *numbers: int, provider: str = "ses") -> None:
    """Report these mails as spam."""
    common = {"provider": provider, "kind": "complaint", "at": NOW - HOUR, "raw": "", "applied_at": NOW}
    rows = [common | {"event_id": str(number), "message_id": number} for number in numbers]
    with database.write() as connection:
        connection.execute(sa.insert(feedback), rows)


def found(database: Database) -> list[str]:
    with database.read() as connection:
        return list(find_excess(connection, MeasureNames({}), now=NOW))


@pytest.mark.parametrize(
    ("complained", "says", "most"),
    [
        ([1, 2_000], "0.10%: providers ask for less than 0.1 %", _OFFER),
        ([1, 1_996, 1_997, 1_998, 1_999, 2_000], "0.30%: providers refuse such senders", _NEWS),
    ],
)
def test_it_warns_from_a_tenth_of_a_percent_on(
    database: Database, complained: list[int], says: str, most: str
) -> None:
    fill(database, {_OFFER: 1_500, _NEWS: 500})
    complain(database, *complained)
    (line,) = found(database)
    assert line.startswith(
        f"{len(complained)} of the 2000 mails of the past 7 days were reported as spam, {says}"
    )
    assert f"`nurture pause {most}`" in line


def test_one_complaint_of_two_thousand_mails_is_below_it(database: Database) -> None:
    fill(database, {_OFFER: 2_000})
    complain(database, 1)
    assert found(database) == []


def test_one_mail_counts_once_whoever_reports_it(database: Database) -> None:
    fill(database, {_OFFER: 2_000})
    complain(database, 1)
    complain(database, 1, provider="arf")
    assert found(database) == []


def test_receipts_a_few_mails_and_last_months_say_nothing(database: Database) -> None:
    fill(database, {_OFFER: 999, _RECEIPT: 1_000})
    complain(database, 1, 2, 3, 4, 5, 1_500, 1_501)
    assert found(database) == []


def test_complaints_about_mails_older_than_a_week_do_not_count(database: Database) -> None:
    fill(database, {_OFFER: 2_000}, days_ago=8)
    complain(database, *range(1, 50))
    assert found(database) == []

"""The doctor names topics and currencies that the playbook does not have, and refunds that may be one."""

from typing import Any

import sqlalchemy as sa

from nurture.database.engine import Database
from nurture.database.schema import contacts
from nurture.domain.contact import Contact
from nurture.reports.doubtful_values import AMOUNTS, TOPICS, find_doubtful_values
from tests.domain.entities.shop import DAY, HOUR, after, happened, order


def found(database: Database, *people: Contact) -> list[str]:
    rows = [
        {
            "id": number,
            "track": contact.track,
            "stage": contact.stage,
            "facts": contact.facts,
            **dict.fromkeys(("track_since", "stage_since", "first_seen_at", "clock"), 0),
        }
        for number, contact in enumerate(people, 1)
    ]
    with database.write() as connection:
        connection.execute(sa.delete(contacts))
        connection.execute(sa.insert(contacts), rows)
        return list(find_doubtful_values(connection, {**AMOUNTS, **TOPICS}))


def test_currencies_that_are_not_named_are_listed(database: Database) -> None:
    assert found(database, after(order("A", 5, currency="EUR"))) == []
    people = [after(order("A", 5, currency="JPY"), order("B", 5, currency="USD"))] * 7
    first, *_, last = found(database, *people)
    assert first == (
        "contact:7: amounts in JPY, USD are added to nothing; name the currency in brand.currencies"
    )
    assert last == "2 more contacts have such values"


def test_equal_refunds_without_a_key_are_listed(database: Database) -> None:
    def refunds(between: int, **given: Any) -> Contact:
        both = [happened("Order Refunded", n * between, order_id="A", total=40, **given) for n in (1, 2)]
        return after(order("A"), *both)

    (line,) = found(database, refunds(HOUR), refunds(2 * DAY), refunds(HOUR, refund_id="r1"))
    assert line == (
        "contact:1: two equal refunds of A within a day; give refunds a key, so that one told twice counts once"
    )


def test_unknown_topics_are_listed(database: Database) -> None:
    known = [happened("Consent Given", topic=topic) for topic in (" news ", "NEWS")]
    assert found(database, after(*known), after(happened("Consent Withdrawn", topic="sports"))) == []
    unknown = [happened("Consent Given", topic=topic) for topic in ("Sports", None, " sports")]
    assert found(database, after(*unknown, *known)) == [
        "contact:1: consent to (none), sports grants nothing; tell a topic of the playbook, or declare this one there"
    ]

"""Exports: plain columns in people's units, safe in a spreadsheet, read back as they were."""

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.files.exports import export
from nurture.app.files.tabular import escape_cell
from nurture.app.services import Services
from nurture.consent.record import Suppression, suppress_addresses
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.cells.texts import without_apostrophe
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, to_iso
from nurture.journey.drain import drain
from nurture.playbook import FixedPlaybook, rebuild
from nurture.runtime.clock import ManualClock
from tests.web.live import FILES, NOW, a_service

MONEY = (
    FILES["playbook.yaml"]
    .replace(
        "facts: {orders: {count: Order Completed}}",
        "entities: {order: {key: order_id, of: Order Completed, counts_from: Order Completed, amount: revenue}}\n"
        "facts: {orders: {count: order}, spent: {sum: amount, of: order}, last_order_at: {last: order}}",
    )
    .replace("brand: {", "brand: {currency: EUR, ")
)


@pytest.fixture
def services(sqlite_database: Database) -> Services:
    services = a_service(sqlite_database, clock=ManualClock(NOW))
    return replace(services, playbooks=FixedPlaybook(rebuild({**FILES, "playbook.yaml": MONEY}, id_=1)))


def take(services: Services, *events: tuple[str, str, dict[str, Any]], hint: bool = False) -> None:
    """Apply events: address, name, properties."""
    new = [
        NewEvent(
            source="shop",
            message_id=f"{address}:{name}:{json.dumps(properties)}",
            kind="track",
            name=name,
            occurred_at=NOW - DAY,
            received_at=NOW,
            identities=(Identity("user_id", f"u-{address}"), Identity("email", f"{address}@example.com")),
            properties=properties,
            hint=hint,
        )
        for address, name, properties in events
    ]
    services.database.run(lambda connection: accept(connection, new))
    while drain(services.database, shard=None, clock=services.clock, playbooks=services.playbooks)["applied"]:
        pass


def rows(services: Services, noun: Any = "contacts", **given: Any) -> list[dict[str, str]]:
    stream = io.StringIO()
    arguments = {"expression": None, "kind": "csv", "actor": "ann", **given}
    export(services, noun, stream, **arguments)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_a_contact_is_a_row_of_plain_columns(services: Services) -> None:
    take(
        services,
        ("ada", "Order Completed", {"order_id": "1", "revenue": 89, "currency": "EUR"}),
        ("ada", "Consent Given", {"topic": "offers"}),
        ("bo", "Consent Withdrawn", {"topic": "*"}),
    )
    key = services.settings.suppression_secret
    stop = Suppression("bo@example.com", "marketing", "complaint")
    services.database.run(lambda c: suppress_addresses(c, [stop], now=NOW, source="ops", suppression_key=key))
    ada, bo = rows(services, facts=["spent", "last_order_at"])
    assert (ada["email"], ada["user_id"], ada["track"]) == ("ada@example.com", "u-ada", "customer")
    assert (ada["spent"], ada["last_order_at"]) == ("89.00 EUR", "2026-05-03T14:00:00+02:00")
    assert (ada["consent_offers"], ada["consent_offers_at"]) == ("pending", "2026-05-03T14:00:00+02:00")
    assert (ada["consent_offers_source"], ada["consent_news"]) == ("event:shop", "")
    assert (bo["consent_news"], bo["consent_offers"]) == ("withdrawn", "withdrawn")
    assert (bo["suppressed"], ada["suppressed"]) == ("marketing: complaint", "")
    assert (bo["spent"], bo["last_order_at"]) == ("0.00 EUR", "")
    assert [row["email"] for row in rows(services, expression="orders >= 1")] == ["ada@example.com"]
    (row, _) = rows(services, "suppressions") * 2
    assert (row["address"], row["reason"]) == ("bo@example.com", "complaint")


def test_the_consent_of_a_merged_contact_counts(services: Services) -> None:
    take(services, ("ada", "Page Viewed", {}), ("old", "Consent Withdrawn", {"topic": "news"}))
    with services.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == 2).values(survivor=1))
        connection.execute(sa.insert(t.merges).values(survivor=1, merged=2, at=NOW, evidence="{}"))
    (ada,) = rows(services)
    assert ada["consent_news"] == "withdrawn"


def test_times_are_written_for_people_in_csv_and_for_programs_in_json_lines(services: Services) -> None:
    at = NOW - DAY + 123_456
    event = NewEvent(
        source="shop",
        message_id="m1",
        kind="track",
        name="Said",
        occurred_at=at,
        received_at=at,
        identities=(Identity("email", "ada@example.com"),),
    )
    services.database.run(lambda connection: accept(connection, [event]))
    drain(services.database, shard=None, clock=services.clock, playbooks=services.playbooks)
    (row,) = rows(services, "events")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", row["occurred_at"]), row
    stream = io.StringIO()
    export(services, "events", stream, expression=None, kind="jsonl", actor="ann")
    assert json.loads(stream.getvalue())["occurred_at"] == to_iso(at)


def test_an_unknown_fact_is_named_with_its_neighbours(services: Services) -> None:
    with pytest.raises(InputError, match="--facts spend: the playbook has no such fact; did you mean spent"):
        rows(services, facts=["spend"])
    with pytest.raises(InputError, match="--facts belongs to contacts"):
        rows(services, "events", facts=["spent"])
    with pytest.raises(InputError, match="leave --audience out"):
        rows(services, "suppressions", expression="True")


def test_a_page_takes_the_same_number_of_statements_however_long_it_is(services: Services) -> None:
    def statements(people: int) -> int:
        take(services, *[(f"p{people}-{number}", "Page Viewed", {}) for number in range(people)])
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            seen.append(statement)

        sa.event.listen(services.database.reader, "before_cursor_execute", note)
        rows(services)
        sa.event.remove(services.database.reader, "before_cursor_execute", note)
        return len(seen)

    assert statements(1) == statements(30)


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30", "-5", "@x", "\t=1", "\uff1d1", "plain", "it's", "'t Hart"]
)
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    assert without_apostrophe(str(escape_cell(text))) == text

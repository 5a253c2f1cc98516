"""Consent as an append-only ledger with source and evidence; no file takes back a withdrawal."""

import csv
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.importing import ImportOptions, import_file
from nurture.consent.load_permissions import load_permissions
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.consent.permissions import ConsentState, state_for_topic
from nurture.domain.instant import DAY, HOUR, SECOND, to_iso
from tests.scenarios.world import MONDAY, World

ADA = "ada@example.com"


def ledger(world: World) -> list[Any]:
    with world.database.read() as connection:
        return list(connection.execute(sa.select(t.consents).order_by(t.consents.c.id)))


def state(world: World, topic: str, who: str = ADA) -> ConsentState | None:
    with world.database.read() as connection:
        person = resolve_contact(connection, who)
        return state_for_topic(load_permissions(connection, [person])[person].consents, topic)


def import_lines(
    world: World, folder: Path, kind: str, *lines: dict[str, str], historic: bool = False
) -> None:
    """Import lines as a CSV file."""
    path = folder / f"{kind}-{len(list(folder.iterdir()))}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    options = ImportOptions(kind=kind, historic=historic)  # type: ignore[arg-type]
    import_file(world.services, path, options, actor="cli:test")
    world.work()


def test_a_consent_from_an_application_is_stored_with_source_time_and_evidence(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", at=MONDAY - HOUR, topic="reminders")
    world.work()
    (row,) = ledger(world)
    assert (row.topic, row.state, row.at, row.source) == ("reminders", "granted", MONDAY - HOUR, "event:test")
    assert (row.purpose, row.wording) == ("marketing", "")
    assert decode(row.evidence)["name"] == "Consent Given"


def test_a_double_opt_in_topic_is_only_pending_until_its_link_is_followed(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", topic="news")
    world.live(DAY)
    assert state(world, "news") == "pending"
    assert [name for _, name in world.mails(ADA)] == ["any/confirm_subscription/confirm"]


@pytest.mark.parametrize("topic", ["reminders", "*"])
def test_a_contact_file_adds_evidence_and_never_resurrects(
    database: Database, tmp_path: Path, topic: str
) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", topic="reminders")
    world.tell(ADA, "Consent Withdrawn", topic=topic)
    world.work()
    world.live(HOUR)
    import_lines(world, tmp_path, "contacts", {
        "email": ADA, "consent_reminders": "granted", "consent_surveys": "granted",
        "consent_at": to_iso(world.now), "consent_source": "a stall",
    })  # fmt: skip
    assert state(world, "reminders") == "withdrawn"
    # A topic that was never withdrawn is added with its source.
    assert state(world, "surveys") == ("granted" if topic == "reminders" else "withdrawn")
    added = [decode(row.evidence) for row in ledger(world) if row.source == "import"]
    assert [evidence["source"] for evidence in added] == (["a stall"] if topic == "reminders" else [])


def test_an_event_file_never_resurrects_either(database: Database, tmp_path: Path) -> None:
    world = World(database)
    world.tell(ADA, "Consent Withdrawn", topic="reminders")
    world.work()
    world.live(HOUR)
    line = {"email": ADA, "event": "Consent Given", "topic": "reminders", "timestamp": to_iso(world.now)}
    import_lines(world, tmp_path, "events", line)
    import_lines(world, tmp_path, "events", {**line, "topic": "surveys"}, historic=True)
    assert state(world, "reminders") == "withdrawn"
    assert state(world, "surveys") == "granted"
    # A withdrawal in a file counts, also after a grant.
    import_lines(world, tmp_path, "events", {**line, "event": "Consent Withdrawn", "topic": "surveys",
                                      "timestamp": to_iso(world.now + HOUR)})  # fmt: skip
    assert state(world, "surveys") == "withdrawn"


def test_a_withdrawal_and_an_import_in_one_batch_stay_withdrawn(database: Database, tmp_path: Path) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", at=MONDAY - HOUR, topic="reminders")
    world.work()
    world.live(HOUR)
    # Neither is applied before the other is accepted.
    world.tell(ADA, "Consent Withdrawn", topic="reminders")
    world.live(30 * SECOND)
    line = {"email": ADA, "event": "Consent Given", "topic": "reminders", "timestamp": to_iso(world.now)}
    import_lines(world, tmp_path, "events", line)
    assert state(world, "reminders") == "withdrawn"


def test_a_late_withdrawal_stops_what_a_file_had_granted_with_a_newer_date(
    database: Database, tmp_path: Path
) -> None:
    world = World(database)
    import_lines(world, tmp_path, "contacts", {
        "email": ADA, "consent_reminders": "granted", "consent_at": to_iso(world.now), "consent_source": "a stall",
    })  # fmt: skip
    assert state(world, "reminders") == "granted"
    world.tell(ADA, "Unsubscribed", at=MONDAY - DAY, topic="reminders")
    world.work()
    assert state(world, "reminders") == "withdrawn"


def test_an_undated_word_of_a_file_is_older_than_all_others(database: Database, tmp_path: Path) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", at=MONDAY - DAY, topic="reminders")
    world.work()
    import_lines(
        world, tmp_path, "contacts", {"email": ADA, "consent_reminders": "withdrawn", "consent_at": ""}
    )
    assert state(world, "reminders") == "granted"
    import_lines(world, tmp_path, "contacts", {"email": ADA, "consent_reminders": "withdrawn",
                                               "consent_at": to_iso(MONDAY - HOUR)})  # fmt: skip
    assert state(world, "reminders") == "withdrawn"


def test_the_ledger_is_only_ever_added_to(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Consent Given", topic="reminders")
    world.work()
    before = ledger(world)
    world.live(HOUR)
    world.tell(ADA, "Consent Withdrawn", topic="reminders")
    world.work()
    assert ledger(world)[: len(before)] == before
    assert [row.state for row in ledger(world)] == ["granted", "withdrawn"]


def test_receipts_are_sent_without_consent_and_after_every_withdrawal(database: Database) -> None:
    world = World(database)
    world.tell(ADA, "Consent Withdrawn", topic="*")
    world.tell(ADA, "Order Completed", order_id="o-1", revenue=20, currency="EUR",
               products=[{"product_id": "p1", "name": "Guji", "price": 20, "quantity": 1}])  # fmt: skip
    world.live(30 * DAY)
    purposes = {name for _, name in world.mails(ADA)}
    assert "customer/any/order_confirmation/receipt" in purposes
    with world.database.read() as connection:
        sent = connection.scalars(sa.select(t.messages.c.purpose).where(t.messages.c.status == "sent"))
        assert set(sent) <= {"transactional", "service"}

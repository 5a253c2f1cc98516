"""Erasure: nothing that names the person is left anywhere, the figures stay, and nobody mails them again."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import doctor, privacy
from nurture.consent.record import address_hash
from nurture.contacts.queries import resolve_contact
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim_queries import conservation
from nurture.domain.errors import NotFoundError
from nurture.domain.event import Identity
from nurture.domain.feedback import Report
from nurture.domain.instant import DAY
from nurture.feedback import record
from nurture.journey.personal_data import IMPERSONAL, PERSONAL
from tests.privacy.people import ADDRESS, KEY, OTHER, USER, Living, lived

#: Tests that do not depend on the database run on one.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: Tables of which a person's rows are numbers and instants only.
NUMBERS = {"exposures", "erasures", "dialogues", "suppression_reasons"}


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Living:
    return lived(database, tmp_path)


def rows(database: Database, table: sa.Table, *where: Any) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table).where(*where)))


def test_every_table_is_named_personal_or_not() -> None:
    assert sorted([*PERSONAL, *IMPERSONAL]) == sorted(t.metadata.tables)


def test_nothing_that_names_the_person_is_left(world: Living) -> None:
    plant(world.database, world.services.clock.now())
    number = who(world)
    touched = {place for place in world.traces() if place in t.metadata.tables}
    held = {name for name, kind in PERSONAL.items() if kind.found_by != "hash"} - NUMBERS
    assert touched == held, "a table with personal data that this history does not reach proves nothing"
    done = privacy.erase_contact(world.services, ADDRESS, actor="test")
    assert world.traces() == {}
    assert (done["contact"], done["finished"], done["already"]) == (number, True, False)
    assert done["mailbox_files"] > 0
    world.live(40 * DAY)
    assert world.traces() == {}


def test_the_figures_stay(world: Living) -> None:
    with world.database.read() as connection:
        before = {row["measure"]: (row["planned"], row["sent"]) for row in conservation(connection)}
    counted = ("transitions", "milestones", "coupons", "runs", "messages", "attempts")
    sizes = {name: len(rows(world.database, t.metadata.tables[name])) for name in counted}
    revenue = total_revenue(world.database)
    assert revenue == pytest.approx(39.8)
    privacy.erase_contact(world.services, ADDRESS, actor="test")
    with world.database.read() as connection:
        after = conservation(connection)
    assert {row["measure"]: (row["planned"], row["sent"]) for row in after} == before
    assert all(row["balanced"] for row in after)
    assert {name: len(rows(world.database, t.metadata.tables[name])) for name in counted} == sizes
    assert total_revenue(world.database) == revenue
    findings = [finding for finding in doctor.examine(world.services) if not finding["ok"]]
    assert findings == []


@SQLITE
def test_other_people_are_not_touched(world: Living) -> None:
    with world.database.read() as connection:
        other = resolve_contact(connection, OTHER)
    before = theirs(world.database, other)
    assert before["messages"]
    privacy.erase_contact(world.services, ADDRESS, actor="test")
    assert theirs(world.database, other) == before
    assert len(list((world.mailbox / "new").iterdir())) == sum(
        row.status == "sent" for row in rows(world.database, t.messages, t.messages.c.contact_id == other)
    )


@SQLITE
def test_mail_that_waits_is_cancelled_and_none_is_decided_later(world: Living) -> None:
    number = who(world)
    waiting = rows(
        world.database, t.messages, t.messages.c.contact_id == number, t.messages.c.status == "waiting"
    )
    active = rows(world.database, t.runs, t.runs.c.contact_id == number, t.runs.c.status == "active")
    assert active
    done = privacy.erase_contact(world.services, ADDRESS, actor="test")
    assert (done["mails_cancelled"], done["runs_cancelled"]) == (len(waiting), len(active))
    ledger = rows(world.database, t.messages, t.messages.c.contact_id == number)
    world.live(60 * DAY)
    assert rows(world.database, t.messages, t.messages.c.contact_id == number) == ledger
    assert not rows(world.database, t.contacts, t.contacts.c.id == number, t.contacts.c.wake_at < 2**62)


def test_a_person_who_comes_back_by_an_import_gets_no_marketing(world: Living) -> None:
    number = who(world)
    privacy.erase_contact(world.services, ADDRESS, actor="test")
    assert [(row.address_hash, row.scope, row.reason) for row in rows(world.database, t.suppressions)] == [
        (address_hash(ADDRESS, KEY), "marketing", "erased")
    ]
    mail = Identity("email", ADDRESS)
    order = {"order_id": "o-9", "revenue": 5.0, "total": 5.0, "currency": "EUR"}
    world.say("Order Completed", USER, mail, id_="sentinel-3", properties=order)
    world.say("Consent Given", USER, id_="c-1", properties={"topic": "offers"})
    world.say("Consent Given", USER, id_="c-2", properties={"topic": "news"})
    world.live(90 * DAY)
    again = who(world)
    assert again != number
    assert rows(world.database, t.contacts, t.contacts.c.id == again)[0].facts["orders"] == 1
    sent = [
        row.purpose
        for row in rows(world.database, t.messages, t.messages.c.contact_id == again)
        if row.status == "sent"
    ]
    assert sent
    assert set(sent) <= {"transactional", "service"}
    reasons = {row.reason for row in rows(world.database, t.messages, t.messages.c.contact_id == again)}
    assert "suppressed" in reasons


def test_erasing_twice_or_after_a_stop_ends_the_same(world: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    from nurture.journey import erasure

    number = who(world)

    class Stopped(Exception):
        pass

    def stop(*_: Any, **__: Any) -> bool:
        raise Stopped

    monkeypatch.setattr(erasure, "delete_remaining_rows", stop)
    with pytest.raises(Stopped):
        privacy.erase_contact(world.services, ADDRESS, actor="test")
    monkeypatch.undo()
    # Mail and names were gone with the first transaction; the rest is the scheduler's.
    assert rows(world.database, t.identities, t.identities.c.contact_id == number) == []
    assert rows(world.database, t.erasures)[0].finished_at is None
    assert world.database.run(lambda c: privacy.resume_erasures(world.services, c)) == 1
    assert world.traces() == {}
    once = sorted(world.everything())
    again = privacy.erase_contact(world.services, f"contact:{number}", actor="test")
    assert (again["already"], again["mails_cancelled"]) == (True, 0)
    assert sorted(world.everything()) == once
    with pytest.raises(NotFoundError, match="nobody is known"):
        privacy.erase_contact(world.services, ADDRESS, actor="test")
    with world.database.read() as connection, pytest.raises(NotFoundError, match="was erased"):
        resolve_contact(connection, f"contact:{number}")


@SQLITE
def test_the_audit_says_who_and_when_by_numbers_only(world: Living) -> None:
    number = who(world)
    privacy.export_contact(world.services, ADDRESS, actor="cli:ann")
    privacy.erase_contact(world.services, ADDRESS, actor="self")
    entries = [
        (row.action, row.actor, json.loads(row.detail)["contact"]) for row in rows(world.database, t.audit)
    ]
    assert entries == [("contact.export", "cli:ann", number), ("contact.erase", "self", number)]


@SQLITE
def test_everything_of_a_merged_family_goes(world: Living) -> None:
    world.say("Page Viewed", Identity("anonymous_id", "sentinel-phone"), id_="sentinel-4")
    world.work()
    browser = rows(world.database, t.identities, t.identities.c.value == "sentinel-phone")[0].contact_id
    world.say(
        "Identified", USER, Identity("anonymous_id", "sentinel-phone"), id_="sentinel-5", kind="identify"
    )
    world.work()
    number = who(world)
    assert browser != number
    assert privacy.erase_contact(world.services, f"contact:{browser}", actor="test")["contacts"] == 2
    assert world.traces() == {}
    assert {row.id for row in rows(world.database, t.contacts, t.contacts.c.erased_at.is_not(None))} == {
        browser,
        number,
    }


def test_accepted_events_are_not_forgotten(world: Living) -> None:
    """A pending event joins a further browser first, and goes as well."""
    tablet, laptop = Identity("anonymous_id", "sentinel-tablet"), Identity("anonymous_id", "sentinel-laptop")
    world.say("Page Viewed", tablet, id_="sentinel-6")
    world.work()
    world.say("Identified", USER, tablet, id_="sentinel-7", kind="identify")
    world.say("Identified", USER, laptop, id_="sentinel-8", kind="identify")
    world.say("Page Viewed", laptop, id_="sentinel-9")
    assert privacy.preview_erasure(world.services, ADDRESS)["pending"] == 2
    done = privacy.erase_contact(world.services, ADDRESS, actor="test")
    assert (done["contacts"], done["pending"]) == (2, 3)
    assert world.traces() == {}


@SQLITE
def test_a_report_that_comes_later_is_counted_and_says_nothing(world: Living) -> None:
    number = who(world)
    message = rows(world.database, t.messages, t.messages.c.contact_id == number)[0].id
    privacy.erase_contact(world.services, ADDRESS, actor="test")
    report = Report(
        provider="ses",
        event_id="late",
        kind="bounce",
        severity="hard",
        at=world.now,
        message=message,
        address=ADDRESS,
        detail={"diagnostic": f"<{ADDRESS}> is gone"},
        raw=f"to {ADDRESS}",
    )
    world.database.run(lambda c: record.record(c, [report], now=world.now, suppression_key=KEY))
    assert [(row.kind, row.message_id) for row in rows(world.database, t.feedback)] == [("bounce", message)]
    world.work()
    assert world.traces() == {}


@SQLITE
def test_a_preview_changes_nothing(world: Living) -> None:
    before = list(world.everything())
    shown = privacy.preview_erasure(world.services, ADDRESS)
    assert list(world.everything()) == before
    assert shown["mails"] > 0
    assert f"email:{ADDRESS}" in shown["names"]


def test_the_file_of_the_embedded_database_forgets_too(sqlite_database: Database, tmp_path: Path) -> None:
    world = lived(sqlite_database, tmp_path)
    privacy.erase_contact(world.services, ADDRESS, actor="test")
    name = sqlite_database.writer.url.database
    assert name
    files = [file for file in Path(name).parent.glob(f"{Path(name).name}*") if file.is_file()]
    assert files
    for file in files:
        data = file.read_bytes().lower()
        assert b"quetzal" not in data, file
        assert b"sentinel" not in data, file


# ---- builders --------------------------------------------------------------------------------------------


def who(world: Living) -> int:
    with world.database.read() as connection:
        return resolve_contact(connection, ADDRESS)


def total_revenue(database: Database) -> float:
    bodies = [json.loads(row.body).get("properties", {}) for row in rows(database, t.events)]
    return float(sum(body.get("revenue", 0) for body in bodies))


def theirs(database: Database, contact: int) -> dict[str, list[Any]]:
    found = {"contacts": rows(database, t.contacts, t.contacts.c.id == contact)}
    for table in t.metadata.sorted_tables:
        if "contact_id" in table.c and table.name != "quarantine":
            found[table.name] = rows(database, table, table.c.contact_id == contact)
    return found


def plant(database: Database, now: int) -> None:
    """Put something of the person into every table that the history did not reach."""
    with database.write() as connection:
        number = resolve_contact(connection, ADDRESS)
        message = connection.scalar(sa.select(t.messages.c.id).where(t.messages.c.contact_id == number))
        for table, row in _planted(number, int(message or 0), now):
            connection.execute(sa.insert(table).values(**row))
        mine = t.messages.c.contact_id == number
        connection.execute(
            sa.update(t.messages).where(mine).values(verdict='{"reason":"sentinel"}', request="sentinel")
        )


def _planted(number: int, message: int, now: int) -> list[tuple[sa.Table, dict[str, Any]]]:
    pending = {"shard": 0, "source": "shop", "message_id": "sentinel-p", "kind": "track", "name": "Clicked",
               "occurred_at": now, "received_at": now, "email": ADDRESS, "body": "{}"}  # fmt: skip
    aside = {"source": "shop", "received_at": now, "stage": "shape", "reason": "no type"}
    report = {"provider": "ses", "kind": "bounce", "at": now, "received_at": now}
    return [
        (t.send_recipients, {"request": "sentinel", "contact_id": number}),
        (t.actions, {"contact_id": number, "measure": "lead/any/tell", "run_key": "sentinel", "step": "tell",
                     "kind": "emit", "status": "waiting", "decided_at": now, "data": '{"event": "sentinel"}'}),
        (t.enrolments, {"experiment": 1, "contact_id": number, "arm": 1, "entered_at": now, "matures_at": now,
                        "stratum": "sentinel"}),
        (t.exposures, {"experiment": 1, "contact_id": number, "at": now}),
        (t.outcomes, {"contact_id": number, "name": "order", "entity_key": "sentinel-1", "kind": "counted", "at": now,
                      "number": 1, "value_minor": 100}),
        (t.outcomes, {"contact_id": number, "name": "order", "entity_key": "sentinel-2", "kind": "counted", "at": now,
                      "number": 1, "value_minor": 200}),
        (t.hook_posts, {"event_id": 1, "contact_id": number, "name": "sentinel", "target": "crm", "created_at": now,
                        "due_at": now}),
        (t.notices, {"kind": "reply", "contact_id": number, "sender": "a", "recipient": "b", "due_at": now,
                     "data": "sentinel"}),
        (t.baselines, {"contact_id": number, "until": now, "state": '{"facts": {"first_name": "Quetzalina"}}'}),
        (t.milestones, {"contact_id": number, "name": "goal", "key": "sentinel-order", "at": now}),
        (t.inbox, pending),
        (t.shop_things, {"source": "shopify", "thing": "order:1", "email": ADDRESS, "state": "{}",
                         "changed_at": now}),
        (t.quarantine, {**aside, "raw": '{"userId": "x", "email": "Quetzal@Sentinel.example"}'}),
        (t.quarantine, {**aside, "raw": "{}", "contact_id": number, "reason": "sentinel"}),
        (t.feedback, {**report, "event_id": "f1", "message_id": message, "raw": "sentinel", "detail": "{}"}),
        (t.feedback, {**report, "event_id": "f2", "address": ADDRESS, "raw": "quetzal", "detail": "{}"}),
        (t.attempts, {"message_id": message, "attempt": 1, "at": now, "outcome": "retry", "stage": "rcpt",
                      "code": "450", "reply": f"<{ADDRESS}> is full", "worker": "w"}),
        (t.coupons, {"code": "C1", "offer": "o", "contact_id": number, "measure": "customer/any/x",
                     "run_key": "sentinel-order", "minted_at": now}),
        (t.non_entries, {"contact_id": number, "measure": "customer/any/x", "at": now, "reason": "cap",
                         "detail": "sentinel"}),
        (t.set_aside_measures, {"contact_id": number, "measure": "customer/any/x", "at": now, "reason": "sentinel",
                                "event": "", "rules_hash": ""}),
        (t.watches, {"kind": "product", "key": "sentinel", "contact_id": number, "since": now}),
        (t.account_members, {"contact_id": number, "account": "sentinel", "is_customer": True, "holds": "{}"}),
        (t.account_events, {"account": "acme", "contact_id": number, "event_id": number, "name": "Contract Signed",
                            "occurred_at": now, "historic": False, "hint": False, "body": '{"by": "sentinel"}'}),
        (t.contact_values, {"contact_id": number, "name": "sentinel", "version": 1, "number": 1}),
        (t.conflicts, {"contact_id": number, "kind": "event", "subject": "event:x:sentinel", "at": now,
                       "evidence": '{"body": "sentinel"}'}),
        (t.merges, {"survivor": number, "merged": 0, "at": now, "evidence": '{"message_id": "sentinel"}',
                    "undone_at": now}),
        (t.sends, {"request": "r1", "measure": "customer/any/x", "audience": ADDRESS, "at": now, "actor": "ops",
                   "people": 1, "cursor": 0, "done": True}),
        (t.approvals, {"request": "r2", "measure": "customer/any/x", "audience": f"email == '{ADDRESS}'",
                       "people": 1, "actor": "ops", "at": now, "until": now, "state": "waiting"}),
        (t.pauses, {"name": "bulk", "mode": "all", "since": now, "reason": f"rcpt: 550 {ADDRESS}", "actor": "ops"}),
        (t.switches, {"name": "bulk", "paused": True, "reason": f"rcpt: 550 {ADDRESS}", "actor": "deliver",
                      "at": now}),
        (t.consents, {"contact_id": number, "topic": "offers", "state": "granted", "at": now,
                      "source": "sentinel's list", "evidence": '{"words": "quetzal"}'}),
        (t.wishes, {"contact_id": number, "kind": "pause", "value": 1, "at": now, "source": "web",
                    "evidence": '{"words": "quetzal"}'}),
        (t.requests, {"contact_id": number, "act": "address", "address": "quetzal@new.example", "asked_at": now,
                      "old_address": ADDRESS, "valid_until": now}),
        (t.shown_objects, {"message_id": message, "kind": "piece", "key": "sentinel"}),
        (t.touches, {"message_id": message, "kind": "look", "link": "survey?answer=quetzal", "at": now,
                     "agent": "browser"}),
        (t.transitions, {"contact_id": number, "kind": "stage", "before": "excite", "after": "excite", "at": now,
                         "noticed_at": now, "evidence": "sentinel-3"}),
    ]  # fmt: skip

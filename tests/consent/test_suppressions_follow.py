"""A complaint, "no more mail" and an operator's word follow the person; a bounce stays with its address."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nurture.consent import record
from nurture.consent.subjects import find_subject, suppress_person
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.send_gate import SendGate
from nurture.domain.consent.suppressions import SuppressionRow, select_holding, strongest_by_scope
from nurture.domain.feedback import Report
from nurture.domain.instant import HOUR, SECOND
from nurture.feedback.record import record as report
from nurture.journey import erasure
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.world import SUPPRESSION_KEY, World
from tests.rig.examples import examples

RECEIPT = "any/any/receipt"


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure(), a_measure(RECEIPT, purpose="transactional", topic=None)))


def move(world: World, contact: int, address: str) -> None:
    """The person's mail goes to another address; the earlier one stays theirs."""
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == contact).values(email=address))


def own(world: World, contact: int, address: str) -> None:
    with world.database.write() as connection:
        row = {"kind": "email", "value": address, "contact_id": contact, "since": NOON, "source": "test"}
        connection.execute(sa.insert(t.identities).values(row))


def join(world: World, merged: int, survivor: int) -> None:
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == merged).values(survivor=survivor))


def part(world: World, merged: int) -> None:
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == merged).values(survivor=None))


def complain(world: World, message: int | None, address: str | None = None) -> None:
    given_report = Report(
        "postmark", f"c{message}{address}", "complaint", NOON, message=message, address=address
    )
    world.database.run(
        lambda connection: report(
            connection, [given_report], now=world.clock.now(), suppression_key=SUPPRESSION_KEY
        )
    )

    # The timeline is not the subject here, and the guard waits for it.
    with world.database.write() as connection:
        connection.execute(sa.delete(t.inbox))


def stop(world: World, who: str, scope: Any = "marketing") -> None:
    world.database.run(
        lambda connection: suppress_person(
            connection, who, scope=scope, now=NOON, source="ops", suppression_key=SUPPRESSION_KEY
        )
    )


def verdict(world: World, contact: int, measure: str = a_measure().path) -> tuple[str, str]:
    number = world.mail(contact, measure, run_key=str(world.clock.now()))
    world.clock.advance_to(world.clock.now() + SECOND)
    world.claim()
    status: tuple[str, str] = world.status(number)
    return status


STOPPED = ("skipped", "suppressed")


@pytest.mark.parametrize("word", ["complaint", "everything", "ops"])
def test_a_word_follows_the_person_to_a_new_address(world: World, word: str) -> None:
    ada = world.person("ada")
    if word == "complaint":
        complain(world, world.mail(ada, status="sent", sent_at=NOON, settled_at=NOON))
    elif word == "everything":
        world.unsubscribe(ada, topic=None)
    else:
        stop(world, f"contact:{ada}")
    move(world, ada, "new@example.com")
    if word == "everything":
        # Imported evidence after it takes nothing back.
        world.later(HOUR)
        with world.database.write() as connection:
            record.grant_consent(
                connection,
                contact_id=ada,
                topic="offers",
                now=world.clock.now(),
                source="event:shop",
                evidence={},
            )
    assert verdict(world, ada) == STOPPED
    assert verdict(world, ada, RECEIPT) == ("ready", "")


def test_a_bounce_stays_with_its_address(world: World) -> None:
    ada = world.person("ada")
    world.database.run(
        lambda connection: record.suppress_address(
            connection,
            address="ada@example.com",
            scope="all",
            reason="hard_bounce",
            now=NOON,
            source="test",
            suppression_key=SUPPRESSION_KEY,
        )
    )
    assert verdict(world, ada) == STOPPED
    move(world, ada, "new@example.com")
    assert verdict(world, ada) == ("ready", "")


def test_at_a_shared_mailbox_the_address_stops_both_and_the_person_takes_only_their_own_along(
    world: World,
) -> None:
    ada, bob = world.person("office"), world.person("bob")
    move(world, bob, "office@example.com")
    complain(world, world.mail(bob, status="sent", sent_at=NOON, settled_at=NOON))
    assert verdict(world, ada) == verdict(world, bob) == STOPPED
    # Ada proved the address, so it is hers; she did not complain.
    move(world, ada, "ada@example.com")
    move(world, bob, "bob@example.com")
    assert verdict(world, ada) == ("ready", "")
    assert verdict(world, bob) == STOPPED


def test_a_complainer_merged_into_another_stops_them_and_an_unmerge_gives_it_back(world: World) -> None:
    ada, old = world.person("ada"), world.person("old")
    complain(world, world.mail(old, status="sent", sent_at=NOON, settled_at=NOON))
    assert verdict(world, ada) == ("ready", "")
    join(world, old, ada)
    assert verdict(world, ada) == STOPPED
    # A complaint about an old contact's mail, made after the merge, is that contact's as well.
    part(world, old)
    assert verdict(world, ada) == ("ready", "")
    assert verdict(world, old) == STOPPED


def test_a_complaint_after_the_merge_goes_with_the_contact_whose_mail_it_was(world: World) -> None:
    ada, old = world.person("ada"), world.person("old")
    number = world.mail(old, status="sent", sent_at=NOON, settled_at=NOON)
    join(world, old, ada)
    complain(world, number, "old@example.com")
    assert verdict(world, ada) == STOPPED
    part(world, old)
    assert verdict(world, ada) == ("ready", "")
    assert verdict(world, old) == STOPPED


def test_a_complaint_about_an_unknown_address_goes_with_whoever_turns_out_to_own_it(world: World) -> None:
    complain(world, None, "eve@example.com")
    eve = world.person("eve")
    move(world, eve, "new@example.com")
    assert verdict(world, eve) == STOPPED


def test_several_reasons_are_kept_and_each_is_lifted_alone(world: World) -> None:
    ada = world.person("ada")
    world.unsubscribe(ada, topic=None)
    complain(world, world.mail(ada, status="sent", sent_at=NOON, settled_at=NOON))
    stop(world, "ada@example.com")

    def reasons() -> list[str]:
        with world.database.read() as connection:
            subject = find_subject(connection, f"contact:{ada}", suppression_key=SUPPRESSION_KEY)
            return sorted({row.reason for row in subject.load_holding(connection)})

    assert reasons() == ["complaint", "ops", "unsubscribed"]
    world.later(HOUR)
    with world.database.write() as connection:
        record.grant_consent(
            connection,
            contact_id=ada,
            topic="offers",
            now=world.clock.now(),
            source="web",
            evidence={},
            suppression_key=SUPPRESSION_KEY,
        )
    assert reasons() == ["complaint", "ops"]
    assert verdict(world, ada) == STOPPED
    with world.database.write() as connection:
        subject = find_subject(connection, f"contact:{ada}", suppression_key=SUPPRESSION_KEY)
        subject.lift(connection, reasons=["complaint"], before=world.clock.now())
    assert reasons() == ["ops"]


def test_mail_on_its_way_is_stopped_at_the_gate(world: World) -> None:
    ada, old = world.person("ada"), world.person("old")
    join(world, old, ada)
    number = world.mail(ada)
    chunk = world.claim()
    assert [ready.id for ready in chunk.ready] == [number]
    stop(world, f"contact:{old}")
    gate = SendGate(world.database, world.delivery, chunk)
    assert list(gate.mails()) == []
    gate.close()


def test_rows_of_the_release_before_still_count(world: World) -> None:
    ada = world.person("ada")
    hashed = record.address_hash("ada@example.com", SUPPRESSION_KEY)
    row = {
        "address_hash": hashed,
        "scope": "marketing",
        "reason": "complaint",
        "at": NOON,
        "source": "feedback",
    }
    with world.database.write() as connection:
        connection.execute(sa.insert(t.suppressions).values(row))
    assert verdict(world, ada) == STOPPED
    move(world, ada, "new@example.com")
    assert verdict(world, ada) == STOPPED
    stop(world, "ada@example.com")
    with world.database.write() as connection:
        subject = find_subject(connection, f"contact:{ada}", suppression_key=SUPPRESSION_KEY)
        subject.lift(connection, reasons=["complaint"], before=NOON + HOUR)
        (kept,) = connection.execute(sa.select(t.suppressions))
    assert kept.reason == "ops"


def test_an_erased_person_who_confirms_anew_gets_marketing_again(world: World) -> None:
    ada = world.person("ada")

    def holding() -> set[tuple[int, str]]:
        with world.database.read() as connection:
            rows = connection.execute(sa.select(t.suppression_reasons))
            return {(row.contact_id, row.reason) for row in rows}

    world.unsubscribe(ada, topic=None)
    with world.database.write() as connection:
        erasure.stop_mail(
            connection, ada, now=world.clock.now(), actor="self", suppression_key=SUPPRESSION_KEY
        )
    # The person's rows are deleted, the address's stay.
    assert holding() == {(0, "unsubscribed"), (0, "erased")}
    world.later(HOUR)
    again = world.person("ada")
    number = world.mail(again)
    world.claim()
    assert world.status(number) == ("skipped", "suppressed")
    with world.database.write() as connection:
        record.grant_consent(
            connection,
            contact_id=again,
            topic="offers",
            now=world.clock.now(),
            source="web",
            evidence={},
            suppression_key=SUPPRESSION_KEY,
        )
    assert holding() == set()
    number = world.mail(again, run_key="2")
    assert [ready.id for ready in world.claim().ready] == [number]


# ---- any order gives the same answer ---------------------------------------------------------------------

ACTS = st.permutations(["complain", "stop everything", "join", "move", "own"])


@pytest.mark.parametrize("kind", ["sqlite"])
@settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=ACTS, apart=st.booleans())
def test_any_order_of_words_merges_and_addresses_gives_one_answer(
    sqlite_database: Database, kind: str, order: list[str], apart: bool
) -> None:
    world = World(sqlite_database, a_playbook(a_measure()))
    with world.database.write() as connection:
        for table in (t.suppressions, t.suppression_reasons, t.contacts, t.identities, t.messages, t.feedback,
                      t.consents, t.inbox, t.runs):  # fmt: skip
            connection.execute(sa.delete(table))
    ada, old = world.person("ada"), world.person("old")
    number = world.mail(old, status="sent", sent_at=NOON, settled_at=NOON)
    changes = {
        "complain": lambda: complain(world, number, "old@example.com"),
        "stop everything": lambda: stop(world, f"contact:{old}"),
        "join": lambda: join(world, old, ada),
        "move": lambda: move(world, ada, "new@example.com"),
        "own": lambda: own(world, ada, "older@example.com"),
    }
    for name in order:
        changes[name]()
    if apart:
        part(world, old)
        assert verdict(world, old) == STOPPED
    else:
        assert verdict(world, ada) == STOPPED


def test_an_address_of_somebody_else_never_counts() -> None:
    rows = [
        SuppressionRow("a", 0, "marketing", "complaint", 1, "x", True),
        SuppressionRow("b", 0, "marketing", "hard_bounce", 1, "x"),
        SuppressionRow("c", 0, "all", "ops", 1, "x"),
        SuppressionRow("", 7, "marketing", "unsubscribed", 1, "x"),
    ]

    def held(at: str, mine: set[str], members: set[int]) -> dict[str, str]:
        holding = select_holding(rows, address_hash=at, owned_hashes=mine, member_ids=members)
        return strongest_by_scope(holding)

    assert held("n", {"n"}, {1}) == {}
    assert held("a", {"a"}, {1}) == {"marketing": "complaint"}
    assert held("n", {"n", "a", "b"}, {1}) == {}
    assert held("n", {"n", "c"}, {1}) == {"all": "ops"}
    assert held("n", {"n"}, {7}) == {"marketing": "unsubscribed"}
    assert held("", set(), {1}) == {}

"""A measure whose rules fail for one contact stops alone: what events say, and all other measures, go on."""

from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database, decode, encode
from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND
from nurture.domain.measure import (
    LocalSlot,
    MailStep,
    Measure,
    Once,
    OnCondition,
    OnDate,
    OnEvent,
    OnQuiet,
    OnSchedule,
    WaitFor,
    WaitUntilSlot,
)
from nurture.journey.adoption_queries import wake_page
from nurture.journey.drain import adopt
from nurture.journey.merge import merge, unmerge
from nurture.reports.set_aside import find_set_aside
from nurture.reports.why import explain_measure
from tests.domain.build import a_measure, a_playbook, when
from tests.journey.builders import NOW, World, an_event

#: A slot of the calendar that never comes: the rule that looks for it fails.
NEVER_COMES = LocalSlot(9 * 60, weekdays=frozenset())
BROKEN = "any/broken"
ORDERED = OnEvent(("Order Completed", "Page Viewed"))


def a_broken_measure(**given: Any) -> Measure:
    """Return a measure that decides a mail and then fails."""
    steps = (MailStep("first", "first"), WaitUntilSlot("wait", NEVER_COMES), MailStep("last", "last"))
    return a_measure(BROKEN, **{"trigger": ORDERED, "steps": (steps[1], steps[0], steps[2]), **given})


def a_condition(**given: Any) -> Measure:
    """Return a measure that fails when its condition turns true, unless other steps are given."""
    steps = (WaitUntilSlot("wait", NEVER_COMES), MailStep("mail", "mail"))
    return a_measure(
        "any/condition",
        **{"trigger": OnCondition(), "audience": when("orders >= 1"), "steps": steps, **given},
    )


def a_sound_measure(path: str) -> Measure:
    """Return a measure that mails for the same event."""
    return a_measure(path, trigger=ORDERED)


def orders(number: str, **given: Any) -> Any:
    """Return an order of u1."""
    return an_event(
        f"o{number}", "u1 e1", name="Order Completed", properties={"order_id": number, "revenue": 20}, **given
    )


def mails(world: World) -> list[str]:
    """Return the measures of the decided mails."""
    return [row.measure for row in world.rows(t.messages)]


def test_only_the_measure_that_fails_is_set_aside(database: Database) -> None:
    anyone = a_sound_measure("any/sound")
    world = World(database, a_playbook(a_broken_measure(), anyone))
    world.take(orders("1"), an_event("w", "u1", name="Page Viewed"))
    contact = world.contact("u1")
    assert (contact.track, contact.facts["orders"], contact.facts["spent"]) == ("customer", 1, 2000)
    assert mails(world) == ["any/sound"]
    assert not [run for run in world.rows(t.runs) if run.measure == BROKEN]
    assert not world.rows(t.quarantine)
    (row,) = world.rows(t.set_aside_measures)
    assert (row.contact_id, row.measure, row.at, row.event) == (contact.id, BROKEN, NOW, "Order Completed")
    assert row.reason.startswith("ValueError: the slot")
    assert row.rules_hash == world.playbook.rules_hash


def test_it_is_listed_and_explained(database: Database) -> None:
    broken = a_broken_measure()
    world = World(database, a_playbook(broken))
    world.take(orders("1"))
    contact = world.contact("u1")
    with database.read() as connection:
        (line,) = find_set_aside(connection, MeasureNames({}))
        answer = explain_measure(connection, contact, broken, playbook=world.playbook, now=NOW)
        before = explain_measure(connection, contact, broken, playbook=world.playbook, now=NOW - 1)
    assert line.startswith(f"{BROKEN} for 1 contact: ")
    assert "publish it" in line
    assert answer.answer.startswith("Set aside for this contact: its rules failed at")
    assert answer.findings[0].check == "set aside"
    assert not before.answer.startswith("Set aside")


def test_the_next_published_rules_try_again(database: Database) -> None:
    world = World(database, a_playbook(a_broken_measure()))
    world.take(orders("1"))
    later = {"occurred_at": NOW + HOUR, "received_at": NOW + HOUR}
    world.clock.advance_to(NOW + HOUR)
    # Still broken: set aside anew, under the newer rules.
    world.use(a_playbook(a_broken_measure(rules_hash="2"), rules_hash="r2"))
    world.take(orders("2", **later))
    assert [(row.rules_hash, row.at) for row in world.rows(t.set_aside_measures)] == [("r2", NOW + HOUR)]
    world.use(a_playbook(a_measure(BROKEN, trigger=ORDERED, rules_hash="3"), rules_hash="r3"))
    world.take(orders("3", **later))
    assert not world.rows(t.set_aside_measures)
    assert mails(world) == [BROKEN]


def test_a_publish_of_the_same_rules_tries_again(sqlite_database: Database) -> None:
    world = World(sqlite_database, a_playbook(a_broken_measure(), a_condition()))
    world.take(orders("1"))
    with sqlite_database.write() as connection:
        connection.execute(t.active_playbook.insert().values(id=1, playbook_id=1, woken=0))
    assert [row.adopted for row in world.rows(t.contacts)] == [world.playbook.rules_hash]
    assert mails(world) == []
    # A release that mends the fault, under the same rules.
    mended = a_condition(steps=(MailStep("mail", "mail"),))
    world.use(a_playbook(a_measure(BROKEN, trigger=ORDERED), mended))
    adopted = adopt(sqlite_database, clock=world.clock, playbooks=world.playbooks)
    assert (adopted["woken"], [row.wake_at for row in world.rows(t.contacts)]) == (1, [NOW])
    world.clock.advance_to(NOW + HOUR)
    world.ring()
    # The condition had turned true while its measure was set aside: that chance is taken, not a baseline.
    assert mails(world) == ["any/condition"]
    assert not world.rows(t.set_aside_measures)
    assert [row.adopted for row in world.rows(t.contacts)] == [world.playbook.rules_hash]
    world.take(orders("2", occurred_at=NOW + HOUR, received_at=NOW + HOUR))
    assert mails(world) == ["any/condition", BROKEN]


def test_silences_wait_for_the_next_try(sqlite_database: Database) -> None:
    carts: dict[str, Any] = {"trigger": OnQuiet("cart", HOUR), "entity": "cart", "once": Once("entity")}
    broken = (WaitUntilSlot("wait", NEVER_COMES), MailStep("mail", "mail"))
    world = World(sqlite_database, a_playbook(a_measure("any/cart", steps=broken, **carts)))
    world.take(
        *(
            an_event(
                f"c{key}",
                "u1 e1",
                name="Product Added",
                properties={"cart_id": key, "product_id": "p1"},
            )
            for key in ("x", "y")
        )
    )
    world.clock.advance_to(NOW + HOUR)
    world.ring()
    assert [row.measure for row in world.rows(t.set_aside_measures)] == ["any/cart"]
    world.use(a_playbook(a_measure("any/cart", **carts)))
    with sqlite_database.write() as connection:
        wake_page(connection, [world.who("u1")], rules_hash=world.playbook.rules_hash, at=NOW + HOUR)
    world.clock.advance_to(NOW + 2 * HOUR)
    world.ring()
    assert sorted(row.run_key for row in world.rows(t.messages)) == ["x", "y"]


def test_a_run_in_flight_stays_where_it_stood_and_goes_on_later(database: Database) -> None:
    steps = (MailStep("first", "first"), WaitUntilSlot("wait", NEVER_COMES), MailStep("last", "last"))
    world = World(database, a_playbook(a_measure("any/series", trigger=ORDERED, steps=steps)))
    world.take(orders("1"))
    assert mails(world) == ["any/series"]
    with database.write() as connection:
        connection.execute(sa.update(t.messages).values(status="sent", settled_at=NOW + MINUTE))
        connection.execute(sa.update(t.contacts).values(wake_at=NOW + MINUTE))
    world.clock.advance_to(NOW + HOUR)
    world.ring()
    (run,) = world.rows(t.runs)
    assert (run.status, run.step, bool(run.mailing)) == ("active", "wait", False)
    assert [row.measure for row in world.rows(t.set_aside_measures)] == ["any/series"]
    # It does not ring for nothing while it is set aside.
    assert world.contact("u1").wake_at > NOW + 100 * DAY
    mended = (MailStep("first", "first"), WaitFor("wait", SECOND), MailStep("last", "last"))
    world.use(
        a_playbook(a_measure("any/series", trigger=ORDERED, steps=mended, rules_hash="2"), rules_hash="r2")
    )
    world.take(an_event("v", "u1", name="Other", occurred_at=NOW + HOUR, received_at=NOW + HOUR))
    assert [row.step for row in world.rows(t.messages)] == ["first", "last"]
    assert not world.rows(t.set_aside_measures)


def test_alarms_conditions_and_dates_are_set_aside_too(database: Database) -> None:
    world = World(
        database,
        a_playbook(
            a_measure("any/slot", trigger=OnSchedule(NEVER_COMES)),
            a_measure("any/renewal", trigger=OnDate("renewal_at", offset=-7 * DAY, minute_of_day=9 * 60)),
            a_condition(),
            a_sound_measure("any/sound"),
        ),
    )
    world.take(an_event("i", "u1 e1", name="Other"))
    # As a version before stored it: a date before all calendars.
    with database.write() as connection:
        facts: Any = connection.scalar(sa.select(t.contacts.c.facts))
        facts["renewal_at"] = -62_135_596_800_000_000
        connection.execute(sa.update(t.contacts).values(facts=facts))
    world.take(orders("1"))
    assert world.contact("u1").track == "customer"
    assert mails(world) == ["any/sound"]
    assert sorted(row.measure for row in world.rows(t.set_aside_measures)) == [
        "any/condition",
        "any/renewal",
        "any/slot",
    ]
    assert not world.rows(t.quarantine)
    world.clock.advance_to(NOW + 400 * DAY)
    assert not world.ring()["quarantined"]


def test_exits_and_another_track_still_end_its_runs(database: Database) -> None:
    broken = a_measure(
        "lead/any/cart",
        trigger=OnEvent(("Page Viewed",)),
        steps=(MailStep("mail", "mail"), WaitUntilSlot("wait", NEVER_COMES), MailStep("last", "last")),
    )
    world = World(database, a_playbook(broken))
    world.take(an_event("v", "u1 e1"))
    with database.write() as connection:
        memory: Any = decode(str(connection.scalar(sa.select(t.contact_state.c.memory))))
        connection.execute(
            sa.update(t.contact_state).values(memory=encode({**memory, "aside": {"lead/any/cart": NOW}}))
        )
    world.take(orders("1"))
    (run,) = world.rows(t.runs)
    assert (run.status, run.reason) == ("stopped", "track_changed")
    assert [row.status for row in world.rows(t.messages)] == ["cancelled"]


def test_merge_and_unmerge_try_again_and_leave_no_row_behind(database: Database) -> None:
    world = World(database, a_playbook(a_broken_measure()))
    world.take(an_event("a", "u1 e1", name="Order Completed"), an_event("b", "u2 e2", name="Order Completed"))
    assert len(world.rows(t.set_aside_measures)) == 2
    one, two = world.who("u1"), world.who("u2")
    with database.write() as connection:
        merge(connection, one, two, now=NOW, playbook=world.playbook, evidence={})
    assert not world.rows(t.set_aside_measures)
    world.take(an_event("c", "u2", name="Page Viewed"))
    assert [row.contact_id for row in world.rows(t.set_aside_measures)] == [world.who("u1")]
    with database.write() as connection:
        unmerge(connection, max(one, two), now=NOW, playbook=world.playbook)
    assert not world.rows(t.set_aside_measures)
    world.take(an_event("d", "u1", name="Page Viewed"), an_event("e", "u2", name="Page Viewed"))
    assert len(world.rows(t.set_aside_measures)) == 2


def test_batching_does_not_matter(database: Database) -> None:
    world = World(database, a_playbook(a_broken_measure(), a_sound_measure("any/sound")))
    events = [orders("1"), an_event("p", "u1", name="Page Viewed"), orders("2")]
    for event in events:
        world.take(event)
    one_by_one = world.rows(t.set_aside_measures), world.contact("u1").facts
    other = [
        an_event(f"x{event.message_id}", "u9", name=event.name, properties=event.properties)
        for event in events
    ]
    world.take(*other)
    rows = world.rows(t.set_aside_measures)
    assert [(row.measure, row.event) for row in rows] == [(BROKEN, "Order Completed")] * 2
    assert one_by_one[1] == world.contact("u9").facts

"""Two contacts that turn out to be one person: what stays, what is given up, what is never joined."""

from typing import Any

import pytest

from nurture.consent import record
from nurture.consent.load_permissions import load_permissions
from nurture.contacts.queries import resolve_contact
from nurture.database import schema
from nurture.database.engine import Database, decode
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import DAY, HOUR
from nurture.domain.measure import MailStep, OnEvent, WaitFor
from nurture.journey.merge import merge, preview, unmerge
from tests.domain.build import a_measure, a_playbook
from tests.journey.builders import NOW, World, an_event

WELCOME = a_measure(
    "lead/aware/welcome",
    trigger=OnEvent(("Subscribed",)),
    steps=(MailStep("hello", "hello"), WaitFor("pause", 2 * DAY), MailStep("more", "more")),
)
COURSE = a_measure(
    "lead/course",
    trigger=OnEvent(("Course Asked",)),
    steps=(WaitFor("pause", 2 * DAY), MailStep("lesson", "lesson")),
)


def identify(message_id: str, who: str, **given: Any) -> Any:
    return an_event(message_id, who, kind="identify", name="Identified", **given)


def met(database: Database, *, playbook: Any = None) -> World:
    """Return a world with a browser of one order's worth of history, and somebody known by user id."""
    world = World(database, playbook or a_playbook(WELCOME, COURSE))
    world.take(
        an_event("a-1", "a1", name="Order Completed", properties={"order_id": "o1", "revenue": 5}),
        an_event("a-2", "a1", name="Product Viewed"),
    )
    world.take(
        an_event("u-1", "u1 e1", name="Order Completed", properties={"order_id": "o2", "revenue": 7}),
        an_event("u-2", "u1", name="Plan Changed", properties={"plan": "gold"}),
    )
    assert world.who("u1") != world.who("a1")
    return world


def test_nothing_is_lost_and_nothing_counted_twice(database: Database) -> None:
    world = met(database)
    survivor, browser = world.who("u1"), world.who("a1")
    counts = world.take(identify("j", "u1 a1"), an_event("a-3", "a1", name="Product Viewed"))
    assert counts["merged"] == 1
    assert world.who("a1") == world.who("u1") == world.who("e1") == survivor
    contact = world.contact("u1")
    assert (contact.facts["orders"], contact.facts["spent"], contact.facts["plan"]) == (2, 1200, "gold")
    assert len(contact.facts["views"]) == 2
    rows = {row.id: row for row in world.rows(schema.contacts)}
    assert rows[browser].survivor == survivor
    assert world.applied(browser) == ["a-1", "a-2"], "events keep the contact they happened to"
    assert world.applied(survivor) == ["u-1", "u-2", "j", "a-3"]
    (row,) = world.rows(schema.merges)
    assert (row.survivor, row.merged, decode(row.evidence)["message_id"]) == (survivor, browser, "j")
    assert (rows[survivor].email, contact.track) == ("e1@example.com", "customer")
    world.check()


def test_mail_goes_to_the_newest_address_of_both(database: Database) -> None:
    world = World(database)
    world.take(
        an_event("m1", "e1 p1", occurred_at=NOW - 3 * DAY), an_event("m2", "u1", occurred_at=NOW - 2 * DAY)
    )
    world.take(identify("j1", "u1 p1", occurred_at=NOW - DAY))
    rows = {row.id: row.email for row in world.rows(schema.contacts)}
    assert rows[world.who("u1")] == "e1@example.com"


def test_the_older_stays_when_neither_has_a_user_id(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "p1", occurred_at=NOW - DAY), an_event("m2", "e1", occurred_at=NOW - 2 * DAY))
    older = world.who("e1")
    world.take(identify("j", "e1 p1"))
    assert world.who("p1") == older


def test_a_chain_of_joins_stays_one_link_long(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "a1"), an_event("m2", "e1", occurred_at=NOW - DAY), an_event("m3", "u1"))
    first, second = world.who("a1"), world.who("e1")
    world.take(identify("j1", "e1 a1"))
    world.take(identify("j2", "u1 e1"))
    rows = {row.id: row.survivor for row in world.rows(schema.contacts)}
    assert rows == {first: world.who("u1"), second: world.who("u1"), world.who("u1"): None}
    assert world.contact("a1").id == world.who("u1")
    world.check()


def test_an_event_may_join_three(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "a1"), an_event("m2", "e1"), an_event("m3", "u1"))
    assert world.take(identify("j", "u1 e1 a1 p1"))["merged"] == 2
    assert len({world.who(name) for name in ("u1", "e1", "a1", "p1")}) == 1
    world.check()


def test_an_alias_joins(database: Database) -> None:
    world = met(database)
    world.take(an_event("j", "u1", kind="alias", name="Aliased", previous_id="a1"))
    assert world.who("a1") == world.who("u1")
    world.take(an_event("k", "u1", kind="alias", name="Aliased", previous_id="b7"), an_event("l", "a2"))
    world.take(an_event("m", "u1", kind="alias", name="Aliased", previous_id="e9@example.com"))
    world.take(an_event("n", "e9"))
    assert world.who("e9") == world.who("u1")
    world.check()


def test_two_user_ids_are_never_joined_by_an_event(database: Database) -> None:
    world = World(database)
    world.take(identify("m1", "u1 e1"), identify("m2", "u2"))
    one, two = world.who("u1"), world.who("u2")
    world.take(identify("m3", "u2 e1"))
    world.take(identify("m4", "u2 e1"), an_event("m5", "u2", kind="alias", name="Aliased", previous_id="u1"))
    assert (world.who("u1"), world.who("u2"), world.who("e1")) == (one, two, one)
    assert world.applied(two) == ["m2", "m3", "m4", "m5"]
    assert world.conflicts() == [(one, two, "email", "m3")], "said once, however often it happens"
    world.check()


def test_a_shared_tablet_makes_no_one_person_of_its_visitors(database: Database) -> None:
    world = World(database)
    world.take(identify("m1", "e1 a1"), identify("m2", "e2 a1"), identify("m3", "e3 a1"))
    assert len({world.who(name) for name in ("e1", "e2", "e3")}) == 3
    assert world.who("a1") == world.who("e3"), "the browser is whose who identified on it last"
    assert world.quarantined() == []


def test_there_is_no_second_welcome(database: Database) -> None:
    world = World(database, a_playbook(WELCOME))
    world.take(an_event("m1", "e1", name="Subscribed"))
    world.clock.advance_to(NOW + HOUR)
    world.take(an_event("m2", "a1", name="Subscribed", received_at=NOW + HOUR))
    world.take(identify("j", "e1 a1"), an_event("m3", "a1", name="Subscribed"))
    runs = world.rows(schema.runs)
    assert sorted((run.contact_id, run.status, run.reason) for run in runs) == [
        (world.who("e1"), "active", ""),
        (runs[1].contact_id, "cancelled", "merged"),
    ]
    mails = {(mail.contact_id, mail.status, mail.reason) for mail in world.rows(schema.messages)}
    assert mails == {(runs[0].contact_id, "waiting", ""), (runs[1].contact_id, "cancelled", "merged")}
    world.check()


def test_the_run_that_is_further_stays_also_on_the_side_given_up(database: Database) -> None:
    world = World(database, a_playbook(WELCOME))
    world.take(an_event("m1", "a1", name="Subscribed"))
    settle_mail(world)
    world.clock.advance_to(NOW + HOUR)
    world.ring()
    world.take(an_event("m2", "u1", name="Subscribed", received_at=NOW + HOUR))
    browser = world.who("a1")
    world.take(identify("j", "u1 a1"))
    survivor = world.who("u1")
    assert [(run.contact_id, run.status, run.step) for run in world.rows(schema.runs)] == [
        (browser, "active", "pause"),
        (survivor, "cancelled", "hello"),
    ]
    world.clock.advance_to(NOW + 3 * DAY)
    while world.ring().more:
        pass
    mails = [(mail.contact_id, mail.step, mail.status) for mail in world.rows(schema.messages)]
    assert mails == [
        (browser, "hello", "sent"),
        (survivor, "hello", "cancelled"),
        (browser, "more", "waiting"),
    ], "a message belongs to the contact its run began with"
    settle_mail(world)
    world.ring()
    assert {run.status for run in world.rows(schema.runs)} == {"done", "cancelled"}
    world.check()


def settle_mail(world: World) -> None:
    """Send whatever waits, as a transport would, and wake the contact."""
    now = world.clock.now()
    with world.database.write() as connection:
        waiting = schema.messages.c.status == "waiting"
        sent = {"status": "sent", "settled_at": now, "sent_at": now}
        connection.execute(schema.messages.update().where(waiting).values(**sent))
        living = schema.contacts.c.survivor.is_(None)
        connection.execute(schema.contacts.update().where(living).values(wake_at=now))


def test_a_lead_series_ends_when_the_other_half_is_a_customer(database: Database) -> None:
    world = World(database, a_playbook(COURSE))
    world.take(an_event("m1", "e1", name="Course Asked", occurred_at=NOW - DAY))
    world.take(an_event("m2", "p1", name="Order Completed", properties={"order_id": "o1"}))
    world.take(identify("j", "e1 p1"))
    assert world.contact("e1").track == "customer"
    assert [(run.status, run.reason) for run in world.rows(schema.runs)] == [("stopped", "track_changed")]
    moves = [
        (row.kind, row.after, row.evidence)
        for row in world.rows(schema.transitions, contact_id=world.who("e1"))
    ]
    assert ("track", "customer", "merged") in moves
    world.check()


def test_watching_goes_on_under_the_survivor(database: Database) -> None:
    world = World(database)
    joined = {"name": "Waitlist Joined", "properties": {"product_id": "p7"}}
    world.take(an_event("m1", "a1", **joined, occurred_at=NOW - DAY), an_event("m2", "u1", **joined))
    world.take(identify("j", "u1 a1"))
    assert [row.contact_id for row in world.rows(schema.watches)] == [world.who("u1")]


def test_a_withdrawal_on_either_side_holds_after_the_join(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "e1"), an_event("m2", "u1"))
    given: dict[str, Any] = {"source": "test", "evidence": {}}
    with world.database.write() as connection:
        record.unsubscribe(
            connection, contact_id=world.who("e1"), topic="news", now=NOW, suppression_key=b"k" * 32, **given
        )
        record.grant_consent(connection, contact_id=world.who("u1"), topic="news", now=NOW + HOUR, **given)
    world.clock.advance_to(NOW + 2 * HOUR)
    world.take(identify("j", "u1 e1"))

    def state_of_consent() -> str:
        with world.database.read() as connection:
            return load_permissions(connection, [world.who("u1")])[world.who("u1")].consents["news"]

    assert state_of_consent() == "withdrawn"
    with world.database.write() as connection:
        record.grant_consent(
            connection, contact_id=world.who("u1"), topic="news", now=NOW + 3 * HOUR, **given
        )
    assert state_of_consent() == "granted"


def test_operators_may_join_what_events_may_not(database: Database) -> None:
    world = World(database)
    world.take(identify("m1", "u1 e1"), identify("m2", "u2 e2", occurred_at=NOW - DAY))
    one, two = world.who("u1"), world.who("u2")
    with database.read() as connection:
        plan = preview(connection, one, two, now=NOW, playbook=world.playbook)
    assert world.rows(schema.merges) == []
    with database.write() as connection:
        done = merge(connection, one, two, now=NOW, playbook=world.playbook, evidence={"actor": "ann"})
    assert done == plan
    assert (done.survivor, done.merged, done.names) == (two, one, 2)
    assert world.who("u1") == world.who("e1") == two
    with database.read() as connection:
        assert resolve_contact(connection, "id:u1") == resolve_contact(connection, f"contact:{one}") == two
        assert resolve_contact(connection, "E1@Example.com") == two
        with pytest.raises(NotFoundError, match="id:USER_ID"):
            resolve_contact(connection, "id:u9")
    with database.write() as connection, pytest.raises(NotFoundError, match="merged or erased"):
        merge(connection, one, two, now=NOW, playbook=world.playbook, evidence={})
    world.check()


def test_a_merge_can_be_undone(database: Database) -> None:
    world = met(database)
    survivor, browser = world.who("u1"), world.who("a1")
    before = world.contact("a1").facts
    world.take(identify("j", "u1 a1"), an_event("a-3", "e1", name="Product Viewed"))
    world.clock.advance_to(NOW + DAY)
    with database.write() as connection:
        parted = unmerge(connection, browser, now=NOW + DAY, playbook=world.playbook)
    assert (parted.contact, parted.survivor, parted.names) == (browser, survivor, 1)
    assert (world.who("a1"), world.who("u1"), world.who("e1")) == (browser, survivor, survivor)
    assert world.contact("a1").facts == before
    assert world.contact("u1").facts["orders"] == 1
    (row,) = world.rows(schema.merges)
    assert row.undone_at == NOW + DAY
    world.check()
    world.ring()
    world.take(an_event("a-4", "a1", name="Product Viewed"))
    assert world.applied(browser)[-1] == "a-4"
    world.check()
    with database.write() as connection, pytest.raises(NotFoundError, match="nothing to undo"):
        unmerge(connection, browser, now=NOW, playbook=world.playbook)


def test_undoing_a_merge_leaves_earlier_merges_as_they_were(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "a1"), an_event("m2", "e1", occurred_at=NOW - DAY), an_event("m3", "u1"))
    browser, subscriber, customer = world.who("a1"), world.who("e1"), world.who("u1")
    world.take(identify("j1", "e1 a1"))
    world.take(identify("j2", "u1 e1"))
    with database.write() as connection:
        assert unmerge(connection, subscriber, now=NOW, playbook=world.playbook).names == 2
    assert (world.who("a1"), world.who("e1"), world.who("u1")) == (subscriber, subscriber, customer)
    assert {row.id: row.survivor for row in world.rows(schema.contacts)} == {
        browser: subscriber,
        subscriber: None,
        customer: None,
    }
    rows = {row.id: row.email for row in world.rows(schema.contacts)}
    assert (rows[subscriber], rows[customer]) == ("e1@example.com", None)
    world.check()


def test_a_contact_at_a_shared_mailbox_stays_there(database: Database) -> None:
    world = World(database)
    world.take(identify("m1", "u1 e1"), identify("m2", "u2 e1"), an_event("m3", "a2"))
    owner, colleague, browser = world.who("u1"), world.who("u2"), world.who("a2")

    def addresses() -> dict[int, str | None]:
        return {row.id: row.email for row in world.rows(schema.contacts) if row.survivor is None}

    world.take(identify("j", "u2 a2"))
    assert addresses() == {owner: "e1@example.com", colleague: "e1@example.com"}
    with database.write() as connection:
        unmerge(connection, browser, now=NOW, playbook=world.playbook)
    assert addresses() == {owner: "e1@example.com", colleague: "e1@example.com", browser: None}


def test_a_merge_does_not_move_mail_to_an_address_that_only_a_hint_gave(database: Database) -> None:
    world = World(database)
    world.take(identify("m1", "u1 e1", occurred_at=NOW - DAY), identify("m2", "a9 e9", hint=True))
    person, guessed = world.who("u1"), world.who("e9")
    with database.write() as connection:
        merge(connection, person, guessed, now=NOW, playbook=world.playbook, evidence={"actor": "ann"})
    (row,) = world.rows(schema.contacts, id=person)
    assert row.email == "e1@example.com"
    with database.write() as connection:
        unmerge(connection, guessed, now=NOW, playbook=world.playbook)
    assert [row.email for row in world.rows(schema.contacts)] == ["e1@example.com", "e9@example.com"]

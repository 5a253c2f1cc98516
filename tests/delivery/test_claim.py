"""The chunk gate: what is claimed, guarded, leased, and what becomes of the rest, on both databases."""

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database, decode, encode
from nurture.delivery.verdicts import read_checks
from nurture.domain.guard.decide import CHECKS
from nurture.domain.instant import DAY, FOREVER, HOUR, MINUTE, SECOND, parse_iso
from nurture.domain.measure import LetCoupon, LetEndOfMonth, MailStep, ObjectBinding, ObjectList
from nurture.domain.playbook import Cap, ObjectKind, Offer
from tests.delivery.builders import NOON, PATH, a_measure, a_playbook
from tests.delivery.world import World
from tests.journey.builders import statements


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_due_mail_is_guarded_frozen_and_leased(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)
    chunk = world.claim()
    (ready,) = chunk.ready
    row = world.message(number)
    assert (ready.id, ready.attempt, ready.contact_id, ready.address) == (number, 1, ada, "ada@example.com")
    assert (row.status, row.attempt, row.lease_owner, row.reason) == ("ready", 1, "one", "")
    assert row.lease_until == NOON + 2 * MINUTE
    assert row.contact_version == world.contact(ada).version
    assert (row.playbook_id, row.header_id) == (1, f"{number}@shop.example")
    assert decode(row.context) == ready.context
    verdict = decode(row.verdict)
    assert verdict["action"] == "send"
    assert [check["name"] for check in read_checks(row.verdict)] == [name for name, _ in CHECKS]
    # Most checks pass in the usual words, which are not written out.
    assert sum(isinstance(check, str) for check in verdict["checks"]) >= len(CHECKS) - 10
    assert dict(chunk.counts) == {"claimed": 1, "ready": 1}
    assert not world.claim().ready


def test_a_mail_not_due_or_in_another_lane_is_left_alone(world: World) -> None:
    ada = world.person()
    later = world.mail(ada, due_at=NOON + SECOND)
    other = world.mail(ada, run_key="2", lane="bulk")
    assert not world.claim().counts
    assert world.status(later) == world.status(other) == ("waiting", "")
    assert [ready.id for ready in world.claim("bulk").ready] == [other]


def test_a_skip_ends_the_mail_and_wakes_the_run_that_waits_for_it(world: World) -> None:
    ada, bob = world.person("ada", consent=None), world.person("bob", consent="withdrawn")
    first = world.mail(ada, mailing=True)
    second = world.mail(bob)
    counts = world.claim().counts
    assert counts["skipped"] == 2
    assert world.status(first) == ("skipped", "no_consent")
    assert world.status(second) == ("skipped", "consent_withdrawn")
    assert world.message(first).settled_at == NOON
    assert world.contact(ada).wake_at == NOON
    assert world.contact(bob).wake_at == FOREVER


def test_expired_and_cancelled_mail_ends_too(world: World) -> None:
    ada = world.person()
    late = world.mail(ada, valid_until=NOON)
    stopped = world.mail(ada, run_key="2", run_status="stopped")
    assert dict(world.claim().counts) == {"claimed": 2, "expired": 1, "cancelled": 1, "ready": 0}
    assert world.status(late) == ("expired", "too_late")
    assert world.status(stopped) == ("cancelled", "run_ended")


def test_a_deferred_mail_is_due_again_at_the_instant_of_its_verdict(world: World) -> None:
    ada = world.person(zone="America/New_York")
    world.clock.current = parse_iso("2026-05-13T06:00:00Z")
    number = world.mail(ada, due_at=NOON - DAY)
    assert dict(world.claim().counts) == {"claimed": 1, "deferred": 1, "ready": 0}
    assert world.status(number) == ("waiting", "quiet_hours")
    assert world.message(number).due_at == parse_iso("2026-05-13T12:00:00Z")
    assert not world.claim().counts
    world.clock.advance_to(parse_iso("2026-05-13T12:00:00Z"))
    assert [ready.id for ready in world.claim().ready] == [number]


def test_accepted_and_unapplied_events_hold_the_mail_back(world: World) -> None:
    ada, bob = world.person("ada"), world.person("bob")
    hers, his = world.mail(ada), world.mail(bob)
    world.pending_event("ada")
    assert [ready.id for ready in world.claim().ready] == [his]
    assert world.status(hers) == ("waiting", "events_pending")
    assert world.message(hers).due_at == NOON + SECOND
    with world.database.write() as connection:
        connection.execute(sa.delete(t.inbox))
    world.later(SECOND)
    assert [ready.id for ready in world.claim().ready] == [hers]


def test_an_event_under_the_name_of_a_merged_contact_counts_too(world: World) -> None:
    ada, old = world.person("ada"), world.person("old")
    merge(world, old, ada)
    number = world.mail(ada)
    world.pending_event("old")
    world.claim()
    assert world.status(number) == ("waiting", "events_pending")


def merge(world: World, merged: int, survivor: int, *, at: int = NOON - HOUR) -> None:
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == merged).values(survivor=survivor))
        connection.execute(sa.insert(t.merges).values(survivor=survivor, merged=merged, at=at, evidence="{}"))


def test_mail_of_a_merged_contact_is_judged_by_the_living_one(world: World) -> None:
    old, ada = world.person("old"), world.person("ada", zone="Asia/Shanghai")
    number = world.mail(old)
    merge(world, old, ada)
    (ready,) = world.claim().ready
    assert (ready.id, ready.contact_id, ready.owner_id) == (number, ada, old)
    assert ready.address == "ada@example.com"


def test_the_stricter_consent_of_merged_contacts_counts(world: World) -> None:
    old, ada = world.person("old", consent="withdrawn"), world.person("ada")
    number = world.mail(ada)
    merge(world, old, ada)
    world.claim()
    assert world.status(number) == ("skipped", "consent_withdrawn")


def test_consent_given_after_a_merge_survives_the_next_merge(world: World) -> None:
    oldest, old, ada = world.person("oldest", consent="withdrawn"), world.person("old"), world.person("ada")
    number = world.mail(ada)
    merge(world, oldest, old, at=NOON - 3 * HOUR)
    with world.database.write() as connection:
        word = {"contact_id": old, "topic": "offers", "state": "granted", "at": NOON - 2 * HOUR}
        connection.execute(sa.insert(t.consents).values(word | {"source": "web", "evidence": "{}"}))
    merge(world, old, ada)
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == oldest).values(survivor=ada))
    assert [ready.id for ready in world.claim().ready] == [number]


def test_a_withdrawal_comes_along_through_two_merges(world: World) -> None:
    oldest, old = world.person("oldest", consent="withdrawn"), world.person("old", consent=None)
    ada = world.person("ada")
    number = world.mail(ada)
    merge(world, oldest, old, at=NOON - 3 * HOUR)
    merge(world, old, ada)
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == oldest).values(survivor=ada))
    world.claim()
    assert world.status(number) == ("skipped", "consent_withdrawn")


def test_caps_count_the_mail_of_merged_contacts(database: Database) -> None:
    cap = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
    steps = (MailStep("offer", "offer"), MailStep("reminder", "reminder"))
    offer, course = a_measure(), a_measure("customer/any/course", steps=steps)
    world = World(database, a_playbook(offer, course, caps=(cap,)))
    old, ada = world.person("old"), world.person("ada")
    world.mail(old, course.path, status="sent", sent_at=NOON - DAY, settled_at=NOON - DAY)
    merge(world, old, ada)
    number = world.mail(ada)
    again = world.mail(ada, course.path, step="reminder")
    # The course of both is one run, so its next mail needs no further slot.
    assert [ready.id for ready in world.claim().ready] == [again]
    assert world.status(number) == ("waiting", "cap")
    assert world.message(number).due_at == NOON + 13 * DAY


def test_messages_of_one_contact_see_each_other_and_the_higher_priority_goes_first(
    database: Database,
) -> None:
    cap = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
    low, high = a_measure(), a_measure("customer/any/better", priority=80)
    world = World(database, a_playbook(low, high, caps=(cap,)))
    ada = world.person()
    second = world.mail(ada, due_at=NOON - DAY)
    first = world.mail(ada, high.path)
    assert [ready.id for ready in world.claim().ready] == [first]
    assert world.status(second) == ("waiting", "cap")


def test_a_mail_steps_back_behind_a_better_one_due_soon(database: Database) -> None:
    cap = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
    low, high = a_measure(), a_measure("customer/any/better", priority=80, lane="bulk")
    world = World(database, a_playbook(low, high, caps=(cap,)))
    ada = world.person()
    second = world.mail(ada)
    world.mail(ada, high.path, due_at=NOON + HOUR)
    world.claim()
    assert world.status(second) == ("waiting", "arbitration")
    row = world.message(second)
    assert row.due_at == NOON + HOUR + SECOND
    missed = [check for check in read_checks(row.verdict) if not check["passed"]]
    assert "customer/any/better" in missed[0]["detail"]


@pytest.mark.parametrize("name", ["all", "restored", "main"])
def test_a_paused_lane_claims_nothing(world: World, name: str) -> None:
    number = world.mail(world.person())
    world.switch(name)
    assert not world.claim().counts
    assert world.status(number) == ("waiting", "")
    world.switch(name, paused=False)
    assert len(world.claim().ready) == 1


def test_a_paused_measure_waits_and_resuming_brings_it_back_at_once(world: World) -> None:
    number = world.mail(world.person())
    world.switch(PATH)
    assert world.claim().counts["deferred"] == 1
    assert world.status(number) == ("waiting", "paused")
    assert not world.claim().counts
    assert world.switch(PATH, paused=False) == 1
    assert [ready.id for ready in world.claim().ready] == [number]


def test_only_to_keeps_everybody_else_out(world: World) -> None:
    ada, staff = world.person("ada"), world.person("bo", email="bo@staff.example")
    world.only_to = frozenset({"@Staff.example"})
    hers, theirs = world.mail(ada), world.mail(staff)
    assert [ready.id for ready in world.claim().ready] == [theirs]
    assert world.status(hers) == ("skipped", "only_to")


def test_the_suppression_of_an_address_stops_its_mail(world: World) -> None:
    ada = world.person()
    world.unsubscribe(ada, topic=None)
    number = world.mail(ada)
    world.claim()
    assert world.status(number) == ("skipped", "suppressed")


def test_let_values_are_fixed_once_by_the_first_mail(database: Database) -> None:
    compute_let_instants = {"deadline": LetEndOfMonth(at_least=7 * DAY), "code": LetCoupon("again")}
    measure = a_measure(
        let=compute_let_instants, steps=(MailStep("offer", "offer"), MailStep("reminder", "reminder"))
    )
    world = World(database, a_playbook(measure, offers={"again": Offer("again", 25, "AGAIN")}))
    ada = world.person()
    world.mail(ada)
    (ready,) = world.claim().ready
    let = world.run_let(ada)
    assert let["deadline"] == parse_iso("2026-05-31T21:59:00Z")
    assert let["code"].startswith("AGAIN-")
    assert len(let["code"]) == len("AGAIN-") + 8
    assert ready.context["let"] == let
    world.clock.advance_to(parse_iso("2026-06-02T10:00:00Z"))
    with database.write() as connection:
        connection.execute(sa.update(t.messages).values(status="sent", sent_at=NOON))
        connection.execute(
            sa.update(t.runs).values(step="reminder", decided=encode(["offer", "reminder"]), status="done")
        )
        row = dict(connection.execute(sa.select(t.messages)).mappings().one())
        again = {"id": None, "step": "reminder", "status": "waiting", "context": None, "attempt": 0}
        values = {name: value for name, value in (row | again).items() if name != "id"}
        connection.execute(sa.insert(t.messages).values(values))
    (second,) = world.claim().ready
    assert second.context["let"] == let
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.coupons)) == 1


def test_a_coupon_is_the_runs_whatever_becomes_of_its_notes(database: Database) -> None:
    measure = a_measure(let={"code": LetCoupon("again")})
    world = World(database, a_playbook(measure, offers={"again": Offer("again", 25, "AGAIN")}))
    ada = world.person()
    world.mail(ada)
    (first,) = world.claim().ready
    with database.write() as connection:
        connection.execute(sa.update(t.runs).values(let="{}"))
        connection.execute(sa.update(t.messages).values(status="waiting", lease_owner=None))
    (second,) = world.claim().ready
    assert second.context["let"] == first.context["let"] == world.run_let(ada)
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.coupons)) == 1


def test_a_promise_too_short_waits_for_the_first_of_the_month(database: Database) -> None:
    measure = a_measure(let={"deadline": LetEndOfMonth(at_least=7 * DAY)})
    world = World(database, a_playbook(measure))
    world.clock.current = parse_iso("2026-05-27T10:00:00Z")
    ada = world.person()
    number = world.mail(ada, valid_until=parse_iso("2026-05-29T10:00:00Z"))
    world.claim()
    row = world.message(number)
    morning = parse_iso("2026-06-01T06:00:00Z")
    assert (row.reason, row.due_at, row.valid_until) == ("end_of_month", morning, morning + 3 * DAY)
    assert world.run_let(ada) == {}
    world.clock.advance_to(morning)
    (ready,) = world.claim().ready
    assert ready.context["let"] == {"deadline": parse_iso("2026-06-30T21:59:00Z")}


@pytest.mark.parametrize(
    ("stock", "status"),
    [(3, ("ready", "")), (0, ("skipped", "send_if")), (None, ("skipped", "send_if_unknown"))],
)
def test_objects_are_read_in_the_sending_transaction(
    database: Database, stock: int | None, status: tuple[str, str]
) -> None:
    from nurture.domain.conditions import Term, Vocabulary, parse
    from tests.delivery.builders import WORDS

    step = MailStep("offer", "offer", send_if=parse("product.stock >= 1", WORDS))
    measure = a_measure(steps=(step,), objects={"product": ObjectBinding("product", "product_id")})
    playbook = a_playbook(
        measure,
        objects={"product": ObjectKind("product", "product_id", ("Product Stocked",))},
        properties=Vocabulary({"stock": Term("stock", "integer")}),
    )
    world = World(database, playbook)
    if stock is not None:
        facts = encode({"values": {"stock": stock, "name": "Kettle"}, "at": {}})
        with database.write() as connection:
            connection.execute(
                sa.insert(t.objects).values(kind="product", key="k1", facts=facts, version=1, changed_at=1)
            )
    number = world.mail(world.person(), data={"properties": {"product_id": "k1"}})
    ready = world.claim().ready
    assert world.status(number) == status
    if ready:
        assert ready[0].context["objects"] == {"product": {"stock": 3, "name": "Kettle"}}


def test_an_erased_contact_gets_nothing(world: World) -> None:
    number = world.mail(world.person(erased_at=NOON - DAY, email=None))
    world.claim()
    assert world.status(number) == ("cancelled", "erased")


def test_the_number_of_statements_does_not_grow_with_the_chunk(database: Database) -> None:
    counted: list[int] = []
    for size in (1, 40):
        world = World(database)
        for number in range(size):
            world.mail(world.person(f"p{size}x{number}"))
        with statements(database) as seen:
            assert len(world.claim().ready) == size
        counted.append(len(seen))
    assert counted[0] == counted[1]
    assert counted[0] < 25


def test_the_number_of_statements_does_not_grow_with_the_lists_of_a_chunk(database: Database) -> None:
    counted: list[int] = []
    fresh = ObjectList("product", fresh=True, top=3, at_least=0)
    beside = ObjectList("product", "event.product_id", goes_with=True, order="")
    measure = a_measure(objects={"fresh": fresh, "beside": beside})
    product = ObjectKind("product", "product_id", ("Product Updated",), read_by=("Product Viewed",))
    playbook = a_playbook(measure, objects={"product": product})
    facts = encode({"values": {"product_id": "k1", "goes_with": ["k2"]}, "at": {}})
    with database.write() as connection:
        row = {"kind": "product", "facts": facts, "version": 1, "changed_at": 1}
        connection.execute(sa.insert(t.objects), [row | {"key": "k1"}, row | {"key": "k2"}])
    for size in (1, 40):
        world = World(database, playbook)
        for number in range(size):
            person = world.person(f"p{size}x{number}")
            world.mail(person, data={"properties": {"product_id": "k1"}})
        with statements(database) as seen:
            assert len(world.claim().ready) == size
        counted.append(len(seen))
    assert counted[0] == counted[1]


def test_a_shared_address_gets_no_marketing_before_its_second_person_confirms(world: World) -> None:
    ada, bob = world.person("ada"), world.person("bob")
    with world.database.write() as connection:
        connection.execute(
            sa.update(t.contacts).where(t.contacts.c.id == bob).values(email="ada@example.com")
        )
        row = {"kind": "email", "value": "ada@example.com", "contact_id": ada, "since": 1, "source": "test"}
        connection.execute(sa.delete(t.identities).where(t.identities.c.value == "ada@example.com"))
        connection.execute(sa.insert(t.identities).values(row))
    own, shared = world.mail(ada), world.mail(bob)
    world.claim()
    assert world.status(own) == ("ready", "")
    assert world.status(shared) == ("skipped", "shared_address")
    with world.database.write() as connection:
        consent = {
            "contact_id": bob,
            "topic": "news",
            "state": "granted",
            "at": 2,
            "source": "web",
            "evidence": "{}",
        }
        connection.execute(sa.insert(t.consents).values(consent))
    confirmed = world.mail(bob, run_key="2")
    world.claim()
    assert world.status(confirmed)[1] != "shared_address"


def test_a_held_back_mail_is_deferred_like_any_other_and_costs_nothing(database: Database) -> None:
    cap = Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY)
    let = {"code": LetCoupon("again"), "deadline": LetEndOfMonth()}
    held, other = a_measure(let=let), a_measure("customer/any/other", priority=40)
    playbook = a_playbook(held, other, caps=(cap,), offers={"again": Offer("again", 25, "AGAIN")})
    world = World(database, playbook)
    ada = world.person(zone="America/New_York")
    world.clock.current = parse_iso("2026-05-13T06:00:00Z")
    number = world.mail(ada, holdout=True, due_at=NOON - DAY)
    world.claim()
    assert world.status(number) == ("waiting", "quiet_hours")
    world.clock.advance_to(parse_iso("2026-05-13T12:00:00Z"))
    treated = world.mail(ada, other.path)
    # It goes first, and leaves its slot to the other one.
    assert [ready.id for ready in world.claim().ready] == [treated]
    assert world.status(number) == ("skipped", "holdout")
    assert world.run_let(ada) == {}
    with database.read() as connection:
        assert connection.execute(sa.select(t.coupons)).all() == []

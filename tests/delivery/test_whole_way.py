"""The whole way with the shipped programme: an event comes in, the right mail leaves, once, with its bytes kept."""

from email import message_from_bytes, policy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent import record
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.claim_queries import conservation
from nurture.delivery.types import Delivery
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, parse_iso
from nurture.domain.signing import verify_token
from nurture.playbook import FixedPlaybook, LoadedPlaybook, build, load_files
from nurture.simulation.run_until_idle import run_until_idle
from nurture.transports.registry import open_transport
from tests.delivery.world import KEYS, SUPPRESSION_KEY, Post, World, find_unexplained_mails, outcome

SHIPPED = Path(__file__).parents[2] / "email_templates"
MORNING: Instant = parse_iso("2026-05-05T08:30:00Z")


@cache
def shipped() -> LoadedPlaybook:
    return build(load_files(SHIPPED))


class ShippedWorld(World):
    """The shipped programme with its own templates."""

    @property
    def delivery(self) -> Delivery:
        return Delivery(
            clock=self.clock,
            playbooks=FixedPlaybook(shipped()),
            keys=KEYS,
            suppression_key=SUPPRESSION_KEY,
            base_url="https://mail.shop.example",
            worker=self.worker,
        )

    def happen(self, name: str, at: Instant, /, **properties: Any) -> None:
        self.clock.advance_to(at)
        event = NewEvent(
            source="test",
            message_id=f"{name} {at} {properties}",
            kind="track",
            name=name,
            occurred_at=at,
            received_at=at,
            identities=(Identity("email", "ada@example.com"),),
            properties=properties,
            context={"timezone": "Europe/Berlin", "locale": "en"},
        )
        with self.database.write() as connection:
            accept(connection, [event])

    def turn(self, transport: Any) -> dict[str, int]:
        return run_until_idle(self.database, self.delivery, {"main": transport})


@pytest.fixture
def world(database: Database) -> ShippedWorld:
    world = ShippedWorld(database, shipped().playbook)
    world.clock.current = MORNING
    return world


@pytest.fixture
def sqlite_world(sqlite_database: Database) -> ShippedWorld:
    world = ShippedWorld(sqlite_database, shipped().playbook)
    world.clock.current = MORNING
    return world


ORDER = {
    "order_id": "A-1007",
    "revenue": 24.5,
    "currency": "EUR",
    "products": [{"product_id": "p1", "name": "Kettle", "quantity": 1, "price": 24.5}],
}


def test_an_order_is_confirmed_once_by_mail(world: ShippedWorld, tmp_path: Path) -> None:
    box = open_transport(f"maildir:{tmp_path / 'box'}")
    world.happen("Order Completed", MORNING, **ORDER)
    world.turn(box)
    world.turn(box)
    files = sorted((tmp_path / "box" / "new").iterdir())
    mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    receipts = [mail for mail in mails if "A-1007" in mail.as_string() or "Kettle" in mail.as_string()]
    assert receipts
    assert {mail["To"] for mail in mails} == {"ada@example.com"}
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)
    with world.database.read() as connection:
        rows = {row["measure"]: row for row in conservation(connection)}
        assert all(row["balanced"] for row in rows.values())
        assert find_unexplained_mails(connection) == []
    assert rows["customer/any/order_confirmation"]["sent"] == 1


def test_a_marketing_mail_carries_a_link_that_unsubscribes(world: ShippedWorld) -> None:
    post = Post()
    world.happen("Order Completed", MORNING, **ORDER)
    world.turn(post)
    with world.database.read() as connection:
        contact = connection.execute(sa.select(t.contacts.c.id)).scalar_one()
    world.database.run(
        lambda connection: record.grant_consent(
            connection,
            contact_id=contact,
            topic="offers",
            now=MORNING,
            source="test",
            evidence={},
            suppression_key=SUPPRESSION_KEY,
        )
    )
    before = len(post.taken)
    for day in range(1, 60):
        world.clock.advance_to(MORNING + day * DAY)
        world.turn(post)
    later = [message_from_bytes(mail.data, policy=policy.default) for mail in post.taken[before:]]
    offers = [mail for mail in later if mail["List-Unsubscribe"] and "offers" in mail["List-Id"]]
    assert len(offers) >= 1
    link = offers[0]["List-Unsubscribe"].strip("<>")
    payload = verify_token(KEYS, "unsubscribe", link.rpartition("/")[2])
    assert payload is not None
    assert (payload["c"], payload["t"]) == (contact, "offers")
    body = offers[0].get_body(("plain",))
    assert body is not None
    with world.database.read() as connection:
        codes = list(connection.execute(sa.select(t.coupons.c.code)).scalars())
    assert len(codes) == 1
    assert codes[0] in body.get_content()


def test_every_attempt_has_the_same_bytes(world: ShippedWorld) -> None:
    post = Post(lambda mail: outcome(mail, "retry", stage="rcpt", code="450"))
    world.happen("Order Completed", MORNING, **ORDER)
    for _ in range(6):
        world.turn(post)
        world.later(10 * MINUTE)
    attempts: dict[int, list[bytes]] = {}
    for mail in post.taken:
        attempts.setdefault(mail.message_id, []).append(mail.data)
    assert max(map(len, attempts.values())) >= 3
    assert all(len(set(copies)) == 1 for copies in attempts.values())


def test_a_purchase_not_yet_applied_stops_the_cart_mail(world: ShippedWorld) -> None:
    post = Post()
    world.happen("Product Added", MORNING, cart_id="c1", product_id="p1", name="Kettle", price=24.5)
    world.turn(post)
    with world.database.write() as connection:
        person = connection.execute(sa.select(t.contacts.c.id)).scalar_one()
        record.grant_consent(
            connection, contact_id=person, topic="reminders", now=MORNING, source="test", evidence={}
        )
    # The cart falls silent, its mail is decided; then the purchase is accepted and nobody has applied it.
    world.clock.advance_to(MORNING + 3 * HOUR)
    world.turn(post_never := Post(lambda mail: outcome(mail, "retry", stage="rcpt")))
    with world.database.read() as connection:
        mail = connection.execute(
            sa.select(t.messages.c.id, t.messages.c.status).where(
                t.messages.c.measure == shipped().playbook.measures["lead/any/abandoned_cart"].root
            )
        ).one()
    assert mail.status == "waiting"
    refused = len(post_never.taken)
    world.happen("Order Completed", MORNING + 3 * HOUR + 10 * MINUTE, **ORDER)
    world.deliver(post)
    assert world.status(mail.id) == ("waiting", "events_pending")
    assert not post.taken
    world.turn(post)
    assert world.status(mail.id)[0] == "cancelled"
    assert refused == len(post_never.taken)
    assert all(sent.message_id != mail.id for sent in post.taken)


def subjects(post: Post) -> list[str]:
    """Return the subjects of the mails that the transport took, in order."""
    return [str(message_from_bytes(mail.data, policy=policy.default)["Subject"]) for mail in post.taken]


def test_the_reversal_of_the_only_order_is_confirmed_and_nothing_else_is_said_about_it(
    sqlite_world: ShippedWorld,
) -> None:
    world, post = sqlite_world, Post()
    world.happen("Order Completed", MORNING, **ORDER)
    world.turn(post)
    world.happen(
        "Order Refunded", MORNING + MINUTE, order_id="A-1007", refund_id="r1", total=24.5, currency="EUR"
    )
    world.turn(post)
    world.happen("Order Cancelled", MORNING + 2 * MINUTE, order_id="A-1007")
    for hours in range(1, 9):
        world.turn(post)
        world.clock.advance_to(MORNING + hours * HOUR)
    assert subjects(post) == [
        "Your order A-1007 is in",
        "Refund for order A-1007",
        "Order A-1007 is cancelled",
    ]


CASE = {"case_id": "C-7", "subject": "A cracked lid", "owner": "support"}


def test_a_case_opened_at_night_promises_a_time_that_is_still_to_come(sqlite_world: ShippedWorld) -> None:
    world, night, post = sqlite_world, parse_iso("2026-05-05T21:30:00+02:00"), Post()
    world.happen("Order Completed", MORNING, **ORDER)
    world.turn(post)
    world.happen("Support Case Opened", night, reply_by="2026-05-05T22:30:00+02:00", **CASE)
    world.turn(post)
    assert len(post.taken) == 1
    for hours in range(10, 14):
        world.clock.advance_to(night + hours * HOUR)
        world.turn(post)
    # It leaves on Wednesday at 8; the office opens at 9, and a day later it is 17.
    [mail] = [mail for mail in post.taken if b"C-7" in mail.data]
    body = message_from_bytes(mail.data, policy=policy.default).get_body(("plain",))
    assert body is not None
    assert "Tom Adler is looking after it. You hear from us by Wednesday, 6 May, 17:00." in body.get_content()


def test_a_mail_that_a_slow_relay_keeps_beyond_its_promise_expires(sqlite_world: ShippedWorld) -> None:
    world = sqlite_world
    slow = Post(lambda mail: outcome(mail, "retry", stage="rcpt", code="450"))
    world.happen("Order Completed", MORNING, **ORDER)
    world.turn(Post())
    opened = MORNING + HOUR
    world.happen("Support Case Opened", opened, reply_by="2026-05-05T10:30:00Z", **CASE)
    world.turn(slow)
    assert b"10:30" not in slow.taken[0].data
    with world.database.read() as connection:
        wanted = t.messages.c.measure == "customer/any/case_acknowledged"
        number = connection.execute(sa.select(t.messages.c.id).where(wanted)).scalar_one()
    assert world.status(number)[0] == "waiting"
    for hours in range(1, 5):
        world.clock.advance_to(opened + hours * HOUR)
        world.turn(slow)
    assert world.status(number) == ("expired", "too_late")

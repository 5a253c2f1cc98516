"""Two contacts become one and two again: by operators at once, in circles, and with the stricter consent of both."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent import record
from nurture.consent.load_permissions import load_permissions
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.send_gate import SendGate
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import DAY
from nurture.journey import merge
from tests.cli.shell import Shell, nurture
from tests.delivery.builders import a_measure, a_playbook
from tests.delivery.world import Post
from tests.delivery.world import World as Mails
from tests.journey.builders import NOW, World, an_event

__all__ = ["nurture"]
KEY = b"a key of the tests"


def alias(message_id: str, who: str, earlier: str) -> Any:
    return an_event(message_id, who, kind="alias", name="Aliased", previous_id=earlier)


def states_of_consent(database: Database, contact: int) -> dict[str, str]:
    with database.read() as connection:
        return dict(load_permissions(connection, [contact])[contact].consents)


def withdraw(world: World, who: int, topic: str, at: int) -> None:
    given: dict[str, Any] = {"source": "web", "evidence": {}, "suppression_key": KEY}
    with world.database.write() as connection:
        record.unsubscribe(connection, contact_id=who, topic=topic, now=at, **given)


def grant(world: World, who: int, topic: str, at: int) -> None:
    with world.database.write() as connection:
        record.grant_consent(connection, contact_id=who, topic=topic, now=at, source="web", evidence={})


def merged(world: World, one: int, two: int) -> merge.Joined:
    with world.database.write() as connection:
        return merge.merge(
            connection, one, two, now=world.clock.now(), playbook=world.playbook, evidence={"actor": "ann"}
        )


def parted(world: World, contact: int) -> None:
    with world.database.write() as connection:
        merge.unmerge(connection, contact, now=world.clock.now(), playbook=world.playbook)


# ---- aliases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "aliases",
    [
        pytest.param([("a1", "a2"), ("a2", "a1")], id="two ways"),
        pytest.param([("a1", "a2"), ("a2", "a3"), ("a3", "a1")], id="a circle"),
        pytest.param([("a1", "a1")], id="of itself"),
    ],
)
def test_aliases_that_lead_back_make_one_contact(database: Database, aliases: list[tuple[str, str]]) -> None:
    world = World(database)
    browsers = sorted({name for pair in aliases for name in pair})
    world.take(*(an_event(f"v{name}", name, name="Product Viewed") for name in browsers))
    world.take(*(alias(f"m{place}", *pair) for place, pair in enumerate(aliases)))
    assert len({world.who(name) for name in browsers}) == 1
    living = [row for row in world.rows(t.contacts) if row.survivor is None]
    assert len(living) == 1
    assert len(world.contact(browsers[0]).facts["views"]) == len(browsers)
    world.check()


# ---- operators -------------------------------------------------------------------------------------------


def test_two_operators_merge_both_ways_at_once_while_mail_is_on_its_way(
    postgresql_database: Database,
) -> None:
    receipt = a_measure("any/any/receipt", purpose="transactional", topic=None)
    world = Mails(postgresql_database, a_playbook(receipt))
    one, two = world.person("old"), world.person("ada")
    numbers = [world.mail(one, receipt.path), world.mail(two, receipt.path, run_key="2")]
    chunk = world.claim()
    barrier = Barrier(2)

    def join(pair: tuple[int, int]) -> str:
        barrier.wait()
        try:
            with world.database.write() as connection:
                merge.merge(
                    connection, *pair, now=world.clock.now(), playbook=world.playbook, evidence={"actor": "x"}
                )
        except NotFoundError:
            return "too late"
        return "merged"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(join, [(one, two), (two, one)])) == ["merged", "too late"]
    with world.database.read() as connection:
        survivors = {row.id: row.survivor for row in connection.execute(sa.select(t.contacts))}
    assert survivors in ({one: None, two: one}, {one: two, two: None})
    # Mail guarded before is guarded again.
    gate = SendGate(world.database, world.delivery, chunk)
    assert list(gate.mails()) == []
    gate.close()
    post = Post()
    for _ in range(3):
        world.deliver(post)
    assert sorted(mail.message_id for mail in post.taken) == numbers
    assert len({mail.recipient for mail in post.taken}) == 1


def test_a_withdrawal_of_the_merged_contact_holds_for_both_afterwards(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "u1 e1"), an_event("m2", "e2", occurred_at=NOW - DAY))
    one, two = world.who("u1"), world.who("e2")
    for who in (one, two):
        for topic in ("news", "offers", "events"):
            grant(world, who, topic, NOW - DAY)
    withdraw(world, two, "news", NOW - 1)
    merged(world, one, two)
    world.clock.advance_to(NOW + DAY)
    # Through a link in a mail that had been sent to either.
    withdraw(world, two, "offers", NOW + DAY)
    with database.write() as connection:
        record.set_preferences(
            connection, contact_id=one, values={"often": 7 * DAY}, now=NOW + DAY, source="web", evidence={}
        )
    world.clock.advance_to(NOW + 2 * DAY)
    parted(world, two)
    for who in (one, two):
        assert states_of_consent(database, who) == {
            "news": "withdrawn",
            "offers": "withdrawn",
            "events": "granted",
        }
        with database.read() as connection:
            assert load_permissions(connection, [who])[who].preferences.min_gap == 7 * DAY
    grant(world, one, "news", NOW + 3 * DAY)
    assert (states_of_consent(database, one)["news"], states_of_consent(database, two)["news"]) == (
        "granted",
        "withdrawn",
    )
    (row,) = world.rows(t.merges)
    assert (row.evidence, row.undone_at) == ('{"actor":"ann"}', NOW + 2 * DAY)
    world.check()


def test_merged_parted_and_merged_again(database: Database) -> None:
    world = World(database)
    world.take(an_event("m1", "u1 e1", name="Product Viewed"), an_event("m2", "u2", name="Product Viewed"))
    one, two = world.who("u1"), world.who("u2")
    for _ in range(3):
        stays = merged(world, one, two).survivor
        assert world.who("u1") == world.who("u2") == stays
        assert len(world.contact("u1").facts["views"]) == 2
        world.check()
        parted(world, one + two - stays)
        assert (world.who("u1"), world.who("u2")) == (one, two)
        assert [len(world.contact(name).facts["views"]) for name in ("u1", "u2")] == [1, 1]
        world.check()
    assert len(world.rows(t.merges)) == 3


def test_the_commands_show_first_then_do_and_undo(nurture: Shell) -> None:
    nurture.install()
    for who, product in (("ada@example.com", "p1"), ("id:42", "p2")):
        assert nurture("track", who, "Product Viewed", "-p", f"product_id={product}").code == 0
    nurture.work()
    plan = nurture("contact", "merge", "ada@example.com", "id:42", "--dry-run", "--json").document
    assert [person["names"] for person in plan["people"]] == [["email:ada@example.com"], ["user_id:42"]]
    assert nurture("contact", "show", "id:42", "--json").document["merged"] == []
    refused = nurture("contact", "merge", "ada@example.com", "id:42")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    done = nurture("contact", "merge", "ada@example.com", "id:42", "--yes", "--json").document
    assert done == {key: plan[key] for key in done}
    again = nurture("contact", "merge", "ada@example.com", "id:42", "--yes")
    assert (again.code, "same contact already" in again.line()) == (2, True)
    shown = nurture("contact", "unmerge", f"contact:{done['merged']}", "--dry-run", "--json").document
    assert (shown["survivor"], shown["names"]) == (done["survivor"], ["email:ada@example.com"])
    assert nurture("contact", "unmerge", "ada@example.com", "--yes", "--json").document["names"] == 1
    nothing = nurture("contact", "unmerge", "ada@example.com", "--yes")
    assert (nothing.code, "nothing to undo" in nothing.line()) == (2, True)
    numbers = {
        nurture("contact", "show", who, "--json").document["contact"] for who in ("ada@example.com", "id:42")
    }
    assert len(numbers) == 2
    assert nurture("doctor").code == 0

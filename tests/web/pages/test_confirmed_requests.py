"""Requests that a second mail confirms: another address, my data, forget me. The page asks, the link acts, once."""

import json
import re
from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.suppressions import show
from nurture.consent.record import address_hash
from nurture.contacts.queries import resolve_contact
from nurture.database.engine import Database
from nurture.database.schema import contacts, identities, requests, suppressions
from nurture.domain.consent.requests import REQUESTS_MAX
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.domain.signing import sign_token
from tests.scenarios.world import World

MARA, NEW = "mara@example.com", "mara@new.example"
STEPS = ["address", "data", "erase"]


class Person:
    """Somebody with a browser and the mails that came."""

    def __init__(self, world: World, client: httpx.Client, address: str = MARA) -> None:
        self.world, self.client = world, client
        world.tell(address, "Signed Up")
        world.work()
        with world.database.read() as connection:
            self.id = resolve_contact(connection, address)

    def page(self, step: str = "") -> str:
        token = sign_token(self.world.services.keys, "preferences", {"c": self.id, "m": 1})
        return f"/p/{token}" + (f"/{step}" if step else "")

    def ask(self, step: str, **fields: str) -> httpx.Response:
        return self.client.post(self.page(step), data={"ask": "1", **fields})

    def mailed(self) -> list[tuple[str, str]]:
        """Return (recipient, subject) of every mail that left."""
        self.world.work()
        return [(file.recipient, mail["Subject"]) for file, mail in zip(
            self.world.outlet.kept, self.world.sent_mails(), strict=True)]  # fmt: skip

    def link(self, place: int = -1) -> str:
        """Return the path of the confirmation link in a mail that left."""
        self.world.work()
        text = self.world.sent_mails()[place].get_body(("plain",)).get_content()  # type: ignore[union-attr]
        (path,) = re.findall(r"https://mail\.shop\.example(/confirm/\S+)", text)
        return str(path)

    @property
    def address(self) -> str | None:
        """Where mail goes now."""
        with self.world.database.read() as connection:
            head = sa.select(sa.func.coalesce(contacts.c.survivor, contacts.c.id)).where(
                contacts.c.id == self.id
            )
            statement = sa.select(contacts.c.email).where(contacts.c.id == head.scalar_subquery())
            return connection.scalar(statement)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def mara(world: World, open_browser: Callable[[Services], httpx.Client]) -> Person:
    return Person(world, open_browser(world.services))


def test_the_preference_centre_leads_to_each(mara: Person) -> None:
    text = mara.client.get(mara.page()).text
    for step in STEPS:
        assert f'href="{mara.page(step)}"' in text
        answer = mara.client.get(mara.page(step))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "mara@example.com" not in answer.text
    assert mara.mailed() == []


def test_an_address_changes_when_the_link_at_the_new_one_is_confirmed_and_not_before(mara: Person) -> None:
    assert "m•••@new.example" in mara.ask("address", email=f" {NEW.upper()} ").text
    assert mara.mailed() == [(NEW, "May we write to you here?")]
    assert mara.address == MARA
    path = mara.link()
    for method in ("GET", "HEAD", "GET"):
        assert mara.client.request(method, path).status_code == 200
    assert mara.address == MARA
    assert "m•••@new.example" in mara.client.post(path).text
    assert mara.address == NEW
    assert mara.mailed()[1:] == [(MARA, "Our mail goes to another address now")]
    # Repeated, it is so already, and nobody is told again.
    assert mara.client.post(path).status_code == 200
    assert len(mara.mailed()) == 2


def test_an_application_that_still_names_the_old_address_does_not_take_it_back(mara: Person) -> None:
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    mara.world.live(HOUR)
    mara.world.tell(MARA, "Order Completed", order_id="o-1", revenue=5)
    mara.world.work()
    assert mara.address == NEW
    # A person who comes back by their own request gets mail again.
    mara.ask("address", email=MARA)
    mara.client.post(mara.link())
    mara.world.work()
    assert mara.address == MARA
    mara.world.tell(MARA, "Article Read")
    mara.world.work()
    assert mara.address == MARA


def test_a_later_request_takes_the_place_of_an_earlier_one(mara: Person) -> None:
    mara.ask("address", email="first@new.example")
    first = mara.link()
    mara.world.live(MINUTE)
    mara.ask("address", email=NEW)
    second = mara.link()
    for method in ("GET", "POST"):
        answer = mara.client.request(method, first)
        assert answer.status_code == 410
        assert "This link has expired" in answer.text
    assert mara.client.post(second).status_code == 200
    # An old link replayed changes nothing back.
    assert mara.client.post(first).status_code == 410
    assert mara.address == NEW


@pytest.mark.parametrize("step", STEPS)
def test_a_link_is_good_for_a_day(mara: Person, step: str) -> None:
    mara.ask(step, email=NEW)
    path = mara.link()
    mara.world.live(DAY + MINUTE)
    for method in ("GET", "POST"):
        assert mara.client.request(method, path).status_code == 410
    assert mara.address == MARA


@pytest.mark.parametrize(
    "email", ["", "mara", "mara@", "a@b@c.example", "x" * 300 + "@new.example", MARA.upper()]
)
def test_an_address_that_is_not_new_is_refused_and_nobody_is_mailed(mara: Person, email: str) -> None:
    answer = mara.ask("address", email=email)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert mara.mailed() == []


def test_a_form_fills_no_strangers_mailbox(mara: Person) -> None:
    for number in range(REQUESTS_MAX):
        assert mara.ask("address", email=f"victim{number}@new.example").status_code == 200
    assert mara.ask("address", email=NEW).status_code == 429
    # Each request took the place of the one before: of three asked for at once, one mail leaves.
    assert [to for to, _ in mara.mailed()] == [f"victim{REQUESTS_MAX - 1}@new.example"]
    mara.world.live(DAY + MINUTE)
    assert mara.ask("address", email=NEW).status_code == 200


def test_a_suppressed_address_is_not_written_to_because_somebody_typed_it(mara: Person) -> None:
    key = mara.world.services.settings.suppression_secret
    with mara.world.database.write() as connection:
        row = {"address_hash": address_hash(NEW, key), "scope": "all", "reason": "hard_bounce", "at": 1,
               "source": "test"}  # fmt: skip
        connection.execute(sa.insert(suppressions).values(row))
    mara.ask("address", email=NEW)
    assert mara.mailed() == []
    assert mara.world.ledger()[-1][2:] == ("skipped", "suppressed")


def test_a_stop_at_the_old_address_holds_at_the_new_one(mara: Person) -> None:
    mara.client.post("/u/" + sign_token(mara.world.services.keys, "unsubscribe", {"c": mara.id, "m": 1}))
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    reasons = {(row["of"], row["reason"]) for row in show(mara.world.services, NEW)}
    assert ("person", "unsubscribed") in reasons


def test_a_contact_known_under_the_new_address_is_merged_with_the_person(mara: Person) -> None:
    mara.world.tell(NEW, "Article Read")
    mara.world.work()
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    mara.world.work()
    with mara.world.database.read() as connection:
        assert resolve_contact(connection, NEW) == resolve_contact(connection, MARA)
    assert mara.address == NEW


def test_an_address_of_another_account_is_not_taken_over(mara: Person) -> None:
    world = mara.world
    for who, user in ((MARA, "user-1"), (NEW, "user-2")):
        event = world.event(who, "Signed In")
        world.hand_in(
            type(event)(**{
                **{name: getattr(event, name) for name in event.__slots__},
                "identities": (Identity("user_id", user), Identity("email", who)),
            })
        )  # fmt: skip
        world.work()
    mara.ask("address", email=NEW)
    answer = mara.client.post(mara.link())
    assert answer.status_code == 409
    assert mara.address == MARA


def test_all_data_is_handed_out_by_the_link_as_often_as_it_is_needed(mara: Person) -> None:
    mara.world.tell(MARA, "Order Completed", order_id="o-77", revenue=5)
    mara.ask("data")
    assert mara.mailed()[-1] == (MARA, "Your data is ready")
    path = mara.link()
    shown = mara.client.get(path)
    assert "o-77" not in shown.text
    for _ in range(2):
        answer = mara.client.post(path)
        assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
        assert answer.headers["cache-control"] == "no-store"
        found = json.loads(answer.text)
        assert "email: mara@example.com" in found["names"]
        assert "o-77" in answer.text


def test_a_person_is_forgotten_by_the_link_and_not_by_the_form(mara: Person) -> None:
    mara.ask("erase")
    assert mara.mailed()[-1] == (MARA, "Shall we forget you?")
    path = mara.link()
    assert mara.client.get(path).status_code == 200
    assert mara.address == MARA
    assert "no longer know who you are" in mara.client.post(path).text
    assert mara.address is None
    with mara.world.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(identities)) == 0
        row = connection.execute(sa.select(requests)).one()
    assert (row.act, row.address, row.old_address) == ("erase", None, None)
    for again in (path, mara.page(), mara.page("erase")):
        assert "Nothing to do" in mara.client.get(again).text


@pytest.mark.parametrize("step", STEPS)
def test_a_program_that_posts_to_every_link_asks_for_nothing(mara: Person, step: str) -> None:
    for content in (b"", b"List-Unsubscribe=One-Click", b"email=evil%40new.example"):
        mara.client.post(mara.page(step), content=content)
    assert mara.mailed() == []
    with mara.world.database.read() as connection:
        assert connection.execute(sa.select(requests)).all() == []


def test_a_link_does_only_its_own_persons_request(mara: Person) -> None:
    eve = Person(mara.world, mara.client, "eve@example.com")
    mara.ask("erase")
    mara.world.work()
    with mara.world.database.read() as connection:
        number = connection.scalar(sa.select(requests.c.id))
    forged = "/confirm/" + sign_token(mara.world.services.keys, "confirm", {"c": eve.id, "m": 1, "r": number})
    for answer in (mara.client.get(forged), mara.client.post(forged)):
        assert answer.status_code == 410
    assert (mara.address, eve.address) == (MARA, "eve@example.com")


def test_an_application_cannot_lead_our_mail_to_an_address_of_its_choice(mara: Person) -> None:
    mara.world.tell(MARA, "Confirmation Requested", act="address", request=99, address="evil@new.example")
    mara.world.tell(MARA, "Confirmation Requested", act="address", address="evil@new.example")
    mara.world.tell(MARA, "Address Changed", request=99, old_address="evil@new.example")
    assert mara.mailed() == []
    assert {status for _, _, status, _ in mara.world.ledger()} == {"skipped"}

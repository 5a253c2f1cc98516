"""Requests that a second mail confirms: another address, my data, forget me. The page asks, the link acts, once."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.contacts import merge
from nurture.app.services import Services
from nurture.app.suppressions import show
from nurture.app.tracking import track
from nurture.consent.record import address_hash
from nurture.contacts.queries import resolve_contact
from nurture.database.schema import contacts, dialogues, events, identities, notices, requests, suppressions
from nurture.domain.consent.requests import REQUESTS_MAX
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.domain.measure import MARKETING
from nurture.domain.signing import sign_token
from nurture.feedback.reply_queries import load_reply_holds
from tests.scenarios.world import World

MARA, NEW = "mara@example.com", "mara@new.example"
ASKED, CHANGED = "A change of your address was asked for", "Our mail goes to another address now"
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

    def link(self, page: str = "confirm") -> str:
        """Return the path of the newest link to that page in the mails that left."""
        self.world.work()
        texts = [mail.get_body(("plain",)).get_content() for mail in self.world.sent_mails()]  # type: ignore[union-attr]
        paths = re.findall(rf"https://mail\.shop\.example(/{page}/\S+)", "\n".join(texts))
        return str(paths[-1])

    def events(self, name: str) -> list[int]:
        """Return the ids of the person's applied events of this name."""
        self.world.work()
        with self.world.database.read() as connection:
            return list(connection.scalars(sa.select(events.c.id).where(events.c.name == name)))

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
def world(request: pytest.FixtureRequest) -> World:
    """Return a world on SQLite, or on the kind of database that a test names."""
    return World(request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_database"))


on_both = pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)


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


@on_both
def test_an_address_changes_when_the_link_at_the_new_one_is_confirmed_and_not_before(mara: Person) -> None:
    assert "m•••@new.example" in mara.ask("address", email=f" {NEW.upper()} ").text
    assert mara.mailed() == [(NEW, "May we write to you here?"), (MARA, ASKED)]
    assert mara.address == MARA
    path = mara.link()
    for method in ("GET", "HEAD", "GET"):
        assert mara.client.request(method, path).status_code == 200
    assert mara.address == MARA
    assert "m•••@new.example" in mara.client.post(path).text
    assert mara.address == NEW
    assert mara.mailed()[2:] == [(MARA, CHANGED)]
    # Repeated, it is so already, and nobody is told again.
    assert mara.client.post(path).status_code == 200
    assert len(mara.mailed()) == 3


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
    assert [to for to, _ in mara.mailed()] == [f"victim{REQUESTS_MAX - 1}@new.example", MARA]
    mara.world.live(DAY + MINUTE)
    assert mara.ask("address", email=NEW).status_code == 200


def test_a_suppressed_address_is_not_written_to_because_somebody_typed_it(mara: Person) -> None:
    key = mara.world.services.settings.suppression_secret
    with mara.world.database.write() as connection:
        row = {"address_hash": address_hash(NEW, key), "scope": "all", "reason": "hard_bounce", "at": 1,
               "source": "test"}  # fmt: skip
        connection.execute(sa.insert(suppressions).values(row))
    mara.ask("address", email=NEW)
    assert mara.mailed() == [(MARA, ASKED)]
    skipped = [row for row in mara.world.ledger() if row[1] == "any/confirm_request/confirm"]
    assert [row[2:] for row in skipped] == [("skipped", "suppressed")]


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
    assert mara.mailed()[-1] == (MARA, "Download your data")
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


# ---- the owner of the old address objects ----------------------------------------------------------------


def _stored(mara: Person) -> sa.Row[Any]:
    with mara.world.database.read() as connection:
        return connection.execute(sa.select(requests).order_by(requests.c.id.desc())).first()  # type: ignore[return-value]


def _cases(mara: Person) -> list[tuple[int, int | None]]:
    with mara.world.database.read() as connection:
        return [(row.contact_id, row.closed_at) for row in connection.execute(sa.select(dialogues))]


@on_both
def test_the_owner_of_the_present_address_stops_a_change_before_it_is_made(mara: Person) -> None:
    mara.ask("address", email=NEW)
    confirm, objection = mara.link(), mara.link("object")
    for method in ("GET", "HEAD", "GET"):
        assert mara.client.request(method, objection).status_code == 200
    assert _stored(mara).objected_at is None
    for _ in range(2):
        assert "Our mail still goes to m•••@example.com" in mara.client.post(objection).text
    assert "Our mail still goes to" in mara.client.get(objection).text
    for method in ("GET", "POST"):
        assert mara.client.request(method, confirm).status_code == 410
    assert mara.address == MARA
    assert _cases(mara) == []
    names = mara.events("Address Change Objected")
    assert len(names) == 1


@on_both
def test_an_objection_after_the_change_opens_one_case_and_holds_marketing(mara: Person) -> None:
    mara.ask("address", email=NEW)
    early = mara.link("object")
    mara.client.post(mara.link())
    late = mara.link("object")
    mara.world.live(13 * DAY)
    shown = mara.client.get(late)
    assert "m•••@example.com" in shown.text
    assert "new.example" not in shown.text, "the old mailbox learns nothing of the new one"
    for path in (late, early, late):
        assert mara.client.post(path).status_code == 200
    assert _cases(mara) == [(mara.id, None)]
    assert mara.address == NEW, "people decide, because the new address was confirmed too"
    with mara.world.database.read() as connection:
        (hold,) = load_reply_holds(connection, [mara.id], now=mara.world.now).values()
        notice = connection.execute(sa.select(notices)).one()
    assert hold.hold.stops >= MARKETING
    assert notice.recipient == "desk@shop.example"
    mara.world.work()
    assert [to for to, subject in mara.mailed() if "received" in subject.lower()] == []


def test_an_operator_gives_the_old_address_back_after_an_objection(mara: Person) -> None:
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    objection = mara.link("object")
    mara.world.live(HOUR)
    track(mara.world.services, MARA, "Address Restored", properties={}, at=None, actor="ops")
    mara.world.work()
    assert mara.address == NEW, "without an objection the person's own change stands"
    mara.client.post(objection)
    mara.world.live(HOUR)
    mara.world.tell(MARA, "Order Completed", order_id="o-1", revenue=5)
    mara.world.work()
    assert mara.address == NEW, "an application that still names the old address does not decide"
    track(mara.world.services, MARA, "Address Restored", properties={}, at=None, actor="ops")
    mara.world.work()
    assert mara.address == MARA


@pytest.mark.parametrize("change", [True, False], ids=["changed", "not changed"])
def test_an_objection_that_comes_too_late_changes_nothing(mara: Person, change: bool) -> None:
    mara.ask("address", email=NEW)
    if change:
        mara.client.post(mara.link())
    path = mara.link("object")
    mara.world.live(14 * DAY + MINUTE)
    for method in ("GET", "POST"):
        answer = mara.client.request(method, path)
        assert answer.status_code == (410 if change else 200)
        assert "button" not in answer.text
    assert _stored(mara).objected_at is None
    assert _cases(mara) == []


def test_a_request_that_another_one_replaced_has_nothing_to_stop(mara: Person) -> None:
    mara.ask("address", email="first@new.example")
    first = mara.link("object")
    mara.ask("address", email=NEW)
    assert "Nothing to stop" in mara.client.post(first).text
    assert mara.client.post(mara.link()).status_code == 200
    assert mara.address == NEW


def test_only_the_old_address_is_told_and_its_mail_confirms_nothing(mara: Person) -> None:
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    mara.world.work()
    for outgoing, mail in zip(mara.world.outlet.kept, mara.world.sent_mails(), strict=True):
        text = str(mail)
        assert ("/object/" in text) == (outgoing.recipient == MARA)
        assert ("/confirm/" in text) == (outgoing.recipient == NEW)
    token = mara.link("object").rpartition("/")[2]
    assert mara.client.post(f"/confirm/{token}").status_code == 404
    mara.world.live(HOUR)
    assert mara.address == NEW


def test_a_suppressed_old_address_is_not_written_to_and_the_change_goes_on(mara: Person) -> None:
    key = mara.world.services.settings.suppression_secret
    with mara.world.database.write() as connection:
        row = {"address_hash": address_hash(MARA, key), "scope": "all", "reason": "hard_bounce", "at": 1,
               "source": "test"}  # fmt: skip
        connection.execute(sa.insert(suppressions).values(row))
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    assert {to for to, _ in mara.mailed()} == {NEW}
    assert mara.address == NEW


def test_one_of_two_people_with_one_mailbox_changes_alone(mara: Person) -> None:
    """The other's request, address and mail are untouched, and their link objects to nothing of this person's."""
    for user in ("user-1", "user-2"):
        event = mara.world.event(MARA, "Signed In")
        given = {name: getattr(event, name) for name in event.__slots__}
        ids = (Identity("user_id", user), Identity("email", MARA))
        mara.world.hand_in(type(event)(**given | {"identities": ids}))
        mara.world.work()
    with mara.world.database.read() as connection:
        one, two = (resolve_contact(connection, f"id:{user}") for user in ("user-1", "user-2"))
    assert one != two
    mara.id = two
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    assert [to for to, _ in mara.mailed()] == [NEW, MARA, MARA]
    forged = sign_token(mara.world.services.keys, "object", {"c": one, "m": 1, "r": _stored(mara).id})
    assert mara.client.post(f"/object/{forged}").status_code == 410
    assert _stored(mara).objected_at is None
    assert mara.address == NEW
    mara.id = one
    assert mara.address == MARA


def test_a_browser_key_cannot_tell_that_a_change_was_asked_for(mara: Person) -> None:
    mara.ask("address", email=NEW)
    mara.client.post(mara.link())
    before = len(mara.mailed())
    for name in ("Address Change Requested", "Address Change Objected"):
        event = mara.world.event(MARA, name, request=_stored(mara).id)
        given = {field: getattr(event, field) for field in event.__slots__}
        mara.world.hand_in(type(event)(**given | {"source": "page", "hint": True}))
    assert len(mara.mailed()) == before


# ---- the preference centre shows what holds now ----------------------------------------------------------


def _topics(mara: Person, client: httpx.Client | None = None) -> list[str]:
    text = (client or mara.client).get(mara.page()).text
    return re.findall(r'name="topic" value="(\w+)" checked', text)


def test_the_page_shows_the_address_and_an_open_change_of_it(mara: Person) -> None:
    waits = "It waits for its confirmation"
    assert waits not in mara.client.get(mara.page()).text
    mara.ask("address", email=NEW)
    text = mara.client.get(mara.page()).text
    assert waits in text
    assert "m•••@example.com" in text
    assert "new.example" not in text
    mara.client.post(mara.link())
    mara.world.work()
    text = mara.client.get(mara.page()).text
    assert waits not in text
    assert "m•••@new.example" in text
    mara.ask("address", email=MARA)
    mara.world.live(DAY + MINUTE)
    assert waits not in mara.client.get(mara.page()).text, "the request expired"


def test_the_page_of_a_merged_person_is_the_survivors(mara: Person) -> None:
    mara.world.consent(MARA, "news", "members")
    other = Person(mara.world, mara.client, "mara@office.example")
    mara.world.consent("mara@office.example", "news")
    mara.world.tell("mara@office.example", "Consent Withdrawn", topic="members")
    mara.world.work()
    assert (_topics(mara), _topics(other)) == (["news", "members"], ["news"])
    mara.world.live(MINUTE)
    merge(mara.world.services, MARA, "mara@office.example", actor="ops")
    pages = [person.client.get(person.page()).text for person in (mara, other)]
    assert _topics(mara) == _topics(other) == ["news"], "the stricter of both"
    assert len({re.findall("m•••@[a-z.]+", page)[0] for page in pages}) == 1


def test_the_page_shows_a_confirmation_by_another_device_and_a_stale_form_does_not_undo_it(
    mara: Person, open_browser: Callable[[Services], httpx.Client]
) -> None:
    other_device = open_browser(mara.world.services)
    mara.world.tell(MARA, "Consent Given", topic="news")
    mara.world.work()
    stale = mara.client.get(mara.page()).text
    assert "requested, waiting for your confirmation" in stale
    assert _topics(mara) == []
    mara.world.live(MINUTE)
    other_device.post(mara.link())
    assert _topics(mara) == ["news"]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', stale))
    saved = mara.client.post(mara.page(), data={**hidden, "often": "7", "topic": ["members"]})
    assert re.findall(r'name="topic" value="(\w+)" checked', saved.text) == ["news", "members"]
    assert _topics(mara) == ["news", "members"]
    # The other way: what was stopped elsewhere is not granted again by a page that still shows it ticked.
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', saved.text))
    token = sign_token(mara.world.services.keys, "unsubscribe", {"c": mara.id, "m": 1, "t": "news"})
    mara.world.live(MINUTE)
    other_device.post(f"/u/{token}")
    mara.client.post(mara.page(), data={**hidden, "topic": ["news", "members"]})
    assert _topics(mara) == ["members"]


def test_saving_the_page_leaves_a_requested_topic_and_its_link_alone(mara: Person) -> None:
    mara.world.tell(MARA, "Consent Given", topic="news")
    mara.world.work()
    hidden = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', mara.client.get(mara.page()).text)
    )
    mara.client.post(mara.page(), data={**hidden, "often": "7"})
    mara.world.live(MINUTE)
    assert mara.client.post(mara.link()).status_code == 200
    assert _topics(mara) == ["news"]


def test_the_page_of_an_erased_person_says_nothing_about_them(mara: Person) -> None:
    mara.world.consent(MARA, "news")
    mara.ask("erase")
    path = mara.page()
    mara.client.post(mara.link())
    text = mara.client.get(path).text
    assert "Nothing to do" in text
    assert "m•••" not in text

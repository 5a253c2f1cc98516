"""An afternoon of people at the shop: what each of them gets, where, with which words, and that nothing else leaves.

Every event comes in as the body of Segment's HTTP API, every link is followed on the public pages, every reply and
complaint comes in as mail.
"""

import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from nurture.app import conflicts, contacts, privacy, suppressions
from nurture.app.event_body import split_body
from nurture.app.feedback import process_feedback
from nurture.app.inbound import Inbound
from nurture.app.ingest import read_items
from nurture.database.engine import Database
from nurture.domain.instant import DAY, HOUR, MINUTE, Duration
from nurture.web import create_app
from tests.inbound.mails import an_answer, an_arf
from tests.scenarios.world import World
from tests.web.live import Theatre, running

CONFIRM, WELCOME, STOPPED = (
    "May we write to you?",
    "Three small things for your next cup",
    "You are unsubscribed",
)
# Of a cart that a lead (two variants) or a customer left, and of a first order.
CART, QUESTION, KEPT = "Still in your cart: Guji", "Did a question come up?", "In your cart: Guji"
# The first welcome of a customer who has bought no coffee that the shop named as such.
CUSTOMERS_WELCOME = "For the coffee you have"
THANKS = "Thank you, and what happens now"
STAFF = "desk@shop.example"
GUJI: dict[str, Any] = {"product_id": "p1", "name": "Guji", "price": 10, "quantity": 1}
SIDAMO: dict[str, Any] = {"product_id": "p2", "name": "Sidamo", "price": 20, "quantity": 1}


def receipt(order: str) -> str:
    return f"Your order {order} is in"


class Shop:
    """The shop's servers, its mailboxes, and a browser for the links in its mails."""

    def __init__(self, world: World, browser: httpx.Client) -> None:
        self.world, self.browser = world, browser
        self.services = world.services
        self._seen = 0

    # ---- what happens --------------------------------------------------------------------------------------

    def call(self, event: str = "", *, user: Any = None, device: str | None = None, **details: Any) -> None:
        """Hand in one call of the shop's server; `email`, `phone` and `called` are traits, others are properties."""
        traits = {
            trait: details.pop(word)
            for word, trait in (("email", "email"), ("phone", "phone"), ("called", "firstName"))
            if word in details
        }
        context = {"locale": details.pop("locale", "en"), "timezone": "Europe/Berlin", "traits": traits}
        kind = {"type": "track", "event": event} if event else {"type": "identify"}
        item = {**kind, "userId": user, "anonymousId": device, "context": context, "properties": details}
        item["timestamp"] = self.world.now // 1_000_000
        body = split_body(json.dumps(item).encode())
        intake = read_items(body, source="shop", received_at=self.world.now)
        assert not intake.rejected
        self.world.hand_in(*intake.events)
        self.world.work()

    def order(self, number: str, product: dict[str, Any] = GUJI, **who: Any) -> None:
        """Hand in an order of one product."""
        price = product["price"]
        money = {"revenue": price, "total": price, "currency": "EUR"}
        self.call("Order Completed", order_id=number, products=[product], **money, **who)

    def pass_time(self, duration: Duration) -> None:
        """Let time pass."""
        process_feedback(self.services, self.world.outlet)
        self.world.live(duration)

    # ---- what comes ----------------------------------------------------------------------------------------

    def mails(self) -> list[tuple[str, str]]:
        """Return (recipient, subject) of every mail since the last look."""
        self.world.work()
        process_feedback(self.services, self.world.outlet)
        self.world.work()
        start, self._seen = self._seen, len(self.world.outlet.kept)
        return [(mail.sent_to, str(mail.parsed["Subject"])) for mail in self._received()[start:]]

    def text(self, recipient: str, subject: str) -> str:
        """Return the text of the newest mail to a recipient with this subject."""
        return self._find(recipient, subject).text

    def follow(self, recipient: str, page: str) -> httpx.Response:
        """Post the form behind the link of the newest mail with one."""
        mail = next(
            mail
            for mail in reversed(self._received())
            if mail.sent_to == recipient and f"/{page}/" in mail.text
        )
        (path,) = re.findall(rf"https://mail\.shop\.example(/{page}/\S+)", mail.text)[:1]
        return self.browser.post(path, data={})

    def subscribe(self, topic: str = "news", **who: Any) -> None:
        """Ask for a topic and follow the link of the confirmation mail, which must be the only one."""
        self.call("Topic Requested", topic=topic, **who)
        ((recipient, subject),) = self.mails()
        assert subject in (CONFIRM, "可以给你写信吗？")
        assert self.follow(recipient, "confirm").status_code == 200

    def reply(self, recipient: str, subject: str, text: str) -> None:
        """Answer a mail."""
        mail = self._find(recipient, subject)
        words = an_answer(
            text,
            sender=recipient,
            subject=f"Re: {subject}",
            about=mail.parsed["Message-ID"],
            number=f"<{len(text)}.{recipient}>",
        )
        self._take(recipient, mail.parsed["Reply-To"].addresses[0].addr_spec, words)

    def complain(self, recipient: str, subject: str) -> None:
        """Mark a mail as spam: the provider reports it."""
        about = self._find(recipient, subject).parsed["Message-ID"]
        self._take("", "hello@larkandkettle.example", an_arf(return_path="", header_id=about))

    def _take(self, sender: str, recipient: str, data: bytes) -> None:
        assert Inbound(self.services).process_mail(sender, recipient, data).startswith("250")
        self.world.work()

    def _received(self) -> "list[ReceivedMail]":
        kept = zip(self.world.outlet.kept, self.world.sent_mails(), strict=True)
        return [ReceivedMail(mail.recipient, parsed) for mail, parsed in kept]

    def _find(self, recipient: str, subject: str) -> "ReceivedMail":
        found = [
            mail
            for mail in self._received()
            if (mail.sent_to, mail.parsed["Subject"]) == (recipient, subject)
        ]
        return found[-1]


class ReceivedMail:
    """One mail that left."""

    def __init__(self, sent_to: str, parsed: EmailMessage) -> None:
        self.sent_to, self.parsed = sent_to, parsed

    @property
    def text(self) -> str:
        """The plain text."""
        body = self.parsed.get_body(("plain",))
        assert body is not None
        return str(body.get_content())


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Theatre, str]]:
    theatre = Theatre()
    with running(theatre) as url:
        yield theatre, url


@pytest.fixture
def shop(sqlite_database: Database, stage: tuple[Theatre, str]) -> Iterator[Shop]:
    world = World(sqlite_database)
    stage[0].application = create_app(world.services)
    with httpx.Client(base_url=stage[1]) as browser:
        yield Shop(world, browser)


# ---- the stories -----------------------------------------------------------------------------------------


def test_a_guest_who_makes_an_account_is_one_person_and_welcomed_once(shop: Shop) -> None:
    nora = "nora@example.org"
    shop.subscribe(email=nora, called="Nora", device="laptop")
    assert shop.mails() == [(nora, WELCOME)]
    assert shop.text(nora, WELCOME).startswith("Hi Nora,")
    shop.order("1001", email="Nora@Example.org", device="laptop")
    assert shop.mails() == [(nora, receipt("1001"))]
    shop.call(user="u-1", email=nora, called="Nora")
    shop.call("Signed Up", user="u-1")
    shop.order("1002", user="u-1")
    assert shop.mails() == [(nora, receipt("1002"))]
    assert "Guji" in shop.text(nora, receipt("1002"))
    person = contacts.show(shop.services, "id:u-1")
    assert (person["facts"]["orders"], person["conflicts"]) == (2, [])
    shop.pass_time(3 * DAY)
    # The welcome goes on in the customer's words.
    assert shop.mails() == [(nora, THANKS), (nora, "The same bag, from first cup to last")]


def test_two_people_on_one_phone_and_one_tablet_get_nothing_of_each_other(shop: Shop) -> None:
    otto, paula, number = "otto@example.org", "paula@example.org", "+4930111222"
    shop.order("2001", email=otto, called="Otto", phone=number)
    shop.order("2002", SIDAMO, email=paula, called="Paula", phone=number)
    assert shop.mails() == [(otto, receipt("2001")), (paula, receipt("2002"))]
    assert "Sidamo" not in shop.text(otto, receipt("2001"))
    assert shop.text(paula, receipt("2002")).startswith("Hi Paula,")
    # The carrier knows the number alone: the mail could reach the wrong one, so people decide.
    shop.call("Order Shipped", phone=number, order_id="2002", tracking_number="T2")
    shop.call("Order Shipped", phone=number, order_id="2001", tracking_number="T1")
    assert shop.mails() == []
    (first, second, _pair) = conflicts.list_all(shop.services)
    conflicts.decide(shop.services, first["id"], merge=True, actor="cli:test")
    conflicts.decide(shop.services, second["id"], merge=False, actor="cli:test")
    shop.call("Order Shipped", email=paula, order_id="2002", tracking_number="T2")
    parcels = [f"A parcel is on its way: order {number}" for number in (2001, 2002)]
    assert shop.mails() == [(otto, parcels[0]), (paula, parcels[1])]
    assert "T1" in shop.text(otto, parcels[0])
    assert "T2" in shop.text(paula, parcels[1])
    assert "T2" not in json.dumps(privacy.export_contact(shop.services, otto, actor="self"))
    # The tablet in the kitchen belongs to whoever signed in last.
    quin, rosa = "quin@example.org", "rosa@example.org"
    for user, address, name in (("u-1", quin, "Quin"), ("u-2", rosa, "Rosa")):
        shop.call(user=user, device="tablet", email=address, called=name)
        shop.call("Consent Given", user=user, topic="reminders")
    shop.call("Product Added", device="tablet", cart_id="c-9", **SIDAMO)
    shop.pass_time(3 * HOUR)
    mails = shop.mails()
    # One of two variants.
    [(_, left)] = [mail for mail in mails if mail[0] in (quin, rosa)]
    assert left in (QUESTION, "Still in your cart: Sidamo")
    assert shop.text(rosa, left).startswith("Hi Rosa,")
    assert mails == [(otto, THANKS), (paula, THANKS), (rosa, left)]


def test_two_colleagues_at_one_office_mailbox_stay_two_people(shop: Shop) -> None:
    office = "office@firm.example"
    for user, name in (("u-1", "Sven"), ("u-2", "Tina")):
        shop.call(user=user, email=office, called=name)
        shop.call("Consent Given", user=user, topic="reminders")
    shop.order("3001", user="u-1")
    shop.order("3002", SIDAMO, user="u-2")
    assert shop.mails() == [(office, receipt("3001")), (office, receipt("3002"))]
    for number, name, goods in (("3001", "Sven", "Guji"), ("3002", "Tina", "Sidamo")):
        text = shop.text(office, receipt(number))
        assert text.startswith(f"Hi {name},")
        assert goods in text
    # No marketing for the second one before she has confirmed that the mailbox is hers too.
    shop.pass_time(DAY)
    assert shop.mails() == [(office, THANKS), (office, THANKS)]
    shop.call("Product Added", user="u-2", cart_id="c-2", **SIDAMO)
    shop.pass_time(3 * HOUR)
    assert shop.mails() == []
    shop.subscribe(user="u-2")
    shop.call("Product Added", user="u-1", cart_id="c-1", **GUJI)
    shop.pass_time(3 * HOUR)
    assert shop.mails() == [(office, CUSTOMERS_WELCOME), (office, KEPT)]
    assert shop.text(office, KEPT).startswith("Hi Sven,")


def test_the_old_address_is_told_of_a_new_one_and_suppressions_move_along(shop: Shop) -> None:
    old, new = "wim@old.example", "wim@new.example"
    shop.subscribe(user="u-1", email=old, called="Wim")
    assert shop.mails() == [(old, WELCOME)]
    suppressions.add(shop.services, old, scope="marketing", because="he rang", actor="cli:test")
    centre = re.findall(r"https://mail\.shop\.example(/p/\S+)", shop.text(old, WELCOME))[0]
    assert shop.browser.post(f"{centre}/address", data={"ask": "1", "email": new}).status_code == 200
    assert shop.mails() == [
        (new, "May we write to you here?"),
        (old, "A change of your address was asked for"),
    ]
    assert shop.follow(new, "confirm").status_code == 200
    ((recipient, subject),) = shop.mails()
    assert recipient == old
    assert new not in shop.text(old, subject)
    shop.order("4001", user="u-1")
    assert shop.mails() == [(new, receipt("4001"))]
    # The operator's word for the old address holds at the new one.
    shop.call("Consent Given", user="u-1", topic="reminders")
    shop.call("Product Added", user="u-1", cart_id="c-1", **GUJI)
    shop.call("Topic Requested", user="u-1", topic="offers")
    shop.pass_time(3 * DAY)
    assert shop.mails() == [(new, THANKS)]
    assert [row["reason"] for row in suppressions.show(shop.services, new)] == ["ops"]


def test_after_a_complaint_only_receipts_come(shop: Shop) -> None:
    xena = "xena@example.org"
    shop.subscribe(user="u-1", email=xena, called="Xena")
    shop.call("Topic Requested", user="u-1", topic="offers")
    assert shop.mails() == [(xena, WELCOME), (xena, CONFIRM)]
    shop.complain(xena, WELCOME)
    # The link of a mail from before the complaint starts nothing, and says so.
    page = shop.follow(xena, "confirm")
    assert page.status_code == 410
    assert "a mail was reported as spam" in page.text
    shop.pass_time(DAY)
    shop.call("Consent Given", user="u-1", topic="reminders")
    shop.call("Topic Requested", user="u-1", topic="offers")
    shop.call("Product Added", user="u-1", cart_id="c-1", **GUJI)
    shop.pass_time(2 * DAY)
    assert shop.mails() == []
    shop.call(user="u-1", email="xena@new.example")
    shop.call("Product Added", user="u-1", cart_id="c-2", **GUJI)
    shop.pass_time(8 * DAY)
    assert shop.mails() == []
    shop.order("5001", user="u-1")
    assert shop.mails() == [("xena@new.example", receipt("5001"))]


def test_an_erased_person_who_comes_back_is_new(shop: Shop) -> None:
    yara = "yara@example.org"
    shop.subscribe(user="u-1", email=yara, called="Yara")
    assert shop.mails() == [(yara, WELCOME)]
    shop.order("6001", user="u-1")
    assert shop.mails() == [(yara, receipt("6001"))]
    privacy.erase_contact(shop.services, yara, actor="self")
    shop.pass_time(3 * DAY)
    assert shop.mails() == []
    shop.subscribe(email=yara)
    assert shop.mails() == [(yara, WELCOME)]
    assert shop.text(yara, WELCOME).startswith("Hello,")
    person = contacts.show(shop.services, yara)
    assert (person["track"], person["facts"].get("orders"), person["facts"].get("first_name")) == (
        "lead",
        None,
        None,
    )
    assert suppressions.show(shop.services, yara) == []


@pytest.mark.parametrize(
    ("locale", "words", "title", "sentence"),
    [
        ("en", "Please unsubscribe me.\n\nThanks, Zoe\n", STOPPED, "no more mails of the kind you answered"),
        (
            "de",
            "Bitte melden Sie mich vom Newsletter ab.\n\nGruß\nZoe\n",
            STOPPED,
            "of the kind you answered",
        ),
        ("zh-CN", "请退订，谢谢\n", "您已退订", "您所回复的这类邮件"),
    ],
)
def test_a_reply_that_says_unsubscribe_ends_the_newsletter(
    shop: Shop, locale: str, words: str, title: str, sentence: str
) -> None:
    zoe = "zoe@example.org"
    shop.subscribe(user="u-1", email=zoe, locale=locale)
    ((recipient, welcome),) = shop.mails()
    shop.reply(recipient, welcome, words)
    assert shop.mails() == [(zoe, title)]
    assert sentence in shop.text(zoe, title)
    shop.pass_time(4 * DAY)
    assert shop.mails() == []


def test_a_question_as_reply_holds_marketing_until_it_is_answered(shop: Shop) -> None:
    dora = "dora@example.org"
    shop.subscribe(user="u-1", email=dora, called="Dora")
    shop.call("Consent Given", user="u-1", topic="reminders")
    assert shop.mails() == [(dora, WELCOME)]
    shop.reply(dora, WELCOME, "Which grinder do you recommend? My budget is 50 euros.\n")
    assert shop.mails() == [(dora, "Case R-1: answer by 3 March"), (STAFF, f"[R-1] Re: {WELCOME}")]
    answer = "Tom Adler has it and answers by Tuesday, 3 March, 10:00."
    assert answer in shop.text(dora, "Case R-1: answer by 3 March")
    notice = shop.text(STAFF, f"[R-1] Re: {WELCOME}")
    assert notice.strip().endswith("Which grinder do you recommend? My budget is 50 euros.")
    shop.call("Product Added", user="u-1", cart_id="c-1", **GUJI)
    shop.pass_time(5 * HOUR)
    assert shop.mails() == []
    shop.call("Support Case Closed", user="u-1", case_id="R-1")
    shop.pass_time(5 * HOUR)
    assert shop.mails() == [(dora, CART)]


def test_reminders_fit_the_last_date_of_an_appointment(shop: Shop) -> None:
    emil = "emil@example.org"
    shop.call(user="u-1", email=emil, called="Emil")
    dates = {"Booked": "2026-03-06", "Changed": "2026-03-12"}
    for word, day in dates.items():
        shop.call(
            f"Appointment {word}", user="u-1", appointment_id="A1", starts_at=f"{day}T10:00:00+01:00",
            ends_at=f"{day}T11:00:00+01:00", location="Kesselhof 3", subject="Tasting",
        )  # fmt: skip
        shop.pass_time(MINUTE)
    shop.call("Appointment Changed", user="u-1", appointment_id="A1", starts_at="2026-03-09T15:00:00+01:00",
              ends_at="2026-03-09T16:00:00+01:00", location="Shop 2")  # fmt: skip
    booked = ("Friday, 6 March, 10:00", "Thursday, 12 March, 10:00", "Monday, 9 March, 15:00")
    assert shop.mails() == [(emil, f"Booked: {day}") for day in booked]
    last = shop.text(emil, "Booked: Monday, 9 March, 15:00")
    assert "When: Monday, 9 March, 15:00" in last
    assert "Where: Shop 2" in last
    shop.pass_time(5 * DAY)
    assert shop.mails() == []
    shop.pass_time(DAY)
    assert shop.mails() == [(emil, "Tomorrow, 15:00: your appointment")]
    shop.pass_time(DAY)
    # Another one is called off: the calendar is told, and nothing reminds of it.
    shop.call("Appointment Booked", user="u-1", appointment_id="A2", starts_at="2026-03-20T10:00:00+01:00",
              ends_at="2026-03-20T11:00:00+01:00")  # fmt: skip
    assert shop.mails() == [(emil, "Booked: Friday, 20 March, 10:00")]
    shop.call("Appointment Cancelled", user="u-1", appointment_id="A2")
    shop.pass_time(12 * DAY)
    assert shop.mails() == [(emil, "Cancelled: Friday, 20 March, 10:00")]


def test_a_placeholder_makes_no_giant_and_greets_nobody(shop: Shop) -> None:
    ids: list[str | None] = ["null", "guest", "unregistered", "{{user.id}}", None]
    names = ["FIRST_NAME", "null", "%%First Name%%", "Test", "N/A"]
    for number, (user, name) in enumerate(zip(ids * 2, names * 2, strict=True)):
        address = f"p{number}@example.org"
        shop.order(f"9{number}", user=user, device="undefined", email=address, called=name)
        shop.call("Product Added", user=f"u-{number}", email="test@test.com", cart_id="c-1", **GUJI)
        assert shop.mails() == [(address, receipt(f"9{number}"))]
        assert shop.text(address, receipt(f"9{number}")).startswith("Hello,")
        assert contacts.show(shop.services, address)["facts"]["orders"] == 1
        assert contacts.show(shop.services, f"id:u-{number}")["facts"]["cart.ever"] == 1
    assert conflicts.list_all(shop.services) == []

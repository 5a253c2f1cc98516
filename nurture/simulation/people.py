"""Made-up people: each draws a life from the seed and reacts to the mails that reach them.

Everything is a hash of (seed, person, occasion), so the same seed gives the same lives. The events are those of
the shipped programme; another programme simply hears fewer that it knows.
"""

import random  # noqa: TID251 - seeded, so the same seed gives the same lives
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nurture.contacts.accept import NewEvent
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant, to_datetime, to_iso
from nurture.domain.timing import at_local_time
from nurture.simulation.play import Input

SOURCE = "simulation"

_ZONES = (
    "Europe/Berlin",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "Asia/Shanghai",
    "Asia/Shanghai",
)
_NAMES_EN = (
    "Ada",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Frida",
    "Grace",
    "Henry",
    "Ines",
    "Jonas",
    "Kira",
    "Leo",
)
_NAMES_ZH = ("小雨", "志强", "婷婷", "建国", "晓东", "雪梅", "子涵", "思远")
_SUBJECTS = ("brewing", "origins", "office", "cafe", "tools")
#: product id, name, price, stock at the start
_PRODUCTS = (
    ("ethiopia-250", "Ethiopia Guji 250 g", 13.5, 40),
    ("brazil-1000", "Brazil Santos 1 kg", 27.0, 3),
    ("v60", "Pour-over set", 32.0, 12),
    ("kettle", "Gooseneck kettle", 69.0, 4),
    ("grinder", "Hand grinder", 89.0, 0),
)
#: Kinds of life and how many of a hundred lead them.
_LIVES = (("reader", 30), ("shopper", 40), ("visitor", 10), ("office", 10), ("waiter", 10))


@dataclass(slots=True)
class Person:
    """One made-up person and what they do, ascending by instant."""

    number: int
    start: Instant
    seed: int
    email: str = ""
    zone: str = "Europe/Berlin"
    locale: str = "en"
    inputs: list[Input] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)
    _told: int = 0

    def __post_init__(self) -> None:
        """Draw who this is."""
        self.chance = random.Random(f"{self.seed}:{self.number}")  # noqa: S311 - made-up lives, no secret
        self.zone = self.chance.choice(_ZONES)
        self.locale = "zh-CN" if self.zone == "Asia/Shanghai" else "en"
        self.email = f"person{self.number}@demo.example"

    def local(self, at: Instant, hour: int) -> Instant:
        """Return that hour (and some minutes) on the local day of an instant."""
        day = to_datetime(at).date()
        return at_local_time(day, hour * 60 + self.chance.randrange(50), self.zone)

    def does(self, at: Instant, name: str, /, **properties: Any) -> Instant:
        """Note an event of this person and return its instant."""
        self._told += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{self.seed}-{self.number}-{self._told}",
            kind="track",
            name=name,
            occurred_at=at,
            received_at=at,
            identities=(Identity("user_id", f"u{self.number}"), Identity("email", self.email)),
            properties=properties,
            context={"timezone": self.zone, "locale": self.locale},
        )
        self.inputs.append(Input(at, event=event))
        return at

    def is_known(self, at: Instant) -> Instant:
        """Tell name and birthday, as a sign-up form does."""
        names = _NAMES_ZH if self.locale == "zh-CN" else _NAMES_EN
        traits: dict[str, Any] = {"firstName": self.chance.choice(names)}
        if self.chance.random() < 0.4:
            traits["birthday"] = f"{self.chance.randrange(1, 13):02d}-{self.chance.randrange(1, 29):02d}"
        self._told += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{self.seed}-{self.number}-{self._told}",
            kind="identify",
            name="Identified",
            occurred_at=at,
            received_at=at,
            identities=(Identity("user_id", f"u{self.number}"), Identity("email", self.email)),
            traits=traits,
            context={"timezone": self.zone, "locale": self.locale},
        )
        self.inputs.append(Input(at, event=event))
        return at


def product(chance: random.Random) -> dict[str, Any]:
    """Return a product as events carry it."""
    product_id, name, price, _ = chance.choice(_PRODUCTS)
    return {
        "product_id": product_id,
        "name": name,
        "price": price,
        "quantity": 1,
        "category": chance.choice(_SUBJECTS[:2]),
        "url": f"https://shop.larkandkettle.example/products/{product_id}",
    }


def lives(people: int, *, start: Instant, days: int, seed: int) -> Iterator[Input]:
    """Yield everything that so many people and the world do in so many days, ascending by instant."""
    end = start + days * DAY
    inputs = [*world(start, days, seed)]
    for number in range(people):
        inputs.extend(a_life(number, start=start, end=end, seed=seed).inputs)
    inputs.sort(key=lambda one: (one.at, one.event.message_id if one.event else ""))
    yield from (one for one in inputs if one.at < end)


def a_life(number: int, *, start: Instant, end: Instant, seed: int) -> Person:
    """Draw one person's life between two instants."""
    person = Person(number, start, seed)
    born = start + int(person.chance.random() * 0.6 * (end - start))
    kinds = [kind for kind, share in _LIVES for _ in range(share)]
    _LEAD[person.chance.choice(kinds)](person, person.local(born, person.chance.randrange(9, 21)))
    return person


def _reader(person: Person, at: Instant) -> None:
    """Read, then asks for the news; most confirm (see `reactions`), some buy one day."""
    for place in range(person.chance.randrange(1, 5)):
        subject = person.chance.choice(_SUBJECTS)
        person.does(at + place * 2 * DAY, "Article Read", category=subject, title=f"On {subject}")
    person.is_known(at + 9 * MINUTE)
    person.does(at + 10 * MINUTE, "Topic Requested", topic="news")
    if person.chance.random() < 0.3:
        _buys(person, at + person.chance.randrange(6, 30) * DAY)


def _shopper(person: Person, at: Instant) -> None:
    """Fills a cart; some buy at once, others leave it."""
    person.is_known(at)
    goods = product(person.chance)
    cart = f"cart-{person.number}"
    person.does(at + MINUTE, "Product Viewed", **goods)
    person.does(at + 3 * MINUTE, "Product Added", cart_id=cart, **goods)
    if person.chance.random() < 0.7:
        person.does(at + 3 * MINUTE, "Consent Given", topic="reminders")
    if person.chance.random() < 0.5:
        _buys(person, at + 12 * MINUTE, cart=cart, goods=goods)
    if person.chance.random() < 0.6:
        person.does(at + 4 * MINUTE, "Topic Requested", topic="offers")


def _visitor(person: Person, at: Instant) -> None:
    """Comes to the shop; books a tasting, moves it once in a while, and comes or does not."""
    person.is_known(at)
    starts = person.local(at + person.chance.randrange(3, 12) * DAY, 16)
    key = f"tasting-{person.number}"
    given = {
        "appointment_id": key,
        "name": "Coffee tasting",
        "location": "Kesselhof 3, Berlin",
        "adviser": "Mira",
    }
    person.does(
        at + 5 * MINUTE,
        "Appointment Booked",
        starts_at=to_iso(starts),
        ends_at=to_iso(starts + HOUR),
        **given,
    )
    if person.chance.random() < 0.3:
        starts += 2 * DAY
        person.does(
            at + DAY, "Appointment Changed", starts_at=to_iso(starts), ends_at=to_iso(starts + HOUR), **given
        )
    if person.chance.random() < 0.2:
        person.does(starts - 20 * HOUR, "Appointment Cancelled", appointment_id=key)
        return
    person.does(starts + 30 * MINUTE, "Event Attended", appointment_id=key)
    if person.chance.random() < 0.4:
        _buys(person, starts + HOUR)


def _office(person: Person, at: Instant) -> None:
    """Buys for an office, again and again; now and then something goes wrong."""
    person.is_known(at)
    person.does(at + MINUTE, "Article Read", category="office", title="Coffee for forty")
    person.does(at + MINUTE, "Consent Given", topic="members")
    for place in range(person.chance.randrange(1, 4)):
        _buys(person, at + (1 + place * 17) * DAY, number=place)


def _waiter(person: Person, at: Instant) -> None:
    """Waits for what is sold out."""
    person.is_known(at)
    person.does(
        at + MINUTE, "Product Viewed", product_id="grinder", name="Hand grinder", price=89.0, category="tools"
    )
    person.does(at + 2 * MINUTE, "Back In Stock Requested", product_id="grinder")
    person.does(at + 2 * MINUTE, "Consent Given", topic="reminders")


_LEAD = {"reader": _reader, "shopper": _shopper, "visitor": _visitor, "office": _office, "waiter": _waiter}


def _buys(
    person: Person,
    at: Instant,
    *,
    cart: str | None = None,
    goods: dict[str, Any] | None = None,
    number: int = 0,
) -> None:
    """Order, shipment, delivery; seldom a case or a return."""
    goods = goods or product(person.chance)
    if person.chance.random() < 0.6:
        person.does(at, "Consent Given", topic="surveys")
    order = {
        "order_id": f"o-{person.number}-{number}",
        "revenue": goods["price"],
        "total": goods["price"],
        "currency": "EUR",
        "products": [goods],
    }
    if cart is not None:
        order["cart_id"] = cart
    person.does(at, "Order Completed", **order)
    shipped = at + person.chance.randrange(18, 40) * HOUR
    tracking = f"LK{person.number:06d}{number}"
    person.does(
        shipped,
        "Order Shipped",
        order_id=order["order_id"],
        tracking_number=tracking,
        tracking_url=f"https://parcel.example/{tracking}",
        carrier="Parcel",
        currency="EUR",
        products=[goods],
    )
    delivered = shipped + person.chance.randrange(20, 70) * HOUR
    person.does(delivered, "Order Delivered", order_id=order["order_id"])
    if person.chance.random() < 0.12:
        opened = delivered + person.chance.randrange(2, 90) * HOUR
        case = {
            "case_id": f"k-{person.number}-{number}",
            "subject": "A cracked lid",
            "agent": "Jonas",
            "reply_by": to_iso(opened + 8 * HOUR),
        }
        person.does(opened, "Support Case Opened", **case)
        person.does(
            opened + person.chance.randrange(5, 80) * HOUR, "Support Case Closed", case_id=case["case_id"]
        )
    if person.chance.random() < 0.05:
        person.does(delivered + 3 * DAY, "Return Requested", order_id=order["order_id"])


def world(start: Instant, days: int, seed: int) -> Iterator[Input]:
    """Yield what happens to things: stock, and one new piece a week on each subject."""
    told = 0

    def thing(at: Instant, name: str, /, **properties: Any) -> Input:
        nonlocal told
        told += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{seed}-world-{told}",
            kind="track",
            name=name,
            occurred_at=at,
            received_at=at,
            properties=properties,
        )
        return Input(at, event=event)

    for product_id, name, price, stock in _PRODUCTS:
        url = f"https://shop.larkandkettle.example/products/{product_id}"
        yield thing(
            start + MINUTE,
            "Product Updated",
            product_id=product_id,
            name=name,
            price=price,
            stock=stock,
            url=url,
        )
    for day in range(0, days, 7):
        for subject in _SUBJECTS:
            at = start + day * DAY + 9 * HOUR
            url = f"https://larkandkettle.example/journal/{subject}-{day // 7}"
            yield thing(
                at,
                "Article Published",
                category=subject,
                title=f"{subject.title()}, week {day // 7 + 1}",
                teaser=f"Five minutes on {subject}, with one thing to try this week.",
                url=url,
                minutes=5,
                published_at=to_iso(at),
            )
    back = start + days * DAY * 2 // 3
    yield thing(
        back, "Product Back In Stock", product_id="grinder", name="Hand grinder", price=89.0, stock=25
    )

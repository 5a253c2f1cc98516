"""Generate the events of made-up people. `reactions` adds what they do about the mails they get.

Each person's random numbers come from (seed, number), so the same seed gives the same events. The events are those of
the shipped programme; another programme knows fewer of them.
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
_SUBJECTS = ("brewing", "coffee", "office", "cafe", "tools")
#: Product id, name, category, price, stock at the start.
_PRODUCTS = (
    ("ethiopia-250", "Ethiopia Guji 250 g", "coffee", 13.5, 40),
    ("brazil-1000", "Brazil Santos 1 kg", "coffee", 27.0, 3),
    ("v60", "Pour-over set", "tools", 32.0, 12),
    ("kettle", "Gooseneck kettle", "tools", 69.0, 4),
    ("grinder", "Hand grinder", "tools", 89.0, 0),
)
#: Kinds of people and how many of a hundred are of each kind.
_LIVES = (("reader", 30), ("shopper", 40), ("visitor", 10), ("office", 10), ("waiter", 10))


@dataclass(slots=True)
class Person:
    """One made-up person with the inputs they cause."""

    number: int
    start: Instant
    seed: int
    email: str = ""
    zone: str = "Europe/Berlin"
    locale: str = "en"
    inputs: list[Input] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)
    _event_count: int = 0

    def __post_init__(self) -> None:
        """Draw zone, locale and address."""
        self.rng = random.Random(f"{self.seed}:{self.number}")  # noqa: S311 - made-up lives, no secret
        self.zone = self.rng.choice(_ZONES)
        self.locale = "zh-CN" if self.zone == "Asia/Shanghai" else "en"
        self.email = f"person{self.number}@demo.example"

    def local(self, at: Instant, hour: int) -> Instant:
        """Return that hour (and some minutes) on the local day of an instant."""
        day = to_datetime(at).date()
        return at_local_time(day, hour * 60 + self.rng.randrange(50), self.zone)

    def add_event(self, at: Instant, name: str, /, **properties: Any) -> Instant:
        """Add an event of this person and return its instant."""
        self._event_count += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{self.seed}-{self.number}-{self._event_count}",
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

    def add_identify(self, at: Instant) -> Instant:
        """Add an identify call with name and birthday, as a sign-up form sends it."""
        names = _NAMES_ZH if self.locale == "zh-CN" else _NAMES_EN
        traits: dict[str, Any] = {"firstName": self.rng.choice(names)}
        if self.rng.random() < 0.4:
            traits["birthday"] = f"{self.rng.randrange(1, 13):02d}-{self.rng.randrange(1, 29):02d}"
        self._event_count += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{self.seed}-{self.number}-{self._event_count}",
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


def product(rng: random.Random) -> dict[str, Any]:
    """Return a product as events carry it."""
    product_id, name, category, price, _ = rng.choice(_PRODUCTS)
    return {
        "product_id": product_id,
        "name": name,
        "price": price,
        "quantity": 1,
        "category": category,
        "url": f"https://shop.larkandkettle.example/products/{product_id}",
    }


def generate_inputs(
    people: int, *, start: Instant, days: int, seed: int, has_things: bool = True
) -> Iterator[Input]:
    """Yield the inputs of `people` persons and of the shop over `days` days, ascending by instant.

    has_things: False leaves the events about products and articles to the caller.
    """
    end = start + days * DAY
    inputs = [*shop_events(start, days, seed)] if has_things else []
    for number in range(people):
        inputs.extend(make_person(number, start=start, end=end, seed=seed).inputs)
    inputs.sort(key=lambda item: (item.at, item.event.message_id if item.event else ""))
    yield from (item for item in inputs if item.at < end)


def make_person(number: int, *, start: Instant, end: Instant, seed: int) -> Person:
    """Return one person with inputs between two instants."""
    person = Person(number, start, seed)
    born = start + int(person.rng.random() * 0.6 * (end - start))
    kinds = [kind for kind, share in _LIVES for _ in range(share)]
    _LEAD[person.rng.choice(kinds)](person, person.local(born, person.rng.randrange(9, 21)))
    return person


def _reader(person: Person, at: Instant) -> None:
    """Add a reader, who reads and asks for the news; most confirm (see `reactions`), some buy later."""
    for place in range(person.rng.randrange(1, 5)):
        subject = person.rng.choice(_SUBJECTS)
        person.add_event(at + place * 2 * DAY, "Article Read", category=subject, title=f"On {subject}")
    person.add_identify(at + 9 * MINUTE)
    person.add_event(at + 10 * MINUTE, "Topic Requested", topic="news")
    if person.rng.random() < 0.3:
        _add_order(person, at + person.rng.randrange(6, 30) * DAY)


def _shopper(person: Person, at: Instant) -> None:
    """Add a shopper, who fills a cart; some buy at once, others leave it."""
    person.add_identify(at)
    goods = product(person.rng)
    cart = f"cart-{person.number}"
    person.add_event(at + MINUTE, "Product Viewed", **goods)
    person.add_event(at + 3 * MINUTE, "Product Added", cart_id=cart, **goods)
    if person.rng.random() < 0.7:
        person.add_event(at + 3 * MINUTE, "Consent Given", topic="reminders")
    if person.rng.random() < 0.5:
        _add_order(person, at + 12 * MINUTE, cart=cart, goods=goods)
    if person.rng.random() < 0.6:
        person.add_event(at + 4 * MINUTE, "Topic Requested", topic="offers")


def _visitor(person: Person, at: Instant) -> None:
    """Add a visitor, who books a tasting, sometimes moves or cancels it, or attends."""
    person.add_identify(at)
    starts = person.local(at + person.rng.randrange(3, 12) * DAY, 16)
    key = f"tasting-{person.number}"
    appointment = {
        "appointment_id": key,
        "name": "Coffee tasting",
        "location": "Kesselhof 3, Berlin",
        "adviser": "Mira",
    }
    person.add_event(
        at + 5 * MINUTE,
        "Appointment Booked",
        starts_at=to_iso(starts),
        ends_at=to_iso(starts + HOUR),
        **appointment,
    )
    if person.rng.random() < 0.3:
        starts += 2 * DAY
        person.add_event(
            at + DAY,
            "Appointment Changed",
            starts_at=to_iso(starts),
            ends_at=to_iso(starts + HOUR),
            **appointment,
        )
    if person.rng.random() < 0.2:
        person.add_event(starts - 20 * HOUR, "Appointment Cancelled", appointment_id=key)
        return
    person.add_event(starts + 30 * MINUTE, "Event Attended", appointment_id=key)
    if person.rng.random() < 0.4:
        _add_order(person, starts + HOUR)


def _office(person: Person, at: Instant) -> None:
    """Add an office, which buys several times."""
    person.add_identify(at)
    person.add_event(at + MINUTE, "Article Read", category="office", title="Coffee for forty")
    person.add_event(at + MINUTE, "Consent Given", topic="members")
    for place in range(person.rng.randrange(1, 4)):
        _add_order(person, at + (1 + place * 17) * DAY, number=place)


def _waiter(person: Person, at: Instant) -> None:
    """Add a person who waits for a sold-out product."""
    person.add_identify(at)
    person.add_event(
        at + MINUTE, "Product Viewed", product_id="grinder", name="Hand grinder", price=89.0, category="tools"
    )
    person.add_event(at + 2 * MINUTE, "Back In Stock Requested", product_id="grinder")
    person.add_event(at + 2 * MINUTE, "Consent Given", topic="reminders")


_LEAD = {"reader": _reader, "shopper": _shopper, "visitor": _visitor, "office": _office, "waiter": _waiter}


def _add_order(
    person: Person,
    at: Instant,
    *,
    cart: str | None = None,
    goods: dict[str, Any] | None = None,
    number: int = 0,
) -> None:
    """Add an order with shipment and delivery, sometimes cancelled, returned and refunded, or with a support case."""
    goods = goods or product(person.rng)
    if person.rng.random() < 0.6:
        person.add_event(at, "Consent Given", topic="surveys")
    order = {
        "order_id": f"o-{person.number}-{number}",
        "revenue": goods["price"],
        "total": goods["price"],
        "currency": "EUR",
        "products": [goods],
    }
    if cart is not None:
        order["cart_id"] = cart
    person.add_event(at, "Order Completed", **order)
    if person.rng.random() < 0.04:
        person.add_event(at + 2 * HOUR, "Order Cancelled", order_id=order["order_id"])
        return
    shipped = at + person.rng.randrange(18, 40) * HOUR
    # A few orders come in two parcels, a day apart.
    for parcel in range(1 + (person.rng.random() < 0.1)):
        _add_parcel(person, shipped + parcel * DAY, str(order["order_id"]), f"{number}{parcel}", goods)
    delivered = shipped + person.rng.randrange(30, 80) * HOUR
    person.add_event(delivered, "Order Delivered", order_id=order["order_id"])
    if person.rng.random() < 0.12:
        opened = delivered + person.rng.randrange(2, 90) * HOUR
        case = {
            "case_id": f"k-{person.number}-{number}",
            "subject": "A cracked lid",
            "owner": "support",
            "reply_by": to_iso(opened + 8 * HOUR),
        }
        person.add_event(opened, "Support Case Opened", **case)
        person.add_event(
            opened + person.rng.randrange(5, 80) * HOUR, "Support Case Closed", case_id=case["case_id"]
        )
    if person.rng.random() < 0.05:
        person.add_event(delivered + 3 * DAY, "Return Requested", order_id=order["order_id"])
        person.add_event(
            delivered + 9 * DAY,
            "Order Refunded",
            order_id=order["order_id"],
            refund_id=f"r-{person.number}-{number}",
            total=goods["price"],
            currency="EUR",
        )


def _add_parcel(person: Person, at: Instant, order_id: str, number: str, goods: dict[str, Any]) -> None:
    """Add the shipment of one parcel of an order."""
    tracking = f"LK{person.number:06d}{number}"
    person.add_event(
        at,
        "Order Shipped",
        order_id=order_id,
        shipment_id=tracking,
        tracking_number=tracking,
        tracking_url=f"https://parcel.example/{tracking}",
        carrier="Parcel",
        currency="EUR",
        products=[goods],
    )


def shop_events(start: Instant, days: int, seed: int) -> Iterator[Input]:
    """Yield events without a person: stock changes, and one new article a week on each subject."""
    event_count = 0

    def make_input(at: Instant, name: str, /, **properties: Any) -> Input:
        nonlocal event_count
        event_count += 1
        event = NewEvent(
            source=SOURCE,
            message_id=f"{seed}-world-{event_count}",
            kind="track",
            name=name,
            occurred_at=at,
            received_at=at,
            properties=properties,
        )
        return Input(at, event=event)

    for product_id, name, _, price, stock in _PRODUCTS:
        url = f"https://shop.larkandkettle.example/products/{product_id}"
        yield make_input(
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
            yield make_input(
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
    yield make_input(
        back, "Product Back In Stock", product_id="grinder", name="Hand grinder", price=89.0, stock=25
    )

"""Generate the busy hours of a shop from a seed: the events of its people, and the mails that must follow.

The expected mails are derived here from the events and the files of the shipped programme, without the engine: a
receipt for each order, a notice for each shipment, a confirmation for each requested topic, and so on. No person
touches two rules that exclude each other (nobody cancels, nobody books as a lead and then buys), so the mails do
not depend on the order in which two processes work.
"""

import random  # noqa: TID251 - seeded, so the same seed gives the same people
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from nurture.domain.instant import DAY, HOUR, SECOND, Instant, to_datetime, to_iso

#: An event in the item shape of Segment's API.
Item = dict[str, Any]
#: A mail: address, measure, step, and the order or case it is about (empty where it is about none).
Mail = tuple[str, str, str, str]

CONFIRM = "any/confirm_subscription"
RECEIPT = "customer/any/order_confirmation"
SHIPPED = "customer/any/order_shipped"
THANKS = "customer/excite/decision_confirmed"
CASE = "customer/any/case_acknowledged"
BOOKED = "lead/any/appointment"
# Measures that were moved are known by the name that they had first.
CART = "lead/convert/abandoned_cart"
BACK = "lead/convert/back_in_stock"
WELCOME = "lead/subscribe/welcome_series"
#: Measures whose mail is sent at least once even when a worker dies; all other mail is sent at most once.
TRANSACTIONAL = frozenset({CONFIRM, RECEIPT, SHIPPED, BOOKED})
#: The measures that have a holdout.
HOLDING_OUT = frozenset({CART, WELCOME})

#: The product that is sold out at first and comes back.
PRODUCT = "ridge"
#: The events begin this long before now: the abandoned cart mail waits for two hours.
_AGO = 3 * HOUR


@dataclass(slots=True)
class Crowd:
    """Everybody's events, in an order in which they may be handed in, and the mails that must follow."""

    seed: int
    now: Instant
    items: list[Item] = field(default_factory=list)
    expected: Counter[Mail] = field(default_factory=Counter)
    #: Addresses that follow the link of their confirmation mail; each is welcomed then.
    confirming: list[str] = field(default_factory=list)
    #: (address, order) of first orders; thanks follow two hours later, so here only their runs are seen.
    thanked: set[tuple[str, str]] = field(default_factory=set)
    #: Number of people that wait for PRODUCT.
    waiting: int = 0


def crowd(events: int, *, now: Instant, seed: int) -> Crowd:
    """Return people with exactly this many events, and their mails."""
    made = Crowd(seed, now)
    stories: list[Iterator[Item]] = []
    total, number = 0, 0
    while total < events:
        person = _Person(made, number)
        _KINDS[person.rng.choice(_DRAW)](person)
        # Page views without a name fill the rest, so that the number of events is exact.
        total += len(person.events)
        stories.append(iter(person.events))
        number += 1
    made.items = list(_interleaved(stories, random.Random(seed)))
    made.items += [_anonymous_view(seed, place) for place in range(events - total)]
    return made


def back_in_stock(now: Instant) -> Item:
    """Return the event that PRODUCT is back in stock; it names no person."""
    properties = {"product_id": PRODUCT, "name": "Ridge hand grinder", "stock": 500, "price": 89}
    return {
        "type": "track",
        "event": "Product Back In Stock",
        "messageId": "back-in-stock",
        "timestamp": to_iso(now),
        "properties": properties,
    }


def noon_zone(now: Instant) -> str:
    """Return a zone in which it is noon, so that the test never runs in quiet hours."""
    ahead = 12 - to_datetime(now).hour
    # In the names of Etc zones the sign is reversed.
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/UTC"


@dataclass(slots=True)
class _Person:
    """One person with their events; adds the expected mails to the crowd."""

    crowd: Crowd
    number: int
    events: list[Item] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.crowd.seed}:{self.number}")

    @property
    def address(self) -> str:
        return f"person{self.number}@people.example"

    @property
    def user(self) -> Item:
        return {"userId": f"u{self.number}"}

    def track(self, name: str, /, who: Item | None = None, **properties: Any) -> str:
        """Add a track event half a minute after the last one and return its message id."""
        return self._add({"type": "track", "event": name, "properties": properties}, who)

    def identify(self, who: Item | None = None) -> None:
        """Add an identify event with name and address."""
        name = self.rng.choice(("Ada", "Ben", "Çelik", "小雨", "O'Neil", "Zoë"))
        self._add({"type": "identify", "traits": {"firstName": name, "email": self.address}}, who)

    def view_pages(self, least: int, most: int) -> None:
        """Add between `least` and `most` page views."""
        for _ in range(self.rng.randint(least, most)):
            self.track("Page Viewed", path=f"/{self.rng.randrange(100)}")

    def expect(self, measure: str, step: str, about: str = "") -> None:
        """Add a mail to the expected ones."""
        self.crowd.expected[self.address, measure, step, about] += 1

    def _add(self, item: Item, who: Item | None) -> str:
        place = len(self.events)
        message = f"{self.number}-{place}"
        at = self.crowd.now - _AGO + place * 30 * SECOND
        context = {"timezone": noon_zone(self.crowd.now), "locale": "en"}
        common = {"messageId": message, "timestamp": to_iso(at), "context": context}
        self.events.append({**item, **common, **(self.user if who is None else who)})
        return message


# ---- stories ---------------------------------------------------------------------------------------------


def _buyer(person: _Person) -> None:
    """Order once or twice; most orders are shipped, some come as two events, some lead to a support case."""
    person.identify()
    person.view_pages(0, 4)
    for place in range(1 + (person.rng.random() < 0.2)):
        order = f"o-{person.number}-{place}"
        goods: Item = {"product_id": "guji-250", "name": "Guji 250 g", "quantity": 2, "price": 13.5}
        bought: Item = {"order_id": order, "revenue": 27, "total": 27, "currency": "EUR", "products": [goods]}
        person.track("Order Completed", **bought)
        person.expect(RECEIPT, "receipt", order)
        if place == 0:
            person.crowd.thanked.add((person.address, order))
        if person.rng.random() < 0.1:
            # Shop and payment service both send the event: two events, one order.
            person.track("Order Completed", **bought)
        if person.rng.random() < 0.6:
            parcel = f"T{order}"
            person.track("Order Shipped", order_id=order, carrier="DHL", tracking_number=parcel)
            person.expect(SHIPPED, "shipped", parcel)
    person.view_pages(0, 4)
    if person.rng.random() < 0.1:
        case = f"c-{person.number}"
        person.track("Support Case Opened", case_id=case, subject="The grinder arrived with a crack")
        person.expect(CASE, "received", case)


def _reader(person: _Person) -> None:
    """Read without a name, then request news; some confirm by the link, some were two contacts before."""
    if person.rng.random() < 0.3:
        # The sign-up form sends the address, the login the user id; a later event has both and merges them.
        form = {"context": {"traits": {"email": person.address}}}
        _request_topic(person, who=form)
        person.track("Article Read", category="origins", title="On origins")
        person.identify()
    else:
        visitor = {"anonymousId": f"a{person.number}"}
        person.track("Article Read", who=visitor, category="brewing", title="On brewing")
        person.identify({**person.user, **visitor})
        _request_topic(person)
        if person.rng.random() < 0.15:
            person.crowd.confirming.append(person.address)
            person.expect(WELCOME, "welcome")
        elif person.rng.random() < 0.2:
            _request_topic(person, topic="offers")
    person.view_pages(1, 5)


def _request_topic(person: _Person, *, topic: str = "news", who: Item | None = None) -> None:
    message = person.track("Topic Requested", who=who, topic=topic)
    person.expect(CONFIRM, "confirm", message)


def _visitor(person: _Person) -> None:
    """Book a tasting."""
    person.identify()
    person.view_pages(1, 4)
    starts = person.crowd.now + person.rng.randrange(3, 20) * DAY
    key = f"tasting-{person.number}"
    when: Item = {"starts_at": to_iso(starts), "ends_at": to_iso(starts + HOUR)}
    person.track("Appointment Booked", appointment_id=key, location="Kesselhof 3, Berlin", **when)
    person.expect(BOOKED, "confirmation", key)


def _cart(person: _Person) -> None:
    """Fill a cart and leave it."""
    person.identify()
    person.track("Consent Given", topic="reminders")
    person.view_pages(0, 3)
    for place in range(person.rng.randint(1, 3)):
        goods: Item = {"product_id": f"p{place}", "name": "Guji 250 g", "quantity": 1, "price": 13.5}
        person.track("Product Added", cart_id=f"cart-{person.number}", currency="EUR", **goods)
    person.expect(CART, "left", f"cart-{person.number}")


def _waiter(person: _Person) -> None:
    """Request a mail for when the product is back in stock."""
    person.identify()
    person.track("Consent Given", topic="reminders")
    person.track("Back In Stock Requested", product_id=PRODUCT)
    person.view_pages(0, 3)
    person.expect(BACK, "back", PRODUCT)
    person.crowd.waiting += 1


_KINDS: dict[str, Callable[[_Person], None]] = {
    "buyer": _buyer,
    "reader": _reader,
    "visitor": _visitor,
    "cart": _cart,
    "waiter": _waiter,
}
_SHARES = {"buyer": 45, "reader": 25, "visitor": 10, "cart": 12, "waiter": 8}
_DRAW = [kind for kind, share in _SHARES.items() for _ in range(share)]


def _interleaved(stories: list[Iterator[Item]], rng: random.Random) -> Iterator[Item]:
    """Yield all events, each person's in order, mixed among the 200 people that are active at once."""
    ahead = iter(stories)
    about = list(islice(ahead, 200))
    while about:
        place = rng.randrange(len(about))
        item = next(about[place], None)
        if item is not None:
            yield item
        elif (following := next(ahead, None)) is not None:
            about[place] = following
        else:
            about.pop(place)


def _anonymous_view(seed: int, place: int) -> Item:
    """Return a page view of an anonymous visitor."""
    return {
        "type": "page",
        "anonymousId": f"passer-{seed}-{place}",
        "messageId": f"passing-{place}",
        "properties": {"path": "/"},
    }

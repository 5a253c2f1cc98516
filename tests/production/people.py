"""A shop's busy hours: seeded people, everything they do, and the mails that must come of it.

The expected mails are worked out here from the events and from what the shipped programme's files say, not by the
engine: a receipt for each order, a notice for each shipment, a question for each topic asked for, and so on.
Everybody stays on one side of each rule (nobody cancels, nobody books as a lead and then buys), so that the
mails depend on no order in which two processes happen to work.
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
CART = "lead/convert/abandoned_cart"
BACK = "lead/convert/back_in_stock"
WELCOME = "lead/subscribe/welcome_series"
#: Mail that must arrive, whatever happens to a worker; all other mail is never sent twice.
TRANSACTIONAL = frozenset({CONFIRM, RECEIPT, SHIPPED, BOOKED})
#: The measures that leave some people out, to compare with.
HOLDING_OUT = frozenset({CART, WELCOME})

#: The product that is sold out at first and comes back.
PRODUCT = "ridge"
#: How long before now the stories begin: a cart is left for two hours before it is asked after.
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
    #: How many wait for PRODUCT.
    waiting: int = 0


def crowd(events: int, *, now: Instant, seed: int) -> Crowd:
    """Return a crowd that does exactly so many things."""
    made = Crowd(seed, now)
    stories: list[Iterator[Item]] = []
    total, number = 0, 0
    while total < events:
        person = _Person(made, number)
        _KINDS[person.rng.choice(_DRAW)](person)
        # The last person does less than they would have: looking around is what can be left out.
        total += len(person.told)
        stories.append(iter(person.told))
        number += 1
    made.items = list(_interleaved(stories, random.Random(seed)))
    made.items += [_look_around(seed, place) for place in range(events - total)]
    return made


def back_in_stock(now: Instant) -> Item:
    """Return the event by which everybody who waits for PRODUCT is told; it names nobody."""
    properties = {"product_id": PRODUCT, "name": "Ridge hand grinder", "stock": 500, "price": 89}
    return {
        "type": "track",
        "event": "Product Back In Stock",
        "messageId": "back-in-stock",
        "timestamp": to_iso(now),
        "properties": properties,
    }


def noon_zone(now: Instant) -> str:
    """Return a zone in which it is noon, so that no quiet hours fall into the test whenever it runs."""
    ahead = 12 - to_datetime(now).hour
    # The sign of these names is turned around.
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/UTC"


@dataclass(slots=True)
class _Person:
    """One person telling a story; the crowd learns which mails it asks for."""

    crowd: Crowd
    number: int
    told: list[Item] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.crowd.seed}:{self.number}")

    @property
    def address(self) -> str:
        return f"person{self.number}@people.example"

    @property
    def user(self) -> Item:
        return {"userId": f"u{self.number}"}

    def does(self, name: str, /, who: Item | None = None, **properties: Any) -> str:
        """Tell an event, half a minute after the one before; returns its message id."""
        return self._tell({"type": "track", "event": name, "properties": properties}, who)

    def is_known(self, who: Item | None = None) -> None:
        """Tell name and address."""
        name = self.rng.choice(("Ada", "Ben", "Çelik", "小雨", "O'Neil", "Zoë"))
        self._tell({"type": "identify", "traits": {"firstName": name, "email": self.address}}, who)

    def looks(self, least: int, most: int) -> None:
        """Look at so many pages."""
        for _ in range(self.rng.randint(least, most)):
            self.does("Page Viewed", path=f"/{self.rng.randrange(100)}")

    def expects(self, measure: str, step: str, about: str = "") -> None:
        """Note a mail that must come."""
        self.crowd.expected[self.address, measure, step, about] += 1

    def _tell(self, item: Item, who: Item | None) -> str:
        place = len(self.told)
        message = f"{self.number}-{place}"
        at = self.crowd.now - _AGO + place * 30 * SECOND
        context = {"timezone": noon_zone(self.crowd.now), "locale": "en"}
        given = {"messageId": message, "timestamp": to_iso(at), "context": context}
        self.told.append({**item, **given, **(self.user if who is None else who)})
        return message


# ---- stories ---------------------------------------------------------------------------------------------


def _buyer(person: _Person) -> None:
    """Order, perhaps again; most orders are shipped; some are told twice; some have a question."""
    person.is_known()
    person.looks(0, 4)
    for place in range(1 + (person.rng.random() < 0.2)):
        order = f"o-{person.number}-{place}"
        goods: Item = {"product_id": "guji-250", "name": "Guji 250 g", "quantity": 2, "price": 13.5}
        bought: Item = {"order_id": order, "revenue": 27, "total": 27, "currency": "EUR", "products": [goods]}
        person.does("Order Completed", **bought)
        person.expects(RECEIPT, "receipt", order)
        if place == 0:
            person.crowd.thanked.add((person.address, order))
        if person.rng.random() < 0.1:
            # Shop and payment service both tell it: two events, one order.
            person.does("Order Completed", **bought)
        if person.rng.random() < 0.6:
            person.does("Order Shipped", order_id=order, carrier="DHL", tracking_number=f"T{order}")
            person.expects(SHIPPED, "shipped", order)
    person.looks(0, 4)
    if person.rng.random() < 0.1:
        case = f"c-{person.number}"
        person.does("Support Case Opened", case_id=case, subject="The grinder arrived with a crack")
        person.expects(CASE, "received", case)


def _reader(person: _Person) -> None:
    """Read without a name, then ask for news; a few say yes by the link, some were two people until then."""
    if person.rng.random() < 0.3:
        # The sign-up form knows the address, the journal's login the number; then somebody says both.
        form = {"context": {"traits": {"email": person.address}}}
        _asks(person, who=form)
        person.does("Article Read", category="origins", title="On origins")
        person.is_known()
    else:
        visitor = {"anonymousId": f"a{person.number}"}
        person.does("Article Read", who=visitor, category="brewing", title="On brewing")
        person.is_known({**person.user, **visitor})
        _asks(person)
        if person.rng.random() < 0.15:
            person.crowd.confirming.append(person.address)
            person.expects(WELCOME, "welcome")
        elif person.rng.random() < 0.2:
            _asks(person, topic="offers")
    person.looks(1, 5)


def _asks(person: _Person, *, topic: str = "news", who: Item | None = None) -> None:
    message = person.does("Topic Requested", who=who, topic=topic)
    person.expects(CONFIRM, "confirm", message)


def _visitor(person: _Person) -> None:
    """Book a tasting."""
    person.is_known()
    person.looks(1, 4)
    starts = person.crowd.now + person.rng.randrange(3, 20) * DAY
    key = f"tasting-{person.number}"
    when: Item = {"starts_at": to_iso(starts), "ends_at": to_iso(starts + HOUR)}
    person.does("Appointment Booked", appointment_id=key, location="Kesselhof 3, Berlin", **when)
    person.expects(BOOKED, "confirmation", key)


def _cart(person: _Person) -> None:
    """Fill a cart and leave it."""
    person.is_known()
    person.does("Consent Given", topic="reminders")
    person.looks(0, 3)
    for place in range(person.rng.randint(1, 3)):
        goods: Item = {"product_id": f"p{place}", "name": "Guji 250 g", "quantity": 1, "price": 13.5}
        person.does("Product Added", cart_id=f"cart-{person.number}", currency="EUR", **goods)
    person.expects(CART, "left", f"cart-{person.number}")


def _waiter(person: _Person) -> None:
    """Ask to be told when what is sold out is back."""
    person.is_known()
    person.does("Consent Given", topic="reminders")
    person.does("Back In Stock Requested", product_id=PRODUCT)
    person.looks(0, 3)
    person.expects(BACK, "back", PRODUCT)
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
    """Yield all events: each person's in their order, people mixed among some hundred that are about at once."""
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


def _look_around(seed: int, place: int) -> Item:
    """Return an event of somebody without a name."""
    return {
        "type": "page",
        "anonymousId": f"passer-{seed}-{place}",
        "messageId": f"passing-{place}",
        "properties": {"path": "/"},
    }

"""Write a history from a seed: people who look, buy, ask and vanish, with late, repeated and extreme events."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .draw import Draw, first_day, has_more
from .generate_language import has_language, tells_early
from .generate_more import More

DAYS = 21
PRODUCTS = ["p1", "p2", "p3", "p4"]
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "Africa/Cairo"]
EXTREMES: list[Any] = [
    None, "", "x" * 70, 2**60, -(2**60), 1e300, "12.345", "0001-01-01", "9999-12-31", True, [], {}, "7", 3.7, "NaN",
]  # fmt: skip
Entry = dict[str, Any]


def make_history(seed: int, people: int, folder: Path, *, days: int = DAYS) -> dict[str, Any]:
    """A history of so many people over some days, for the playbook of a folder."""
    draw = Draw("history", seed)
    day = first_day(seed)
    start = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    draw.number(1)  # `first_day` has taken the first one
    story = Story(draw, start, days)
    story.restores = has_language(seed)
    story.tells_early = tells_early(seed)
    if has_more(seed):
        story.more = More(seed, sends_in(folder))
    for number in range(1, people + 1):
        story.person(number)
    story.stock()
    events = sorted(story.events, key=lambda entry: (entry["received_at"], entry["message_id"]))
    return {
        "seed": seed,
        "playbook": folder.name,
        "start": iso(start),
        "until": iso(start + dt.timedelta(days=days)),
        "events": events,
    }


def sends_in(folder: Path) -> list[str]:
    """The measures of a playbook that are sent by hand."""
    return sorted(
        file.parent.relative_to(folder).as_posix() for file in folder.glob("*/*/by_hand/measure.yaml")
    )


def iso(moment: dt.datetime) -> str:
    """Write an instant."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Story:
    """Collects the events of everybody."""

    def __init__(self, draw: Draw, start: dt.datetime, days: int) -> None:
        self.draw = draw
        self.start = start
        self.end = start + dt.timedelta(days=days)
        self.events: list[Entry] = []
        self.who: Any = None
        self.now = start
        self.prefix = ""
        self.count = 0
        self.more: More | None = None
        # Whether cancelled orders may be restored.
        self.restores = False
        # Whether parcels are told before their orders.
        self.tells_early = False

    def person(self, number: int) -> None:
        """One person's weeks."""
        draw = self.draw
        self.prefix = f"{number}x"
        address, user = f"p{number}@x.example", f"u{number}"
        kind = draw.number(100)
        if kind < 4:
            identities: list[Any] = [f"id:{user}"]
        elif kind < 12:
            identities = [address, f"id:{user}", {"email": address, "user_id": user}]
        else:
            identities = [{"email": address, "user_id": user} if kind < 30 else address]
        self.now = self.start + dt.timedelta(minutes=draw.number(3 * 1440))
        habits = draw.some(ACTS, draw.between(3, 7))
        if self.more:
            self.more.person()
        joined = 0
        for turn in range(draw.between(4, 14)):
            joined = max(joined, draw.number(len(identities))) if turn else 0
            self.who = (
                identities[joined] if joined == 2 or draw.share(50) else identities[draw.number(joined + 1)]
            )
            draw.pick(habits if turn else [hello])(self)
            if self.more and len(identities) == 1:
                self.more.turn(self)
            self.now += dt.timedelta(minutes=draw.pick([1, 20, 200, 900, 1440, 2500, 5000]) + draw.number(60))
            if self.now > self.end:
                return

    def tell(
        self,
        name: str,
        properties: Entry | None = None,
        *,
        source: str = "server",
        traits: Entry | None = None,
    ) -> None:
        """One event; now and then late, entry twice, or with an extreme value."""
        draw = self.draw
        self.count += 1
        late = 0 if source == "web" else draw.pick([0, 0, 0, 0, 0, 0, 0, 0, 1, 30, 300, 2000, 12000])
        received = self.now + dt.timedelta(minutes=late if draw.share(30) else 0)
        occurred = (
            self.now if received > self.now or not draw.share(5) else self.now - dt.timedelta(minutes=late)
        )
        result = dict(properties or {})
        if result and source != "web" and draw.share(4):
            result[draw.pick(sorted(result))] = draw.pick(EXTREMES)
        entry = {
            "received_at": iso(received),
            "occurred_at": iso(occurred),
            "who": self.who,
            "source": source,
            "message_id": f"m{self.count:06d}",
            "name": name,
            "properties": result,
            "traits": traits or {},
            "context": {},
        }
        self.events.append(entry)
        if source != "web" and draw.share(4):
            again = received + dt.timedelta(minutes=draw.pick([0, 1, 60, 3000]))
            self.events.append({**entry, "received_at": iso(again)})
        self.now += dt.timedelta(minutes=draw.pick([0, 0, 1, 5]))

    def later(self, *choices: int) -> None:
        """Let some minutes pass."""
        self.now += dt.timedelta(minutes=self.draw.pick(choices))

    def key(self, kind: str, many: int = 3) -> str:
        """A key of one of a person's few things."""
        return f"{kind}{self.prefix}{self.draw.between(1, many)}"

    def stock(self) -> None:
        """Products come and go, without a person."""
        draw = self.draw
        self.who = None
        self.now = self.start + dt.timedelta(hours=2)
        while self.now < self.end:
            product = draw.pick(PRODUCTS)
            name = draw.pick(["Product Stock Changed", "Product Back In Stock", "Product Back In Stock"])
            self.tell(name, {"product_id": product, "stock": draw.between(0, 9)}, source="shop")
            self.now += dt.timedelta(minutes=draw.between(100, 2000))


def hello(story: Story) -> None:
    """Somebody becomes known: traits, and a yes to some topics."""
    draw = story.draw
    traits: Entry = {"firstName": draw.pick(["Anna", "Bo"])} if draw.share(60) else {}
    if draw.share(60):
        traits["timezone"] = draw.pick(ZONES)
    if draw.share(60):
        day = story.start + dt.timedelta(days=draw.between(-2, DAYS))
        traits["birthday"] = draw.pick(
            [day.strftime("1980-%m-%d"), day.strftime("%m-%d"), "02-29", "0001-01-01"]
        )
    if draw.share(20):
        traits["size"] = draw.pick(EXTREMES)
    story.tell("Page Viewed", {}, traits=traits)
    for topic in ("news", "offers", "surveys"):
        if draw.share(75):
            story.tell("Consent Given", {"topic": topic})
            if draw.share(80):
                story.later(0, 5, 300)
                confirm(story, topic)


def confirm(story: Story, topic: str) -> None:
    """A topic is confirmed on our own pages, which know a person by the address."""
    address = story.who.get("email") if isinstance(story.who, dict) else story.who
    if address and not address.startswith("id:"):
        story.tell("Topic Confirmed", {"topic": topic}, source="web")


def change_mind(story: Story) -> None:
    """A topic is withdrawn, and perhaps given again."""
    topic = story.draw.pick(["news", "offers", "surveys"])
    if story.draw.share(25):
        story.tell("Unsubscribed", {"topic": topic} if story.draw.share(60) else {})
    else:
        story.tell("Consent Withdrawn", {"topic": topic})
    if story.draw.share(50):
        story.later(10, 1500, 4000)
        story.tell("Consent Given", {"topic": topic})
        story.later(5, 100)
        if story.draw.share(70):
            confirm(story, topic)


def read(story: Story) -> None:
    """Somebody reads."""
    for _ in range(story.draw.between(1, 3)):
        story.tell("Article Read", {"category": story.draw.pick(["beans", "tools", "water"])})
        story.later(1, 60, 700)


def look(story: Story) -> None:
    """Somebody looks around."""
    for name in story.draw.some(
        ["Signed In", "Page Viewed", "Page Viewed", "Signed In"], story.draw.between(1, 4)
    ):
        story.tell(name, {})
        story.later(1, 30, 500)


def shop(story: Story) -> None:
    """A cart, and sometimes an order."""
    draw = story.draw
    cart = story.key("c")
    for _ in range(draw.between(1, 3)):
        name = draw.pick(["Product Added", "Product Added", "Product Removed", "Cart Viewed"])
        properties: Entry = {"cart_id": cart}
        if name != "Cart Viewed":
            properties |= {"product_id": draw.pick(PRODUCTS), "price": draw.between(5, 90)}
        story.tell(name, properties)
        story.later(1, 20, 100)
    story.later(1, 90, 300, 2000)
    if draw.share(50):
        buy(story, cart)
    elif draw.share(30):
        story.tell("Cart Emptied", {"cart_id": cart})


def buy(story: Story, cart: str | None = None) -> None:
    """An order, entry perhaps by two senders, sent, taken back in full or by parts."""
    draw = story.draw
    order = story.key("o", 5)
    revenue: Any = draw.pick([10, 19.99, 75, "120.50", 0])
    products = [
        {"product_id": product, "quantity": draw.between(1, 3), "category": draw.pick(["beans", "tools"])}
        for product in draw.some(PRODUCTS, draw.between(0, 2))
    ]
    properties: Entry = {"order_id": order, "revenue": revenue, "products": products}
    if revenue not in {10, 75}:
        # With tax and shipping.
        properties["total"] = round(float(revenue) * 1.19 + 5, 2)
    if draw.share(50):
        properties["currency"] = draw.pick(["EUR", "USD", "GBP"])
    if cart and draw.share(60):
        properties["cart_id"] = cart
    if story.tells_early and draw.share(60):
        send(story, order)
        story.later(1, 30, 900, 3000)
    story.tell("Order Completed", properties)
    if draw.share(25):
        story.later(0, 2, 600)
        story.tell(draw.pick(["Order Completed", "Order Updated"]), properties, source="shop")
    story.later(60, 900, 2000)
    if draw.share(50):
        send(story, order)
    if draw.share(30):
        take_back(story, order, properties.get("total", revenue))


def send(story: Story, order: str) -> None:
    """A parcel."""
    draw = story.draw
    parcel = f"{order}-{draw.number(3)}" if story.tells_early else story.key("s")
    story.tell("Order Shipped", {"order_id": order, draw.pick(["shipment_id", "tracking_number"]): parcel})
    story.later(600, 2000)
    if draw.share(60):
        story.tell(
            "Order Delivered", {"order_id": order, **({"shipment_id": parcel} if draw.share(50) else {})}
        )


def take_back(story: Story, order: str, total: Any) -> None:
    """A reversal, in full or by parts."""
    draw = story.draw
    if draw.share(50):
        story.tell("Order Cancelled", {"order_id": order})
        if story.restores and draw.share(60):
            story.later(1, 100, 2000)
            story.tell("Order Restored", {"order_id": order})
            if draw.share(50):
                story.later(1, 500)
                story.tell("Order Cancelled", {"order_id": order})
        return
    for number in range(draw.between(1, 2)):
        part = draw.pick([float(total), round(float(total) / 2, 2)])
        refund = {"order_id": order, "total": part, "refund_id": f"r{order}{draw.pick([1, number])}"}
        if number and len(order) % 2:
            refund |= {"refund_id": "export", "cumulative": True}
        story.tell("Order Refunded", refund)
        story.later(1, 300)


def meet(story: Story) -> None:
    """An appointment that moves."""
    draw = story.draw
    appointment = story.key("a", 2)

    def when() -> Entry:
        moment = story.now + dt.timedelta(minutes=60 * draw.between(-5, 150))
        return {"appointment_id": appointment, "starts_at": iso(moment)}

    story.tell("Appointment Booked", when())
    for _ in range(draw.number(3)):
        story.later(30, 600, 3000)
        story.tell("Appointment Changed", when())
    if draw.share(30):
        story.later(30, 2000)
        story.tell("Appointment Cancelled", {"appointment_id": appointment})


def complain(story: Story) -> None:
    """A support case, or a return."""
    draw = story.draw
    if draw.share(30):
        story.tell("Return Requested", {"order_id": story.key("o", 5)})
        return
    case = story.key("k")
    story.tell("Support Case Opened", {"case_id": case})
    if draw.share(70):
        story.later(60, 900, 6000)
        story.tell("Support Case Closed", {"case_id": case} if draw.share(80) else {})


def answer(story: Story) -> None:
    """An answer to a survey."""
    draw = story.draw
    story.tell("Survey Answered", {"score": draw.between(0, 10), "answer": draw.pick(["office", "home"])})
    if draw.share(30):
        story.tell("Goal Reached", {})


def plan(story: Story) -> None:
    """A plan, and when it renews."""
    draw = story.draw
    renews = story.now + dt.timedelta(minutes=60 * draw.between(-24, 200))
    story.tell("Plan Changed", {"plan": draw.pick(["basic", "team", "pro"]), "renews_at": iso(renews)})


def talk(story: Story) -> None:
    """A quote."""
    story.tell("Quote Sent", {})
    story.later(60, 1500, 5000)
    if story.draw.share(60):
        story.tell("Quote Accepted", {})


def watch(story: Story) -> None:
    """Somebody waits for a product."""
    product = story.draw.pick(PRODUCTS)
    if story.draw.share(50):
        story.tell("Product Viewed", {"product_id": product})
    story.tell("Back In Stock Requested", {"product_id": product})
    if story.draw.share(25):
        story.later(600, 3000)
        story.tell("Watch Ended", {"product_id": product})


def move(story: Story) -> None:
    """Another zone or another birthday."""
    draw = story.draw
    day = story.start + dt.timedelta(days=draw.between(0, DAYS))
    traits = draw.pick(
        [{"timezone": draw.pick(ZONES)}, {"birthday": day.strftime("1990-%m-%d")}, {"timezone": "Mars/Base"}]
    )
    story.tell("Page Viewed", {}, traits=traits)


ACTS: list[Callable[[Story], None]] = [
    read, read, look, look, shop, shop, shop, buy, buy, meet, meet, complain, answer, answer, plan, plan, talk, watch,
    change_mind, move,
]  # fmt: skip

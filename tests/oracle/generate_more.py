"""Further things that happen to a person: old data, preferences, sends by hand, and the words of a browser key.

They are drawn apart from the rest of the history, so that they change nothing else in it.
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

from .draw import Draw

if TYPE_CHECKING:
    from .generate_history import Story

Entry = dict[str, Any]
PRODUCTS = ["p1", "p2", "p3"]


class More:
    """Draws what happens to people besides their own turns."""

    def __init__(self, seed: int, sends: list[str]) -> None:
        self.draw = Draw("more", seed)
        self.sends = sends
        self.count = 0
        self.habits: list[Any] = []

    def person(self) -> None:
        """A new person, with habits of their own."""
        habits = [
            (old_data, 30),
            (prefer, 35),
            (browser, 35),
            (by_hand, 60 if self.sends else 0),
            (suppress, 6),
        ]
        self.habits = [habit for habit, percent in habits if self.draw.share(percent)]

    def turn(self, story: "Story") -> None:
        """Something more after a turn of a person whose address alone tells who it is."""
        if self.habits and isinstance(story.who, str) and "@" in story.who and self.draw.share(45):
            self.draw.pick(self.habits)(self, story)

    def tell(self, story: "Story", name: str, properties: Entry, **more: Any) -> None:
        """One event, a few minutes after the turn."""
        self.count += 1
        moment = story.now + dt.timedelta(minutes=self.draw.between(1, 40))
        at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        entry = {
            "received_at": at,
            "occurred_at": at,
            "who": story.who,
            "source": "server",
            "message_id": f"y{self.count:06d}",
            "name": name,
            "properties": properties,
            "traits": {},
            "context": {},
        }
        story.events.append({**entry, **more})


def key(more: More, story: "Story", kind: str, many: int) -> str:
    """A key of one of a person's few things."""
    return f"{kind}{story.prefix}{more.draw.between(1, many)}"


def old_data(more: More, story: "Story") -> None:
    """An import of what happened long ago."""
    draw = more.draw
    before = story.now - dt.timedelta(hours=draw.between(2, 400))
    words: list[tuple[str, dict[str, Any]]] = [
        ("Order Completed", {"order_id": key(more, story, "o", 5), "revenue": 30, "products": []}),
        (
            "Product Added",
            {"cart_id": key(more, story, "c", 3), "product_id": draw.pick(PRODUCTS), "price": 9},
        ),
        ("Survey Answered", {"score": draw.between(0, 10), "answer": "office"}),
        ("Article Read", {"category": "beans"}),
        ("Signed In", {}),
        ("Page Viewed", {}),
        ("Plan Changed", {"plan": "team"}),
    ]
    word = draw.pick(words)
    at = before.strftime("%Y-%m-%dT%H:%M:%SZ")
    more.tell(story, *word, historic=True, occurred_at=at)


def prefer(more: More, story: "Story") -> None:
    """A preference told on the page: no marketing for a while, or less often; 0 takes it back."""
    kind, hours = more.draw.pick(
        [("pause", 20), ("pause", 60), ("pause", 0), ("often", 30), ("often", 72), ("often", 0)]
    )
    more.tell(story, "$prefer", {"kind": kind, "hours": hours})


def suppress(more: More, story: "Story") -> None:
    """The company writes to an address no more."""
    more.tell(story, "$suppress", {"scope": more.draw.pick(["all", "marketing"])})


def browser(more: More, story: "Story") -> None:
    """A word of a browser key about a person that is known."""
    draw = more.draw
    goods = [
        {"product_id": draw.pick(PRODUCTS), "quantity": 1, "category": "beans", "price": draw.between(1, 60)}
    ]
    words: list[tuple[str, dict[str, Any]]] = [
        (
            "Order Completed",
            {"order_id": key(more, story, "o", 5), "revenue": 500, "currency": "EUR", "products": goods},
        ),
        ("Order Completed", {"order_id": key(more, story, "o", 5), "products": goods}),
        ("Product Added", {"cart_id": key(more, story, "c", 3), **goods[0]}),
        ("Consent Given", {"topic": draw.pick(["news", "offers", "surveys"])}),
        ("Consent Withdrawn", {"topic": "offers"}),
        ("Quote Sent", {}),
        ("Back In Stock Requested", {"product_id": draw.pick(PRODUCTS)}),
        ("Signed In", {}),
    ]
    word = draw.pick(words)
    more.tell(story, *word, source="browser", hint=True)


def by_hand(more: More, story: "Story") -> None:
    """Somebody of the house sends a measure, now and then again."""
    draw = more.draw
    request = {
        "measure": draw.pick(more.sends),
        "request": f"r{more.count}",
        "occasion": draw.pick(["spring", "fair", ""]),
    }
    more.tell(story, "Ops Send", {**request, "again": draw.share(30)}, kind="ops", source="ops")

"""Generated people for whom a send ends in every way that the guard knows, drawn from a seed."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.app.sends.recipients import Recipients
from nurture.contacts.accept import NewEvent, accept
from nurture.database import schema as t
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, HOUR, to_iso
from nurture.domain.measure import MailStep, Measure, OnDate, OnEvent, OnOps, WaitFor
from nurture.domain.playbook import Cap, Playbook, QuietHours, Topic
from nurture.domain.sampling import SHARES, hash_share
from tests.app.sends.shop import Shop
from tests.domain.build import a_measure, a_playbook, when

OFFER = "lead/any/offer"
NUDGE = "lead/any/nudge"
SERIES = "lead/any/series"
RENEWAL = "lead/any/renewal"
ZONES = (None, "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Sydney")


def crowd_playbook(**changes: Any) -> Playbook:
    """Return a programme with an offer to send, and with mails that take its slots before and after."""

    def sales(path: str, **given: Any) -> Measure:
        return a_measure(path, **({"purpose": "sales", "topic": "news", "valid_for": 3 * DAY} | given))

    offer = {
        "trigger": OnOps(),
        "audience": when("(plan or 'none') != 'free' and orders == 0"),
        "steps": (
            MailStep("first", "first", when=when("plan == 'pro'")),
            MailStep("second", "second", when=when("(plan or 'none') != 'pro'")),
        ),
        "holdout": SHARES // 10,
        "priority": 50,
    }
    measures = (
        sales(OFFER, **(offer | changes)),
        sales(NUDGE, trigger=OnEvent(("Product Viewed",)), priority=80, valid_for=3 * DAY),
        sales(
            SERIES,
            trigger=OnEvent(("Trial Started",)),
            steps=(MailStep("hello", "hello"), WaitFor("rest", 3 * DAY), MailStep("more", "more")),
            priority=60,
        ),
        sales(RENEWAL, trigger=OnDate("renewal_at", minute_of_day=10 * 60), priority=90),
    )
    return a_playbook(
        *measures,
        topics={"news": Topic("news", double_opt_in=False)},
        caps=(Cap("sales", frozenset({"sales"}), at_most=2, within=7 * DAY, gap=DAY),),
        quiet_hours=QuietHours(),
        arbitration=4 * HOUR,
    )


def fill(shop: Shop, people: int, *, seed: int) -> None:
    """Let so many people live for five days before now, then decide what they agreed to."""
    began = shop.now
    drawn = [_draw(Draw(seed, number)) for number in range(people)]
    for day in range(6):
        shop.clock.advance_to(began + day * DAY)
        events = [
            event
            for number, (events_of, _) in enumerate(drawn, 1)
            for event in _events(shop, number, events_of, day)
        ]
        shop.database.run(lambda connection, events=events: accept(connection, events))  # type: ignore[misc]
        if day == 0:
            shop.drain()
            _decide(shop, drawn)
        shop.work()
        if day == 1:
            first = tuple(range(1, people // 20))
            shop.send(OFFER, Recipients(contacts=first, words="the first"), request="before")
            shop.work()
    shop.clock.advance_to(began + 5 * DAY + 3 * HOUR)
    shop.work()


class Draw:
    """Numbers and choices that follow from a seed and a person."""

    def __init__(self, *key: int) -> None:
        """Begin the row of numbers of this key."""
        self._key, self._count = key, 0

    def share(self) -> float:
        """Return the next number, at least 0 and below 1."""
        self._count += 1
        return hash_share(*self._key, self._count) / SHARES

    def one_of(self, values: Sequence[Any]) -> Any:
        """Return one of the values."""
        return values[int(self.share() * len(values))]


def _draw(draw: Draw) -> tuple[list[tuple[int, str, dict[str, Any]]], dict[str, Any]]:
    """Return the events of a person as (day, name, properties), and consent and preferences."""
    traits: dict[str, Any] = {}
    if (zone := draw.one_of(ZONES)) is not None:
        traits["timezone"] = zone
    if draw.share() < 0.15:
        traits["renewalAt"] = draw.one_of([6, 7, 8, 9])
    events: list[tuple[int, str, dict[str, Any]]] = [(0, "Identified", traits)]
    if (plan := draw.one_of(["pro", "pro", "free", None])) is not None:
        events.append((0, "Plan Changed", {"plan": plan}))
    for name, share in (("Product Viewed", 0.4), ("Trial Started", 0.3), ("Order Completed", 0.1)):
        if draw.share() < share:
            events.append((draw.one_of(range(1, 6)), name, {}))
    if draw.share() < 0.03:
        events.append((4, "Support Case Opened", {}))
    decided = {
        "news": draw.one_of([*["granted"] * 8, "withdrawn", None]),
        "gap": 3 * DAY if draw.share() < 0.1 else 0,
        "pause": draw.one_of([0, 0, 0, 0, 0, 0, 0, 8, 40]),
        "suppressed": draw.share() < 0.03,
    }
    return events, decided


def _events(
    shop: Shop, number: int, events: list[tuple[int, str, dict[str, Any]]], day: int
) -> list[NewEvent]:
    start = shop.now
    made = []
    for on, name, values in events:
        if on != day:
            continue
        traits = {key: value for key, value in values.items() if value is not None}
        context = {"timezone": traits.pop("timezone")} if "timezone" in traits else {}
        if "renewalAt" in traits:
            traits["renewalAt"] = to_iso(start + traits["renewalAt"] * DAY)
        properties = {"order_id": f"o{number}", "revenue": 1, "case_id": f"c{number}"} | values
        made.append(
            NewEvent(
                source="test",
                message_id=f"{name} {number}",
                kind="identify" if name == "Identified" else "track",
                name=name,
                occurred_at=start,
                received_at=start,
                identities=(Identity("email", f"p{number}@shop.example"),),
                properties={} if name == "Identified" else properties,
                traits=traits,
                context=context,
            )
        )
    return made


def _decide(shop: Shop, drawn: list[tuple[Any, dict[str, Any]]]) -> None:
    """Store consents, preferences and suppressions."""
    common = {"at": shop.now, "source": "web", "evidence": "{}"}
    consents, preferences, reasons = [], [], []
    with shop.database.write() as connection:
        rows = connection.execute(sa.select(t.contacts.c.id, t.contacts.c.email)).all()
        for contact, email in rows:
            wanted = drawn[int(email.removeprefix("p").partition("@")[0]) - 1][1]
            if wanted["news"]:
                consents.append({**common, "contact_id": contact, "topic": "news", "state": wanted["news"]})
            if wanted["gap"]:
                preferences.append({**common, "contact_id": contact, "kind": "often", "value": wanted["gap"]})
            if wanted["pause"]:
                until = shop.now + wanted["pause"] * DAY
                preferences.append({**common, "contact_id": contact, "kind": "pause", "value": until})
            if wanted["suppressed"]:
                reasons.append(
                    {"address_hash": "", "contact_id": contact, "scope": "marketing", "reason": "unsubscribed",
                     "at": shop.now, "source": "web"}
                )  # fmt: skip
        for table, stored in (
            (t.consents, consents),
            (t.metadata.tables["wishes"], preferences),
            (t.suppression_reasons, reasons),
        ):
            if stored:
                connection.execute(sa.insert(table), stored)

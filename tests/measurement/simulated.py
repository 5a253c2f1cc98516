"""People who live through many days of virtual time, whose purchases depend on the measures by planted rates."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.instant import DAY, Instant
from tests.measurement.shop import Shop, a_folder, a_measure, built

#: Days after which a person of these measures counts: a week, and three days for late events.
_MATURE_AFTER = 10

#: measure -> its planted rates: the share of people who order within a week, and the share that is held back.
Rates = Mapping[str, Mapping[str, Any]]


def planted_rates(name: str) -> Rates:
    """Return a set of planted rates."""
    rates: dict[str, Rates] = json.loads(Path(__file__).with_name("rates.json").read_text("utf-8"))
    return rates[name]


def draw(*key: object) -> float:
    """Return a number from 0 to 1 that is the same for the same key."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big") / 2**64


@dataclass
class Life:
    """People enter each measure day by day; some order within a week, by the rate of their arm."""

    shop: Shop
    rates: Rates
    people_at_once: int
    # They come every so many days; on days when nobody's time is over the daily task has nothing new to read.
    every: int = 1
    # Day -> addresses of those who order on it.
    orders: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    judged_at: list[Instant] = field(default_factory=list)
    day: int = 0
    newest_run: int = 0

    def live(self, days: int) -> None:
        """Let days pass: people come, buy, get their mail, and the daily task judges."""
        for _ in range(days):
            self._come_and_buy()
            self.shop.work()
            self._agree_and_plan()
            if (self.day - _MATURE_AFTER) % self.every == 0:
                self._judge()
            self.shop.clock.advance_to(self.shop.now + DAY)
            self.day += 1

    def _judge(self) -> None:
        self.judged_at.append(self.shop.now)
        self.shop.judge()

    def ended(self, measure: str) -> dict[str, Instant]:
        """Return when a measure was stopped, and when it was closed to new people, by the rows of its pauses."""
        words = {"all": "stopped", "entries": "sent_back"}
        return {words[row.mode]: row.since for row in self.shop.rows(t.pauses, name=measure)}

    def _come_and_buy(self) -> None:
        shop = self.shop
        visits = [
            shop.event(f"{path.rsplit('/')[-1]}{self.day}-{number}@shop.example", f"Saw {path}")
            for path in self.rates
            for number in range(0 if self.day % self.every else self.people_at_once)
        ]
        bought = [
            shop.event(who, "Order Completed", order_id=who, revenue="10.00", currency="EUR")
            for who in self.orders.pop(self.day, ())
        ]
        shop.hand_in(*visits, *bought)

    def _agree_and_plan(self) -> None:
        """Give the new people's consent, and plan the orders of those who will buy."""
        r, c = t.runs.c, t.contacts.c
        statement = (
            sa.select(r.id, r.contact_id, r.measure, r.holdout, c.email)
            .join(t.contacts, c.id == r.contact_id)
            .where(r.id > self.newest_run)
            .order_by(r.id)
        )
        with self.shop.database.write() as connection:
            rows = connection.execute(statement).all()
            if rows:
                connection.execute(sa.insert(t.consents), [self._consent(row.contact_id) for row in rows])
        for row in rows:
            self.newest_run = row.id
            rate = self.rates[row.measure]["without" if row.holdout else "with"]
            if draw("buys", row.email) < rate:
                self.orders[self.day + 1 + int(draw("when", row.email) * 6)].append(row.email)

    def _consent(self, contact: int) -> dict[str, Any]:
        return {"contact_id": contact, "topic": "news", "state": "granted", "at": self.shop.now, "source": "web",
                "evidence": "{}"}  # fmt: skip


def a_life(database: Database, rates: Rates, people_at_once: int, *, every: int = 1) -> Life:
    """Return a shop with these measures, each begun by an event of its own and mailed two hours later."""
    measures = {
        path: a_measure(
            trigger=f"{{event: Saw {path}}}",
            holdout=planted["holdout"],
            steps="[{wait: 2h}, {mail: offer}]",
        )
        for path, planted in rates.items()
    }
    files = a_folder(measures)
    return Life(Shop(database, loaded=built(files), files=files), rates, people_at_once, every)


# ---- exported rows ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """An exported row: a person of one measure."""

    is_mailed: bool
    entered_at: Instant
    matures_at: Instant
    has_ordered: bool


def export_people(shop: Shop, measure: str) -> list[Person]:
    """Return who entered a measure, and whether they ordered within a week of it, from the stored rows."""
    (epoch,) = shop.rows(t.experiments, measure=measure)
    ordered = {row.contact_id: row.at for row in shop.rows(t.outcomes, name="order", kind="counted")}
    return [
        Person(
            row.arm > 0,
            row.entered_at,
            row.matures_at,
            row.entered_at < ordered.get(row.contact_id, 0) <= row.entered_at + 7 * DAY,
        )
        for row in shop.rows(t.enrolments, experiment=epoch.id)
    ]

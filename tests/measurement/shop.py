"""A shop whose playbook is published, with one measure that is compared, for tests of its figures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nurture.app import experiments, reports
from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.types import Delivery
from nurture.domain.instant import DAY
from nurture.playbook import LoadedPlaybook, PublishedPlaybooks, build
from nurture.playbook.publishing import publish
from nurture.simulation.play import Simulation
from tests.playbook.builder import BASE, BASE_TEXT, a_mail, a_text, with_essentials
from tests.scenarios.language.shop import PROGRAMME, STRINGS
from tests.scenarios.world import World

OFFER = "lead/any/offer"
AFTER = "customer/any/offer"
ENTITIES = """\
entities: {order: {key: order_id, of: [Order Completed, Order Updated], counts_from: Order Completed, amount: revenue,
  reversed_by: {Order Cancelled: full, Order Refunded: {amount: total, key: refund_id}}}}
facts: {orders: {count: order}}
properties: {revenue: decimal}
"""


def a_measure(**changes: str) -> str:
    """Return the file of the compared measure; a changed key has another line."""
    lines = {
        "goal": "a first order",
        "audience": '"True"',
        "form": "letter",
        "call_to_action": '{kind: read, link: "{{ brand.shop_url }}"}',
        "kind": "accelerator",
        "purpose": "nurture",
        "topic": "news",
        "trigger": "{event: Store Visited}",
        "once": "per event",
        "holdout": "50%",
        "metric": '{event: Order Completed, within: 7d, expect: "+2%"}',
        "steps": "[{mail: offer}]",
        **changes,
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def a_folder(measures: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a playbook with these measures."""
    files = {
        "playbook.yaml": PROGRAMME.replace("brand: {", "brand: {currencies: [EUR, USD], ") + ENTITIES,
        "_layout/base.mjml": BASE,
        "_layout/base.txt": BASE_TEXT,
        "_layout/strings.en.yaml": STRINGS,
    }
    for path, text in measures.items():
        files[f"{path}/measure.yaml"] = with_essentials(path, text)
        files[f"{path}/sample.json"] = json.dumps({})
        files[f"{path}/offer.en.mjml"] = a_mail("en", body="An offer.")
        files[f"{path}/offer.en.txt"] = a_text("en", body="An offer.")
    return files


@dataclass
class Shop(World):
    """One installation whose playbook is published; everything is read from the database."""

    files: dict[str, str] = field(default_factory=lambda: a_folder({OFFER: a_measure()}))

    def __post_init__(self) -> None:
        """Publish, and work by what is published."""
        super().__post_init__()
        self.publish(self.files)
        playbooks = PublishedPlaybooks()
        self.services = Services(
            database=self.database,
            settings=self.services.settings,
            clock=self.clock,
            keys=self.services.keys,
            playbooks=playbooks,
        )
        self.delivery = Delivery(
            clock=self.clock,
            playbooks=playbooks,
            keys=self.services.keys,
            suppression_key=self.services.settings.suppression_secret,
            base_url=self.services.settings.public_url,
            worker="test",
        )
        self.stage = Simulation(self.database, self.delivery, self.clock, {"main": self.outlet})

    def publish(self, files: Mapping[str, str]) -> None:
        """Make these files the active playbook."""
        publish(self.database, files, now=self.now, actor="ann")

    def rows(self, table: sa.Table, **wanted: Any) -> list[Any]:
        """Return the rows of a table, in the order of its key."""
        statement = sa.select(table).filter_by(**wanted).order_by(*table.primary_key.columns)
        with self.database.read() as connection:
            return list(connection.execute(statement))

    def come(self, *people: str) -> None:
        """Let people visit and agree to news; the measure begins for each."""
        for who in people:
            self.tell(who, "Page Viewed")
        for who in people:
            self.consent(who, "news")
            self.tell(who, "Store Visited")
        self.work()

    def buy(self, who: str, order: str, revenue: str = "10.00", **given: Any) -> None:
        """Let a person order, and apply it."""
        self.tell(who, "Order Completed", order_id=order, revenue=revenue, currency="EUR", **given)
        self.work()

    def outcomes(self, name: str = "order") -> list[tuple[str, str, int, int]]:
        """Return (key, kind, number, amount) of each row, in the order of keys and instants."""
        rows = sorted(self.rows(t.outcomes, name=name), key=lambda row: (row.entity_key, row.at, row.kind))
        return [(row.entity_key, row.kind, row.number, row.value_minor) for row in rows]

    def judge(self) -> dict[str, int]:
        """Judge all measures, as the daily task does; return what it counted."""
        return {name: count for name, count in experiments.judge_daily(self.services).items() if count}

    def figures(self, path: str = OFFER) -> dict[str, Any]:
        """Return the report on one measure."""
        return experiments.one_measure(self.services, path)

    def report(self) -> dict[str, dict[str, Any]]:
        """Return the report on all measures, by path."""
        return {row["measure"]: row for row in reports.measures(self.services)}

    def enter(
        self, control: int, treated: int, *, bought: tuple[int, int], days: int = 30, measure: str = OFFER
    ) -> None:
        """Store people who entered the open epoch over some days that are over, the first `bought` with an order."""
        epoch = self.rows(t.experiments, measure=measure)[-1]
        start = self.now - (days + 11) * DAY
        enrolled, orders = [], []
        contact = self.rows(t.contacts)[-1].id if self.rows(t.contacts) else 0
        for arm, number, buyers in ((0, control, bought[0]), (1, treated, bought[1])):
            for place in range(number):
                contact += 1
                entered = start + place * days * DAY // number
                enrolled.append(
                    {"experiment": epoch.id, "contact_id": contact, "arm": arm, "entered_at": entered,
                     "matures_at": entered + 10 * DAY}
                )  # fmt: skip
                if place * buyers // number != (place + 1) * buyers // number:
                    orders.append(
                        {"contact_id": contact, "name": "order", "entity_key": f"o{contact}", "kind": "counted",
                         "at": entered + DAY, "number": 1, "value_minor": 1000}
                    )  # fmt: skip
        with self.database.write() as connection:
            people = [self.a_contact(row["contact_id"]) for row in enrolled]
            connection.execute(sa.insert(t.contacts), people)
            connection.execute(sa.insert(t.enrolments), enrolled)
            if orders:
                connection.execute(sa.insert(t.outcomes), orders)

    def a_contact(self, number: int) -> dict[str, Any]:
        """Return the row of a contact of whom nothing is known."""
        start, rules = self.now - 100 * DAY, self.loaded.playbook.rules_hash
        return {"id": number, "track": "lead", "stage": "aware", "track_since": start, "stage_since": start,
                "first_seen_at": start, "facts": {}, "clock": start, "adopted": rules}  # fmt: skip


def a_shop(database: Database, **changes: str) -> Shop:
    """Return a shop whose measure has these changes."""
    files = a_folder({OFFER: a_measure(**changes)})
    return Shop(database, loaded=built(files), files=files)


def built(files: Mapping[str, str]) -> LoadedPlaybook:
    """Return the checked playbook of these files."""
    return build(files)

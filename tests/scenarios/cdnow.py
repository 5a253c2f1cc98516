"""Real purchases: the complete history of every 30th customer of the CDNOW data set (Fader and Hardie)."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from nurture.domain.event import Identity
from nurture.domain.instant import parse_iso
from nurture.simulation.play import Input
from tests.scenarios.world import World

SLICE = Path(__file__).parent / "cdnow_slice.csv.gz"


@dataclass(frozen=True)
class Purchases:
    """The number of customers, the orders and the revenue of a file of purchases."""

    customers: int
    orders: int
    # US dollars, in cents.
    cents: int


def purchases(rows: list[dict[str, str]]) -> Purchases:
    """Return the totals, computed from the file alone."""
    cents = sum(int(Decimal(row["revenue"]) * 100) for row in rows)
    return Purchases(len({row["user_id"] for row in rows}), len(rows), cents)


def rows_of_slice() -> list[dict[str, str]]:
    """Return the slice's rows."""
    with gzip.open(SLICE, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as a CSV file and return its path."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def quiet_buyers(rows: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield (user id, day of the first order) of customers without a second order within 31 days."""
    days: dict[str, list[datetime]] = {}
    for row in rows:
        days.setdefault(row["user_id"], []).append(datetime.fromisoformat(row["timestamp"]))
    for user, when in days.items():
        first, *later = sorted(when)
        if not later or (later[0] - first).days >= 31:
            yield user, first.date().isoformat()


def purchase_input(world: World, row: dict[str, str]) -> Input:
    """Return the purchase as the event that a shop would have sent at the time."""
    at = parse_iso(row["timestamp"])
    goods = {
        "product_id": "cd",
        "name": "CD",
        "quantity": int(row["quantity"]),
        "price": float(row["revenue"]),
    }
    event = world.event(
        "",
        row["event"],
        at=at,
        id=row["order_id"],
        order_id=row["order_id"],
        revenue=float(row["revenue"]),
        # The currency of the shipped programme: the CDs were paid in dollars.
        currency="EUR",
        products=[goods],
    )
    names = (Identity("user_id", row["user_id"]), Identity("email", row["email"]))
    return Input(at, event=replace(event, identities=names, received_at=at))

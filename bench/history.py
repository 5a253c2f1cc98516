"""real history: all of CDNOW on virtual time, embedded, with the first twelve measures of the shipped programme.

The data set (P. Fader and B. Hardie: 69,659 orders of 23,570 customers in 18 months) is looked up at
`../shared/data/cdnow_orders.csv` beside the project; without it, and at a small scale, the slice of it that the
tests carry is lived through.
"""

import csv
import gzip
import json
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.programme import with_only
from bench.stage import ROOT, Figure, Stage, command

_ALL = ROOT.parent / "shared/data/cdnow_orders.csv"
_SLICE = ROOT / "tests/scenarios/cdnow_slice.csv.gz"
#: Seconds that the simulation may take before it is stopped.
_SECONDS_MAX = 400.0
#: The first twelve measures that the programme had: one of them confirms each order.
MEASURES: Final = (
    "any/address_changed",
    "any/confirm_request",
    "any/confirm_subscription",
    "customer/advocate/presale_notice",
    "customer/any/abandoned_cart",
    "customer/any/appointment",
    "customer/any/back_in_stock",
    "customer/any/birthday",
    "customer/any/case_acknowledged",
    "customer/any/nps_survey",
    "customer/any/order_confirmation",
    "customer/any/order_shipped",
)
_ORDERS = 69_659


def measure(scale: float) -> list[Figure]:
    """Return the seconds of `nurture simulate` over every `1 / scale`-th customer."""
    rows = _rows(scale)
    people = sorted({row["user_id"] for row in rows})
    with TemporaryDirectory(prefix="nurture-bench-") as name:
        folder = Path(name)
        _write(folder, rows, people)
        stage = Stage("sqlite:///none.db", folder=folder, playbook=with_only(MEASURES, folder / "programme"))
        words = ("--events", "orders.jsonl", "--contacts", "people.csv", "--days", "30", "--json")
        what = f"{len(rows)} CDNOW orders of {len(people)} people, 18 months and 30 days, "
        what += f"first {len(MEASURES)} measures"
        before = _processor_seconds()
        try:
            ran = command(
                stage,
                *("nurture.cli", "simulate", *words, "--playbook", str(stage.playbook)),
                seconds=_SECONDS_MAX,
            )
        except TimeoutError:
            note = f"stopped after {_SECONDS_MAX:.0f} s, unfinished"
            return [Figure("real history", what, _SECONDS_MAX, "s", at_most=120, note=note)]
    result = json.loads(ran.output)
    ms = 1_000 * ran.seconds / max(1, result["mails"])
    note = f"{result['events']} events applied, {result['mails']} mails made, a sample rendered: {ms:.2f} ms a mail"
    note += f"; {_processor_seconds() - before:.0f} s of processor"
    if len(rows) < _ORDERS:
        note += "; a part of the history, so not what must be reached"
    # A part of it in time proves nothing.
    at_most = 120 if len(rows) == _ORDERS else None
    return [Figure("real history", what, ran.seconds, "s", at_most=at_most, memory_mb=ran.peak_mb, note=note)]


def _processor_seconds() -> float:
    """Return what all processes that this one started and that ended have used, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rows(scale: float) -> list[dict[str, str]]:
    if _ALL.is_file() and scale >= 0.1:
        with _ALL.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    else:
        with gzip.open(_SLICE, "rt", encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    people = sorted({row["user_id"] for row in rows})
    kept = set(people[:: max(1, round(1 / scale))])
    return [row for row in rows if row["user_id"] in kept]


def _write(folder: Path, rows: list[dict[str, str]], people: list[str]) -> None:
    """Write the orders as a shop would have told them, and who agreed to what."""
    with (folder / "orders.jsonl").open("w", encoding="utf-8") as stream:
        for row in rows:
            revenue = float(row["revenue"])
            goods = {"product_id": "cd", "name": "CD", "quantity": int(row["quantity"]), "price": revenue}
            own = {name: row[name] for name in ("user_id", "email", "event", "timestamp", "order_id")}
            properties = {
                "message_id": row["order_id"],
                "revenue": revenue,
                "currency": "USD",
                "products": [goods],
            }
            stream.write(json.dumps({**own, **properties}) + "\n")
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "email", "consent_offers"])
        writer.writerows([user, f"{user}@customers.example", "granted"] for user in people)

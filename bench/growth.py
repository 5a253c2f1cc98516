"""growth: the same work on installations that hold more and more people; a unit must cost the same.

At each size the same processes do the same amount of ingest, advance, alarms and bulk send. They do it in rounds, each
through all sizes, and the best counts: what else the machine does passes, what grows with the people stays.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench import advance, alarms, bulk_send, ingest
from bench.crowd import Crowds
from bench.picture import Line, chart
from bench.stage import ROOT, Figure, Stage, scalar

SIZES = (10_000, 100_000, 1_000_000)
#: A unit may cost so much more at the largest size than at the smallest.
_FLAT = 1.3
_ROUNDS = 3
_PICTURE = ROOT / "docs/pictures/growth.svg"


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds a unit at one size."""

    people: int
    micros: dict[str, float]

    def keep_best(self, other: dict[str, float]) -> None:
        """Take what was cheaper this time."""
        for kind, micros in other.items():
            self.micros[kind] = min(micros, self.micros.get(kind, micros))


def measure(crowds: Crowds, scale: float) -> list[Figure]:
    """Return what a unit costs at the largest size over the smallest, for each kind of work."""
    units = max(400, int(10_000 * scale))
    stages = [crowds.of(max(200, int(size * scale))) for size in SIZES]
    # Before the work adds people of its own.
    people = [scalar(stage.url, "SELECT count(*) FROM contacts") for stage in stages]
    # As many alarms ring everywhere, a quarter of the fewest people at most.
    ringing = min(units, people[0] // 4)
    costs = [Costs(count, {}) for count in people]
    for number in range(_ROUNDS):
        for stage, cost in zip(stages, costs, strict=True):
            cost.keep_best(_at(stage, units, ringing, number))
            line = ", ".join(f"{kind} {micros:,.0f} µs" for kind, micros in cost.micros.items())
            print(f"  round {number + 1}, {cost.people:,}: at best {line}", flush=True)
    if scale >= 1:
        keep(costs)
    largest = ", ".join(f"{cost.people:,}" for cost in costs)
    return [
        Figure(
            "growth",
            f"{kind}: µs a unit with {largest} contacts stored",
            max(cost.micros[kind] for cost in costs[1:]) / costs[0].micros[kind],
            "times the smallest's",
            at_most=_FLAT,
            note=" / ".join(f"{cost.micros[kind]:,.0f} µs" for cost in costs),
        )
        for kind in costs[0].micros
    ]


def _at(stage: Stage, units: int, ringing: int, number: int) -> dict[str, float]:
    """Do every kind of work once on this installation; returns microseconds a unit. number: of the round."""
    rates = {}
    rates["ingest"], _ = ingest.over_http(stage.url, units)
    with psycopg.connect(stage.url, autocommit=True) as connection:
        connection.execute("TRUNCATE inbox")
    prefix = f"g{number}x"
    with TemporaryDirectory(prefix="nurture-bench-") as folder:
        sent = bulk_send.by_workers(stage.url, Path(folder), units // 4, 2, prefix=prefix, ready_made=200)
    rates["bulk send"] = sent.flowing
    rates["alarms"], _, _ = alarms.by_workers(stage, ringing, 2)
    rates["advance"], _ = advance.by_workers(stage.url, units // 4, 2, prefix=prefix)
    return {kind: 1_000_000 / rate for kind, rate in rates.items()}


# ---- picture --------------------------------------------------------------------------------------------


def keep(costs: list[Costs]) -> None:
    """Write the picture of growth, for the page of benchmarks."""
    lines = [Line(kind, [(cost.people, cost.micros[kind]) for cost in costs]) for kind in costs[0].micros]
    text = chart(
        "The cost of a unit of work, by people stored",
        lines,
        across="contacts stored",
        up="µs a unit (event, ring, mail)",
    )
    _PICTURE.parent.mkdir(exist_ok=True)
    _PICTURE.write_text(text, encoding="utf-8")

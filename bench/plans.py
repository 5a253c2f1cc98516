"""plans: the rooms' own statements on a million people, the planner free to choose; none may read a whole table."""

from bench.crowd import Crowds
from bench.stage import Figure, scalar
from tests.database.plans.scenes import SCENES, World
from tests.database.plans.statements import HOT, plans_of

#: A table of fewer rows is read from end to end sooner than by index, and may be.
_LARGE = 20_000


def measure(crowds: Crowds, scale: float) -> list[Figure]:
    """Return how many statements read a share of a table that grows; prints each."""
    stage = crowds.of(int(1_000_000 * scale))
    services = stage.migrated()
    large = [name for name in HOT if scalar(stage.url, f"SELECT count(*) FROM {name}") >= _LARGE]
    statements, found = 0, set()
    try:
        world = World.over(stage.url, services)
        for name, scene in SCENES.items():
            work = scene(world)
            with plans_of(services.database) as seen:
                work.do()
            statements += len(seen.plans)
            for finding in seen.findings(large):
                found.add((finding.table, finding.why))
                print(f"  {name}: {finding}", flush=True)
    finally:
        services.close()
    people = scalar(stage.url, "SELECT count(*) FROM contacts")
    what = f"statements of {len(SCENES)} scenes on {people} contacts that read a share of a large table"
    note = f"{statements} statements explained; large: {', '.join(large)}"
    if found:
        note += "; found: " + ", ".join(f"{why} of {table}" for table, why in sorted(found))
    return [Figure("plans", what, len(found), "statements", at_most=1, note=note)]

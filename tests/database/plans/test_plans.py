"""Hot statements look up by index, whatever the number of people, and touch nobody else's rows.

The statements are the product's own, caught on their way to PostgreSQL while each room works on a crowd. The
crowd here is small, so the database is told to prefer an index wherever there is one: what is found is a
statement that has none. `make bench ROW=plans` asks the same of a million people, the planner free to choose.
"""

from collections.abc import Iterator

import psycopg
import pytest

from bench.crowd import live, multiply
from bench.stage import Stage
from nurture.app.installation import open_existing
from nurture.runtime.settings import load_settings
from tests.database.plans.scenes import SCENES, World
from tests.database.plans.statements import HOT, plans_of, rows_touched
from tests.rig.databases import postgresql_copy
from tests.rig.postgres import Postgres

#: Large enough that a whole table stands out among what a few people need.
PEOPLE = 3_500
#: Rows of one table that may be fetched for each person concerned; of the inbox, for each event.
ROWS_EACH = 30


@pytest.fixture(scope="module")
def world(postgres: Postgres, postgresql_template: str) -> Iterator[World]:
    """Give a crowd in a database of its own."""
    with postgresql_copy(postgres, postgresql_template) as url:
        settings = load_settings(environment=Stage(url).environment())
        live(settings, people=8, days=12, tick=24 * 3_600_000_000)
        multiply(url, PEOPLE, history=2)
        name = url.rsplit("/", 1)[1]
        with psycopg.connect(url, autocommit=True) as connection:
            for way in ("seqscan", "hashjoin", "mergejoin"):
                connection.execute(f"ALTER DATABASE {name} SET enable_{way} = off")
        services = open_existing(settings)
        try:
            yield World.over(url, services)
        finally:
            services.close()


@pytest.mark.parametrize("scene", SCENES)
def test_every_statement_has_its_index(world: World, scene: str) -> None:
    work = SCENES[scene](world)
    with plans_of(world.services.database) as seen:
        work.do()
    assert seen.plans, "nothing was executed"
    assert not seen.findings(), "\n".join(map(str, seen.findings()))


@pytest.mark.parametrize("scene", [name for name in SCENES if name != "paging"])
def test_only_the_people_concerned_are_read_written_and_locked(world: World, scene: str) -> None:
    work = SCENES[scene](world)
    newest = max(world.contacts("true"))
    with rows_touched(world.services.database, world.url) as touched:
        work.do()
    strangers = {
        table: sorted(owner for owner in owners - work.concerned if owner <= newest)
        for table, owners in touched.owners.items()
    }
    assert not {table: people for table, people in strangers.items() if people}
    assert not touched.scanned.keys() & set(HOT)
    bounds = {table: ROWS_EACH * max(len(work.concerned), 10) for table in HOT}
    assert bounds["contacts"] < PEOPLE
    bounds["inbox"] = ROWS_EACH * max(work.events, 10)
    too_many = {table: rows for table, rows in touched.fetched.items() if rows > bounds.get(table, rows)}
    assert not too_many

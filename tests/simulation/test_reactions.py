"""People react once to each mail that reached them, and a look for new mail reads only what is new."""

from nurture.database.engine import Database
from nurture.domain.instant import DAY
from nurture.simulation.play import Input
from nurture.simulation.reactions import Reactions
from tests.database.test_idle_queries import plans_of
from tests.scenarios.world import SECRET, World


def test_each_mail_is_reacted_to_once(sqlite_database: Database) -> None:
    world = World(sqlite_database)
    react = Reactions(1, SECRET.encode(), world.services.playbooks)
    met: list[Input] = []
    for number in range(40):
        world.tell(f"p{number}@example.com", "Topic Requested", topic="news")
        world.work()
        met.extend(react(sqlite_database, world.now))
    assert not list(react(sqlite_database, world.now))
    # Four of five confirm; a confirmation is asked of each once.
    assert 20 < len(met) < len(world.mails()) == 40
    assert all(world.now < reaction.at < world.now + DAY for reaction in met)


def test_a_look_reads_the_end_of_the_attempts(sqlite_database: Database) -> None:
    react = Reactions(1, SECRET.encode(), World(sqlite_database).services.playbooks)
    plans = plans_of(sqlite_database, lambda: react(sqlite_database, 0))
    assert any(plan.startswith("SEARCH attempts USING INTEGER PRIMARY KEY") for plan in plans)
    assert not [plan for plan in plans if plan.startswith("SCAN")]

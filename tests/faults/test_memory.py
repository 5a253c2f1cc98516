"""A process that gets no more memory dies of it or gives up, loses nothing, and blames nobody."""

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from tests.faults.installation import Installation, people

pytestmark = [pytest.mark.faults, pytest.mark.long]

#: Enough that their letters together are more than what a process has to spare.
EVENTS = 240


# Of each, letters follow: at an alarm there may be none left to make, which would show nothing.
@pytest.mark.parametrize("place", ["drain.taken", "drain.committed", "claim.judged", "wire.gated"])
def test_a_worker_that_gets_no_more_memory_loses_nothing_and_blames_nobody(
    postgresql_installation: Installation, place: str, seed: int
) -> None:
    """Each letter is of seven megabytes, so that no worker can go on with what it has."""
    installation = postgresql_installation
    crowd = people(EVENTS, seed=seed)
    installation.server.extensions = ["PIPELINING"]
    installation.hand_in_all(crowd)
    assert installation.work(f"{place}=starve@1", heavy=True) != 0, "it went on without memory"
    with installation.database.read() as connection:
        blamed = connection.scalars(sa.select(t.quarantine.c.reason)).all()
        paused = connection.scalars(sa.select(t.switches.c.name).where(t.switches.c.paused)).all()
    assert (blamed, paused) == ([], [])
    installation.settle()
    assert installation.faults(crowd) == []

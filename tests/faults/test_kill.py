"""Kill -9 at every failpoint of the product, a worker started again, and everything is as if nothing had been.

One case per failpoint and database: somebody's events are handed in, a worker dies at the place, another one takes
over after the leases have lapsed; then the doctor, the people and the mail server are asked.
"""

import signal

import httpx
import pytest

from nurture.runtime.clock import SystemClock
from nurture.runtime.failpoints import PLACES
from tests.faults.installation import LAPSE, Installation, people
from tests.production.people import Crowd, Item, back_in_stock
from tests.production.processes import WRITE_KEY
from tests.transports.chaos_smtp import Stall
from tests.workers.installation import eventually
from workers.scheduler import JOBS

pytestmark = pytest.mark.faults

#: Events of a case: enough that every room has something to do when the process dies.
EVENTS = 120
#: Places of HTTP processes and schedulers, and of a text too large for one write: scenarios of their own, below.
ELSEWHERE = {"inbox.accepted", "inbox.committed", "smtp.body", "scheduler.ticked"}

WORKERS = [place for place in PLACES if place not in ELSEWHERE]
#: In every test run; `make faults` runs all.
ALWAYS = "smtp.dot"


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=() if place == ALWAYS else pytest.mark.long) for place in WORKERS]
)
def test_a_worker_killed_here_loses_and_repeats_nothing(
    installation: Installation, place: str, seed: int
) -> None:
    crowd = people(EVENTS, seed=seed)
    if place == "identity.joined":
        # Two people in one batch become one there; a join needs two that were known before.
        crowd = next(each for more in range(20) if _first_join(each := people(EVENTS, seed=seed + more)))
        installation.hand_in(crowd.items[: _first_join(crowd)])
        assert installation.work() == 0
    installation.hand_in_all(crowd)
    if place == "recover.freed":
        assert installation.is_killed_at("claim.committed")
        installation.later(LAPSE)
    assert installation.is_killed_at(place), f"nobody came to {place}"
    installation.settle()
    assert installation.faults(crowd) == []


def _first_join(crowd: Crowd) -> int:
    """Return where somebody who gave an address in a form tells that it is theirs; 0: nobody does."""
    forms = {str(item["messageId"]).partition("-")[0] for item in crowd.items if "traits" in item["context"]}
    for place, item in enumerate(crowd.items):
        if item["type"] == "identify" and str(item["messageId"]).partition("-")[0] in forms:
            return place
    return 0


@pytest.mark.long
@pytest.mark.parametrize("place", ["inbox.accepted", "inbox.committed"])
def test_an_event_that_a_killed_http_process_did_not_answer_is_sent_again_and_applied_once(
    installation: Installation, place: str, seed: int
) -> None:
    installation.set(now := SystemClock().now())
    crowd = people(EVENTS, now=now, seed=seed)
    halves = crowd.items[: EVENTS // 2], crowd.items[EVENTS // 2 :]
    with installation.api(f"{place}=kill@2") as (url, process):
        assert hand_in(url, halves[0]) == 200
        assert hand_in(url, halves[1]) is None
        assert process.wait(20) == -signal.SIGKILL
    with installation.api() as (url, _):
        assert hand_in(url, halves[1]) == 200
        assert hand_in(url, [back_in_stock(now)]) == 200
    installation.set(SystemClock().now())
    installation.settle()
    assert installation.faults(crowd) == []


def hand_in(url: str, items: list[Item]) -> int | None:
    """Hand events in over HTTP; returns the answer's status, None when there was none."""
    try:
        return httpx.post(
            f"{url}/v1/batch", auth=(WRITE_KEY, ""), json={"batch": items}, timeout=30
        ).status_code
    except httpx.TransportError:
        return None


@pytest.mark.long
def test_a_worker_killed_in_the_middle_of_a_text_loses_and_repeats_nothing(
    installation: Installation, seed: int
) -> None:
    # A handful of letters, each of seven megabytes.
    crowd = people(40, seed=seed)
    installation.server.script = {"body": Stall()}
    installation.server.extensions = ["PIPELINING"]
    installation.hand_in_all(crowd)
    assert installation.work("smtp.body=kill", heavy=True) == -signal.SIGKILL, (
        "every text went out in one write"
    )
    assert installation.server.accepted == []
    installation.server.script = {}
    installation.settle()
    assert installation.faults(crowd) == []


@pytest.mark.long
def test_a_scheduler_killed_in_its_tick_leaves_the_slot_to_another(
    postgresql_installation: Installation,
) -> None:
    installation = postgresql_installation
    with installation.scheduler("scheduler.ticked=kill") as process:
        assert process.wait(60) == -signal.SIGKILL
    # The watch of a process takes slots of its own.
    assert [slot for job in JOBS for slot in installation.slots(job.name)] == []
    with installation.scheduler():
        assert eventually(lambda: len(installation.slots("look")) >= 2)

"""Who finds more than fits a batch rings for one more worker; who finds little rings for nobody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app import sends
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import contacts, identities
from nurture.domain.instant import DAY, HOUR, SECOND
from nurture.journey.drain import BATCH
from nurture.playbook import GivenPlaybook, LoadedPlaybook
from nurture.rendering.templates import Templates
from nurture.runtime.clock import ManualClock, SystemClock
from tests.delivery.world import PlainComposer
from tests.domain.build import a_measure, a_playbook
from tests.workers.installation import bare, settings_of
from tests.workers.test_scheduler import RememberingBells
from workers import loops
from workers.context import Context, make_context

_NOW = SystemClock().now()
_MEASURE = "any/notice"


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Iterator[Context]:
    """Give a worker's context whose bells only remember."""
    settings = settings_of(tmp_path, "sqlite:///unused.db", mail_url=f"maildir:{tmp_path}/mail")
    bells = RememberingBells()
    services = bare(database, settings, clock=ManualClock(_NOW), bells=bells)
    playbook = a_playbook(a_measure(_MEASURE))
    loaded = LoadedPlaybook(1, playbook, files={}, templates=Templates.of({}, playbook))
    made = make_context(replace(services, playbooks=GivenPlaybook(loaded)))
    delivery = replace(made.delivery, composer=PlainComposer())
    given = replace(made, bells=bells, delivery=delivery)
    yield given
    made.close()


def people(services: Services, count: int, *, wake_at: int) -> None:
    """Store so many leads with an address and an alarm."""
    row = {"track": "lead", "stage": "aware", "facts": {"first_seen_at": _NOW - DAY}, "clock": _NOW - HOUR}
    since = dict.fromkeys(("track_since", "stage_since", "first_seen_at"), _NOW - DAY)
    row |= since | {"wake_at": wake_at, "adopted": "r1", "version": 1}
    name = {"kind": "email", "since": _NOW, "source": "test"}
    with services.database.write() as connection:
        numbers = range(1, count + 1)
        connection.execute(
            sa.insert(contacts), [{**row, "id": n, "email": f"{n}@shop.example"} for n in numbers]
        )
        connection.execute(
            sa.insert(identities), [{**name, "value": f"{n}@shop.example", "contact_id": n} for n in numbers]
        )


def rung(context: Context) -> list[tuple[str, str]]:
    """Return who was rung since the last time."""
    bells = context.bells
    assert isinstance(bells, RememberingBells)
    found, bells.rung = bells.rung, []
    return found


def test_more_alarms_than_fit_a_batch_bring_in_one_more_worker(context: Context) -> None:
    people(context.services, BATCH + 10, wake_at=_NOW - SECOND)

    assert loops.wake(context)["rung"] == BATCH + 10
    assert rung(context) == [("advance", "")]


def test_a_few_alarms_bring_in_nobody(context: Context) -> None:
    people(context.services, 10, wake_at=_NOW - SECOND)
    # Of its first alarms a process does not know yet whether they kill it, and comes back.
    loops.wake(context)
    rung(context)
    context.services.database.run(
        lambda connection: connection.execute(sa.update(contacts).values(wake_at=_NOW - SECOND))
    )

    assert loops.wake(context)["rung"] == 10
    assert rung(context) == []


def test_a_send_to_many_calls_at_its_first_page_and_who_delivers_calls_another(context: Context) -> None:
    people(context.services, BATCH + 10, wake_at=_NOW + DAY)

    done = sends.send(context.services, _MEASURE, who=None, expression="True", request="r1", actor="test")

    assert done["people"] == BATCH + 10
    assert rung(context) == [("inbox", "all"), ("inbox", "all")]
    while loops.apply(context).total():
        rung(context)
    assert loops.send(context, "main")["claimed"] == BATCH + 10
    assert rung(context) == [("deliver", "main")]

"""A full first batch notifies one more worker; a batch that was not full notifies nobody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.sends.hand_in import SendOrder, send
from nurture.app.sends.recipients import audience_of
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.notifications import Notification
from nurture.database.schema import contacts, identities
from nurture.domain.instant import DAY, HOUR, SECOND
from nurture.journey.drain import BATCH
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.rendering.templates import Templates
from nurture.runtime.clock import ManualClock, SystemClock
from tests.delivery.world import PlainComposer
from tests.domain.build import a_measure, a_playbook
from tests.rig.notifier import RecordingNotifier, recorded_by
from tests.workers.installation import bare, settings_of
from workers import loops
from workers.context import Context, make_context

_NOW = SystemClock().now()
_MEASURE = "any/notice"


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Iterator[Context]:
    """Give a worker's context whose notifier only records."""
    settings = settings_of(tmp_path, "sqlite:///unused.db", mail_url=f"maildir:{tmp_path}/mail")
    services = bare(database, settings, clock=ManualClock(_NOW))
    playbook = a_playbook(a_measure(_MEASURE))
    loaded = LoadedPlaybook(1, playbook, files={}, templates=Templates.of({}, playbook))
    made = make_context(replace(services, playbooks=FixedPlaybook(loaded)), notifier=RecordingNotifier())
    yield replace(made, delivery=replace(made.delivery, composer=PlainComposer()))
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


def notified(context: Context) -> list[Notification]:
    """Return the notifications since the last call."""
    return recorded_by(context.services.database).take()


def test_more_alarms_than_fit_a_batch_notify_one_more_worker(context: Context) -> None:
    people(context.services, BATCH + 10, wake_at=_NOW - SECOND)

    assert loops.wake(context)["rung"] == BATCH + 10
    assert notified(context) == [("advance", "")]


def test_a_few_alarms_notify_nobody(context: Context) -> None:
    people(context.services, 10, wake_at=_NOW - SECOND)
    # Of its first alarms a process does not know yet whether they kill it, and comes back.
    loops.wake(context)
    notified(context)
    context.services.database.run(
        lambda connection: connection.execute(sa.update(contacts).values(wake_at=_NOW - SECOND))
    )

    assert loops.wake(context)["rung"] == 10
    assert notified(context) == []


def test_a_large_send_notifies_at_its_first_page_and_delivery_notifies_another_worker(
    context: Context,
) -> None:
    people(context.services, BATCH + 10, wake_at=_NOW + DAY)

    order = SendOrder(_MEASURE, audience_of("True"), request="r1", actor="test")
    done = send(context.services, order)

    assert done["people"] == BATCH + 10
    assert notified(context) == [("inbox", "all"), ("inbox", "all")]
    while loops.apply(context).total():
        notified(context)
    assert loops.send(context, "main")["claimed"] == BATCH + 10
    assert notified(context) == [("deliver", "main")]

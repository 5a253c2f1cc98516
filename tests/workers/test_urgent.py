"""A process that is busy with bulk work applies live events and sends transactional mail at the same time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.contacts.accept import NewEvent, accept
from nurture.database.engine import Database
from nurture.database.schema import attempts, events, inbox, journals, lanes, messages
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR, MINUTE
from nurture.playbook import FixedPlaybook, LoadedPlaybook
from nurture.rendering.templates import Templates
from nurture.runtime.clock import ManualClock
from nurture.transports.registry import open_transports
from nurture.transports.smtp.pool import SmtpTransport
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.world import PlainComposer, World
from tests.rig.notifier import RecordingNotifier
from tests.workers.installation import bare, settings_of
from workers.context import Context, make_context
from workers.loops import URGENT_MAILS
from workers.poll import look_at_urgent

PLAYBOOK = a_playbook(
    a_measure(),
    a_measure("customer/any/receipt", purpose="transactional", topic=None),
    a_measure("customer/any/notice", purpose="service", topic=None),
)


@pytest.fixture
def world(database: Database) -> World:
    return World(database, playbook=PLAYBOOK)


@pytest.fixture
def context(world: World, tmp_path: Path) -> Iterator[Context]:
    """Give a worker's context on the world's database."""
    settings = settings_of(tmp_path, "sqlite:///unused.db", mail_url=f"maildir:{tmp_path}/mail")
    loaded = LoadedPlaybook(1, PLAYBOOK, files={}, templates=Templates.of({}, PLAYBOOK))
    services = replace(
        bare(world.database, settings, clock=ManualClock(NOON)), playbooks=FixedPlaybook(loaded)
    )
    made = make_context(services, notifier=RecordingNotifier())
    made.urgent.delivery = replace(made.delivery, composer=PlainComposer())
    yield made
    made.close()


def count(world: World, statement: sa.Select[int]) -> int:
    with world.database.read() as connection:
        return connection.execute(statement).scalar_one()


def accept_events(world: World, name: str, *, bulk: bool) -> None:
    event = NewEvent(
        "test", name, "track", "Page Viewed", NOON, NOON, identities=(Identity("user_id", name),)
    )
    world.database.run(lambda connection: accept(connection, [event], bulk=bulk))


def test_urgent_work_is_done_beside_a_send_that_holds_the_lane(world: World, context: Context) -> None:
    offer = world.mail(world.person("ada"), due_at=NOON - HOUR)
    receipt = world.mail(world.person("bob"), "customer/any/receipt", due_at=NOON - MINUTE)
    accept_events(world, "bulk", bulk=True)
    accept_events(world, "live", bulk=False)

    with context.lanes["main"].taken(), context.activity.begun():
        look_at_urgent(context)

    assert world.status(receipt) == ("sent", "")
    assert world.status(offer) == ("waiting", "")
    with world.database.read() as connection:
        assert connection.execute(sa.select(events.c.message_id)).scalars().all() == ["live"]
        assert connection.execute(sa.select(inbox.c.message_id)).scalars().all() == ["bulk"]


def test_service_mail_leaves_beside_a_campaign_and_after_receipts(world: World, context: Context) -> None:
    bob = world.person("bob")
    notices = [
        world.mail(bob, "customer/any/notice", run_key=str(number), due_at=NOON - HOUR)
        for number in range(URGENT_MAILS + 1)
    ]
    receipt = world.mail(bob, "customer/any/receipt", due_at=NOON - MINUTE)
    offer = world.mail(bob, due_at=NOON - HOUR)
    with context.lanes["main"].taken(), context.activity.begun():
        look_at_urgent(context)
        assert world.status(receipt) == ("sent", "")
        assert [world.status(number)[0] for number in notices] == ["sent"] * URGENT_MAILS + ["waiting"]
        look_at_urgent(context)
    assert world.status(notices[-1])[0] == "sent"
    assert world.status(offer)[0] == "waiting"
    with world.database.read() as connection:
        order = sa.select(attempts.c.message_id).order_by(attempts.c.id)
        assert connection.scalars(order).first() == receipt


def test_an_idle_process_leaves_urgent_work_to_its_tasks(world: World, context: Context) -> None:
    receipt = world.mail(world.person("bob"), "customer/any/receipt")
    look_at_urgent(context)
    assert world.status(receipt) == ("waiting", "")


def test_urgent_mail_has_a_sender_of_its_own(world: World, context: Context) -> None:
    """Otherwise one delivery would take the other's mails under way for its own that were broken off."""
    senders = sa.select(sa.func.count()).select_from(journals)
    before = count(world, senders)
    world.mail(world.person("bob"), "customer/any/receipt")
    with context.activity.begun():
        look_at_urgent(context)
        # The second time the journal is open.
        world.mail(world.person("cid"), "customer/any/receipt")
        look_at_urgent(context)
    assert count(world, senders) == before + 1
    assert context.urgent.opened().worker != context.delivery.worker
    sent = sa.select(sa.func.count()).where(messages.c.status == "sent")
    assert count(world, sent) == 2


def test_a_paused_or_resting_lane_sends_no_urgent_mail(world: World, context: Context) -> None:
    receipt = world.mail(world.person("bob"), "customer/any/receipt")
    world.switch("main")
    with context.activity.begun():
        look_at_urgent(context)
        assert world.status(receipt) == ("waiting", "")
        world.switch("main", paused=False)
        world.database.run(
            lambda connection: connection.execute(sa.update(lanes).values(filled_at=NOON + MINUTE))
        )
        look_at_urgent(context)
    assert world.status(receipt)[0] == "waiting"


@pytest.mark.parametrize(("allowed", "most", "kept"), [(2, 1, 1), (9, 8, 1), (16, 14, 2), (128, 124, 4)])
def test_connections_are_kept_for_urgent_mail(allowed: int, most: int, kept: int) -> None:
    bulk, urgent = open_transports(
        f"smtp://127.0.0.1:2525?connections={allowed}", on_urgent_stage=lambda *_: None
    )
    assert isinstance(bulk, SmtpTransport)
    assert isinstance(urgent, SmtpTransport)
    assert (bulk.options.connections, urgent.options.connections) == (most, kept)


def test_a_lane_of_one_connection_keeps_none() -> None:
    bulk, urgent = open_transports("smtp://127.0.0.1:2525?connections=1", on_urgent_stage=lambda *_: None)
    assert isinstance(bulk, SmtpTransport)
    assert (bulk.options.connections, urgent) == (1, None)

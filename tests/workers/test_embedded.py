"""One process that does everything: it starts, works, stops, and does so again."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database import schema as t
from nurture.database.notifications import ALL
from nurture.runtime.clock import monotonic
from tests.workers.installation import (
    contacts_known,
    eventually,
    installed,
    mails_decided,
    order,
    settings_of,
)
from workers import context, loops
from workers.application import app, configure
from workers.embedded import Embedded
from workers.tasks import drain_shard, send_lane


def hand_in(*items: dict[str, object]) -> None:
    app.send_task("nurture.hand_in", [list(items)], queue="inbox")


def test_event_handed_in_is_a_decided_mail_at_once_and_again_after_a_restart(
    sqlite_url: str, tmp_path: Path
) -> None:
    with installed(settings_of(tmp_path, sqlite_url)) as services:
        play(services, order(1, who="ann"))
        play(services, order(2, who="bo"))
        assert contacts_known(services) == 2


def test_a_client_configured_for_another_broker_before_uses_this_one(
    sqlite_url: str, tmp_path: Path, redis_url: str
) -> None:
    settings = settings_of(tmp_path, sqlite_url)
    configure(settings.model_copy(update={"broker_url": redis_url}))
    hand_in(order(9, who="nobody"))
    with installed(settings) as services:
        play(services, order(1, who="ann"))


def test_a_notification_of_all_is_cleared_for_all(sqlite_url: str, tmp_path: Path) -> None:
    with installed(settings_of(tmp_path, sqlite_url)) as services:
        made = context.make_context(services)
        context.use(made)
        try:
            loops.hand_in(made, [order(number, who=f"p{number}") for number in range(3)], "celery")
            drain_shard(ALL)
            assert (contacts_known(services), mails_decided(services)) == (3, 3)
            send_lane(ALL)
            with services.database.read() as connection:
                sent = connection.scalar(sa.select(sa.func.count()).where(t.messages.c.status == "sent"))
            assert sent == 3
        finally:
            made.close()
            context.use(None)


def test_where_looking_at_journals_fails_no_task_sends(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object) -> None:
        raise OSError("the journals cannot be read")

    with installed(settings_of(tmp_path, sqlite_url)) as services:
        made = context.make_context(services)
        context.use(made)
        try:
            loops.hand_in(made, [order(1, who="ann")], "celery")
            drain_shard(ALL)
            monkeypatch.setattr(loops, "recover_by_journal", broken)
            # The second comes at once after the first, and must look again all the same.
            for _ in range(2):
                with pytest.raises(OSError, match="cannot be read"):
                    send_lane(ALL)
            with services.database.read() as connection:
                assert connection.scalars(sa.select(t.messages.c.status)).all() == ["waiting"]
        finally:
            made.close()
            context.use(None)


def play(services: Services, event: dict[str, object]) -> None:
    """Start, hand in, wait for the mail that it causes, stop."""
    before = mails_decided(services)
    embedded = Embedded(services)
    embedded.start()
    start = monotonic()
    hand_in(event)
    assert eventually(lambda: mails_decided(services) > before)
    assert monotonic() - start < 5.0
    embedded.stop()
    embedded.stop()

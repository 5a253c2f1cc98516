"""Events that enter by hand, by file or by message notify their shards after the commit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.importing import ImportOptions, import_file
from nurture.app.services import Services
from nurture.app.tracking import track
from nurture.database.schema import inbox
from tests.rig.notifier import RecordingNotifier
from tests.workers.installation import installed, order, settings_of
from workers import loops
from workers.context import make_context


def track_one(services: Services, _folder: Path) -> None:
    track(services, "ada@example.com", "Store Visited", properties={}, at=None, actor="test")


def import_two(services: Services, folder: Path) -> None:
    path = folder / "events.csv"
    path.write_text("email,event\nada@example.com,Store Visited\nbob@example.com,Store Visited\n")
    import_file(services, path, ImportOptions(), actor="test")


def hand_in_two(services: Services, _folder: Path) -> None:
    notifier = services.database.notifier
    assert isinstance(notifier, RecordingNotifier)
    loops.hand_in(make_context(services, notifier=notifier), [order(1), order(2, who="8")], "shop")


@pytest.mark.parametrize("enter", [track_one, import_two, hand_in_two])
def test_every_shard_with_a_new_event_is_notified(
    sqlite_url: str, tmp_path: Path, enter: Callable[[Services, Path], None]
) -> None:
    notifier = RecordingNotifier()
    with installed(settings_of(tmp_path, sqlite_url)) as bare:
        services = bare.notifying(notifier)
        enter(services, tmp_path)
        with services.database.read() as connection:
            shards = set(connection.scalars(sa.select(inbox.c.shard)))
    assert shards
    keys = {key for queue, key in notifier.notifications if queue == "inbox"}
    assert keys in ({"all"}, {str(shard) for shard in shards})

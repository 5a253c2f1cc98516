"""Places beside the tables: logs never hold the person, Redis holds ids only, and the commands say what they do."""

import io
import json
import logging
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import structlog

from nurture.app import privacy
from nurture.contacts.accept import note_inbox
from nurture.database.engine import Database
from nurture.domain.event import Identity
from nurture.runtime.log import get_logger, start_logging
from tests.cli.shell import Shell, nurture
from tests.privacy.people import ADDRESS, USER, WORDS, Living, lived
from workers import loops
from workers.context import make_context
from workers.scheduler import JOBS, tick

__all__ = ["nurture"]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give what this process logs meanwhile, at the level that tells most."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    start_logging(style="json", level="debug", stream=stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_logs_and_redis_hold_nothing_of_the_person(
    sqlite_database: Database, tmp_path: Path, redis_url: str, log: io.StringIO
) -> None:
    world = lived(sqlite_database, tmp_path)
    given = {"mail_url": f"maildir:{world.mailbox}", "broker_url": redis_url}
    services = world.services
    object.__setattr__(services, "settings", services.settings.model_copy(update=given))
    context = make_context(services)
    services = context.services
    order = {"order_id": "sentinel-2", "revenue": 5.0, "total": 5.0, "currency": "EUR", "products": []}
    world.say("Order Completed", USER, Identity("email", ADDRESS), id_="sentinel-20", properties=order)
    services.database.run(note_inbox)
    loops.hand_in(
        context, [{"type": "track", "userId": "sentinel-user", "messageId": "sentinel-21"}], "celery"
    )
    done = loops.apply(context)
    assert done["applied"] >= 1
    loops.wake(context)
    for job in JOBS:
        tick(job, services)
    loops.send(context, "main")
    get_logger("test").error("what went wrong", words=f"550 {ADDRESS}", error=ValueError(f"no {ADDRESS}"))
    with redis.Redis.from_url(redis_url) as client:
        kept = {key: client.dump(key) for key in client.scan_iter("*")}
    assert kept, "nobody was notified"
    for key, value in kept.items():
        assert not WORDS.search((key + (value or b"")).decode("latin-1")), key
    privacy.erase_contact(services, ADDRESS, actor="test")
    context.close()
    lines = log.getvalue()
    assert "what went wrong" in lines
    # The domain alone stands where somebody logs an address all the same.
    assert not WORDS.search(lines.replace("***@sentinel.example", ""))
    assert ADDRESS not in lines
    assert world.traces() == {}


def test_the_command_shows_asks_and_forgets(nurture: Shell) -> None:
    nurture.install()
    nurture.set("MAIL_URL", "maildir:mailbox")
    words = [
        "-p",
        "order_id=o1",
        "-p",
        "revenue=5",
        "-p",
        "total=5",
        "-p",
        "currency=EUR",
        "-p",
        "products=[]",
    ]
    assert nurture("track", ADDRESS, "Order Completed", *words).code == 0
    nurture.work()
    output = nurture("contact", "export", ADDRESS, "--out", "hers.json")
    assert (output.code, re.search(r"\d+ rows written to hers.json", output.err) is not None) == (0, True)
    file = nurture.folder / "hers.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    document = json.loads(file.read_text())
    assert document["names"] == [f"email: {ADDRESS}"]
    assert document["events"][0]["body"]["properties"]["order_id"] == "o1"
    assert document["messages"][0]["status"] == "sent"
    again = nurture("contact", "export", ADDRESS, "--out", "hers.json")
    assert (again.code, "cannot be written" in again.line()) == (2, True)
    dry = nurture("contact", "erase", ADDRESS, "--dry-run", "--json").document
    assert dry["names"] == [f"email:{ADDRESS}"]
    refused = nurture("contact", "erase", ADDRESS, "--json")
    assert (refused.code, "There is no terminal to answer on; add --yes" in refused.line()) == (2, True)
    done = nurture("contact", "erase", ADDRESS, "--yes", "--json").document
    assert (done["contact"], done["finished"], done["suppressed"]) == (dry["contact"], True, 1)
    unknown = nurture("contact", "show", ADDRESS)
    assert (unknown.code, "nobody is known" in unknown.line()) == (2, True)
    gone = nurture("contact", "show", f"contact:{done['contact']}")
    assert (gone.code, "was erased" in gone.line()) == (2, True)
    gone = nurture("track", f"contact:{done['contact']}", "Signed In")
    assert (gone.code, "was erased" in gone.line()) == (2, True)
    assert nurture("contact", "erase", f"contact:{done['contact']}", "--yes", "--json").document["already"]
    assert nurture("doctor").code == 0


def test_an_export_holds_everything(database: Database, tmp_path: Path) -> None:
    from nurture.journey.personal_data import PERSONAL
    from tests.privacy.test_erasure import NUMBERS, plant

    world: Living = lived(database, tmp_path)
    plant(database, world.now)
    held = {place for place in world.traces() if place in PERSONAL}
    found = privacy.export_contact(world.services, ADDRESS, actor="test")
    assert [name for name in sorted(held - NUMBERS) if not WORDS.search(json.dumps(found[name]))] == []
    assert "ann@example.com" not in json.dumps(found)
    assert found["contacts"][0]["first_seen_at"].endswith("Z")

"""An installation to test with: a migrated database with a published programme, a local mailbox."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.app.installation import migrate
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import contacts, messages
from nurture.domain.signing import SigningKeys
from nurture.playbook import PublishedPlaybooks
from nurture.runtime.clock import SystemClock, monotonic
from nurture.runtime.settings import Settings, load_settings
from tests.architecture.sources import ROOT

SECRET = "a-secret-of-the-tests-that-is-long"


def environment(folder: Path, database_url: str, **more: str) -> dict[str, str]:
    """Return the environment of an installation whose files are in `folder`."""
    values = {
        "database_url": database_url,
        "mail_url": f"maildir:{folder / 'mailbox'}",
        "journal": str(folder / "journal"),
        "playbook": str(ROOT / "email_templates"),
        "secret_key": SECRET,
        "suppression_key": SECRET,
        "log_format": "json",
    }
    return {f"NURTURE_{name.upper()}": value for name, value in (values | more).items()}


def settings_of(folder: Path, database_url: str, **more: str) -> Settings:
    """Return the settings of that environment."""
    return load_settings(folder=folder, environment=environment(folder, database_url, **more))


@contextmanager
def installed(settings: Settings) -> Iterator[Services]:
    """Give the services of an installation with the shipped programme."""
    services = migrate(settings)
    try:
        yield services
    finally:
        services.close()


def bare(database: Database, settings: Settings, **parts: Any) -> Services:
    """Return services over a database in which no programme is published; parts: clock."""
    parts = {"clock": SystemClock()} | parts
    keys, playbooks = SigningKeys(settings.signing_secrets), PublishedPlaybooks()
    return Services(database, settings, keys=keys, playbooks=playbooks, **parts)


def order(number: int, *, who: str = "7") -> dict[str, object]:
    """Return an event in the shape that Segment's clients send."""
    return {
        "type": "track",
        "userId": who,
        "event": "Order Completed",
        "messageId": f"order-{number}",
        "context": {"traits": {"email": f"{who}@people.example"}},
        "properties": {"order_id": str(number), "revenue": 20},
    }


def contacts_known(services: Services) -> int:
    """Return how many contacts there are."""
    with services.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(contacts)) or 0


def mails_decided(services: Services) -> int:
    """Return how many mails stand in the ledger."""
    with services.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(messages)) or 0


def eventually(holds: Callable[[], bool], *, seconds: float = 60.0, every: float = 0.02) -> bool:
    """Wait for what other processes do; return whether it came true in time. every: seconds between two looks."""
    from time import sleep  # noqa: TID251 - another process cannot be awaited

    until = monotonic() + seconds
    while monotonic() < until:
        if holds():
            return True
        sleep(every)
    return holds()

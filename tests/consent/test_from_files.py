"""A grant in a file never takes back a withdrawal of the person, whichever of their contacts it was written for."""

import pytest
import sqlalchemy as sa

from nurture.consent.from_files import ImportedConsent, import_consents
from nurture.consent.load_permissions import load_permissions
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.event import Identity
from nurture.domain.instant import HOUR
from tests.delivery.builders import NOON, a_measure, a_playbook
from tests.delivery.test_claim import merge
from tests.delivery.world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure()))


def import_grant(world: World, address: str, topic: str) -> int:
    consent = ImportedConsent((Identity("email", address),), topic, "granted", NOON, "a fair")
    return world.database.run(
        lambda connection: import_consents(connection, [consent], playbook=world.playbook, now=NOON)
    )


def test_a_withdrawal_holds_through_two_merges(world: World) -> None:
    oldest, old = world.person("oldest", consent="withdrawn"), world.person("old", consent=None)
    ada = world.person("ada", consent=None)
    merge(world, oldest, old, at=NOON - 3 * HOUR)
    merge(world, old, ada)
    with world.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == oldest).values(survivor=ada))
    assert import_grant(world, "ada@example.com", "offers") == 0
    assert import_grant(world, "ada@example.com", "news") == 1
    with world.database.read() as connection:
        assert load_permissions(connection, [ada])[ada].consents == {"offers": "withdrawn", "news": "granted"}

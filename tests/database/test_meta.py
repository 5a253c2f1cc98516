"""Values that the database stores about itself."""

import pytest

from nurture.database import meta
from nurture.database.engine import Database
from nurture.domain.errors import SettingsError


def test_first_value_stays(database: Database) -> None:
    with database.write() as connection:
        assert meta.get(connection, "epoch") is None
        assert meta.put_once(connection, "epoch", "1") == "1"
        assert meta.put_once(connection, "epoch", "2") == "1"


def test_another_suppression_key_refuses_to_start(database: Database) -> None:
    with database.write() as connection:
        meta.require_suppression_key(connection, "first")
        meta.require_suppression_key(connection, "first")
        with pytest.raises(SettingsError, match="NURTURE_SUPPRESSION_KEY"):
            meta.require_suppression_key(connection, "second")

"""Facts about the database itself, one row each in `meta`."""

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.schema import meta
from nurture.domain.errors import SettingsError

_SUPPRESSION = "suppression_key_fingerprint"


def get(connection: sa.Connection, key: str) -> str | None:
    """Return the value kept under `key`, None when there is none."""
    return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))


def put_once(connection: sa.Connection, key: str, value: str) -> str:
    """Keep `value` under `key` unless something is kept there already; return what is kept."""
    bulk.insert(connection, meta, [{"key": key, "value": value}], conflict=["key"])
    kept = get(connection, key)
    return value if kept is None else kept


def put(connection: sa.Connection, key: str, value: str) -> None:
    """Keep `value` under `key`, whatever was kept there."""
    bulk.insert(connection, meta, [{"key": key, "value": value}], conflict=["key"], update=["value"])


def require_suppression_key(connection: sa.Connection, fingerprint: str) -> None:
    """Remember which suppression key this database's hashes are made with; the first one stays.

    Raises SettingsError for another key: with it everybody who ever unsubscribed would be mailed again.
    """
    if put_once(connection, _SUPPRESSION, fingerprint) != fingerprint:
        message = (
            "NURTURE_SUPPRESSION_KEY is not the key that this database's suppressions were made with; "
            "set the one it was first migrated with (with another, suppressed people would be mailed again)"
        )
        raise SettingsError(message)

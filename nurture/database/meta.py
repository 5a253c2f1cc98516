"""Read and write values about the database itself, one row of `meta` each."""

import sqlalchemy as sa

from nurture.database import bulk
from nurture.database.schema import meta
from nurture.domain.errors import SettingsError

_SUPPRESSION = "suppression_key_fingerprint"


def get(connection: sa.Connection, key: str) -> str | None:
    """Return the value stored under `key`, or None without one."""
    return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))


def put_once(connection: sa.Connection, key: str, value: str) -> str:
    """Store `value` under `key` unless a value is stored there already; return the stored value."""
    bulk.insert(connection, meta, [{"key": key, "value": value}], conflict=["key"])
    stored = get(connection, key)
    return value if stored is None else stored


def put(connection: sa.Connection, key: str, value: str) -> None:
    """Store `value` under `key`, replacing an earlier value."""
    bulk.insert(connection, meta, [{"key": key, "value": value}], conflict=["key"], update=["value"])


def suppression_fingerprint(connection: sa.Connection) -> str | None:
    """Return the fingerprint of the key that the suppressions were made with; None before the first migration."""
    return get(connection, _SUPPRESSION)


def require_suppression_key(connection: sa.Connection, fingerprint: str) -> None:
    """Store the fingerprint of the suppression key that this database's hashes are made with; the first one stays.

    Raises SettingsError for another key: its hashes match no suppression, so everybody who ever unsubscribed would be
    mailed again.
    """
    if put_once(connection, _SUPPRESSION, fingerprint) != fingerprint:
        message = (
            "NURTURE_SUPPRESSION_KEY is not the key that this database's suppressions were made with; "
            "set the one it was first migrated with (with another, suppressed people would be mailed again)"
        )
        raise SettingsError(message)

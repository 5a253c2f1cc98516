"""Facts about the database itself, one row each in `meta`."""

import sqlalchemy as sa

from nurture.domain.errors import SettingsError
from nurture.store import bulk
from nurture.store.tables import meta

_SUPPRESSION = "suppression_key_fingerprint"


def get(connection: sa.Connection, key: str) -> str | None:
    """Return the value kept under `key`, None when there is none."""
    return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))


def put_once(connection: sa.Connection, key: str, value: str) -> str:
    """Keep `value` under `key` unless something is kept there already; return what is kept."""
    bulk.insert(connection, meta, [{"key": key, "value": value}], conflict=["key"])
    kept = get(connection, key)
    return value if kept is None else kept


def bind_suppression_key(connection: sa.Connection, fingerprint: str, *, may_write: bool) -> None:
    """Check the key that this database's hashes are made with; the first one (may_write) stays for ever.

    Raises SettingsError for another key: with it everybody who ever unsubscribed would be mailed again.
    """
    kept = put_once(connection, _SUPPRESSION, fingerprint) if may_write else get(connection, _SUPPRESSION)
    if kept is None:
        message = "the database has no suppression key yet; run `nurture migrate`"
        raise SettingsError(message)
    if kept != fingerprint:
        message = (
            "NURTURE_SUPPRESSION_KEY is not the key that this database's suppressions were made with; "
            "set the one it was first migrated with (with another, suppressed people would be mailed again)"
        )
        raise SettingsError(message)

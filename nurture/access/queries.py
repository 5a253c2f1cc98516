"""Read and write users, their sessions, API keys and failed sign-ins."""

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nurture.database import bulk
from nurture.database.bulk import Row
from nurture.database.schema import api_keys, login_failures, meta, sessions, users
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import MINUTE, Duration, Instant

# ---- users -----------------------------------------------------------------------------------------------


def add_user(connection: sa.Connection, *, name: str, role: str, password: str, at: Instant) -> int:
    """Insert a user (password: its hash) and return the id. Raises InputError when the name is taken."""
    row = {"name": name, "role": role, "password": password, "created_at": at, "epoch": 0, "disabled": False}
    added = bulk.insert(connection, users, [row], conflict=["name"], returning=["id"])
    if not added:
        raise InputError(f"there is a user {name!r} already; `nurture access user list` shows all")
    return int(added[0].id)


def list_users(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return all users by name, with the number of their sessions."""
    open_sessions = (
        sa.select(sa.func.count()).where(sessions.c.user_id == users.c.id).scalar_subquery().label("sessions")
    )
    return list(connection.execute(sa.select(users, open_sessions).order_by(users.c.name)))


def has_users(connection: sa.Connection) -> bool:
    """Return whether there is a user, disabled ones included: those too keep the console behind a sign-in."""
    return bool(connection.scalar(sa.select(sa.exists(sa.select(users.c.id)))))


def find_user(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """Return the row of the user with this name, or None."""
    return connection.execute(sa.select(users).where(users.c.name == name)).one_or_none()


def change_user(connection: sa.Connection, name: str, *, end_sessions: bool, **values: Any) -> None:
    """Change columns of a user; end_sessions also signs the user out everywhere. Raises NotFoundError."""
    epoch = users.c.epoch + (1 if end_sessions else 0)
    changed = connection.execute(
        sa.update(users).where(users.c.name == name).values(epoch=epoch, **values).returning(users.c.id)
    ).scalar_one_or_none()
    if changed is None:
        raise NotFoundError(f"there is no user {name!r}; `nurture access user list` shows all")
    if end_sessions:
        connection.execute(sa.delete(sessions).where(sessions.c.user_id == changed))


# ---- sessions --------------------------------------------------------------------------------------------


def open_session(
    connection: sa.Connection,
    *,
    identifier: str,
    user_id: int | None,
    mark: str,
    now: Instant,
    until: Instant,
) -> None:
    """Insert a session and delete expired ones. mark: the user's epoch, or a keyed hash of ADMIN_PASSWORD."""
    connection.execute(sa.delete(sessions).where(sessions.c.until < now))
    connection.execute(
        sa.insert(sessions).values(
            id=identifier, user_id=user_id, mark=mark, created_at=now, seen_at=now, until=until
        )
    )


def find_session(connection: sa.Connection, identifier: str) -> sa.Row[Any] | None:
    """Return a session with its user's name, role, epoch and state (NULL for ADMIN_PASSWORD's)."""
    statement = sa.select(sessions, users.c.name, users.c.role, users.c.epoch, users.c.disabled).select_from(
        sessions.outerjoin(users, users.c.id == sessions.c.user_id)
    )
    return connection.execute(statement.where(sessions.c.id == identifier)).one_or_none()


def record_session_use(connection: sa.Connection, identifier: str, *, now: Instant) -> None:
    """Set when the session was last used."""
    connection.execute(sa.update(sessions).where(sessions.c.id == identifier).values(seen_at=now))


def close_sessions(connection: sa.Connection, identifiers: Iterable[str]) -> int:
    """Delete sessions and return how many there were."""
    deleted = connection.execute(sa.delete(sessions).where(sessions.c.id.in_(list(identifiers))))
    return deleted.rowcount


def list_sessions(connection: sa.Connection, user_id: int | None) -> list[sa.Row[Any]]:
    """Return the sessions of a user (None: of ADMIN_PASSWORD), newest first."""
    owner = sessions.c.user_id.is_(None) if user_id is None else sessions.c.user_id == user_id
    return list(connection.execute(sa.select(sessions).where(owner).order_by(sessions.c.created_at.desc())))


# ---- failed sign-ins -------------------------------------------------------------------------------------


def count_attempt(
    connection: sa.Connection, subjects: list[str], *, now: Instant, window: Duration
) -> list[int]:
    """Count one sign-in attempt of each subject; return how many each now has in its window.

    The caller counts in a transaction of its own before it checks the password, so that attempts at the same time in
    several processes are all counted.
    """
    old = login_failures.c.since <= now - window
    build: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    counts: dict[str, int] = {}
    # In sorted order, so that two attempts at the same time cannot deadlock.
    for subject in sorted(subjects):
        statement = build(login_failures).values(subject=subject, since=now, failures=1)
        changed = {
            "failures": sa.case((old, 1), else_=login_failures.c.failures + 1),
            "since": sa.case((old, now), else_=login_failures.c.since),
        }
        statement = statement.on_conflict_do_update(index_elements=["subject"], set_=changed)
        counts[subject] = connection.execute(statement.returning(login_failures.c.failures)).scalar_one()
    connection.execute(sa.delete(login_failures).where(old))
    return [counts[subject] for subject in subjects]


def uncount_attempt(connection: sa.Connection, subjects: list[str], *, whole: str) -> None:
    """Subtract this attempt from each subject and delete all attempts of `whole`, after a right password."""
    for subject in sorted(subjects):
        connection.execute(
            sa.update(login_failures)
            .where(login_failures.c.subject == subject)
            .values(failures=login_failures.c.failures - 1)
        )
    connection.execute(sa.delete(login_failures).where(login_failures.c.subject == whole))


def forget_failures(connection: sa.Connection, account: str) -> int:
    """Delete the attempts of an account, from every address and browser; return how many subjects they had."""
    mine = sa.or_(login_failures.c.subject == account, login_failures.c.subject.startswith(f"{account}."))
    return connection.execute(sa.delete(login_failures).where(mine)).rowcount


def list_failures(connection: sa.Connection, *, over: int, since: Instant) -> list[sa.Row[Any]]:
    """Return the subjects with more attempts than `over` in the window that began after `since`."""
    many = sa.and_(login_failures.c.failures > over, login_failures.c.since > since)
    return list(connection.execute(sa.select(login_failures).where(many)))


# ---- API keys --------------------------------------------------------------------------------------------


def add_key(connection: sa.Connection, **values: Any) -> None:
    """Insert a key."""
    connection.execute(sa.insert(api_keys).values(values))


def list_keys(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return all keys, revoked ones too, oldest first."""
    return list(connection.execute(sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)))


def has_keys(connection: sa.Connection) -> bool:
    """Return whether any valid key has the scope `ingest`."""
    valid = api_keys.c.revoked_at.is_(None) & (" " + api_keys.c.scopes + " ").contains(" ingest ")
    return bool(connection.scalar(sa.select(sa.exists(sa.select(api_keys.c.id).where(valid)))))


def revoke_key(connection: sa.Connection, identifier: str, *, now: Instant) -> None:
    """Revoke a key; a repetition changes nothing. Raises NotFoundError."""
    known = connection.scalar(sa.select(api_keys.c.id).where(api_keys.c.id == identifier))
    if known is None:
        raise NotFoundError(f"there is no key {identifier!r}; `nurture access key list` shows all")
    connection.execute(
        sa.update(api_keys)
        .where(api_keys.c.id == identifier, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def set_key_kind(connection: sa.Connection, name: str, *, kind: str) -> list[str]:
    """Set the kind of the valid keys with this name or id and return their ids. Raises NotFoundError."""
    mine = sa.and_(sa.or_(api_keys.c.name == name, api_keys.c.id == name), api_keys.c.revoked_at.is_(None))
    changed = sorted(connection.scalars(sa.select(api_keys.c.id).where(mine)))
    if not changed:
        raise NotFoundError(f"there is no valid key {name!r}; `nurture access key list` shows all")
    connection.execute(sa.update(api_keys).where(api_keys.c.id.in_(changed)).values(kind=kind))
    return changed


_IN_PAGE = "key_in_page:"
_KEY_ID = re.compile(r"key:[0-9a-f]{8}")


def is_key_id(actor: str) -> bool:
    """Tell whether the actor is a key of `nurture access`, not one of the settings."""
    return _KEY_ID.fullmatch(actor) is not None


def note_key_in_page(connection: sa.Connection, actor: str, *, now: Instant) -> None:
    """Record that a call with this key came from a web page."""
    row: Row = {"key": f"{_IN_PAGE}{actor}", "value": str(now)}
    bulk.insert(connection, meta, [row], conflict=["key"], update=["value"])


def load_keys_in_pages(connection: sa.Connection) -> list[str]:
    """Return the actors of the keys that came from a web page, sorted."""
    found = connection.scalars(sa.select(meta.c.key).where(meta.c.key.startswith(_IN_PAGE)))
    return sorted(key.removeprefix(_IN_PAGE) for key in found)


def record_key_use(connection: sa.Connection, identifiers: Iterable[str], *, now: Instant) -> None:
    """Set when the keys were last used, to the minute."""
    connection.execute(
        sa.update(api_keys)
        .where(
            api_keys.c.id.in_(list(identifiers)),
            sa.or_(api_keys.c.used_at.is_(None), api_keys.c.used_at < now - MINUTE),
        )
        .values(used_at=now)
    )

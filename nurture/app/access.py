"""Who may: users and API keys as operators manage them. What changes here is in the audit log.

Whoever has the database and the secrets may do everything; these commands ask for no role, as the shell has none.
"""

import secrets
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from nurture.access import queries
from nurture.app.passwords import hash_password
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.access import check_password, read_key_name, read_name, read_role, read_scopes
from nurture.domain.instant import Instant, to_iso

#: How a key begins: people and secret scanners recognise it.
KEY_PREFIX = "nk_"


def digest_key(key: str) -> bytes:
    """Return what is kept of a key, and looked up; so timing tells nothing."""
    return sha256(key.encode("utf-8", "replace")).digest()


# ---- users -----------------------------------------------------------------------------------------------


def add_user(services: Services, name: str, *, role: str, password: str, actor: str) -> dict[str, Any]:
    """Add somebody who may sign in."""
    name, role = read_name(name), read_role(role)
    check_password(password, name=name)
    kept = hash_password(password)

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        number = queries.add_user(connection, name=name, role=role, password=kept, at=now)
        detail = {"user": number, "name": name, "role": role}
        record(connection, at=now, actor=actor, action="access.user.add", detail=detail)
        return detail

    return services.database.run(work)


def list_users(services: Services) -> list[dict[str, Any]]:
    """Return everybody who may sign in with a name of their own."""
    with services.database.read() as connection:
        return [
            {
                "user": row.name,
                "role": row.role,
                "disabled": row.disabled,
                "sessions": row.sessions,
                "added": to_iso(row.created_at),
            }
            for row in queries.list_users(connection)
        ]


def set_role(services: Services, name: str, *, role: str, actor: str) -> dict[str, Any]:
    """Give a user another role; it holds with their next click."""
    return _change(services, name, "access.user.role", {"role": read_role(role)}, actor=actor, ends=False)


def disable(services: Services, name: str, *, disabled: bool, actor: str) -> dict[str, Any]:
    """Shut a user out, and out of every session, or let them in again."""
    return _change(services, name, "access.user.disable", {"disabled": disabled}, actor=actor, ends=disabled)


def set_password(services: Services, name: str, *, password: str, actor: str) -> dict[str, Any]:
    """Give a user another password; every session of theirs is over."""
    name = read_name(name)
    check_password(password, name=name)
    return _change(
        services, name, "access.user.password", {}, actor=actor, ends=True, password=hash_password(password)
    )


def _change(
    services: Services,
    name: str,
    action: str,
    change: dict[str, Any],
    *,
    actor: str,
    ends: bool,
    **hidden: Any,
) -> dict[str, Any]:
    name = read_name(name)

    def work(connection: sa.Connection) -> dict[str, Any]:
        queries.change_user(connection, name, end_sessions=ends, **change, **hidden)
        detail = {"name": name, **change}
        record(connection, at=services.clock.now(), actor=actor, action=action, detail=detail)
        return {"user": name, **change, "signed_out": ends}

    return services.database.run(work)


# ---- keys ------------------------------------------------------------------------------------------------


def add_key(services: Services, name: str, *, scopes: tuple[str, ...], actor: str) -> dict[str, Any]:
    """Make an API key. The answer holds it; nothing else ever does again."""
    name = read_key_name(name)
    asked = read_scopes(scopes)
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    identifier = secrets.token_hex(4)

    def work(connection: sa.Connection) -> None:
        now = services.clock.now()
        queries.add_key(
            connection,
            id=identifier,
            name=name,
            digest=digest_key(key).hex(),
            scopes=" ".join(asked),
            actor=actor,
            created_at=now,
        )
        detail = {"key": identifier, "name": name, "scopes": list(asked)}
        record(connection, at=now, actor=actor, action="access.key.add", detail=detail)

    services.database.run(work)
    return {"id": identifier, "name": name, "scopes": list(asked), "key": key}


def list_keys(services: Services) -> list[dict[str, Any]]:
    """Return all keys, without what they are."""
    with services.database.read() as connection:
        return [
            {
                "id": row.id,
                "name": row.name,
                "scopes": row.scopes.split(),
                "by": row.actor,
                "added": to_iso(row.created_at),
                "last_used": _iso(row.used_at),
                "revoked": _iso(row.revoked_at),
            }
            for row in queries.list_keys(connection)
        ]


def revoke_key(services: Services, identifier: str, *, actor: str) -> dict[str, Any]:
    """Revoke a key: within two seconds no process takes it any more."""

    def work(connection: sa.Connection) -> None:
        now = services.clock.now()
        queries.revoke_key(connection, identifier, now=now)
        record(connection, at=now, actor=actor, action="access.key.revoke", detail={"key": identifier})

    services.database.run(work)
    return {"id": identifier, "revoked": True}


def _iso(at: Instant | None) -> str | None:
    return None if at is None else to_iso(at)

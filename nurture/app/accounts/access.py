"""Manage users and API keys. Every change is written to the audit log.

These functions check no role: they are called from the command line, where anybody who has the database and the
secrets may do everything, and from routes that have checked the role.
"""

import secrets
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from nurture.access import queries
from nurture.app.accounts.passwords import hash_password
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.access import (
    assumed_kind,
    check_password,
    parse_key_name,
    parse_kind,
    parse_role,
    parse_scopes,
    parse_user_name,
)
from nurture.domain.instant import Instant, to_iso

#: Prefix of every key, so that people and secret scanners recognise it.
KEY_PREFIX = "nk_"


def digest_key(key: str) -> bytes:
    """Return the SHA-256 digest of a key. Only digests are stored and compared, so timing reveals nothing."""
    return sha256(key.encode("utf-8", "replace")).digest()


# ---- users -----------------------------------------------------------------------------------------------


def add_user(services: Services, name: str, *, role: str, password: str, actor: str) -> dict[str, Any]:
    """Add a user. Raises InputError for a bad name, role or password, or a name that exists."""
    name, role = parse_user_name(name), parse_role(role)
    check_password(password, name=name)
    password_hash = hash_password(password)

    def work(connection: sa.Connection) -> dict[str, Any]:
        now = services.clock.now()
        number = queries.add_user(connection, name=name, role=role, password=password_hash, at=now)
        detail = {"user": number, "name": name, "role": role}
        record(connection, at=now, actor=actor, action="access.user.add", detail=detail)
        return detail

    return services.database.run(work)


def list_users(services: Services) -> list[dict[str, Any]]:
    """Return all users, without their password hashes."""
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
    """Change a user's role. It takes effect with the user's next request."""
    return _change_user(
        services, name, "access.user.role", {"role": parse_role(role)}, actor=actor, end_sessions=False
    )


def disable(services: Services, name: str, *, disabled: bool, actor: str) -> dict[str, Any]:
    """Disable a user and end all of the user's sessions, or enable the user again."""
    return _change_user(
        services,
        name,
        "access.user.disable",
        {"disabled": disabled},
        actor=actor,
        end_sessions=disabled,
    )


def set_password(services: Services, name: str, *, password: str, actor: str) -> dict[str, Any]:
    """Set a user's password and end all of the user's sessions. Raises InputError for a weak password."""
    name = parse_user_name(name)
    check_password(password, name=name)
    return _change_user(
        services,
        name,
        "access.user.password",
        {},
        actor=actor,
        end_sessions=True,
        password=hash_password(password),
    )


def _change_user(
    services: Services,
    name: str,
    action: str,
    change: dict[str, Any],
    *,
    actor: str,
    end_sessions: bool,
    **secret: Any,
) -> dict[str, Any]:
    """Change a user's row. secret: columns that neither the audit log nor the result may show."""
    name = parse_user_name(name)

    def work(connection: sa.Connection) -> dict[str, Any]:
        queries.change_user(connection, name, end_sessions=end_sessions, **change, **secret)
        detail = {"name": name, **change}
        record(connection, at=services.clock.now(), actor=actor, action=action, detail=detail)
        return {"user": name, **change, "signed_out": end_sessions}

    return services.database.run(work)


# ---- keys ------------------------------------------------------------------------------------------------


def add_key(
    services: Services, name: str, *, scopes: tuple[str, ...], actor: str, kind: str | None = None
) -> dict[str, Any]:
    """Create an API key. The result contains the key itself; only its digest is stored.

    kind: server or browser; None: browser for a key that only hands in events, else server.
    """
    name = parse_key_name(name)
    granted = parse_scopes(scopes)
    chosen = assumed_kind(granted) if kind is None else parse_kind(kind)
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    identifier = secrets.token_hex(4)

    def work(connection: sa.Connection) -> None:
        now = services.clock.now()
        queries.add_key(
            connection,
            id=identifier,
            name=name,
            digest=digest_key(key).hex(),
            scopes=" ".join(granted),
            actor=actor,
            created_at=now,
            kind=chosen,
        )
        detail = {"key": identifier, "name": name, "scopes": list(granted), "kind": chosen}
        record(connection, at=now, actor=actor, action="access.key.add", detail=detail)

    services.database.run(work)
    return {"id": identifier, "name": name, "scopes": list(granted), "kind": chosen, "key": key}


def set_key_kind(services: Services, name: str, *, kind: str, actor: str) -> dict[str, Any]:
    """Set the kind of the valid keys of this name or id. Raises InputError for another kind, NotFoundError."""
    chosen = parse_kind(kind)

    def work(connection: sa.Connection) -> dict[str, Any]:
        changed = queries.set_key_kind(connection, name, kind=chosen)
        detail = {"keys": changed, "name": name, "kind": chosen}
        record(connection, at=services.clock.now(), actor=actor, action="access.key.kind", detail=detail)
        return detail

    return services.database.run(work)


def find_key_faults(services: Services) -> tuple[list[str], list[str]]:
    """Return the doctor's lines about keys: faults (a server key in a web page), and assumed kinds."""
    with services.database.read() as connection:
        rows = [row for row in queries.list_keys(connection) if row.revoked_at is None]
        in_pages = queries.load_keys_in_pages(connection)
    assumed = [
        f"key {row.name} ({row.id}) counts as {assumed_kind(row.scopes.split())}; "
        f"say which it is: nurture access key set {row.name} --kind server or browser"
        for row in rows
        if row.kind is None
    ]
    kinds = {f"key:{row.id}": (row.name, row.kind or assumed_kind(row.scopes.split())) for row in rows}
    faults = []
    for actor in in_pages:
        name, kind = kinds.get(actor, (actor.removeprefix("key:"), "server"))
        if kind == "server" and (actor in kinds or not queries.is_key_id(actor)):
            faults.append(
                f"server key {name} came from a web page (its call had an Origin header), where everybody can read "
                "it; give the page a key of BROWSER_KEYS and replace this one"
            )
    return faults, assumed


def list_keys(services: Services) -> list[dict[str, Any]]:
    """Return all keys, without the keys themselves and their digests."""
    with services.database.read() as connection:
        return [
            {
                "id": row.id,
                "name": row.name,
                "scopes": row.scopes.split(),
                "kind": row.kind or f"{assumed_kind(row.scopes.split())} (assumed)",
                "by": row.actor,
                "added": to_iso(row.created_at),
                "last_used": _iso(row.used_at),
                "revoked": _iso(row.revoked_at),
            }
            for row in queries.list_keys(connection)
        ]


def revoke_key(services: Services, identifier: str, *, actor: str) -> dict[str, Any]:
    """Revoke a key. Within two seconds no process accepts it any more. Raises NotFoundError."""

    def work(connection: sa.Connection) -> None:
        now = services.clock.now()
        queries.revoke_key(connection, identifier, now=now)
        record(connection, at=now, actor=actor, action="access.key.revoke", detail={"key": identifier})

    services.database.run(work)
    return {"id": identifier, "revoked": True}


def _iso(at: Instant | None) -> str | None:
    return None if at is None else to_iso(at)

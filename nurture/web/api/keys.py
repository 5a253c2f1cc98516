"""Keys of applications: which stands for whom, and what it may.

Keys of `NURTURE_WRITE_KEYS` are known from the start and cost nothing to look up; those made with
`nurture access key add` are read from the database, at most once a second, so one that is revoked is refused by
every process within two seconds.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from nurture.access import queries
from nurture.app.group_commit import Unavailable
from nurture.app.services import Services
from nurture.domain.access import OUR_SOURCES, SOURCE_NAME, KeyScope
from nurture.domain.errors import Transient
from nurture.runtime.clock import monotonic
from nurture.web.request import basic_user, from_this_machine, is_forwarded, is_loopback

#: How old what we know of the table may be, in seconds.
FRESH_SECONDS = 1.0
#: How often the use of one key is written down, in seconds.
USED_SECONDS = 60.0
#: What keys of the settings may: they are for servers. A key in a web page is one of scope `ingest`.
SETTINGS_SCOPES: frozenset[KeyScope] = frozenset({"ingest", "admin"})
_ALL: frozenset[KeyScope] = frozenset({"ingest", "send", "read", "admin"})

_NAMED_KEY = re.compile(rf"({SOURCE_NAME.pattern})=([^=].{{3,}})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a key stands for."""

    source: str
    scopes: frozenset[KeyScope]
    # Who the audit log names.
    actor: str
    # Nobody set up a key, so no key is asked for: only this machine is told so.
    is_nobody: bool = False


NOBODY = Bearer(source="local", scopes=_ALL, actor="key:none", is_nobody=True)


class KeyRing:
    """All keys that are valid now. One per application; used from its event loop."""

    def __init__(self, services: Services) -> None:
        """Take the keys of the settings."""
        self._services = services
        self._given = _from_settings(services)
        self._stored: dict[bytes, tuple[str, Bearer]] = {}
        self._is_open = False
        self._read_at = float("-inf")
        self._used: dict[str, float] = {}
        self._unwritten: set[str] = set()
        self._reading = asyncio.Lock()

    async def who(self, key: str | None) -> Bearer | None:
        """Return whom a key stands for, None for an unknown or revoked one.

        A digest is looked up, so timing tells nothing. Raises Away when the database cannot be asked.
        """
        mark = _digest(key) if key else b""
        given = self._given.get(mark)
        if given is not None:
            return given
        if key is None and self._given:
            return None
        await self._refresh()
        if self._is_open:
            return NOBODY
        found = self._stored.get(mark)
        if found is None:
            return None
        self._note(found[0])
        return found[1]

    async def bearer(self, request: Request, *scopes: KeyScope) -> Bearer | None:
        """Return who asks with Basic or Bearer authentication, where their key opens one of these; else None."""
        for key in keys_of(request) or (None,):
            found = await self.who(key)
            if found is not None and found.scopes & set(scopes) and self.is_for(found, request, scopes):
                return found
        return None

    def is_for(self, found: Bearer, request: Request, scopes: Sequence[KeyScope] = ("ingest",)) -> bool:
        """Tell whether this request may be answered; without any key only this machine's are."""
        if not found.is_nobody:
            return True
        if tuple(scopes) == ("ingest",):
            return is_loopback(request.client.host if request.client else "") and not is_forwarded(request)
        return from_this_machine(request, self._services.settings)

    def _note(self, identifier: str) -> None:
        now = monotonic()
        if now - self._used.get(identifier, float("-inf")) >= USED_SECONDS:
            self._used[identifier] = now
            self._unwritten.add(identifier)

    async def _refresh(self) -> None:
        if monotonic() - self._read_at < FRESH_SECONDS:
            return
        async with self._reading:
            if monotonic() - self._read_at < FRESH_SECONDS:
                return
            used, self._unwritten = self._unwritten, set()
            try:
                rows = await asyncio.to_thread(self._read, used)
            except (SQLAlchemyError, Transient) as error:
                self._unwritten |= used
                raise Unavailable(f"the database is away: {type(error).__name__}") from error
            self._stored = {
                bytes.fromhex(row.digest): (row.id, _stored(row)) for row in rows if not row.revoked_at
            }
            self._is_open = not rows and not self._given
            self._read_at = monotonic()

    def _read(self, used: set[str]) -> list[sa.Row[tuple[object, ...]]]:
        database, now = self._services.database, self._services.clock.now()
        if used:
            database.run(lambda connection: queries.record_key_use(connection, used, now=now))
        with database.read() as connection:
            return queries.list_keys(connection)


def keys_of(request: Request) -> Sequence[str]:
    """Return the keys that a request shows: Bearer, or the password and the user of Basic authentication."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return [said.strip()] if said.strip() else []
    user = basic_user(request)
    return [key for key in (user[1], user[0]) if key] if user else []


def _from_settings(services: Services) -> dict[bytes, Bearer]:
    """Return the keys of NURTURE_WRITE_KEYS.

    One written `name=key` is the source `name`; another is named after its digest.
    """
    found = {}
    for secret in services.settings.write_keys:
        text = secret.get_secret_value()
        named = _NAMED_KEY.fullmatch(text)
        key = named[2] if named else text
        name = named[1] if named else f"key-{_digest(key).hex()[:8]}"
        source = f"key-{name}" if name in OUR_SOURCES else name
        found[_digest(key)] = Bearer(source=source, scopes=SETTINGS_SCOPES, actor=f"key:{source}")
    return found


def _stored(row: sa.Row[tuple[object, ...]]) -> Bearer:
    return Bearer(source=row.name, scopes=frozenset(row.scopes.split()), actor=f"key:{row.id}")


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "replace")).digest()

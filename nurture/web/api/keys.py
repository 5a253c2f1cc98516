"""Authenticate applications by their API keys.

Keys of `NURTURE_WRITE_KEYS` are read once. Keys made with `nurture access key add` are read from the database at most
once a second, so that every process refuses a revoked key within two seconds.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from nurture.access import queries
from nurture.app.accounts.access import digest_key
from nurture.app.group_commit import Unavailable
from nurture.app.services import Services
from nurture.domain.access import BROWSER_SCOPES, OUR_SOURCES, SOURCE_NAME, KeyScope, assumed_kind
from nurture.domain.errors import Transient
from nurture.runtime.clock import monotonic
from nurture.web.access_log import KEY_NAME
from nurture.web.request import (
    basic_user,
    is_forwarded,
    is_from_foreign_page,
    is_from_this_machine,
    is_loopback,
)

#: Seconds after which the keys are read from the database again.
FRESH_SECONDS = 1.0
#: Seconds between two updates of a key's last use.
USED_SECONDS = 60.0
#: Scopes of the keys in the settings, which are for servers. A web page needs a key of scope `ingest` only.
SETTINGS_SCOPES: frozenset[KeyScope] = frozenset({"ingest", "admin"})
_ALL: frozenset[KeyScope] = frozenset({"ingest", "send", "read", "admin"})

_NAMED_KEY = re.compile(rf"({SOURCE_NAME.pattern})=([^=].{{3,}})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Principal:
    """The application that a key authenticates."""

    source: str
    scopes: frozenset[KeyScope]
    # The actor in the audit log.
    actor: str
    # No key exists, so none is required. Only requests from this machine are accepted.
    is_anonymous: bool = False
    # True: a browser key, or a call from a web page. Its identities prove nothing.
    is_hint: bool = False


ANONYMOUS = Principal(source="local", scopes=_ALL, actor="key:none", is_anonymous=True)


class KeyRing:
    """The valid keys. One per application; used from its event loop only."""

    def __init__(self, services: Services) -> None:
        """Read the keys of the settings."""
        self._services = services
        self._settings_keys = _read_settings_keys(services)
        self._stored_keys: dict[bytes, tuple[str, Principal]] = {}
        self._is_open = False
        self._read_at = float("-inf")
        self._used: dict[str, float] = {}
        self._unwritten: set[str] = set()
        self._in_pages: set[str] = set()
        self._reading = asyncio.Lock()

    async def find_principal(self, key: str | None) -> Principal | None:
        """Return the principal of a key; None for an unknown or revoked key.

        Digests are compared, so timing reveals nothing. Raises Unavailable when the database cannot be read.
        """
        digest = digest_key(key) if key else b""
        principal = self._settings_keys.get(digest)
        if principal is not None:
            return principal
        if key is None and self._settings_keys:
            return None
        await self._refresh()
        if self._is_open:
            return ANONYMOUS
        entry = self._stored_keys.get(digest)
        if entry is None:
            return None
        identifier, principal = entry
        self._mark_used(identifier)
        return principal

    async def authenticate(self, request: Request, *scopes: KeyScope) -> Principal | None:
        """Return the principal of a request whose key (Basic or Bearer) has one of the scopes, else None."""
        for key in read_keys(request) or (None,):
            principal = await self.find_principal(key)
            if principal is None or not self.may_use(principal, request, scopes):
                continue
            principal = await self.as_told(principal, request)
            if principal.scopes & set(scopes):
                return principal
        return None

    async def as_told(self, principal: Principal, request: Request) -> Principal:
        """Return the principal of this very call: one with an `Origin` header comes from a page, so it is a hint."""
        request.scope[KEY_NAME] = principal.source
        if "origin" not in request.headers or principal.is_hint:
            return principal
        if not principal.is_anonymous and principal.actor not in self._in_pages:
            self._in_pages.add(principal.actor)
            await asyncio.to_thread(self._note_page, principal.actor)
        return replace(principal, is_hint=True, scopes=principal.scopes & BROWSER_SCOPES)

    def _note_page(self, actor: str) -> None:
        """Store that a server's key stands in a page, for doctor; a failure changes nothing for the call."""
        now = self._services.clock.now()
        with contextlib.suppress(SQLAlchemyError, Transient):
            self._services.database.run(
                lambda connection: queries.note_key_in_page(connection, actor, now=now)
            )

    def may_use(
        self, principal: Principal, request: Request, scopes: Sequence[KeyScope] = ("ingest",)
    ) -> bool:
        """Tell whether the request is allowed. While no key exists, only requests from this machine are."""
        if not principal.is_anonymous:
            return True
        if is_from_foreign_page(request):
            return False
        if tuple(scopes) == ("ingest",):
            # The host name: a page of another site under a name that points to this machine sends its own.
            names = (request.client.host if request.client else "", request.url.hostname or "")
            return all(map(is_loopback, names)) and not is_forwarded(request)
        return is_from_this_machine(request, self._services.settings)

    def _mark_used(self, identifier: str) -> None:
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
                raise Unavailable(f"the database is unavailable: {type(error).__name__}") from error
            self._stored_keys = {
                bytes.fromhex(row.digest): (row.id, _principal_of(row)) for row in rows if not row.revoked_at
            }
            self._is_open = not rows and not self._settings_keys
            self._read_at = monotonic()

    def _read(self, used: set[str]) -> list[sa.Row[tuple[object, ...]]]:
        database, now = self._services.database, self._services.clock.now()
        if used:
            database.run(lambda connection: queries.record_key_use(connection, used, now=now))
        with database.read() as connection:
            return queries.list_keys(connection)


def read_keys(request: Request) -> Sequence[str]:
    """Return the keys in a request: the Bearer token, or the password and the user of Basic authentication."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return [token.strip()] if token.strip() else []
    user = basic_user(request)
    return [key for key in (user[1], user[0]) if key] if user else []


def _read_settings_keys(services: Services) -> dict[bytes, Principal]:
    """Return digest -> principal for the keys of NURTURE_WRITE_KEYS and NURTURE_BROWSER_KEYS.

    A key written `name=key` has the source `name`; another has a source made from its digest.
    """
    principals = {}
    settings = services.settings
    for secret, is_hint in [
        *((secret, False) for secret in settings.write_keys),
        # A key that stands in both is public.
        *((secret, True) for secret in settings.browser_keys),
    ]:
        text = secret.get_secret_value()
        named = _NAMED_KEY.fullmatch(text)
        key = named[2] if named else text
        name = named[1] if named else f"key-{digest_key(key).hex()[:8]}"
        source = f"key-{name}" if name in OUR_SOURCES else name
        scopes = BROWSER_SCOPES if is_hint else SETTINGS_SCOPES
        principals[digest_key(key)] = Principal(
            source=source, scopes=scopes, actor=f"key:{source}", is_hint=is_hint
        )
    return principals


def _principal_of(row: sa.Row[tuple[object, ...]]) -> Principal:
    scopes: frozenset[KeyScope] = frozenset(row.scopes.split())
    is_hint = (row.kind or assumed_kind(scopes)) == "browser"
    if is_hint:
        scopes &= BROWSER_SCOPES
    return Principal(source=row.name, scopes=scopes, actor=f"key:{row.id}", is_hint=is_hint)

"""Who may see the console: people who signed in, or without any password this machine alone.

A session is a random cookie; the database knows its hash, so it can be revoked, and every process agrees. A form
proves with a token made from the session's cookie that one of our own pages showed it.
"""

import hmac
from hashlib import blake2b, sha256
from secrets import token_urlsafe
from typing import Any

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.access import queries
from nurture.app.passwords import hash_password, needs_rehash, verify_password
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.access import FIRST_ADMIN, PASSWORD_MAX, Operator
from nurture.domain.instant import HOUR, MINUTE, Instant
from nurture.web.request import address_of, from_own_page, from_this_machine

COOKIE = "nurture_console"
#: A session ends so long after signing in, and so long after its last use.
SESSION = 12 * HOUR
IDLE = 2 * HOUR
#: Wrong passwords in one window, before the door stays shut until its end.
WRONG_MAX = 10
WRONG_MAX_ADDRESS = 30
WRONG_WINDOW = 5 * MINUTE
#: What binds the token of a form that nobody is signed in for.
_BEFORE = "nurture_before"


class Shut(Exception):
    """Too many wrong passwords were tried lately."""


class ConsoleDoor:
    """Lets operators in; any number per application, they share the database."""

    def __init__(self, services: Services) -> None:
        """Keep what sessions are looked up in, and what forms are signed with."""
        self._services = services
        self._form_key = hmac.digest(services.keys.secrets[0], b"nurture console form", "sha256")

    def has_password(self) -> bool:
        """Tell whether signing in is needed at all."""
        if self._services.settings.admin_password is not None:
            return True
        with self._services.database.read() as connection:
            return queries.has_users(connection)

    # ---- sessions ----------------------------------------------------------------------------------------

    def who(self, request: Request) -> Operator | None:
        """Return who asks, None for somebody who has to sign in first."""
        cookie = request.cookies.get(COOKIE, "")
        if cookie and (found := self._session(cookie)):
            return found
        if from_this_machine(request, self._services.settings) and not self.has_password():
            return Operator(name="local", role="admin")
        return None

    def _session(self, cookie: str) -> Operator | None:
        identifier, now = _hash(cookie), self._services.clock.now()
        with self._services.database.read() as connection:
            row = queries.find_session(connection, identifier)
        if row is None or now >= row.until or now - row.seen_at >= IDLE:
            return None
        if row.user_id is None:
            found = Operator(FIRST_ADMIN, "admin", identifier) if row.mark == self._password_mark() else None
        else:
            is_valid = row.name is not None and not row.disabled and row.mark == str(row.epoch)
            found = Operator(row.name, row.role, identifier) if is_valid else None
        if found and now - row.seen_at >= MINUTE:
            self._services.database.run(lambda c: queries.record_session_use(c, identifier, now=now))
        return found

    def sign_in(self, request: Request, name: str, password: str) -> str | None:
        """Return the cookie of a new session, None for a wrong name or password.

        Raises Shut after too many of them for this account or from this address. Counted before the password is
        looked at, so that guesses at the same time count each other.
        """
        name = name.strip().lower()[:200] or FIRST_ADMIN
        user_id, mark = self._tried(request, name, password)
        if mark is None:
            return None
        cookie, now = token_urlsafe(32), self._services.clock.now()

        def work(connection: sa.Connection) -> None:
            queries.open_session(
                connection, identifier=_hash(cookie), user_id=user_id, mark=mark, now=now, until=now + SESSION
            )
            record(connection, at=now, actor=f"user:{name}", action="access.login", detail={})

        self._services.database.run(work)
        return cookie

    def is_right(self, request: Request, name: str, password: str) -> bool:
        """Tell whether somebody who is signed in knows their password. Wrong ones count; raises Shut as above."""
        return self._tried(request, name, password)[1] is not None

    def _tried(self, request: Request, name: str, password: str) -> tuple[int | None, str | None]:
        now = self._services.clock.now()
        account, address = self._subject("account", name), self._subject("address", address_of(request))
        self._count(account, address, now)
        found = self._check(name, password[: PASSWORD_MAX + 1])
        if found[1] is not None:
            self._services.database.run(lambda c: queries.uncount_attempt(c, [address], whole=account))
        return found

    def _count(self, account: str, address: str, now: Instant) -> None:
        def work(connection: sa.Connection) -> tuple[int, int]:
            tried = queries.count_attempt(connection, [account, address], now=now, window=WRONG_WINDOW)
            if tried[0] == WRONG_MAX + 1 or tried[1] == WRONG_MAX_ADDRESS + 1:
                detail = {"account": tried[0] > WRONG_MAX, "address": tried[1] > WRONG_MAX_ADDRESS}
                record(connection, at=now, actor="console", action="access.locked", detail=detail)
            return tried[0], tried[1]

        of_account, of_address = self._services.database.run(work)
        if of_account > WRONG_MAX or of_address > WRONG_MAX_ADDRESS:
            raise Shut

    def _check(self, name: str, password: str) -> tuple[int | None, str | None]:
        """Return the user and what their session is marked with; no mark for a wrong name or password."""
        if name == FIRST_ADMIN:
            wanted = self._services.settings.admin_password
            is_right = wanted is not None and hmac.compare_digest(
                password.encode("utf-8", "replace"), wanted.get_secret_value().encode()
            )
            return None, self._password_mark() if is_right else None
        with self._services.database.read() as connection:
            row = queries.find_user(connection, name)
        if not verify_password(row.password if row else None, password) or row is None or row.disabled:
            return None, None
        if needs_rehash(row.password):
            anew = hash_password(password)
            self._services.database.run(
                lambda c: queries.change_user(c, name, end_sessions=False, password=anew)
            )
        return row.id, str(row.epoch)

    def keep(self, answer: Response, cookie: str) -> None:
        """Put the session into the browser: no script reads it, no other site sends it with a form."""
        answer.set_cookie(COOKIE, cookie, max_age=SESSION // 1_000_000, **self._cookie())

    def sign_out(self, answer: Response, operator: Operator) -> None:
        """End the session, here and in the browser."""
        now = self._services.clock.now()

        def work(connection: sa.Connection) -> None:
            if queries.close_sessions(connection, [operator.session]):
                record(connection, at=now, actor=operator.actor, action="access.logout", detail={})

        self._services.database.run(work)
        answer.delete_cookie(COOKIE, **self._cookie())

    def _cookie(self) -> dict[str, Any]:
        secure = self._services.settings.public_url.startswith("https:")
        return {"httponly": True, "samesite": "lax", "secure": secure, "path": "/"}

    # ---- forms -------------------------------------------------------------------------------------------

    def form_token(self, request: Request, answer_to: Operator | None) -> tuple[str, str]:
        """Return the token that a form carries, and a new cookie for it where there is no session yet."""
        if answer_to is not None and answer_to.session:
            return self._form_token(answer_to.session), ""
        before = request.cookies.get(_BEFORE, "")
        made = "" if before else token_urlsafe(16)
        return self._form_token(before or made), made

    def keep_before(self, answer: Response, made: str) -> None:
        """Put what the token is bound to into the browser."""
        if made:
            answer.set_cookie(_BEFORE, made, max_age=HOUR // 1_000_000, **self._cookie())

    def proves(self, request: Request, operator: Operator | None, token: str) -> bool:
        """Tell whether a form came from one of our own pages, shown in this very session."""
        bound = operator.session if operator and operator.session else request.cookies.get(_BEFORE, "")
        return (
            bool(bound)
            and from_own_page(request)
            and hmac.compare_digest(token.encode("utf-8", "replace"), self._form_token(bound).encode())
        )

    def _form_token(self, bound: str) -> str:
        return hmac.new(self._form_key, bound.encode(), "sha256").hexdigest()

    # ---- marks -------------------------------------------------------------------------------------------

    def _password_mark(self) -> str:
        """Return what a session of ADMIN_PASSWORD is marked with; without the secret nobody can guess from it."""
        wanted = self._services.settings.admin_password
        text = b"password: " + (wanted.get_secret_value() if wanted else "").encode()
        return hmac.new(self._form_key, text, "sha256").hexdigest()

    def _subject(self, kind: str, value: str) -> str:
        """Return what wrong passwords are counted under: no address of anybody is kept."""
        key = self._form_key[:32]
        return blake2b(f"{kind}:{value}".encode(), digest_size=16, key=key).hexdigest()


def _hash(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "replace")).hexdigest()

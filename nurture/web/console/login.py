"""Sign-in to the console. While no password is set, only this machine may open it, without signing in.

A session is a random cookie; the database stores its hash, so that it can be revoked in every process. A form carries
a token value from the session, which protects against cross-site request forgery.
"""

import hmac
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.access import queries
from nurture.app.accounts.passwords import hash_password, needs_rehash, verify_password
from nurture.app.accounts.sign_in_limits import KNOWN, LINK, SignInLimits
from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.access import FIRST_ADMIN, PASSWORD_MAX, Operator
from nurture.domain.instant import HOUR, MINUTE, SECOND, Duration
from nurture.web.request import client_address, is_from_own_page, is_from_this_machine

COOKIE = "nurture_console"
#: Cookie of a browser in which an account signed in before.
DEVICE_COOKIE = "nurture_device"
#: A session ends this long after signing in, or after its last use.
SESSION = 12 * HOUR
IDLE = 2 * HOUR
#: Cookie that the form token is bound to while there is no session.
_FORM_COOKIE = "nurture_before"


class ConsoleLogin:
    """Signs operators in and checks sessions and form tokens; all state is in the database."""

    def __init__(self, services: Services) -> None:
        """Use these services; the key of form tokens is derived from the signing key."""
        self._services = services
        self._limits = SignInLimits(services)
        self._form_key = hmac.digest(services.keys.secrets[0], b"nurture console form", "sha256")

    def has_password(self) -> bool:
        """Tell whether a password is set, so that signing in is required."""
        if self._services.settings.admin_password is not None:
            return True
        with self._services.database.read() as connection:
            return queries.has_users(connection)

    # ---- sessions ----------------------------------------------------------------------------------------

    def current_operator(self, request: Request) -> Operator | None:
        """Return the operator of a request; None when signing in is required."""
        cookie = request.cookies.get(COOKIE, "")
        if cookie and (operator := self._session_operator(cookie)):
            return operator
        if is_from_this_machine(request, self._services.settings) and not self.has_password():
            return Operator(name="local", role="admin")
        return None

    def _session_operator(self, cookie: str) -> Operator | None:
        identifier, now = _hash(cookie), self._services.clock.now()
        with self._services.database.read() as connection:
            row = queries.find_session(connection, identifier)
        if row is None or now >= row.until or now - row.seen_at >= IDLE:
            return None
        if row.user_id is None:
            is_valid = row.mark == self._password_mark()
            operator = Operator(FIRST_ADMIN, "admin", identifier) if is_valid else None
        else:
            is_valid = row.name is not None and not row.disabled and row.mark == str(row.epoch)
            operator = Operator(row.name, row.role, identifier) if is_valid else None
        if operator and now - row.seen_at >= MINUTE:
            self._services.database.run(lambda c: queries.record_session_use(c, identifier, now=now))
        return operator

    def sign_in(self, request: Request, name: str, password: str) -> str | None:
        """Return the cookie of a new session; None for a wrong name or password.

        Raises LockedOut after too many failures (`app.accounts.sign_in_limits`).
        """
        name = _normalize_name(name)
        user_id, mark = self._attempt(request, name, password)
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

    def verify_own_password(self, request: Request, name: str, password: str) -> bool:
        """Tell whether a signed-in user's password is right. Failures count; raises LockedOut as `sign_in` does."""
        return self._attempt(request, name, password)[1] is not None

    def _attempt(self, request: Request, name: str, password: str) -> tuple[int | None, str | None]:
        device = request.cookies.get(DEVICE_COOKIE, "")
        attempt = self._limits.count_attempt(name, address=client_address(request), device=device)
        user_id, mark = self._check_password(name, password[: PASSWORD_MAX + 1])
        if mark is not None:
            self._limits.forget_attempt(attempt)
        return user_id, mark

    def _check_password(self, name: str, password: str) -> tuple[int | None, str | None]:
        """Return the user's id (None for the first admin) and the session's mark; no mark when the check fails."""
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
            new_hash = hash_password(password)
            self._services.database.run(
                lambda c: queries.change_user(c, name, end_sessions=False, password=new_hash)
            )
        return row.id, str(row.epoch)

    def set_session_cookie(self, answer: Response, cookie: str, *, name: str) -> None:
        """Set the session cookie (no script can read it, no other site's form sends it) and make the browser known."""
        answer.set_cookie(COOKIE, cookie, max_age=SESSION // SECOND, **self._cookie())
        self._set_device_cookie(answer, self._limits.make_device(_normalize_name(name)), KNOWN)

    def accept_device(self, answer: Response, token: str) -> None:
        """Make the browser known that opened the link of `nurture access user unlock`."""
        if self._limits.is_device(token):
            self._set_device_cookie(answer, token, LINK)

    def _set_device_cookie(self, answer: Response, token: str, valid: Duration) -> None:
        answer.set_cookie(DEVICE_COOKIE, token, max_age=valid // SECOND, **self._cookie())

    def sign_out(self, answer: Response, operator: Operator) -> None:
        """End the session and delete its cookie."""
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

    def form_token(self, request: Request, operator: Operator | None) -> tuple[str, str]:
        """Return the token for a form, and the value of a new form cookie (empty when none is needed)."""
        if operator is not None and operator.session:
            return self._form_token(operator.session), ""
        existing = request.cookies.get(_FORM_COOKIE, "")
        created = "" if existing else token_urlsafe(16)
        return self._form_token(existing or created), created

    def set_form_cookie(self, answer: Response, value: str) -> None:
        """Set the cookie that the form token is bound to."""
        if value:
            answer.set_cookie(_FORM_COOKIE, value, max_age=HOUR // SECOND, **self._cookie())

    def is_valid_form(self, request: Request, operator: Operator | None, token: str) -> bool:
        """Tell whether a form was sent from our own page and its token belongs to this session."""
        bound = operator.session if operator and operator.session else request.cookies.get(_FORM_COOKIE, "")
        return (
            bool(bound)
            and is_from_own_page(request)
            and hmac.compare_digest(token.encode("utf-8", "replace"), self._form_token(bound).encode())
        )

    def _form_token(self, bound: str) -> str:
        return hmac.new(self._form_key, bound.encode(), "sha256").hexdigest()

    # ---- marks of sessions -------------------------------------------------------------------------------

    def _password_mark(self) -> str:
        """Return the mark of sessions of NURTURE_ADMIN_PASSWORD, so that a new password ends them.

        It is keyed, so that the database reveals nothing about the password.
        """
        wanted = self._services.settings.admin_password
        text = b"password: " + (wanted.get_secret_value() if wanted else "").encode()
        return hmac.new(self._form_key, text, "sha256").hexdigest()


def _normalize_name(name: str) -> str:
    return name.strip().lower()[:200] or FIRST_ADMIN


def _hash(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "replace")).hexdigest()

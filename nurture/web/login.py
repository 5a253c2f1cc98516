"""Who may see the console: with a password a signed cookie, without one only this machine."""

import hmac
import ipaddress
from hashlib import blake2b
from urllib.parse import urlsplit

from fastapi import Request, Response

from nurture.app.services import Services
from nurture.domain.instant import HOUR, MINUTE, Instant
from nurture.domain.token import sign, verify

COOKIE = "nurture_console"
SESSION = 12 * HOUR
#: Wrong passwords of everybody together in one window, before the door stays shut until its end.
WRONG_MAX = 10
WRONG_WINDOW = 5 * MINUTE


class ConsoleDoor:
    """Lets operators in; one per application."""

    def __init__(self, services: Services) -> None:
        """Keep what sessions are signed with."""
        self._services = services
        self._wrong: list[Instant] = []

    @property
    def has_password(self) -> bool:
        """Tell whether signing in is needed at all."""
        return self._services.settings.admin_password is not None

    def is_open(self, request: Request) -> bool:
        """Tell whether this request may see the console."""
        if not self.has_password:
            return self._from_this_machine(request)
        session = verify(self._services.keys, "console", request.cookies.get(COOKIE, ""))
        if session is None or session.get("p") != self._password_mark():
            return False
        until = session.get("until")
        return isinstance(until, int) and self._services.clock.now() < until

    def is_shut(self, now: Instant) -> bool:
        """Tell whether too many wrong passwords were tried lately."""
        self._wrong = [at for at in self._wrong if now - at < WRONG_WINDOW]
        return len(self._wrong) >= WRONG_MAX

    def admits(self, password: str, now: Instant) -> bool:
        """Tell whether the password is right; a wrong one is counted."""
        wanted = self._services.settings.admin_password
        if wanted is not None and hmac.compare_digest(password.encode(), wanted.get_secret_value().encode()):
            return True
        self._wrong.append(now)
        return False

    def sign_in(self, answer: Response, now: Instant) -> None:
        """Put the session into a cookie; a changed password ends it."""
        token = sign(self._services.keys, "console", {"until": now + SESSION, "p": self._password_mark()})
        answer.set_cookie(
            COOKIE,
            token,
            max_age=SESSION // 1_000_000,
            httponly=True,
            samesite="lax",
            secure=self._services.settings.public_url.startswith("https:"),
        )

    def sign_out(self, answer: Response) -> None:
        """Take the session away."""
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax")

    def _password_mark(self) -> str:
        wanted = self._services.settings.admin_password
        return blake2b((wanted.get_secret_value() if wanted else "").encode(), digest_size=8).hexdigest()

    def _from_this_machine(self, request: Request) -> bool:
        """Tell whether client, the name it used and our public address are all this machine's.

        The name keeps out pages of other sites that point a name of theirs here; the public address keeps
        the console closed behind a proxy, whose requests all seem to come from this machine.
        """
        client = request.client.host if request.client else ""
        names = (
            client,
            request.url.hostname or "",
            urlsplit(self._services.settings.public_url).hostname or "",
        )
        return all(is_loopback(name) for name in names) and "x-forwarded-for" not in request.headers


def from_own_page(request: Request) -> bool:
    """Tell whether a form was sent by one of our own pages (browsers always say so for a POST)."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False

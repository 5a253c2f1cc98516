"""The options of an SMTP URL: host, credentials, TLS and time limits."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from nurture.domain.errors import SettingsError


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """The server, and how to speak SMTP with it. Times are seconds; the defaults are those of RFC 5321, 4.5.3.2."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    # implicit: TLS from the first byte. starttls: required, without a fallback to clear text. none: set in the URL,
    # or a loopback host.
    tls: Literal["implicit", "starttls", "none"] = "starttls"
    # A file of certificates that are trusted besides the system's.
    ca: str | None = None
    # Our name in EHLO; empty: the address literal of the connection.
    name: str = ""
    # The most connections, the most mails on one of them, and for how long one may be idle.
    connections: int = 9
    per_connection: int = 100
    idle: float = 30.0
    # Mails of one window that wait longer than this for a connection go back to the send gate.
    fresh: float = 2.0
    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    # For the reply to DATA, for each block of text, for the reply to the final dot.
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0

    def tls_context(self) -> ssl.SSLContext:
        """Return a TLS context that checks the certificate and the host name."""
        return _load_tls_context(self.ca)


@lru_cache(maxsize=8)
def _load_tls_context(ca: str | None) -> ssl.SSLContext:
    # Reading the system's certificates takes longer than sending many mails, so it is done once a process.
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    return context


_NUMBERS = frozenset({"connections", "per_connection"})
_SECONDS = frozenset({"idle", "fresh", "connect", "greeting", "command", "data", "block", "dot"})
_TEXTS = frozenset({"tls", "ca", "name"})


def read_smtp_url(url: str) -> SmtpOptions:
    """Return the options of `smtp://user:password@host:port?option=value` or `smtps://...`.

    Raises SettingsError that names the part that is wrong and never shows the password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise SettingsError("MAIL_URL: write smtp://user:password@host:587 or smtps://host:465")
    try:
        port = parts.port or (465 if parts.scheme == "smtps" else 587 if parts.username else 25)
    except ValueError:
        raise SettingsError("MAIL_URL: the port is not a number from 1 to 65535") from None
    values = dict(_read_option(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True))
    tls = values.pop("tls", None) or _default_tls(parts.scheme, parts.hostname)
    if tls not in ("implicit", "starttls", "none"):
        raise SettingsError(f"MAIL_URL: tls={tls} is not known; write tls=none or tls=starttls")
    return SmtpOptions(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,  # type: ignore[arg-type]
        **values,  # type: ignore[arg-type]
    )


def _default_tls(scheme: str, host: str) -> str:
    if scheme == "smtps":
        return "implicit"
    return "none" if _is_loopback(host) else "starttls"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_option(key: str, value: str) -> tuple[str, str | int | float]:
    try:
        if key in _NUMBERS and int(value) >= 1:
            return key, int(value)
        if key in _SECONDS and float(value) > 0:
            return key, float(value)
    except ValueError:
        pass
    if key in _TEXTS:
        return key, value
    known = ", ".join(sorted(_NUMBERS | _SECONDS | _TEXTS))
    raise SettingsError(f"MAIL_URL: {key}={value} is not an option; options are {known}, numbers above 0")

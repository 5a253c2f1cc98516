"""Connections to addresses on the public internet, for what this machine asks or tells there.

A host is resolved once and the connection goes to that address, which must be public, so that no name leads into our
own network. The certificate is checked for the name, no redirect is followed, size and time are bounded.
"""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

from nurture.runtime.clock import monotonic

SECONDS_MAX: Final = 5.0
#: A receiver of posts has so long to answer (Standard Webhooks: 15 to 30 seconds).
POST_SECONDS_MAX: Final = 15.0
#: How much of an answer is read.
ANSWER_MAX: Final = 2_000

#: IPv6 addresses that end with the IPv4 address to which they are translated (RFC 6052, RFC 4291 2.5.5.1).
_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
#: Addresses that a network translates as it likes (RFC 8215).
_LOCAL_TRANSLATION: Final = ipaddress.IPv6Network("64:ff9b:1::/48")

#: Returns the addresses of a host and port, each with the port to connect to.
Resolve = Callable[[str, int], list[tuple[str, int]]]


def resolve(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses that the system's resolver knows."""
    return [(str(entry[4][0]), port) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Tell whether an address is on the public internet: not private, not of this host, no metadata service."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.is_site_local or parsed in _LOCAL_TRANSLATION:
            return False
        inner = _ipv4_within(parsed)
        return parsed.is_global and not parsed.is_multicast if inner is None else is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast


def _ipv4_within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address to which a network translates this one, None where it translates to none."""
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class PinnedHttps(HTTPSConnection):
    """A connection to one address, with the certificate of the name it was asked for."""

    def __init__(
        self, host: str, address: tuple[str, int], *, context: ssl.SSLContext, seconds: float = SECONDS_MAX
    ) -> None:
        """Prepare a connection; `request` opens it."""
        super().__init__(host, timeout=seconds, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Connect to the address and check the certificate of the name."""
        plain = socket.create_connection(self._address, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise


class PinnedHttp(HTTPConnection):
    """A connection to one address without a certificate, for hosts that the settings allow."""

    def __init__(self, host: str, address: tuple[str, int], *, seconds: float = SECONDS_MAX) -> None:
        """Prepare a connection; `request` opens it."""
        super().__init__(host, timeout=seconds)
        self._address = address

    def connect(self) -> None:
        """Connect to the address."""
        self.sock = socket.create_connection(self._address, self.timeout)


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """The answer to a post: its status, 0 without one; its beginning, or why there is none."""

    status: int
    text: str
    # Seconds to wait that the receiver asked for.
    retry_after: int = 0

    @property
    def is_taken(self) -> bool:
        """Tell whether the receiver took the post."""
        return 200 <= self.status < 300


class Poster:
    """Posts small documents to addresses of the settings. Never raises."""

    def __init__(
        self,
        *,
        hosts: Collection[str] = (),
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Use the system's resolver and certificates unless told otherwise. hosts: those that may be private."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._resolve = resolve
        self._context = context or ssl.create_default_context()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """Post the body, and return the answer within POST_SECONDS_MAX."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        is_allowed = host in self._hosts
        if parts.scheme != "https" and not is_allowed:
            return PostAnswer(0, f"{host}: only https, unless NURTURE_HOOK_HOSTS names the host")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            addresses = self._resolve(host, port)
            if not addresses:
                return PostAnswer(0, f"{host} has no address")
            if not is_allowed and not all(is_public(address) for address, _ in addresses):
                return PostAnswer(0, f"{host} leads to a private address; NURTURE_HOOK_HOSTS may name it")
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection = self._open(parts.scheme, host, addresses[0])
            return _send(connection, path, body, {"Host": parts.netloc.rpartition("@")[2], **headers})
        except (OSError, ValueError, HTTPException) as error:
            return PostAnswer(0, f"{type(error).__name__}: {error}"[:200])

    def _open(self, scheme: str, host: str, address: tuple[str, int]) -> HTTPConnection:
        if scheme == "https":
            return PinnedHttps(host, address, context=self._context, seconds=POST_SECONDS_MAX)
        return PinnedHttp(host, address, seconds=POST_SECONDS_MAX)


def _send(connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
    until = monotonic() + POST_SECONDS_MAX
    # The limit of a socket is for each read; this one is for all of them.
    cut = Timer(POST_SECONDS_MAX, _cut, [connection])
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        parts: list[bytes] = []
        while sum(map(len, parts)) < ANSWER_MAX and monotonic() < until:
            part = answer.read1(512)
            if not part:
                break
            parts.append(part)
        text = b"".join(parts)[:ANSWER_MAX].decode("utf-8", "replace").replace("\x00", "")
        return PostAnswer(answer.status, text, seconds_to_wait(answer.headers))
    finally:
        cut.cancel()
        connection.close()


def seconds_to_wait(headers: Mapping[str, str] | HTTPMessage) -> int:
    """Return the seconds of `Retry-After`; a date is compared with the receiver's own clock."""
    wait = headers.get("Retry-After", "").strip()
    if wait.isascii() and wait.isdigit():
        return int(wait[:9])
    try:
        until, now = (parsedate_to_datetime(text) for text in (wait, headers.get("Date", "")))
        return max(0, int((until - now).total_seconds()))
    except (ValueError, TypeError):
        return 0


def _cut(connection: HTTPConnection) -> None:
    """End a connection whose other side is too slow."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

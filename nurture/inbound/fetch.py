"""Getting a small document from a host that the caller has pinned, and from nowhere else.

The URL is the caller's to check against a pattern. Here it is resolved once and the connection goes to that
very address, which must be a public one: a name that leads into our own network leads nowhere. https only, the
certificate is checked for the name, no redirect is followed, size and time are bounded.
"""

import ipaddress
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from nurture.runtime.clock import monotonic

BYTES_MAX: Final = 64 * 1024
SECONDS_MAX: Final = 5.0
#: Documents kept, and how many may be asked for in a minute: a stranger cannot make us knock for long.
_KEPT_MAX: Final = 16
_ASKED_MAX: Final = 20

#: Returns the addresses of a host and port, each with the port to connect to.
Resolve = Callable[[str, int], list[tuple[str, int]]]


def resolve(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses that the system's resolver knows."""
    return [(str(found[4][0]), port) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Tell whether an address is out on the internet: not ours, not this host's, not a cloud's own."""
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


class Fetcher:
    """Gets documents; keeps what it got, for they never change under their URL. Thread-safe."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve,
        may_reach: Callable[[str], bool] = is_public,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Use the system's resolver and certificates unless told otherwise."""
        self._resolve = resolve
        self._may_reach = may_reach
        self._context = context or ssl.create_default_context()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._asked: list[float] = []
        self._lock = Lock()

    def __call__(self, url: str) -> bytes | None:
        """Return the document at an https URL, from memory when it was got before; None when it cannot be had."""
        with self._lock:
            if url in self._kept:
                return self._kept[url]
            if not self._may_ask():
                return None
        document = self.visit(url)
        if document is not None:
            with self._lock:
                self._kept[url] = document
                if len(self._kept) > _KEPT_MAX:
                    self._kept.popitem(last=False)
        return document

    def visit(self, url: str) -> bytes | None:
        """Return the document at an https URL, asked for now."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.fragment:
            return None
        port = parts.port or 443
        try:
            addresses = self._resolve(parts.hostname, port)
            if not addresses or not all(self._may_reach(address) for address, _ in addresses):
                return None
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            return self._get(parts.hostname, addresses[0], path or "/")
        except (OSError, ValueError, HTTPException):
            return None

    def _get(self, host: str, address: tuple[str, int], path: str) -> bytes | None:
        until = monotonic() + SECONDS_MAX
        connection = _Pinned(host, address, context=self._context)
        try:
            connection.request("GET", path, headers={"Accept": "*/*", "User-Agent": "nurture"})
            answer = connection.getresponse()
            if answer.status != 200:
                return None
            parts: list[bytes] = []
            size = 0
            while part := answer.read1(8192):
                size += len(part)
                if size > BYTES_MAX or monotonic() > until:
                    return None
                parts.append(part)
            return b"".join(parts)
        finally:
            connection.close()

    def _may_ask(self) -> bool:
        now = monotonic()
        self._asked = [at for at in self._asked if at > now - 60]
        if len(self._asked) >= _ASKED_MAX:
            return False
        self._asked.append(now)
        return True


class _Pinned(HTTPSConnection):
    """A connection to one address, with the certificate of the name it was asked for."""

    def __init__(self, host: str, address: tuple[str, int], *, context: ssl.SSLContext) -> None:
        super().__init__(host, timeout=SECONDS_MAX, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection(self._address, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise

"""Fetch a small document over https from a public address.

The caller checks the URL against a pattern. The host is resolved once, and the connection goes to that address, which
must be public, so that no name leads into our own network. The certificate is checked for the name, no redirect is
followed, size and time are bounded.
"""

import ssl
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from nurture.runtime.clock import monotonic
from nurture.transports.http import SECONDS_MAX, PinnedHttps, Resolve, is_public, resolve

__all__ = ["Fetcher", "is_public"]

BYTES_MAX: Final = 64 * 1024
#: Documents in the cache, and requests in a minute: a stranger cannot make us send more.
_CACHED_MAX: Final = 16
_REQUESTS_MAX: Final = 20


class Fetcher:
    """Fetches documents and caches them, because they never change under their URL. Thread-safe."""

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
        self._context = context
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._requested_at: list[float] = []
        self._lock = Lock()

    def __call__(self, url: str) -> bytes | None:
        """Return the document at an https URL, from the cache when it has it; None when it cannot be fetched."""
        with self._lock:
            if url in self._cache:
                return self._cache[url]
            if not self._may_request():
                return None
        document = self.fetch(url)
        if document is not None:
            with self._lock:
                self._cache[url] = document
                if len(self._cache) > _CACHED_MAX:
                    self._cache.popitem(last=False)
        return document

    def fetch(self, url: str) -> bytes | None:
        """Return the document at an https URL without the cache; None when it cannot be fetched."""
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
        connection = PinnedHttps(host, address, context=self._context or _system_context())
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

    def _may_request(self) -> bool:
        now = monotonic()
        self._requested_at = [at for at in self._requested_at if at > now - 60]
        if len(self._requested_at) >= _REQUESTS_MAX:
            return False
        self._requested_at.append(now)
        return True


@cache
def _system_context() -> ssl.SSLContext:
    """Return a context with the machine's certificates; few installations fetch, and reading them takes long."""
    return ssl.create_default_context()

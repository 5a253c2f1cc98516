"""How often the page that anybody may use takes a request: by client, and in all.

One process counts for itself, in memory: nothing about a client is stored. An address gets one confirmation mail a day
whatever these limits let through (`consent.hinted_requests`).
"""

from collections import Counter
from threading import Lock
from typing import Final

from nurture.domain.instant import HOUR, Instant

#: Requests of one client (an IPv4 address, or the /64 network of an IPv6 address) in an hour.
BY_CLIENT: Final = 20
#: Requests of all clients in an hour.
IN_ALL: Final = 2_000


class JoinLimits:
    """Counts the requests of the present hour."""

    def __init__(self) -> None:
        """Begin without any request."""
        self._lock = Lock()
        self._hour = 0
        self._requests: Counter[str] = Counter()
        self._in_all = 0

    def take(self, client: str, *, now: Instant) -> bool:
        """Count one request and return True; return False, and count nothing, when there were too many."""
        with self._lock:
            if (hour := now // HOUR) != self._hour:
                self._hour, self._in_all = hour, 0
                self._requests.clear()
            if self._in_all >= IN_ALL or self._requests[client] >= BY_CLIENT:
                return False
            self._in_all += 1
            self._requests[client] += 1
            return True

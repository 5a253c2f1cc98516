"""A TCP proxy in front of one server: cuts, stalls and half-closes its links, and loses the reply to a chosen word."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

_CHUNK = 65_536


class Proxy:
    """Listens on a free loopback port; every connection to it is a link to the server behind."""

    def __init__(self, port: int) -> None:
        """Stand before the server on this loopback port."""
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._word, self._every, self._seen = b"", 0, 0
        #: How often a reply was lost.
        self.lost = 0
        #: False: a new connection is closed at once.
        self.open = True
        threading.Thread(target=self._listen, name="proxy", daemon=True).start()

    def url(self, behind: str) -> str:
        """Return the URL of the server behind, by way of here."""
        assert f":{self._behind}" in behind, behind
        return behind.replace(f":{self._behind}", f":{self.port}")

    # ---- what goes wrong -------------------------------------------------------------------------------

    def cut(self) -> int:
        """Close every link on both sides at once; returns how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()
        return len(links)

    def stall(self) -> None:
        """Let nothing through in either direction, and close nothing."""
        self._flows.clear()

    def flow(self) -> None:
        """Let everything through again."""
        self._flows.set()

    def half_close(self) -> None:
        """Close the server's side of every link and tell the client nothing: for it the link still stands."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.forsake()

    def lose_reply_to(self, word: bytes, *, every: int = 1) -> None:
        """When a client says this word, let the server hear it, then cut before its reply arrives.

        every: about every Nth time, the same ones in every run, and in no rhythm with what is said. 0: never again.
        """
        with self._lock:
            self._word, self._every, self._seen = word, every, 0

    def close(self) -> None:
        """End it."""
        self.open = False
        self._listener.close()
        self._flows.set()
        self.cut()

    # ---- called by links -------------------------------------------------------------------------------

    def wait(self) -> None:
        """Return when bytes may go through."""
        self._flows.wait()

    def is_lost(self, data: bytes) -> bool:
        """Tell whether the reply to these bytes is to be lost."""
        with self._lock:
            if not self._every or self._word not in data:
                return False
            self._seen += 1
            if blake2b(self._seen.to_bytes(8), digest_size=4).digest()[0] % self._every:
                return False
            self.lost += 1
            return True

    def ended(self, link: "_Link") -> None:
        """Forget a link."""
        with self._lock:
            self._links.discard(link)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._behind), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()


class _Link:
    """One client and its connection to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._deaf = self._forsaken = False

    def start(self) -> None:
        """Begin to carry bytes both ways."""
        for work in (self._up, self._down):
            threading.Thread(target=work, name="proxy-link", daemon=True).start()

    def close(self) -> None:
        """Cut both sides."""
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self._proxy.ended(self)

    def forsake(self) -> None:
        """Leave the client with a link that leads nowhere."""
        self._forsaken = True
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)

    def _up(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(_CHUNK):
                self._proxy.wait()
                if self._proxy.is_lost(data):
                    self._deaf = True
                if not self._forsaken:
                    self._server.sendall(data)
        self.close()

    def _down(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(_CHUNK):
                self._proxy.wait()
                if self._deaf:
                    break
                self._client.sendall(data)
        if not self._forsaken:
            self.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Give a proxy in front of the server on this port, for as long as the block runs."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()

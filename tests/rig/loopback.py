"""Keeps the tests on this machine: a connection to any other address raises, whoever asks for it."""

import functools
import socket
import sys
from typing import Any

import httpx


class OutsideNetwork(RuntimeError):
    """A test tried to reach another machine."""


def stay_on_loopback() -> None:
    """Refuse connections that leave this machine, for the rest of this process."""
    sys.addaudithook(_watch)


def share_tls_context() -> None:
    """Let all HTTP clients of this process share one TLS context: each would read the machine's certificates anew.

    No test speaks TLS through these clients.
    """
    names = vars(httpx._transports.default)
    names["create_ssl_context"] = functools.cache(names["create_ssl_context"])


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"} and not _is_local(arguments[1]):
        message = f"the test connects to {arguments[1]!r}; only loopback addresses are allowed"
        raise OutsideNetwork(message)
    if event == "socket.getaddrinfo" and not _is_local((arguments[0],)):
        # As on a machine without a network: code that handles an unknown host can be tested.
        raise socket.gaierror(socket.EAI_NONAME, f"{arguments[0]!r}: the tests resolve no foreign names")


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = address[0]
    if isinstance(host, bytes):
        host = host.decode()
    return host in {None, "", "localhost", "::1", "0.0.0.0", socket.gethostname()} or host.startswith("127.")

"""Read a request within bounds: its body, its form, its credentials and its client."""

import asyncio
import base64
import binascii
import ipaddress
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from nurture.app.event_body import BODY_BYTES_MAX, TooLarge, inflate
from nurture.runtime.settings import Settings

#: Seconds to wait for a body; after that the client has to send it again.
BODY_SECONDS_MAX = 30.0
#: A larger body is decompressed and read in a thread: no request holds the event loop for more than 20 ms.
INLINE_BYTES_MAX = 64 * 1024
#: Largest form; enough for the public pages with a long comment.
FORM_BYTES_MAX = 32 * 1024


async def read_body(request: Request, *, at_most: int = BODY_BYTES_MAX) -> bytes:
    """Return the body unchanged. Raises TooLarge without reading the rest, TimeoutError for one that takes too long."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > at_most:
        raise TooLarge(f"{length} bytes; at most {at_most}")
    parts: list[bytes] = []
    room = at_most
    async with asyncio.timeout(BODY_SECONDS_MAX):
        async for part in request.stream():
            room -= len(part)
            if room < 0:
                raise TooLarge(f"more than {at_most} bytes")
            parts.append(part)
    return b"".join(parts)


async def inflate_body(raw: bytes, *, encoding: str) -> bytes:
    """Return the decompressed body: a small one at once, a large one from a thread. Raises TooLarge or NotJson."""
    if len(raw) <= INLINE_BYTES_MAX:
        try:
            return inflate(raw, encoding=encoding, at_most=INLINE_BYTES_MAX)
        except TooLarge:
            # A few kilobytes of gzip may become megabytes.
            pass
    return await asyncio.to_thread(inflate, raw, encoding=encoding)


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a URL-encoded form; empty for any other body (mail providers post various ones)."""
    body = await read_body(request, at_most=FORM_BYTES_MAX)
    if "multipart" in request.headers.get("content-type", ""):
        return {}
    try:
        text = body.replace(b"%00", b"").replace(b"\x00", b"").decode("utf-8", "replace")
        # No database stores a NUL.
        return parse_qs(text, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return {}


def basic_user(request: Request) -> tuple[str, str] | None:
    """Return user and password of Basic authentication; None without it, empty ones when it cannot be decoded."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return (user, password)


def is_from_this_machine(request: Request, settings: Settings) -> bool:
    """Tell whether the client, the requested host name and our public address are all loopback.

    Checking the host name stops DNS rebinding: pages of other sites under a name that points here. Checking the
    public address stops an installation behind a local proxy, whose requests all seem to come from this machine.
    """
    client = request.client.host if request.client else ""
    names = (client, request.url.hostname or "", urlsplit(settings.public_url).hostname or "")
    return all(is_loopback(name) for name in names) and not is_forwarded(request)


def is_forwarded(request: Request) -> bool:
    """Tell whether a proxy forwarded the request, by its headers."""
    return any(name in request.headers for name in ("x-forwarded-for", "x-forwarded-host", "forwarded"))


def is_from_own_page(request: Request) -> bool:
    """Tell whether a form was sent by one of our own pages (browsers set Origin for every POST)."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def is_from_foreign_page(request: Request) -> bool:
    """Tell whether a page that was not loaded from this machine sent the request, by the browser's own headers."""
    if request.headers.get("sec-fetch-site", "") == "cross-site":
        return True
    origin = request.headers.get("origin")
    return origin is not None and not is_loopback(urlsplit(origin).hostname or "")


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address is loopback."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def client_address(request: Request) -> str:
    """Return the client's address for rate limits: an IPv4 address, or the /64 network of an IPv6 address."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))

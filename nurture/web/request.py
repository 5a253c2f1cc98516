"""Reading a request within bounds: its body, its form, who sends it."""

import asyncio
import base64
import binascii
import ipaddress
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from nurture.app.event_body import BODY_BYTES_MAX, TooLarge
from nurture.runtime.settings import Settings

#: A body that takes longer is given up; the client may send it again.
BODY_SECONDS_MAX = 30.0
#: What the forms of the public pages need, with room for a long answer.
FORM_BYTES_MAX = 32 * 1024


async def read_body(request: Request, *, at_most: int = BODY_BYTES_MAX) -> bytes:
    """Return the body as it came. Raises TooLarge without reading on, TimeoutError for one that never ends."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > at_most:
        raise TooLarge(f"{said} bytes; at most {at_most}")
    parts: list[bytes] = []
    room = at_most
    async with asyncio.timeout(BODY_SECONDS_MAX):
        async for part in request.stream():
            room -= len(part)
            if room < 0:
                raise TooLarge(f"more than {at_most} bytes")
            parts.append(part)
    return b"".join(parts)


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a URL-encoded form; empty for anything else (mail providers post what they like)."""
    body = await read_body(request, at_most=FORM_BYTES_MAX)
    if "multipart" in request.headers.get("content-type", ""):
        return {}
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return {}


def basic_user(request: Request) -> tuple[str, str] | None:
    """Return user and password of Basic authentication; None when there is none that can be read."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(said.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return (user, password)


def from_this_machine(request: Request, settings: Settings) -> bool:
    """Tell whether client, the name it used and our public address are all this machine's.

    The name keeps out pages of other sites that point a name of theirs here; the public address keeps closed
    what stands behind a proxy, whose requests all seem to come from this machine.
    """
    client = request.client.host if request.client else ""
    names = (client, request.url.hostname or "", urlsplit(settings.public_url).hostname or "")
    return all(is_loopback(name) for name in names) and not is_forwarded(request)


def is_forwarded(request: Request) -> bool:
    """Tell whether a proxy says that it stands between."""
    return any(name in request.headers for name in ("x-forwarded-for", "x-forwarded-host", "forwarded"))


def from_own_page(request: Request) -> bool:
    """Tell whether a form was sent by one of our own pages (browsers always say so for a POST)."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def is_loopback(name: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def address_of(request: Request) -> str:
    """Return whom a request comes from, for counting: an address, of IPv6 the network that one household has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))

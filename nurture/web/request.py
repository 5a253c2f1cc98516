"""Reading a request within bounds: its body, its form, who sends it."""

import asyncio
import base64
import binascii
import re
from hashlib import sha256
from urllib.parse import parse_qs

from fastapi import Request

from nurture.app.body import BODY_BYTES_MAX, TooLarge
from nurture.settings import Settings

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


#: Sources of events that are ours: what they say was written down already, so no application may speak as one.
OUR_SOURCES = frozenset({"celery", "cli", "feedback", "import", "object", "ops", "timer", "web"})

_NAMED_KEY = re.compile(r"([a-z][a-z0-9_-]{0,31})=([^=].{3,})", re.DOTALL)


class WriteKeys:
    """The write keys that may hand in events, and the source that each stands for.

    A key written `name=key` is the source `name`; another is named after its digest. Without any key (only on
    this machine, the settings see to that) everybody may hand in, as the source `local`.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the keys of the settings."""
        self._sources: dict[bytes, str] = {}
        for secret in settings.write_keys:
            text = secret.get_secret_value()
            named = _NAMED_KEY.fullmatch(text)
            key = named[2] if named else text
            name = named[1] if named else f"key-{_digest(key).hex()[:8]}"
            self._sources[_digest(key)] = f"key-{name}" if name in OUR_SOURCES else name

    def source(self, key: str | None) -> str | None:
        """Return the source of a key, None for an unknown one. Looks up a digest, so timing tells nothing."""
        if not self._sources:
            return "local"
        return self._sources.get(_digest(key)) if key else None


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "replace")).digest()

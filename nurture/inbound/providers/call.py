"""A webhook's call as the providers read it, and the functions that they share."""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from nurture.domain.identity import canonical_email
from nurture.domain.instant import (
    DAY,
    MINUTE,
    Duration,
    Instant,
)
from nurture.domain.values import read_clock, read_decimal

#: Why a call is refused.
#: unsigned   it has no signature                      forged   its signature is wrong
#: stale      its signature is right and too old       foreign  of another account: topic, version or host
Refusal = Literal["", "unsigned", "forged", "stale", "foreign"]
#: Returns the document at an https URL, or None: see `inbound.fetch`.
Fetch = Callable[[str], bytes | None]

#: Largest difference between a signed time and ours.
FRESH: Final[Duration] = 5 * MINUTE
#: The same for providers that repeat a call for hours without a new signature.
FRESH_REPEATED: Final[Duration] = DAY
#: Events of one call; more than any provider sends at once.
EVENTS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request: header names in lower case, the body as it came."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """Return a header's value; "" when the call has none."""
        return self.headers.get(name, "")


class Document:
    """A JSON document of unknown shape: a value of an unexpected type counts as missing."""

    def __init__(self, value: Any) -> None:
        """Wrap any value; only an object has entries."""
        self.value: dict[str, Any] = value if isinstance(value, dict) else {}

    def text(self, *names: str) -> str:
        """Return the first of these entries that is text and not empty; numbers become text."""
        for name in names:
            value = self.value.get(name)
            if isinstance(value, str) and value:
                return value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return str(value)
        return ""

    def within(self, name: str) -> "Document":
        """Return an inner object; empty when there is none."""
        return Document(self.value.get(name))

    def all(self, name: str) -> Iterator["Document"]:
        """Yield the objects of a list."""
        value = self.value.get(name)
        for item in value[:EVENTS_MAX] if isinstance(value, list) else ():
            yield Document(item)

    def texts(self, name: str) -> list[str]:
        """Return the texts of a list."""
        value = self.value.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def raw(self) -> str:
        """Return the document as JSON text."""
        return msgspec.json.encode(self.value).decode()


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a body, None when it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def iso_instant(text: str, *, otherwise: Instant) -> Instant:
    """Return the instant of ISO text; `otherwise` when the text is not one."""
    instant = read_clock(text)
    return otherwise if instant is None else instant


def unix_instant(text: str, *, otherwise: Instant) -> Instant:
    """Return the instant of seconds since 1970, with or without a fraction; `otherwise` when the text is not one."""
    seconds = read_decimal(text)
    instant = None if seconds is None else read_clock(float(seconds))
    return otherwise if instant is None else instant


def is_fresh(at: Instant | None, *, now: Instant, within: Duration = FRESH) -> bool:
    """Tell whether a signed time is near enough to ours."""
    return at is not None and abs(now - at) <= within


def is_equal(left: str, right: str) -> bool:
    """Tell whether two texts are equal, in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def matches_any(text: str, keys: Sequence[str]) -> bool:
    """Tell whether a text equals one of the keys; all keys are compared, so the time is constant."""
    return True in [is_equal(text, key) for key in keys]


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of base64 text; None when it is not valid."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def address(text: str) -> str | None:
    """Return the canonical address of `a@b` or `Name <a@b>`; None when there is none."""
    inner = text.rpartition("<")[2].partition(">")[0] if "<" in text else text
    return canonical_email(inner)


def without_empty(**detail: str) -> dict[str, str]:
    """Return the values that are not empty."""
    return {name: value for name, value in detail.items() if value}

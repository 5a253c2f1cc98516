"""Signed tokens in the links of a mail: they name the contact, the message and the topic of one purpose.

A token is `base64url(key id | tag | payload)`: one byte that identifies the secret, 16 bytes of HMAC-SHA256 and
the payload as compact JSON. The payload is readable (it contains ids, never an address), but nobody can create a
token without a secret. Each purpose signs with a key of its own, so a token is valid on one kind of page only.
Old links stay valid after a new secret: every secret in `SigningKeys` verifies, the newest signs.
"""

import hashlib
import hmac
import json
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any

#: 128 bits of the tag: too many to guess over HTTP, and the link stays short.
_TAG_BYTES = 16
#: The same for tokens that must be short.
_SHORT_TAG_BYTES = 10
_SHORT_LENGTH_MAX = 31
#: No token of ours is longer; a longer one is refused before any computation.
TOKEN_LENGTH_MAX = 2048


@lru_cache(maxsize=256)
def _purpose_key(secret: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose from a secret."""
    return hmac.digest(secret, b"nurture token: " + purpose.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Signing secrets, newest first. The first signs; all verify.

    Raises ValueError when there is none, or one is shorter than 16 bytes. Its `repr` shows no secret.
    """

    secrets: tuple[bytes, ...] = field(repr=False)
    # The first byte of each secret's hash, in the same order; a token begins with the byte of its secret.
    ids: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Raise ValueError for a missing or short secret; compute the key ids."""
        if not self.secrets:
            message = "no signing secret; give at least one of 16 bytes or more"
            raise ValueError(message)
        if any(len(secret) < 16 for secret in self.secrets):
            message = "a signing secret is shorter than 16 bytes; make a longer one"
            raise ValueError(message)
        ids = bytes(hashlib.sha256(b"nurture key id: " + secret).digest()[0] for secret in self.secrets)
        object.__setattr__(self, "ids", ids)


def sign_token(keys: SigningKeys, purpose: str, payload: Mapping[str, Any]) -> str:
    """Return a short URL-safe token for the purpose (`unsubscribe`, `click` ...).

    payload: JSON values under short names, for example `{"c": contact id, "m": message id, "t": topic}`.
    The same payload gives the same token, whatever the order of its names.
    """
    body = _compact(payload).encode()
    tag = hmac.digest(_purpose_key(keys.secrets[0], purpose), body, "sha256")[:_TAG_BYTES]
    return urlsafe_b64encode(keys.ids[:1] + tag + body).rstrip(b"=").decode()


def _compact(payload: Mapping[str, Any]) -> str:
    """Return compact JSON with sorted names.

    Payloads of integers and texts, which nearly all are, take a third of the time of `json.dumps`.
    """
    pieces: list[str] = []
    for name in sorted(payload):
        value = payload[name]
        if type(value) is str:
            pieces.append(f"{_quoted(name)}:{_quoted(value)}")
        elif type(value) is int:
            pieces.append(f"{_quoted(name)}:{value}")
        else:
            return json.dumps(dict(payload), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return "{" + ",".join(pieces) + "}"


def verify_token(keys: SigningKeys, purpose: str, token: str) -> dict[str, Any] | None:
    """Return the payload of a token that one of the keys signed for this purpose, else None.

    None for a damaged or forged token, one of another purpose, and one of a removed secret.
    """
    raw = _decode(token)
    if raw is None:
        return None
    key_id, tag, body = raw[0], raw[1 : 1 + _TAG_BYTES], raw[1 + _TAG_BYTES :]
    for secret, candidate in zip(keys.secrets, keys.ids, strict=True):
        if candidate != key_id:
            continue
        expected = hmac.digest(_purpose_key(secret, purpose), body, "sha256")[:_TAG_BYTES]
        if hmac.compare_digest(expected, tag):
            return _payload(body)
    return None


def sign_number(keys: SigningKeys, purpose: str, number: int) -> str:
    """Return a token of a number that survives a change of case: letters and digits, 31 at most.

    number: 0 or more, below 2**63. The tag has 80 bits, because every guess takes a mail to the server.
    """
    body = number.to_bytes(max(1, (number.bit_length() + 7) // 8))
    tag = hmac.digest(_purpose_key(keys.secrets[0], purpose), body, "sha256")[:_SHORT_TAG_BYTES]
    return b32encode(keys.ids[:1] + tag + body).decode().rstrip("=").lower()


def verify_number(keys: SigningKeys, purpose: str, token: str) -> int | None:
    """Return the number that one of the keys signed for this purpose, else None; case does not matter."""
    text = token.upper()
    if not 0 < len(text) <= _SHORT_LENGTH_MAX or not text.isascii():
        return None
    try:
        raw = b32decode(text + "=" * (-len(text) % 8))
    except (NotBase64, ValueError):
        return None
    head = 1 + _SHORT_TAG_BYTES
    if not head < len(raw) <= head + 8 or b32encode(raw).decode().rstrip("=") != text:
        return None
    tag, body = raw[1:head], raw[head:]
    for secret, candidate in zip(keys.secrets, keys.ids, strict=True):
        expected = hmac.digest(_purpose_key(secret, purpose), body, "sha256")[:_SHORT_TAG_BYTES]
        if candidate == raw[0] and hmac.compare_digest(expected, tag):
            number = int.from_bytes(body)
            return number if number < 2**63 else None
    return None


def _decode(token: str) -> bytes | None:
    """Return the bytes of a token in its canonical spelling, None for any other spelling."""
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        return None
    text = token.encode()
    try:
        raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return None
    # Python's decoder skips invalid characters and ignores spare bits; only the canonical spelling is accepted.
    if len(raw) <= 1 + _TAG_BYTES or urlsafe_b64encode(raw).rstrip(b"=") != text:
        return None
    return raw


def _payload(body: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None

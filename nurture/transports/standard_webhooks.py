"""Posts of events to other systems in the form of Standard Webhooks: document, signature, pauses between attempts.

https://github.com/standard-webhooks/standard-webhooks. The id of a post stays the same at every attempt, so a receiver
that has seen it drops the copy.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nurture.domain.event import Identity
from nurture.domain.instant import HOUR, MINUTE, SECOND, Duration, Instant, to_iso
from nurture.domain.sampling import SHARES, hash_share

#: Pause after each failed attempt; about three days in all.
PAUSES: Final[tuple[Duration, ...]] = (
    *(
        5 * SECOND,
        MINUTE,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    ),
)
#: The longest pause that a receiver may ask for.
PAUSE_MAX: Final[Duration] = 24 * HOUR
_PREFIX: Final = "whsec_"


def name_target(url: str) -> str:
    """Return the name of an address that may be shown: its host and a digest, because its path may hold a secret."""
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return f"{host}#{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def number_post(source: str, message_id: str, target: str) -> str:
    """Return the id of a post: that of its event and address, also in a database that was restored or made anew."""
    text = f"{source}\x1f{message_id}\x1f{target}"
    return f"msg_{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def write_document(
    event: Mapping[str, Any],
    *,
    name: str,
    occurred_at: Instant,
    person: int | None,
    names: Sequence[Identity],
) -> bytes:
    """Return the body of a post: what happened, to whom, and the event's properties."""
    identities: dict[str, str] = {
        identity.kind: identity.value for identity in names if identity.kind != "anonymous_id"
    }
    whose: dict[str, Any] = {} if person is None else {"contact": person, **identities}
    data = {**whose, "properties": event.get("properties", {})}
    document = {"type": name, "timestamp": to_iso(occurred_at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def sign(number: str, at: Instant, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of a post: its id, when it was sent, and a signature under each secret."""
    seconds = str(at // SECOND)
    signed = f"{number}.{seconds}.".encode() + body
    signatures = [_signature(secret, signed) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "nurture",
        "webhook-id": number,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _signature(secret: str, signed: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    # A secret that is no base64 is used as it is.
    return base64.b64encode(hmac.digest(key or secret.encode(), signed, "sha256")).decode()


def pause_after(attempts: int, *, key: object = "", asked: int = 0) -> Duration | None:
    """Return how long to wait after so many attempts; None: give up. asked: seconds that the receiver asked for.

    The pause is up to a tenth longer, differently for each key, so that posts that failed together come apart.
    """
    if attempts > len(PAUSES):
        return None
    pause = max(PAUSES[attempts - 1], min(asked * SECOND, PAUSE_MAX))
    return pause + pause * hash_share("pause", key, attempts) // (10 * SHARES)

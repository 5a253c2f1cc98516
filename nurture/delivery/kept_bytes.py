"""The bytes of a mail: their hash, and those that may have to be sent again, kept in the mail's context.

Usually the frozen values in messages.context are enough, and the bytes are made from them at each attempt. A mail
that may be sent a second time (after a 4yz reply, or a crash in the SMTP window) keeps its bytes too, so that every
attempt sends the same mail although a new template was published in between.
"""

import base64
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

#: The key of the bytes in the context.
_BYTES: Final = "bytes"
#: Of the bytes' SHA-256: 128 bits tell mails apart.
_DIGEST_CHARACTERS: Final = 32


def keep_bytes(context: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Return the context with the mail's bytes, compressed; bytes that it holds already stay."""
    if _BYTES in context:
        return dict(context)
    return {**context, _BYTES: base64.b64encode(zlib.compress(data, 6)).decode()}


def read_kept_bytes(context: Mapping[str, Any]) -> bytes | None:
    """Return the bytes kept in the context, None when it keeps none."""
    kept = context.get(_BYTES)
    return zlib.decompress(base64.b64decode(kept)) if isinstance(kept, str) else None


def hash_mail(data: bytes) -> str:
    """Return the hash of a mail's bytes that `messages.content_hash` records when the mail leaves."""
    # Most processors have instructions for SHA-256: half the time of BLAKE2 for a mail.
    return sha256(data).hexdigest()[:_DIGEST_CHARACTERS]

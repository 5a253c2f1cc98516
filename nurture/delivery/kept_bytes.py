"""Keeping the bytes of a mail that may have to leave again: every attempt of one message is the same mail.

Usually the frozen values in messages.context are enough, and the bytes are made from them when the mail leaves.
What may be sent a second time (after a refusal for now, or a crash in the SMTP window) keeps its bytes too, so
that a template published meanwhile changes nothing.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

#: Where the bytes stand in the context.
_BYTES = "bytes"


def sealed(context: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Return the context with the mail's bytes, compressed."""
    if _BYTES in context:
        return dict(context)
    return {**context, _BYTES: base64.b64encode(zlib.compress(data, 6)).decode()}


def bytes_of(context: Mapping[str, Any]) -> bytes | None:
    """Return the bytes kept in the context, None when it keeps none."""
    kept = context.get(_BYTES)
    return zlib.decompress(base64.b64decode(kept)) if isinstance(kept, str) else None

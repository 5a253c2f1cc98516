"""The bytes of a mail that may have to be sent again, kept in its context.

Usually the frozen values in messages.context are enough, and the bytes are made from them at each attempt. A mail
that may be sent a second time (after a 4yz reply, or a crash in the SMTP window) keeps its bytes too, so that every
attempt sends the same mail although a new template was published in between.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

#: The key of the bytes in the context.
_BYTES = "bytes"


def keep_bytes(context: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Return the context with the mail's bytes, compressed; bytes that it holds already stay."""
    if _BYTES in context:
        return dict(context)
    return {**context, _BYTES: base64.b64encode(zlib.compress(data, 6)).decode()}


def read_kept_bytes(context: Mapping[str, Any]) -> bytes | None:
    """Return the bytes kept in the context, None when it keeps none."""
    kept = context.get(_BYTES)
    return zlib.decompress(base64.b64decode(kept)) if isinstance(kept, str) else None

"""Read the MIME parts of an incoming mail, with limits on their number, depth and size."""

from collections.abc import Iterator
from email.message import Message
from typing import Any, Final

#: Parts that are read, and how deep they may be nested; more than any ordinary mail has.
PARTS_MAX: Final = 50
DEPTH_MAX: Final = 10
_TEXT_MAX: Final = 64 * 1024


def parts(mail: "Message[Any, Any]", depth: int = 0) -> Iterator["Message[Any, Any]"]:
    """Yield the parts that are not multipart, in order; an attached mail is one part and is not opened."""
    payload = mail.get_payload()
    if mail.get_content_maintype() == "multipart" and isinstance(payload, list):
        if depth < DEPTH_MAX:
            for part in payload[:PARTS_MAX]:
                if isinstance(part, Message):
                    yield from parts(part, depth + 1)
        return
    yield mail


def header(mail: "Message[Any, Any]", name: str) -> str:
    """Return a header on one line, at most 10,000 characters; empty when the mail has none."""
    value = mail.get(name)
    return " ".join(str(value)[:10_000].split()) if value is not None else ""


def text_of(part: "Message[Any, Any]") -> str:
    """Return the text of a part, decoded from its declared charset (UTF-8 if unknown); at most 64 KB of it."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload[:_TEXT_MAX].decode(charset, "replace")
    except (LookupError, UnicodeError, ValueError):
        return payload[:_TEXT_MAX].decode("utf-8", "replace")

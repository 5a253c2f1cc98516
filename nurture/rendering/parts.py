"""The parts of a mail from outside, read without trusting it."""

from collections.abc import Iterator
from email.message import Message
from typing import Any, Final

#: Parts that are looked at, and how deep they may lie; more than any honest mail has.
PARTS_MAX: Final = 50
DEPTH_MAX: Final = 10
_TEXT_MAX: Final = 64 * 1024


def parts(mail: "Message[Any, Any]", depth: int = 0) -> Iterator["Message[Any, Any]"]:
    """Yield the parts that hold something, in order; what was sent along as a mail is not opened."""
    payload = mail.get_payload()
    if mail.get_content_maintype() == "multipart" and isinstance(payload, list):
        if depth < DEPTH_MAX:
            for part in payload[:PARTS_MAX]:
                if isinstance(part, Message):
                    yield from parts(part, depth + 1)
        return
    yield mail


def header(mail: "Message[Any, Any]", name: str) -> str:
    """Return a header on one line; empty when there is none."""
    value = mail.get(name)
    return " ".join(str(value)[:10_000].split()) if value is not None else ""


def text_of(part: "Message[Any, Any]") -> str:
    """Return the text of a part, in whatever charset it claims; at most 64 KB."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload[:_TEXT_MAX].decode(charset, "replace")
    except (LookupError, UnicodeError, ValueError):
        return payload[:_TEXT_MAX].decode("utf-8", "replace")

"""The MIME form of a mail: its structure is built once by the standard library, the bodies are filled in per mail.

    multipart/alternative            text/plain, text/html
    multipart/mixed                  with a calendar: the alternative (text/calendar as its third) and the .ics file

Bodies are 7-bit with CRLF line ends. A body of short lines of ASCII is sent as it is; HTML writes other characters as
character references (`html_cache.to_html` has broken its lines already). Otherwise a body is quoted-printable, or
base64 when much of its text is not ASCII.
"""

import hashlib
import re
from binascii import b2a_base64, b2a_qp
from email import policy
from email.message import EmailMessage
from functools import lru_cache
from typing import Final, Literal

Encoding = Literal["7bit", "quoted-printable", "base64"]

_SLOT: Final = re.compile(rb"@@(TEXT|HTML|CALENDAR|FILE|OUTER|INNER)@@")
_BASE64_LINE: Final = 76
# RFC 5322 allows 998 characters; some servers count a little differently.
LINE_MAX: Final = 990
_ASCII: Final = bytes(range(128))


def assemble(
    headers: bytes, *, boundary: str, text: str, html: str | bytes, calendar: bytes, method: str
) -> bytes:
    """Return the complete mail.

    headers: all lines except those of MIME, each ended by CRLF. html: bytes are sent as they are, 7-bit.
    boundary: any text; equal texts give equal boundaries. calendar: CRLF bytes, empty for none. method: its METHOD.
    """
    text_bytes, text_encoding = _text(text)
    html_bytes, html_encoding = (html, "7bit") if isinstance(html, bytes) else html_body(html)
    tag = hashlib.blake2b(boundary.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest().encode()
    contents = {
        b"TEXT": text_bytes,
        b"HTML": html_bytes,
        # A hash of the Message-ID, so that no text in a body can equal the boundary.
        b"OUTER": b"=_o" + tag,
        b"INNER": b"=_i" + tag,
    }
    if calendar:
        contents[b"CALENDAR"] = contents[b"FILE"] = _base64(calendar)
    parts = list(_structure(text_encoding, html_encoding, method if calendar else ""))
    parts[1::2] = [contents[name] for name in parts[1::2]]
    return headers + b"".join(parts)


@lru_cache(maxsize=32)
def _structure(text: Encoding, html: Encoding, method: str) -> tuple[bytes, ...]:
    """Return the MIME structure in pieces; every second piece is the name of the content that replaces it."""
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_content("@@TEXT@@", cte="7bit")
    mail.add_alternative("@@HTML@@", subtype="html", cte="7bit")
    _declare_encodings(mail, {"text/plain": text, "text/html": html})
    mail.set_boundary("@@INNER@@")
    if method:
        mail = _with_calendar(mail, method)
    return tuple(_SLOT.split(mail.as_bytes().replace(b"@@\r\n\r\n", b"@@\r\n")))


def _with_calendar(alternative: EmailMessage, method: str) -> EmailMessage:
    """Add a calendar as third alternative and as attached file; return the mail, now multipart/mixed."""
    alternative.add_alternative("@@CALENDAR@@", subtype="calendar", cte="7bit", params={"method": method})
    alternative.add_attachment("@@FILE@@", cte="7bit", filename="invite.ics")
    # With text/calendar here too, some mail programs would show the appointment twice.
    list(alternative.iter_attachments())[-1].set_type("application/ics")
    alternative.set_boundary("@@OUTER@@")
    _declare_encodings(alternative, {"text/calendar": "base64", "application/ics": "base64"})
    return alternative


def _declare_encodings(mail: EmailMessage, encodings: dict[str, Encoding]) -> None:
    """Declare the encodings of the bodies that will be filled in; only the mail itself keeps its MIME-Version."""
    for part in mail.walk():
        if part is not mail:
            del part["MIME-Version"]
        encoding = encodings.get(part.get_content_type())
        if encoding:
            del part["Content-Transfer-Encoding"]
            part["Content-Transfer-Encoding"] = encoding


def _text(text: str) -> tuple[bytes, Encoding]:
    """Return a text part encoded, and its Content-Transfer-Encoding."""
    data = _lines(text)
    if data.isascii() and _is_sendable(data):
        return data, "7bit"
    return _encoded(data)


def html_body(html: str) -> tuple[bytes, Encoding]:
    """Return an HTML part encoded, and its Content-Transfer-Encoding."""
    data = _lines(html)
    foreign = 0 if data.isascii() else foreign_bytes(data)
    # A style sheet does not read character references.
    if has_few(foreign, len(data)) and (not foreign or has_plain_styles(html)):
        if foreign:
            data = data.decode().encode("ascii", "xmlcharrefreplace")
        if _is_sendable(data):
            return data, "7bit"
    return _encoded(_lines(html))


def foreign_bytes(data: bytes) -> int:
    """Return how many bytes are not ASCII."""
    return len(data.translate(None, _ASCII))


def has_few(foreign: int, length: int) -> bool:
    """Tell whether character references make a body no longer than an encoding would.

    foreign: bytes that are not ASCII. length: all bytes.
    """
    return foreign * 6 <= length


def has_plain_styles(html: str) -> bool:
    """Tell whether all style sheets are ASCII."""
    end = 0
    while (start := html.find("<style", end)) >= 0:
        end = html.find("</style>", start)
        if end < 0 or not html[start:end].isascii():
            return False
    return True


def _is_sendable(data: bytes) -> bool:
    """Tell whether all lines are short enough and none begins like a mailbox separator."""
    if data.startswith(b"From ") or b"\nFrom " in data:
        return False
    start = 0
    while len(data) - start > LINE_MAX:
        # The last line end that the longest allowed line can reach; all lines before it are shorter.
        end = data.rfind(b"\n", start, start + LINE_MAX + 2)
        if end < 0:
            return False
        start = end + 1
    return True


def _lines(text: str) -> bytes:
    """Return text as UTF-8 with CRLF line ends and one at its end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (text if text.endswith("\n") else text + "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def _encoded(data: bytes) -> tuple[bytes, Encoding]:
    """Return data in the shorter encoding: quoted-printable triples every byte that is not ASCII."""
    foreign = len(data) - len(data.decode("ascii", "ignore"))
    if foreign * 6 <= len(data):
        return b2a_qp(data, quotetabs=False, istext=True), "quoted-printable"
    return _base64(data), "base64"


def _base64(data: bytes) -> bytes:
    encoded = b2a_base64(data, newline=False)
    lines = [encoded[start : start + _BASE64_LINE] for start in range(0, len(encoded), _BASE64_LINE)]
    return b"\r\n".join(lines) + b"\r\n"

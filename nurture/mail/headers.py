"""The header lines of a mail, made as bytes that can say nothing but what they are meant to say.

Names of headers are constants. Free text (subject, sender's name) is cleaned and, unless it is plain
ASCII, written as encoded words of our own making: the standard library reads text that looks like an encoded
word as one, so a first name could smuggle a line in. Structured values (addresses, ids, URLs) must match a
strict pattern or the mail is not made.
"""

import base64
import re
from email.utils import format_datetime
from typing import Final

from nurture.domain.instant import Instant, to_datetime
from nurture.mail.faults import MissingValue, TemplateFault, TemplateProblem
from nurture.mail.frozen import Frozen
from nurture.mail.imprint import Imprint
from nurture.mail.plain import header_text

# One address, nothing around it. RFC 5321's bounds: 64 for the local part, 254 for all.
_ATOM: Final = r"[^\s<>()\[\]\\,;:@\"\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_QUOTED: Final = r'"[ !#-\[\]-~]{1,60}"'
_ADDRESS: Final = re.compile(rf"(?:{_ATOM}{{1,64}}|{_QUOTED})@{_ATOM}{{1,189}}")
_HEADER_ID: Final = re.compile(r"<[A-Za-z0-9._+=-]{1,120}@[A-Za-z0-9.-]{1,190}>")
_URL: Final = re.compile(r"https?://[!#-;=?-~]{1,900}")
_PLAIN: Final = re.compile(r"[ -~]*")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
#: RFC 2047: an encoded word, and a line that holds one.
_WORD_MAX: Final = 75
_LINE_MAX: Final = 76


def header_id(message_id: int, run: str, *, sender: str) -> str:
    """Return the Message-ID of a message, the same for every attempt.

    run: any text that tells this database from others, so that two of them never make the same id.
    """
    tag = _UNSAFE.sub("", run)[:40]
    return f"<m{message_id}.{tag}@{sender.rpartition('@')[2]}>"


def header_lines(frozen: Frozen, imprint: Imprint, *, subject: str) -> bytes:
    """Return all header lines but those of MIME, each ended by CRLF, in a fixed order."""
    sender = frozen["sender"]
    name = sender.get("name", "")
    lines = [
        _line(
            "From",
            f"{phrase(name, room=len('From: '))} <{_sender_address(frozen, sender['address'])}>".lstrip(),
        ),
        _line("To", _recipient(frozen)),
    ]
    if sender.get("reply_to"):
        lines.append(_line("Reply-To", _sender_address(frozen, sender["reply_to"])))
    lines += [
        _line("Subject", unstructured(subject, room=len("Subject: "))),
        _line("Date", _date(frozen["date"])),
        _line("Message-ID", _matching(_HEADER_ID, frozen["header_id"], frozen, "Message-ID")),
        *_list_lines(frozen, imprint),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    return b"".join(lines)


def _list_lines(frozen: Frozen, imprint: Imprint) -> list[bytes]:
    """Return what mailbox providers read: how to unsubscribe, which list it is, which campaign."""
    domain = frozen["sender"]["address"].rpartition("@")[2]
    brand = _slug(imprint.name)
    lines: list[bytes] = []
    unsubscribe = frozen["links"].get("unsubscribe")
    if unsubscribe:
        # RFC 8058; each on one physical line, for folding has broken signatures.
        lines.append(
            _line("List-Unsubscribe", f"<{_matching(_URL, unsubscribe, frozen, 'unsubscribe link')}>")
        )
        lines.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    if frozen["topic"]:
        lines.append(_line("List-Id", f"<{_slug(frozen['topic'])}.{brand}.{_slug(domain)}>"))
    campaign = ":".join((_slug(frozen["measure"]), _slug(frozen["mail"]), frozen["purpose"], brand))
    lines.append(_line("Feedback-ID", campaign))
    return lines


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _slug(text: str) -> str:
    return _UNSAFE.sub(".", text).strip(".")[:120] or "x"


def _date(instant: Instant) -> str:
    return format_datetime(to_datetime(instant).replace(microsecond=0))


# ---- addresses -------------------------------------------------------------------------------------------


def _recipient(frozen: Frozen) -> str:
    address = frozen["to"]
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        problem = TemplateProblem(frozen["mail"], 1, "the recipient is not one mail address", "correct it")
        raise MissingValue(problem, "to")
    return address


def _sender_address(frozen: Frozen, address: str) -> str:
    return _matching(_ADDRESS, address, frozen, "sender's address")


def _matching(pattern: re.Pattern[str], value: str, frozen: Frozen, what: str) -> str:
    if not pattern.fullmatch(value):
        problem = TemplateProblem(
            frozen["measure"], 1, f"{value[:80]!r} cannot stand as {what}", "correct it"
        )
        raise TemplateFault(problem)
    return value


# ---- text ------------------------------------------------------------------------------------------------


def phrase(name: str, *, room: int) -> str:
    """Return a display name: quoted, or as encoded words."""
    text = header_text(name)
    if not text:
        return ""
    if _PLAIN.fullmatch(text) and "=?" not in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded(text, room=room)


def unstructured(text: str, *, room: int) -> str:
    """Return free text for a header; plain ASCII stays on one line, it is short enough for every server."""
    text = header_text(text)
    if _PLAIN.fullmatch(text) and "=?" not in text:
        return text
    return _encoded(text, room=room)


def _encoded(text: str, *, room: int) -> str:
    """Return encoded words (RFC 2047, UTF-8, base64), each on a line of its own, no character cut in two.

    room: characters that the header's name takes on the first line.
    """
    words: list[str] = []
    chunk = b""
    # Four characters of base64 hold three bytes; twelve go to `=?utf-8?b?` and `?=`.
    most = (min(_WORD_MAX, _LINE_MAX - room) - 12) // 4 * 3
    for char in text:
        piece = char.encode()
        if len(chunk) + len(piece) > most:
            words.append(_word(chunk))
            chunk, most = b"", (_WORD_MAX - 12) // 4 * 3
        chunk += piece
    words.append(_word(chunk))
    return "\r\n ".join(words)


def _word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode()}?="

"""The header lines of a mail, made as bytes that can say nothing but what they are meant to say.

Names of headers are constants. Free text (subject, sender's name) is cleaned and, unless it is plain
ASCII, written as encoded words of our own making: the standard library reads text that looks like an encoded
word as one, so a first name could smuggle a line in. Structured values (addresses, ids, URLs) must match a
strict pattern or the mail is not made.
"""

import base64
import re
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from nurture.domain.instant import SECOND, to_datetime
from nurture.rendering.context import Frozen
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.plain import header_text
from nurture.rendering.shared_values import Imprint

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
    lines = [_from(frozen["measure"], name, sender["address"]), _line("To", _recipient(frozen))]
    if sender.get("reply_to"):
        lines.append(_reply_to(frozen["measure"], sender["reply_to"]))
    lines += [
        _line("Subject", unstructured(subject, room=len("Subject: "))),
        _date(frozen["date"] // SECOND),
        _line("Message-ID", _matching(_HEADER_ID, frozen["header_id"], frozen["measure"], "Message-ID")),
        *_unsubscribe(frozen),
        _list_id(frozen["topic"], imprint.name, sender["address"].rpartition("@")[2]),
        _feedback_id(frozen["measure"], frozen["mail"], frozen["purpose"], imprint.name),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    return b"".join(lines)


# What many mails share is made once; a fault is never kept.


@lru_cache(maxsize=256)
def _from(measure: str, name: str, address: str) -> bytes:
    sender = _matching(_ADDRESS, address, measure, "sender's address")
    return _line("From", f"{phrase(name, room=len('From: '))} <{sender}>".lstrip())


@lru_cache(maxsize=256)
def _reply_to(measure: str, address: str) -> bytes:
    return _line("Reply-To", _matching(_ADDRESS, address, measure, "sender's address"))


@lru_cache(maxsize=256)
def _date(seconds: int) -> bytes:
    return _line("Date", format_datetime(to_datetime(seconds * SECOND)))


@lru_cache(maxsize=256)
def _list_id(topic: str | None, name: str, domain: str) -> bytes:
    """Return what mailbox providers read: which list it is."""
    return _line("List-Id", f"<{_slug(topic)}.{_slug(name)}.{_slug(domain)}>") if topic else b""


@lru_cache(maxsize=256)
def _feedback_id(measure: str, mail: str, purpose: str, name: str) -> bytes:
    """Return what mailbox providers read: which campaign."""
    return _line("Feedback-ID", ":".join((_slug(measure), _slug(mail), purpose, _slug(name))))


def _unsubscribe(frozen: Frozen) -> list[bytes]:
    """Return what mailbox providers read: how to unsubscribe."""
    lines: list[bytes] = []
    unsubscribe = frozen["links"].get("unsubscribe")
    if unsubscribe:
        # RFC 8058; each on one physical line, for folding has broken signatures.
        lines.append(
            _line(
                "List-Unsubscribe", f"<{_matching(_URL, unsubscribe, frozen['measure'], 'unsubscribe link')}>"
            )
        )
        lines.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return lines


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _slug(text: str) -> str:
    return _UNSAFE.sub(".", text).strip(".")[:120] or "x"


# ---- addresses -------------------------------------------------------------------------------------------


def _recipient(frozen: Frozen) -> str:
    address = frozen["to"]
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        problem = TemplateProblem(frozen["mail"], 1, "the recipient is not one mail address", "correct it")
        raise MissingValue(problem, "to")
    return address


def _matching(pattern: re.Pattern[str], value: str, measure: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise TemplateFault(
            TemplateProblem(measure, 1, f"{value[:80]!r} cannot stand as {what}", "correct it")
        )
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


@lru_cache(maxsize=1024)
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

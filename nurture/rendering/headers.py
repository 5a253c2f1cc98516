"""The header lines of a mail as bytes; no value can add a header or a line.

Names of headers are constants. Free text (subject, sender's name) is cleaned and, unless it is plain ASCII, written
as encoded words by this module: the standard library decodes text that looks like an encoded word, so a first name
could inject a header. Structured values (addresses, ids, URLs) must match a strict pattern, or the mail is refused.
"""

import base64
import re
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from nurture.domain.instant import SECOND, to_datetime
from nurture.rendering.clean_text import clean_header
from nurture.rendering.context import MailContext
from nurture.rendering.errors import MissingValue, TemplateFault, TemplateProblem
from nurture.rendering.shared_values import SharedValues

# One address without a display name. Limits of RFC 5321: 64 characters of local part, 254 in all.
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

    run: text that differs from one database to another, so that two databases never make the same id.
    """
    tag = _UNSAFE.sub("", run)[:40]
    return f"<m{message_id}.{tag}@{sender.rpartition('@')[2]}>"


def header_lines(context: MailContext, shared: SharedValues, *, subject: str) -> bytes:
    """Return all header lines except those of MIME, each ended by CRLF, in a fixed order.

    Raises MissingValue for a wrong recipient, TemplateFault for a wrong sender, id or unsubscribe URL.
    """
    sender = context["sender"]
    name = sender.get("name", "")
    lines = [_from(context["measure"], name, sender["address"]), _line("To", _recipient(context))]
    if sender.get("reply_to"):
        lines.append(_reply_to(context["measure"], sender["reply_to"]))
    lines += [
        _line("Subject", unstructured(subject, room=len("Subject: "))),
        _date(context["date"] // SECOND),
        _line(
            "Message-ID", _require_match(_HEADER_ID, context["header_id"], context["measure"], "Message-ID")
        ),
        *_unsubscribe(context),
        _list_id(context["topic"], shared.name, sender["address"].rpartition("@")[2]),
        _feedback_id(context["measure"], context["mail"], context["purpose"], shared.name),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    return b"".join(lines)


# The cached functions make lines that many mails share; an exception is not cached.


@lru_cache(maxsize=256)
def _from(measure: str, name: str, address: str) -> bytes:
    sender = _require_match(_ADDRESS, address, measure, "sender's address")
    return _line("From", f"{phrase(name, room=len('From: '))} <{sender}>".lstrip())


@lru_cache(maxsize=256)
def _reply_to(measure: str, address: str) -> bytes:
    return _line("Reply-To", _require_match(_ADDRESS, address, measure, "sender's address"))


@lru_cache(maxsize=256)
def _date(seconds: int) -> bytes:
    return _line("Date", format_datetime(to_datetime(seconds * SECOND)))


@lru_cache(maxsize=256)
def _list_id(topic: str | None, name: str, domain: str) -> bytes:
    """Return the List-Id line (RFC 2919), by which mailbox providers know the list; empty without a topic."""
    return _line("List-Id", f"<{_slug(topic)}.{_slug(name)}.{_slug(domain)}>") if topic else b""


@lru_cache(maxsize=256)
def _feedback_id(measure: str, mail: str, purpose: str, name: str) -> bytes:
    """Return the Feedback-ID line, by which mailbox providers report complaints per campaign."""
    return _line("Feedback-ID", ":".join((_slug(measure), _slug(mail), purpose, _slug(name))))


def _unsubscribe(context: MailContext) -> list[bytes]:
    """Return the headers of one-click unsubscription (RFC 8058); none without the link."""
    lines: list[bytes] = []
    unsubscribe = context["links"].get("unsubscribe")
    if unsubscribe:
        # Each on one physical line: folding has broken DKIM signatures.
        lines.append(
            _line(
                "List-Unsubscribe",
                f"<{_require_match(_URL, unsubscribe, context['measure'], 'unsubscribe link')}>",
            )
        )
        lines.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return lines


def _line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _slug(text: str) -> str:
    return _UNSAFE.sub(".", text).strip(".")[:120] or "x"


# ---- addresses -------------------------------------------------------------------------------------------


def _recipient(context: MailContext) -> str:
    address = context["to"]
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        problem = TemplateProblem(context["mail"], 1, "the recipient is not one mail address", "correct it")
        raise MissingValue(problem, "to")
    return address


def _require_match(pattern: re.Pattern[str], value: str, measure: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise TemplateFault(
            TemplateProblem(measure, 1, f"{value[:80]!r} cannot stand as {what}", "correct it")
        )
    return value


# ---- text ------------------------------------------------------------------------------------------------


def phrase(name: str, *, room: int) -> str:
    """Return a display name, quoted or as encoded words; "" for an empty name.

    room: characters that the header's name takes on the first line.
    """
    text = clean_header(name)
    if not text:
        return ""
    if _PLAIN.fullmatch(text) and "=?" not in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded(text, room=room)


@lru_cache(maxsize=1024)
def unstructured(text: str, *, room: int) -> str:
    """Return free text for a header: plain ASCII on one line (at most 250 characters), else encoded words.

    room: characters that the header's name takes on the first line.
    """
    text = clean_header(text)
    if _PLAIN.fullmatch(text) and "=?" not in text:
        return text
    return _encoded(text, room=room)


def _encoded(text: str, *, room: int) -> str:
    """Return encoded words (RFC 2047, UTF-8, base64), each on its own line; no character is split.

    room: characters that the header's name takes on the first line.
    """
    words: list[str] = []
    chunk = b""
    # Four characters of base64 hold three bytes; `=?utf-8?b?` and `?=` take twelve.
    bytes_left = (min(_WORD_MAX, _LINE_MAX - room) - 12) // 4 * 3
    for char in text:
        piece = char.encode()
        if len(chunk) + len(piece) > bytes_left:
            words.append(_word(chunk))
            chunk, bytes_left = b"", (_WORD_MAX - 12) // 4 * 3
        chunk += piece
    words.append(_word(chunk))
    return "\r\n ".join(words)


def _word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode()}?="

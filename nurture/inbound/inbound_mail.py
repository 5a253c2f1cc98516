"""Read a mail that came to us: a bounce, a complaint, an automatic answer, or a person's reply.

Pure: bytes in, an `InboundMail` out. No input makes it raise or read without end. The mail's own statements prove
nothing; the caller decides what to believe, from the address that the mail came to.
"""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from hashlib import blake2b
from typing import Any, Final, Literal

from nurture.domain.feedback import Severity, read_message_id
from nurture.domain.identity import canonical_email
from nurture.inbound import arf, dsn
from nurture.inbound.mime_parts import header, parts, text_of
from nurture.inbound.reply_text import fresh_text
from nurture.rendering.clean_text import clean_header

#: Bytes of a mail that are read; the beginning is enough to recognise every kind.
READ_MAX: Final = 512 * 1024

#: bounce, deferred, delivered  a delivery report
#: complaint, opt_out           a feedback report (ARF): of abuse, or of a request to unsubscribe
#: automatic                    a program wrote it; it is ignored
#: reply                        a person wrote it
Nature = Literal["bounce", "deferred", "delivered", "complaint", "opt_out", "automatic", "reply"]


@dataclass(frozen=True, slots=True)
class InboundMail:
    """One inbound mail: its nature, and what could be read of it."""

    nature: Nature
    # Unique to this mail, and the same when it is delivered to us twice.
    key: str
    # Canonical address of the author; None: no readable address.
    author: str | None = None
    name: str = ""
    subject: str = ""
    # The person's own text without quotes; at most `reply_text.TEXT_MAX` characters.
    text: str = ""
    severity: Severity = ""
    # The status (`5.1.1`), and the receiving server's text.
    code: str = ""
    diagnostic: str = ""
    # Message-IDs of ours that the mail refers to, the nearest first; return paths likewise.
    about: tuple[str, ...] = ()
    return_paths: tuple[str, ...] = ()


def read(data: bytes, *, envelope_sender: str) -> InboundMail:
    """Return the mail with its nature. envelope_sender: of MAIL FROM; empty for `<>`, as bounces have."""
    key = blake2b(data[:READ_MAX], digest_size=16).hexdigest()
    try:
        mail = message_from_bytes(data[:READ_MAX])
        return _read(mail, key, envelope_sender)
    except Exception:  # noqa: BLE001 - a mail that cannot be read says nothing
        return InboundMail("automatic", key)


def _read(mail: "Message[Any, Any]", key: str, envelope_sender: str) -> InboundMail:
    number = header(mail, "Message-ID")
    if number:
        # A mail that is delivered twice differs in its Received lines only.
        key = blake2b(number.encode("utf-8", "replace"), digest_size=16).hexdigest()
    complaint = arf.read(mail)
    if complaint is not None:
        nature: Nature | None = _COMPLAINTS.get(complaint.type)
        return InboundMail(
            nature or "automatic",
            key,
            diagnostic=complaint.type,
            about=_ours(complaint.header_ids),
            return_paths=complaint.return_paths,
        )
    is_from_nobody = envelope_sender.strip("<>") == "" or _DAEMON.match(envelope_sender) is not None
    report = dsn.read(mail, odd=is_from_nobody)
    if report is not None:
        return InboundMail(
            report.nature,
            key,
            severity=report.severity,
            code=report.status,
            diagnostic=clean_header(report.diagnostic)[:500],
            about=_ours(report.header_ids),
        )
    if is_from_nobody or is_automatic(mail) or is_calendar_answer(mail):
        return InboundMail("automatic", key, author=_author(mail)[1], subject=_subject(mail))
    name, author = _author(mail)
    return InboundMail(
        "reply",
        key,
        author=author,
        name=name,
        subject=_subject(mail),
        text=fresh_text(mail),
        about=_ours((header(mail, "In-Reply-To"), *reversed(header(mail, "References").split()))),
    )


_COMPLAINTS: Final[dict[str, Nature]] = {
    "abuse": "complaint",
    "fraud": "complaint",
    "virus": "complaint",
    "other": "complaint",
    "opt-out": "opt_out",
    "opt-out-list": "opt_out",
}


def _ours(header_ids: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(number for number in header_ids if read_message_id(number) is not None))[:20]


# ---- machines --------------------------------------------------------------------------------------------

_DAEMON: Final = re.compile(r"<?(mailer-daemon|postmaster|mdaemon|double-bounce|bounces?)[@+]", re.IGNORECASE)
_AUTO_SUBJECT: Final = re.compile(
    r"\s*(auto(matic)?[ -]?(reply|response|antwort)|out of (the )?office|abwesen(d|heits)|abwesenheit|"
    r"r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica|自动回复|自動回覆|不在办公室|"
    r"vacation (reply|response)|i am (currently )?(away|out of))",
    re.IGNORECASE,
)
_AUTO_HEADERS: Final = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Auto-Reply-From",
    "X-Mail-Autoreply",
    "X-Autoresponder",
    "X-FC-Machinegenerated",
    "List-Id",
    "List-Unsubscribe",
    "Feedback-ID",
)


def is_automatic(mail: "Message[Any, Any]") -> bool:
    """Tell whether a program wrote the mail (RFC 3834 section 5, and the marks of older programs)."""
    submitted = header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    if submitted:
        return submitted != "no"
    if header(mail, "Precedence").strip().lower() in ("bulk", "list", "junk", "auto_reply", "auto-reply"):
        return True
    if any(header(mail, name) for name in _AUTO_HEADERS):
        return True
    # Exchange writes this into all automatic mail; some people's own mail has the value `None`.
    suppressed = header(mail, "X-Auto-Response-Suppress").strip().lower()
    if suppressed and suppressed != "none" and not header(mail, "In-Reply-To"):
        return True
    return (
        _AUTO_SUBJECT.match(_subject(mail)) is not None or _DAEMON.match(_author(mail)[1] or "") is not None
    )


def is_calendar_answer(mail: "Message[Any, Any]") -> bool:
    """Tell whether a calendar program answered an invitation (RFC 5546, METHOD:REPLY; Outlook without iCalendar)."""
    for part in parts(mail):
        if part.get_content_type() in ("text/calendar", "application/ics"):
            method = str(part.get_param("method") or "").upper()
            if method == "REPLY" or (not method and _METHOD_REPLY.search(text_of(part))):
                return True
    is_exchange = "calendarmessage" in header(mail, "Content-Class").lower() or any(
        part.get_content_type() == "application/ms-tnef" for part in parts(mail)
    )
    return is_exchange and _ANSWER_SUBJECT.match(_subject(mail)) is not None


_METHOD_REPLY: Final = re.compile(r"^METHOD:REPLY\s*$", re.IGNORECASE | re.MULTILINE)
_ANSWER_SUBJECT: Final = re.compile(
    r"\s*(accepted|declined|tentative(ly accepted)?|zugesagt|angenommen|abgesagt|abgelehnt|mit vorbehalt|"
    r"accepté|refusé|provisoire|aceptad[oa]|rechazad[oa]|provisional|accettato|rifiutato|geaccepteerd|geweigerd|aceit[oa]|recusad[oa]|"
    r"accepterat|accepteret|zaakceptowano|принято|отклонено|已接受|已拒绝|承諾)\s?[:：]",
    re.IGNORECASE,
)


# ---- people ----------------------------------------------------------------------------------------------


def _subject(mail: "Message[Any, Any]") -> str:
    return decoded(header(mail, "Subject"))[:250]


def _author(mail: "Message[Any, Any]") -> tuple[str, str | None]:
    """Return name and canonical address of the first author."""
    authors = getaddresses([header(mail, "From")[:1000]])
    name, address = authors[0] if authors else ("", "")
    return decoded(name)[:100], canonical_email(address)


def decoded(text: str) -> str:
    """Return a header's text without encoded words and control characters."""
    try:
        return clean_header(str(make_header(decode_header(text))))
    except Exception:  # noqa: BLE001 - the charset may be unknown and the bytes invalid
        return clean_header(text)

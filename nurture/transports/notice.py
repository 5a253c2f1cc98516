"""Mails to our own staff, with the received mail attached or an HTML part, and short confirmations to a person."""

import base64
from dataclasses import dataclass
from email.utils import format_datetime
from hashlib import blake2b
from typing import Final

from nurture.domain.instant import Instant, to_datetime
from nurture.rendering.clean_text import clean_body
from nurture.rendering.headers import phrase, unstructured

_ATTACHED: Final = 'attachment; filename="message.eml"'


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to one member of our staff."""

    # From: an address of ours, and a name that tells which contact it is about.
    sender: str
    name: str
    recipient: str
    # Addresses that a reply goes to; the contact's first.
    reply_to: tuple[str, ...]
    subject: str
    text: str
    at: Instant
    # Unique; the same key gives the same Message-ID, however often the mail is sent.
    key: str
    # The received mail, byte for byte; empty for none.
    original: bytes = b""
    # The same as HTML; empty for none. A mail has this or the received mail.
    html: str = ""
    # A program wrote it in answer to a mail (RFC 3834), so no program answers it.
    is_automatic: bool = False


def notice_bytes(notice: Notice) -> bytes:
    """Return the bytes of the mail; 7-bit throughout, because the original is encoded as base64."""
    tag = blake2b(notice.key.encode("utf-8", "replace"), digest_size=12).hexdigest()
    domain = notice.sender.rpartition("@")[2]
    lines = [
        f"From: {phrase(notice.name, room=len('From: '))} <{notice.sender}>",
        f"To: {notice.recipient}",
        f"Subject: {unstructured(notice.subject, room=len('Subject: '))}",
        f"Date: {format_datetime(to_datetime(notice.at).replace(microsecond=0))}",
        f"Message-ID: <n.{tag}@{domain}>",
        "MIME-Version: 1.0",
    ]
    if notice.is_automatic:
        lines.append("Auto-Submitted: auto-replied")
    if notice.reply_to:
        lines.append(f"Reply-To: {', '.join(notice.reply_to)}")
    text = ("text/plain; charset=utf-8", "", clean_body(notice.text).replace("\n", "\r\n").encode())
    if notice.html:
        kind, second = "alternative", ("text/html; charset=utf-8", "", notice.html.encode())
    elif notice.original:
        kind, second = "mixed", ("application/octet-stream", _ATTACHED, notice.original)
    else:
        return _join_lines([*lines, *_part_lines(*text)])
    boundary = f"=_n{tag}"
    return _join_lines(
        [
            *lines,
            f'Content-Type: multipart/{kind}; boundary="{boundary}"',
            "",
            f"--{boundary}",
            *_part_lines(*text),
            f"--{boundary}",
            *_part_lines(*second),
            f"--{boundary}--",
        ]
    )


def _part_lines(kind: str, disposition: str, data: bytes) -> list[str]:
    encoded = base64.b64encode(data).decode()
    head = [f"Content-Type: {kind}", "Content-Transfer-Encoding: base64"]
    if disposition:
        head.append(f"Content-Disposition: {disposition}")
    return [*head, "", *(encoded[start : start + 76] for start in range(0, len(encoded), 76))]


def _join_lines(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()

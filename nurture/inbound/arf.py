"""Complaints as feedback loops of mailbox providers send them: RFC 5965 (ARF), and Hotmail's JMRP in its own form."""

from dataclasses import dataclass
from email.message import Message
from typing import Any, Final

from nurture.inbound.dsn import originals
from nurture.inbound.mime_parts import header, parts

#: Hotmail's header with the address of the person who reported the mail.
_JUNK_HEADER: Final = "X-HmXmrOriginalRecipient"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A complaint: its type, and the mail that it is about."""

    # abuse, fraud, virus, other, not-spam, opt-out ...; lower case
    type: str
    # Message-IDs and envelope senders of the mail complained about.
    header_ids: tuple[str, ...]
    return_paths: tuple[str, ...]


def read(mail: "Message[Any, Any]") -> Complaint | None:
    """Return the complaint, None when the mail is not a feedback report."""
    all_parts = list(parts(mail))
    junk_report = _read_junk_report(mail, all_parts)
    if junk_report is not None:
        return junk_report
    for part in all_parts:
        if part.get_content_type() != "message/feedback-report":
            continue
        payload = part.get_payload()
        fields = payload[0] if isinstance(payload, list) and payload else None
        if not isinstance(fields, Message) or not header(fields, "Feedback-Type"):
            return None
        mails = originals(all_parts)
        paths = [
            header(fields, "Original-Mail-From"),
            *(header(original, "Return-Path") for original in mails),
        ]
        return Complaint(
            header(fields, "Feedback-Type").lower()[:40],
            tuple(number for original in mails if (number := header(original, "Message-ID"))),
            tuple(path for path in paths if path),
        )
    return None


def _read_junk_report(mail: "Message[Any, Any]", all_parts: "list[Message[Any, Any]]") -> Complaint | None:
    """Read a report of Hotmail's JMRP: the junk mail is attached, and one of both names the original recipient."""
    mails = originals(all_parts)
    if not any(header(source, _JUNK_HEADER) for source in (mail, *mails)) or not mails:
        return None
    return Complaint(
        "abuse",
        tuple(number for original in mails if (number := header(original, "Message-ID"))),
        tuple(path for original in mails if (path := header(original, "Return-Path"))),
    )

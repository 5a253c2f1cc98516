"""Complaints in the Abuse Reporting Format (RFC 5965), as feedback loops of mailbox providers send them."""

from dataclasses import dataclass
from email.message import Message
from typing import Any

from nurture.inbound.dsn import originals
from nurture.inbound.mime_parts import header, parts


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a feedback report says."""

    # abuse, fraud, virus, other, not-spam, opt-out ...; lower case
    type: str
    # Message-IDs and envelope senders of the mail complained about.
    header_ids: tuple[str, ...]
    return_paths: tuple[str, ...]


def read(mail: "Message[Any, Any]") -> Complaint | None:
    """Return the complaint, None when the mail is none."""
    found = list(parts(mail))
    for part in found:
        if part.get_content_type() != "message/feedback-report":
            continue
        payload = part.get_payload()
        fields = payload[0] if isinstance(payload, list) and payload else None
        if not isinstance(fields, Message) or not header(fields, "Feedback-Type"):
            return None
        mails = originals(found)
        paths = [header(fields, "Original-Mail-From"), *(header(each, "Return-Path") for each in mails)]
        return Complaint(
            header(fields, "Feedback-Type").lower()[:40],
            tuple(number for each in mails if (number := header(each, "Message-ID"))),
            tuple(path for path in paths if path),
        )
    return None

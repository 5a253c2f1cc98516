"""Delivery reports: RFC 3464 first, and what odd servers write instead (`flufl.bounce`).

A report is evidence only where its address proves that its sender has the mail: see `app.inbound`.
"""

from dataclasses import dataclass
from email.message import Message
from typing import Any, Final, Literal

from flufl.bounce import all_failures

from nurture.domain.feedback import Severity
from nurture.inbound.mime_parts import header, parts, text_of
from nurture.transports.smtp.replies import severity_of

#: Characters of an odd bounce in which its reason is looked for.
_REASON_MAX: Final = 4_000


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report says of the one recipient our mails have."""

    nature: Literal["bounce", "deferred", "delivered"]
    severity: Severity = ""
    status: str = ""
    diagnostic: str = ""
    # Message-ID headers of what came back with it.
    header_ids: tuple[str, ...] = ()


def read(mail: "Message[Any, Any]", *, odd: bool) -> Returned | None:
    """Return the report, None when it is none. odd: look also for what no standard knows."""
    found = list(parts(mail))
    for part in found:
        if part.get_content_type() == "message/delivery-status":
            told = _status(part)
            if told is not None:
                return _with_ids(told, found)
    return _odd(mail, found) if odd else None


def _status(part: "Message[Any, Any]") -> Returned | None:
    """Read the groups of fields: the first is about the mail, each further one about a recipient."""
    groups = part.get_payload()
    if not isinstance(groups, list):
        return None
    told = [
        returned
        for group in groups[:20]
        if isinstance(group, Message) and (returned := _group(group)) is not None
    ]
    # Where an alias fans out, what failed counts.
    told.sort(key=lambda each: ("bounce", "deferred", "delivered").index(each.nature))
    return told[0] if told else None


def _group(group: "Message[Any, Any]") -> Returned | None:
    action = header(group, "Action").lower()
    status = header(group, "Status").partition(" ")[0][:20]
    # `smtp; 550 5.1.1 ...`
    diagnostic = header(group, "Diagnostic-Code").partition(";")[2].strip()
    if action == "failed":
        return Returned("bounce", severity_of(status, diagnostic), status, diagnostic)
    if action == "delayed":
        return Returned("deferred", "", status, diagnostic)
    if action in ("delivered", "relayed", "expanded"):
        return Returned("delivered", "", status, diagnostic)
    return None


def _odd(mail: "Message[Any, Any]", found: list["Message[Any, Any]"]) -> Returned | None:
    temporary, permanent = all_failures(mail)
    if not (temporary or permanent):
        return None
    text = "\n".join(text_of(part) for part in found[:3])[:_REASON_MAX]
    if not permanent:
        return _with_ids(Returned("deferred", diagnostic=text[:300]), found)
    said = severity_of("", text)
    # A server that cannot say why is not believed at once: days will tell.
    severity: Severity = said if said in ("hard", "policy") else "soft"
    return _with_ids(Returned("bounce", severity, diagnostic=text[:300]), found)


def _with_ids(told: Returned, found: list["Message[Any, Any]"]) -> Returned:
    ids = tuple(returned_ids(found))
    return Returned(told.nature, told.severity, told.status, told.diagnostic, ids)


def returned_ids(found: list["Message[Any, Any]"]) -> list[str]:
    """Return the Message-IDs of mails, or of their headers, that came along."""
    return [number for each in originals(found) if (number := header(each, "Message-ID"))]


def originals(found: list["Message[Any, Any]"]) -> list["Message[Any, Any]"]:
    """Return the mails that came along: whole (`message/rfc822`), or as headers only (RFC 3462)."""
    mails: list[Message[Any, Any]] = []
    for part in found:
        kind, payload = part.get_content_type(), part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and isinstance(payload[0], Message):
            mails.append(payload[0])
        elif kind in ("text/rfc822-headers", "message/rfc822-headers"):
            mails.append(_headers(part))
    return mails


def _headers(part: "Message[Any, Any]") -> "Message[Any, Any]":
    from email import message_from_string  # noqa: PLC0415 - needed for rare parts only

    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return payload[0]
    return message_from_string(text_of(part))

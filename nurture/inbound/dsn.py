"""Read delivery reports: RFC 3464, and the formats of servers that do not follow it (`flufl.bounce`).

A report is evidence only when it came to an address that proves that its sender has the mail: see `app.inbound`.
"""

from dataclasses import dataclass, replace
from email.message import Message
from typing import Any, Final, Literal

from flufl.bounce import all_failures

from nurture.domain.feedback import Severity
from nurture.inbound.mime_parts import header, parts, text_of
from nurture.transports.smtp.replies import severity_of

#: Characters of a bounce without RFC 3464 parts that are searched for its reason.
_REASON_MAX: Final = 4_000


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery report about the one recipient that our mails have."""

    nature: Literal["bounce", "deferred", "delivered"]
    severity: Severity = ""
    status: str = ""
    diagnostic: str = ""
    # Message-ID headers of the returned copies.
    header_ids: tuple[str, ...] = ()


def read(mail: "Message[Any, Any]", *, odd: bool) -> DeliveryReport | None:
    """Return the report, None when the mail is not one. odd: read also reports without RFC 3464 parts."""
    all_parts = list(parts(mail))
    for part in all_parts:
        if part.get_content_type() == "message/delivery-status":
            report = _read_status(part)
            if report is not None:
                return _with_ids(report, all_parts)
    return _read_odd(mail, all_parts) if odd else None


def _read_status(part: "Message[Any, Any]") -> DeliveryReport | None:
    """Read the groups of fields: the first is about the mail, every further one about a recipient."""
    groups = part.get_payload()
    if not isinstance(groups, list):
        return None
    reports = [
        report
        for group in groups[:20]
        if isinstance(group, Message) and (report := _read_group(group)) is not None
    ]
    # An alias has several recipients; a failure counts before a delivery.
    reports.sort(key=lambda report: ("bounce", "deferred", "delivered").index(report.nature))
    return reports[0] if reports else None


def _read_group(group: "Message[Any, Any]") -> DeliveryReport | None:
    action = header(group, "Action").lower()
    status = header(group, "Status").partition(" ")[0][:20]
    # `smtp; 550 5.1.1 ...`
    diagnostic = header(group, "Diagnostic-Code").partition(";")[2].strip()
    if action == "failed":
        return DeliveryReport("bounce", severity_of(status, diagnostic), status, diagnostic)
    if action == "delayed":
        return DeliveryReport("deferred", "", status, diagnostic)
    if action in ("delivered", "relayed", "expanded"):
        return DeliveryReport("delivered", "", status, diagnostic)
    return None


def _read_odd(mail: "Message[Any, Any]", all_parts: list["Message[Any, Any]"]) -> DeliveryReport | None:
    temporary, permanent = all_failures(mail)
    if not (temporary or permanent):
        return None
    text = "\n".join(text_of(part) for part in all_parts[:3])[:_REASON_MAX]
    if not permanent:
        return _with_ids(DeliveryReport("deferred", diagnostic=text[:300]), all_parts)
    judged = severity_of("", text)
    # Without a clear reason the bounce counts as soft: only repeated ones suppress the address.
    severity: Severity = judged if judged in ("hard", "policy") else "soft"
    return _with_ids(DeliveryReport("bounce", severity, diagnostic=text[:300]), all_parts)


def _with_ids(report: DeliveryReport, all_parts: list["Message[Any, Any]"]) -> DeliveryReport:
    return replace(report, header_ids=tuple(returned_ids(all_parts)))


def returned_ids(all_parts: list["Message[Any, Any]"]) -> list[str]:
    """Return the Message-IDs of the returned copies."""
    return [number for mail in originals(all_parts) if (number := header(mail, "Message-ID"))]


def originals(all_parts: list["Message[Any, Any]"]) -> list["Message[Any, Any]"]:
    """Return the attached copies of mails: whole (`message/rfc822`), or headers only (RFC 3462)."""
    mails: list[Message[Any, Any]] = []
    for part in all_parts:
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

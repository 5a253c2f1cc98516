"""Read delivery reports: RFC 3464, and the text reports of servers that do not follow it.

A report is evidence only when it came to an address that proves that its sender has the mail: see `app.inbound`.
"""

import re
from dataclasses import dataclass, replace
from email.message import Message
from typing import Any, Final, Literal

from flufl.bounce import all_failures

from nurture.domain.feedback import Severity
from nurture.domain.inbound.refusals import severity_of
from nurture.inbound.mime_parts import header, parts, text_of
from nurture.inbound.reply_text import html_to_text

#: Characters of a text report that are searched for its reason.
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
                return _with_ids(_judge_by_text(report, all_parts), all_parts)
    return _read_odd(mail, all_parts) if odd else None


# ---- RFC 3464 --------------------------------------------------------------------------------------------


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


def _judge_by_text(report: DeliveryReport, all_parts: list["Message[Any, Any]"]) -> DeliveryReport:
    """Return the report with the severity of its text for people, where its fields do not tell one."""
    if report.severity != "undetermined" or report.diagnostic:
        return report
    return replace(report, severity=severity_of(report.status, _reason(all_parts)))


# ---- text reports ----------------------------------------------------------------------------------------

_DAEMON: Final = re.compile(
    r"mailer-?daemon|postmaster|mail (delivery|transport) (sub)?system|mdaemon|mail system", re.IGNORECASE
)
_FAILED: Final = re.compile(
    r"\b(could|can|was|were|has|have|had|is|did|does)( not|n't|not)( yet)? (be(en)? )?"
    r"(able|deliver\w*|sent|send|reach\w*|accept\w*)\b|undeliver|un-deliver|non-?deliver|unable to (deliver|send)|"
    r"(delivery|mail|message|transmission|sending)\b.{0,60}\b(fail(ed|ure)|impossible|aborted|returned|rejected)|"
    r"\berror\b.{0,40}\bdeliver|delivery error|did not reach|failed permanently|permanent(ly)? (error|fail\w+)|"
    r"returned (mail|to sender|message)|giving up|not listed in |fail(ed|ure) (to|notice|delivery)|bounced|"
    r"unzustellbar|nicht zugestellt|zustellung.{0,40}(fehl|nicht)|pas pu être (remis|délivré|distribué)|"
    r"non (remis|distribuable)|no (se )?(ha |pudo )?(podido )?.{0,20}entreg|"
    r"non (è stato possibile|recapit|consegn)|niet .{0,20}(bezorgd|afgeleverd)|não .{0,20}entreg|"
    r"(kunde|kunne|kan) (inte|ikke) levereras?|nie .{0,30}dostarcz|не .{0,30}достав|"
    r"退信|无法(投递|送达)|未能送达|無法(傳遞|送達)|配信.{0,12}(失敗|できません)|届け.{0,10}ません",
    re.IGNORECASE,
)
_DELAYED: Final = re.compile(
    r"\bdelay|will (continue|keep|be) (to )?(try|trying|retr)|still (trying|in the queue)|not yet been delivered|"
    r"no action is required|temporar\w+ (fail|error|problem)|warning: (message|could not)|wird weiter versucht",
    re.IGNORECASE,
)
_FINAL: Final = re.compile(
    r"permanent|giving up|given up|gave up|fatal|will not be (re)?tr|no longer|expired|\b5\d\d[ -]|\b5\.\d\.\d",
    re.IGNORECASE,
)
#: The line at which the returned copy of our mail begins; its words are ours, not the server's.
_COPY: Final = re.compile(
    r"\W*(\b(below|follow\w*)\b.{0,40}copy of .{0,20}(message|mail)\b.*|"
    r".{0,30}\bcopy of (the|your|this) (original )?(message|mail)\b.{0,40}(below|follow\w*|headers)\b.*|"
    r".{0,30}\bcopy of (the|your|this) (original )?(message|mail)\W*:|"
    r"(the )?(headers?|text|body) of (the|your) (original |returned )?(message|mail)\b.*|"
    r"(the )?(original|returned|unsent|undelivered) (message|mail)( headers?| text)?( follows| below|:|\W*$).*|"
    r"your (original )?(message|mail) (follows|below).*|(the )?message headers?( follow\w*| below)?\W*|"
    r"begin (original )?(message|header).*|"
    r"(return-path|received|dkim-signature|arc-[\w-]+|message-id|mime-version|content-type|x-[\w-]+):.*)",
    re.IGNORECASE,
)


def _read_odd(mail: "Message[Any, Any]", all_parts: list["Message[Any, Any]"]) -> DeliveryReport | None:
    reason = _reason(all_parts)
    subject = header(mail, "Subject")
    temporary, permanent = all_failures(mail)
    if not (temporary or permanent) and not _is_text_report(mail, subject, reason):
        return None
    is_delay = bool(_DELAYED.search(f"{subject}\n{reason}")) and not _FINAL.search(reason)
    if not permanent and (temporary or is_delay):
        return _with_ids(DeliveryReport("deferred", diagnostic=reason[:300]), all_parts)
    severity = severity_of("", f"{subject} {reason}" if "not listed in" in subject else reason)
    return _with_ids(DeliveryReport("bounce", severity, diagnostic=reason[:300]), all_parts)


def _is_text_report(mail: "Message[Any, Any]", subject: str, reason: str) -> bool:
    """Tell whether a mail without a known format reports a failure: its author or subject, and its text say so."""
    by_server = _DAEMON.search(header(mail, "From")[:500]) or _FAILED.search(subject)
    return bool(by_server) and bool(_FAILED.search(f"{subject}\n{reason}") or _DELAYED.search(reason))


def _reason(all_parts: list["Message[Any, Any]"]) -> str:
    """Return the text for people up to the returned copy of our mail."""
    texts = [text_of(part) for part in all_parts[:3] if part.get_content_type() == "text/plain"]
    if not any(text.strip() for text in texts):
        texts = [
            html_to_text(text_of(part)) for part in all_parts[:3] if part.get_content_type() == "text/html"
        ]
    return "\n".join(cut_at_copy(text) for text in texts)[:_REASON_MAX]


def cut_at_copy(text: str) -> str:
    """Return the text before the line at which a copy of another mail begins."""
    kept = []
    for line in text[: 8 * _REASON_MAX].splitlines():
        if _COPY.fullmatch(line[:300]):
            break
        kept.append(line)
    return "\n".join(kept)


# ---- returned copies -------------------------------------------------------------------------------------


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

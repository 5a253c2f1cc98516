"""Postmark: Basic authentication that stands in the webhook's URL. Key: `user:password`.

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.inbound.refusals import judge_refusal
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decode_base64,
    iso_instant,
    matches_any,
    parse_json,
    without_empty,
)

_KINDS: Final[dict[str, ReportKind]] = {
    "Delivery": "delivered",
    "Bounce": "bounce",
    "SpamComplaint": "complaint",
    "Open": "open",
    "Click": "click",
}
#: Types of a bounce. Other types (auto-responders, challenges, relay tests) say nothing about the mail.
_BOUNCES: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "HardBounce": ("bounce", "hard"),
    "BadEmailAddress": ("bounce", "hard"),
    "SoftBounce": ("bounce", "soft"),
    "DnsError": ("bounce", "soft"),
    "Transient": ("deferred", ""),
    "Blocked": ("bounce", "policy"),
    "SpamNotification": ("bounce", "policy"),
    "DMARCPolicy": ("bounce", "policy"),
    "VirusNotification": ("bounce", "undetermined"),
    "ManuallyDeactivated": ("bounce", "undetermined"),
    "Unknown": ("bounce", "undetermined"),
    "Unsubscribe": ("unsubscribe", ""),
    "SpamComplaint": ("complaint", ""),
}
#: Reasons why Postmark itself stopped sending to an address.
_SUPPRESSED: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "HardBounce": ("bounce", "hard"),
    "SpamComplaint": ("complaint", ""),
    "ManualSuppression": ("unsubscribe", ""),
}


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Return why the call is not Postmark's, "" when it is: it must know the password."""
    scheme, _, credentials = call.header("authorization").partition(" ")
    if scheme.lower() != "basic" or not credentials:
        return "unsigned"
    login = decode_base64(credentials.strip())
    return "" if login is not None and matches_any(login.decode("utf-8", "replace"), keys) else "forged"


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Return the report of one event."""
    value = parse_json(call.body)
    if not isinstance(value, dict):
        return None
    event = Document(value)
    meaning = _meaning(event)
    if meaning is None:
        return []
    kind, severity = meaning
    at = event.text("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
    return [
        Report(
            provider="postmark",
            event_id=_event_id(event, at),
            kind=kind,
            at=iso_instant(at, otherwise=now),
            severity=severity,
            header_id=event.within("Metadata").text("message-id") or None,
            address=address(event.text("Email", "Recipient")),
            detail=without_empty(
                diagnostic=event.text("Details", "Description"),
                code=event.text("Type", "SuppressionReason"),
                url=event.text("OriginalLink"),
                user_agent=event.text("UserAgent"),
                subject=event.text("Subject"),
            ),
            raw=event.raw(),
        )
    ]


def _meaning(event: Document) -> tuple[ReportKind, Severity] | None:
    record_type = event.text("RecordType")
    if record_type == "SubscriptionChange":
        stopped = event.value.get("SuppressSending") is True
        return _SUPPRESSED.get(event.text("SuppressionReason")) if stopped else None
    if record_type != "Bounce":
        kind = _KINDS.get(record_type)
        return (kind, "") if kind else None
    meaning = _BOUNCES.get(event.text("Type"))
    if meaning is None or meaning[1] in ("", "policy"):
        return meaning
    # Their types follow the class of the reply code; the text says whether the sender is refused.
    refusal = judge_refusal("", event.text("Details"))
    return ("bounce", refusal.severity) if refusal.severity == "policy" or refusal.full else meaning


def _event_id(event: Document, at: str) -> str:
    """Return Postmark's id of a bounce; for other events a hash of the fields that distinguish them."""
    number = event.text("ID")
    if number:
        return f"{event.text('RecordType')}:{number}"
    distinguishing = (event.text(name) for name in ("RecordType", "MessageID", "Recipient", "OriginalLink"))
    return blake2b("\n".join((*distinguishing, at)).encode("utf-8", "replace"), digest_size=16).hexdigest()

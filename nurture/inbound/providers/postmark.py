"""Postmark: Basic authentication that stands in the webhook's URL. Key: `user:password`.

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decoded,
    filled,
    fits,
    iso_instant,
    unbase64,
)
from nurture.transports.smtp.replies import severity_of

_KINDS: Final[dict[str, ReportKind]] = {
    "Delivery": "delivered",
    "Bounce": "bounce",
    "SpamComplaint": "complaint",
    "Open": "open",
    "Click": "click",
}
#: Types of a bounce. What is not here (auto-responders, challenges, relay tests) says nothing about the mail.
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
#: Why Postmark itself stopped sending to somebody.
_SUPPRESSED: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "HardBounce": ("bounce", "hard"),
    "SpamComplaint": ("complaint", ""),
    "ManualSuppression": ("unsubscribe", ""),
}


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Say why the call is not Postmark's: it knows the password, or it does not."""
    scheme, _, said = call.header("authorization").partition(" ")
    if scheme.lower() != "basic" or not said:
        return "unsigned"
    login = unbase64(said.strip())
    return "" if login is not None and fits(login.decode("utf-8", "replace"), keys) else "forged"


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate one event."""
    value = decoded(call.body)
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
            detail=filled(
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
    record = event.text("RecordType")
    if record == "SubscriptionChange":
        stopped = event.value.get("SuppressSending") is True
        return _SUPPRESSED.get(event.text("SuppressionReason")) if stopped else None
    if record != "Bounce":
        kind = _KINDS.get(record)
        return (kind, "") if kind else None
    meaning = _BOUNCES.get(event.text("Type"))
    if meaning is None or meaning[1] in ("", "policy"):
        return meaning
    # Their types follow the reply's class; whom it blames stands in its text.
    return ("bounce", "policy") if severity_of("", event.text("Details")) == "policy" else meaning


def _event_id(event: Document, at: str) -> str:
    """Return Postmark's id of a bounce; other events have none, so what tells them apart makes one."""
    number = event.text("ID")
    if number:
        return f"{event.text('RecordType')}:{number}"
    told = (event.text(name) for name in ("RecordType", "MessageID", "Recipient", "OriginalLink"))
    return blake2b("\n".join((*told, at)).encode("utf-8", "replace"), digest_size=16).hexdigest()

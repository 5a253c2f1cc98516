"""SendGrid: ECDSA (P-256, SHA-256) over timestamp and body. Key: the verification key, base64 of DER.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.inbound.refusals import judge_refusal
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    EVENTS_MAX,
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decode_base64,
    is_fresh,
    parse_json,
    unix_instant,
    without_empty,
)

_KINDS: Final[dict[str, ReportKind]] = {
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounce",
    "dropped": "bounce",
    "spamreport": "complaint",
    "open": "open",
    "click": "click",
    "unsubscribe": "unsubscribe",
    "group_unsubscribe": "unsubscribe",
}
_CLASSES: Final[dict[str, Severity]] = {
    "Invalid Address": "hard",
    "Mailbox Unavailable": "soft",
    "Technical": "soft",
    "Technical Failure": "soft",
    "Reputation": "policy",
    "Content": "policy",
    "Frequency or Volume Too High": "policy",
}
#: Reasons why SendGrid did not try to deliver; the other reasons are faults of ours and concern no address.
_DROPPED: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "Bounced Address": ("bounce", "hard"),
    "Invalid": ("bounce", "hard"),
    "Spam Reporting Address": ("complaint", ""),
    "Unsubscribed Address": ("unsubscribe", ""),
}


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Return why the call is not SendGrid's; "" when it is."""
    at = call.header("x-twilio-email-event-webhook-timestamp")
    encoded = call.header("x-twilio-email-event-webhook-signature")
    if not (at and encoded):
        return "unsigned"
    signature = decode_base64(encoded)
    signed = at.encode("utf-8", "replace") + call.body
    if signature is None or True not in [_signed(key, signature, signed) for key in keys]:
        return "forged"
    return "" if is_fresh(unix_instant(at, otherwise=0), now=now) else "stale"


def _signed(key: str, signature: bytes, signed: bytes) -> bool:
    public = _public_key(key)
    if public is None:
        return False
    try:
        public.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=8)
def _public_key(key: str) -> ec.EllipticCurvePublicKey | None:
    der = decode_base64(key)
    try:
        public = load_der_public_key(der or b"")
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, ec.EllipticCurvePublicKey) else None


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate a list of events."""
    value = parse_json(call.body)
    if not isinstance(value, list) or len(value) > EVENTS_MAX:
        return None
    events = [Document(event) for event in value]
    return [report for event in events if (report := _report(event, now)) is not None]


def _report(event: Document, now: Instant) -> Report | None:
    meaning, event_id = _meaning(event), event.text("sg_event_id")
    if meaning is None or not event_id:
        return None
    kind, severity = meaning
    return Report(
        provider="sendgrid",
        event_id=event_id,
        kind=kind,
        at=unix_instant(event.text("timestamp"), otherwise=now),
        severity=severity,
        header_id=event.text("smtp-id") or None,
        address=address(event.text("email")),
        machine=event.value.get("sg_machine_open") is True,
        detail=without_empty(
            diagnostic=event.text("reason", "response"),
            code=event.text("status"),
            url=event.text("url"),
            user_agent=event.text("useragent"),
        ),
        raw=event.raw(),
    )


def _meaning(event: Document) -> tuple[ReportKind, Severity] | None:
    name = event.text("event")
    kind = _KINDS.get(name)
    if kind != "bounce":
        return (kind, "") if kind else None
    if name == "dropped":
        return _DROPPED.get(event.text("reason"))
    refusal = judge_refusal(event.text("status"), event.text("reason"))
    severity = refusal.severity
    if severity != "policy" and not refusal.full:
        severity = _CLASSES.get(event.text("bounce_classification"), severity)
    if event.text("type") == "blocked" and severity == "hard":
        # "Blocked" means this time only; SendGrid goes on trying the address itself.
        severity = "undetermined"
    return "bounce", severity

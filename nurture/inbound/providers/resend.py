"""Resend: Standard Webhooks (Svix), HMAC-SHA256 over `id.timestamp.body`. Key: `whsec_...`.

https://resend.com/docs/webhooks, https://www.standardwebhooks.com
"""

import base64
import hmac
from collections.abc import Sequence
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decode_base64,
    is_fresh,
    iso_instant,
    matches_any,
    parse_json,
    unix_instant,
    without_empty,
)
from nurture.transports.smtp.replies import severity_of

_KINDS: Final[dict[str, ReportKind]] = {
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.bounced": "bounce",
    "email.suppressed": "bounce",
    "email.complained": "complaint",
    "email.opened": "open",
    "email.clicked": "click",
}
_SEVERITIES: Final[dict[str, Severity]] = {"Permanent": "hard", "Transient": "soft"}


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Return why the call is not Resend's, "" when it is; the signature covers id, time and body."""
    number, at, signatures = (_header(call, name) for name in ("id", "timestamp", "signature"))
    if not (number and at and signatures):
        return "unsigned"
    signed = f"{number}.{at}.".encode("utf-8", "replace") + call.body
    versioned = [part.partition(",") for part in signatures.split(" ")[:10]]
    expected = [_signature(key, signed) for key in keys]
    valid = [matches_any(signature, expected) for version, _, signature in versioned if version == "v1"]
    if True not in valid:
        return "forged"
    return "" if is_fresh(unix_instant(at, otherwise=0), now=now) else "stale"


def _header(call: Call, name: str) -> str:
    return call.header(f"svix-{name}") or call.header(f"webhook-{name}")


def _signature(key: str, signed: bytes) -> str:
    secret = decode_base64(key.removeprefix("whsec_")) or key.encode()
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate one event; the call's id is the event's."""
    value = parse_json(call.body)
    if not isinstance(value, dict):
        return None
    event = Document(value)
    kind = _KINDS.get(event.text("type"))
    data = event.within("data")
    if kind is None:
        return []
    bounce, click = data.within("bounce"), data.within("click")
    headers = {entry.text("name").lower(): entry.text("value") for entry in data.all("headers")}
    return [
        Report(
            provider="resend",
            event_id=_header(call, "id") or f"{event.text('type')}:{data.text('email_id')}",
            kind=kind,
            at=iso_instant(event.text("created_at"), otherwise=now),
            severity=_severity(event, bounce) if kind == "bounce" else "",
            header_id=headers.get("message-id") or data.text("message_id") or None,
            address=address(next(iter(data.texts("to")), "")),
            detail=without_empty(
                diagnostic=bounce.text("message"),
                code=bounce.text("subType"),
                url=click.text("link"),
                user_agent=click.text("userAgent"),
                subject=data.text("subject"),
            ),
            raw=event.raw(),
        )
    ]


def _severity(event: Document, bounce: Document) -> Severity:
    """Return the severity; a text that refuses the sender counts before the type."""
    if event.text("type") == "email.suppressed":
        return "hard"
    if severity_of("", bounce.text("message")) == "policy":
        return "policy"
    # Old calls without a type are about permanent bounces.
    return _SEVERITIES.get(bounce.text("type") or "Permanent", "undetermined")

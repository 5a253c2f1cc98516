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
    decoded,
    filled,
    is_fresh,
    iso_instant,
    same,
    unbase64,
    unix_instant,
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
    """Say why the call is not Resend's; the signature covers id, time and body."""
    told, at, signatures = (_header(call, name) for name in ("id", "timestamp", "signature"))
    if not (told and at and signatures):
        return "unsigned"
    signed = f"{told}.{at}.".encode("utf-8", "replace") + call.body
    versioned = [part.partition(",") for part in signatures.split(" ")[:10]]
    given = [signature for version, _, signature in versioned if version == "v1"]
    right = [_signature(key, signed) for key in keys]
    if True not in [same(one, other) for one in given for other in right]:
        return "forged"
    return "" if is_fresh(unix_instant(at, otherwise=0), now=now) else "stale"


def _header(call: Call, name: str) -> str:
    return call.header(f"svix-{name}") or call.header(f"webhook-{name}")


def _signature(key: str, signed: bytes) -> str:
    secret = unbase64(key.removeprefix("whsec_")) or key.encode()
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate one event; the call's id is the event's."""
    value = decoded(call.body)
    if not isinstance(value, dict):
        return None
    event = Document(value)
    kind = _KINDS.get(event.text("type"))
    data = event.within("data")
    if kind is None:
        return []
    bounce, click = data.within("bounce"), data.within("click")
    said = {each.text("name").lower(): each.text("value") for each in data.all("headers")}
    return [
        Report(
            provider="resend",
            event_id=_header(call, "id") or f"{event.text('type')}:{data.text('email_id')}",
            kind=kind,
            at=iso_instant(event.text("created_at"), otherwise=now),
            severity=_severity(event, bounce) if kind == "bounce" else "",
            header_id=said.get("message-id") or data.text("message_id") or None,
            address=address(next(iter(data.texts("to")), "")),
            detail=filled(
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
    """Return how bad it is; a refusal of us is told by its text, whatever type it is given."""
    if event.text("type") == "email.suppressed":
        return "hard"
    if severity_of("", bounce.text("message")) == "policy":
        return "policy"
    # Calls from before they told types are all about permanent bounces.
    return _SEVERITIES.get(bounce.text("type") or "Permanent", "undetermined")

"""Resend: Standard Webhooks (Svix), HMAC-SHA256 over `id.timestamp.body`. Key: `whsec_...`.

https://resend.com/docs/webhooks, https://www.standardwebhooks.com
"""

import base64
import hmac
import re
from collections.abc import Sequence
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.inbound.refusals import judge_refusal, severity_of
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

_KINDS: Final[dict[str, ReportKind]] = {
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.bounced": "bounce",
    "email.suppressed": "bounce",
    "email.failed": "bounce",
    "email.complained": "complaint",
    "email.opened": "open",
    "email.clicked": "click",
}
#: A text that begins with a reply code is the receiving server's.
_REPLY: Final = re.compile(r"(?:smtp; ?)?[245]\d\d[ -]")
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
            severity=_severity(event, data) if kind == "bounce" else "",
            header_id=headers.get("message-id") or data.text("message_id") or None,
            address=address(next(iter(data.texts("to")), "")),
            detail=without_empty(
                diagnostic=_server_words(bounce)
                or bounce.text("message")
                or data.within("failed").text("reason"),
                code=bounce.text("subType"),
                url=click.text("link"),
                user_agent=click.text("userAgent"),
                subject=data.text("subject"),
            ),
            raw=event.raw(),
        )
    ]


def _server_words(bounce: Document) -> str:
    """Return the receiving server's reply, when the call has it; prose of Resend is no reply."""
    words = " ".join(bounce.texts("diagnosticCode")) or bounce.text("diagnosticCode")
    message = bounce.text("message")
    return words or (message if _REPLY.match(message) else "")


def _severity(event: Document, data: Document) -> Severity:
    """Return the severity: the receiving server's own words (`diagnosticCode`), else Resend's type.

    `message` is Resend's prose about the type and may mention reputation in any case, so it is not judged.
    """
    if event.text("type") == "email.suppressed":
        return "hard"
    if event.text("type") == "email.failed":
        # Resend did not send it: the address is wrong, or our account, domain or quota is.
        reason = severity_of("", data.within("failed").text("reason"))
        return "hard" if reason == "hard" else "policy"
    bounce = data.within("bounce")
    words = _server_words(bounce)
    refusal = judge_refusal("", words)
    if words and (refusal.severity == "policy" or refusal.full):
        return refusal.severity
    if (bounce.text("type"), bounce.text("subType")) == ("Transient", "ContentRejected"):
        return "policy"
    # Old calls without a type are about permanent bounces.
    return _SEVERITIES.get(bounce.text("type") or "Permanent", "undetermined")

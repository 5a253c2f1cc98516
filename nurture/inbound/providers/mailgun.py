"""Mailgun: HMAC-SHA256 over timestamp and token, which stand in the body. Key: the webhook signing key.

The signature does not cover the event, so a token counts once: it is the report's id, and a second call with it is
a repetition whatever its content. Mailgun repeats a call for eight hours without a new signature. https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks
"""

import hmac
from collections.abc import Sequence
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.inbound.refusals import severity_of
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    FRESH_REPEATED,
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    is_fresh,
    matches_any,
    parse_json,
    unix_instant,
    without_empty,
)

_KINDS: Final[dict[str, ReportKind]] = {
    "delivered": "delivered",
    "failed": "bounce",
    "complained": "complaint",
    "opened": "open",
    "clicked": "click",
    "unsubscribed": "unsubscribe",
}
#: Reasons of a permanent failure that are more exact than its code.
_REASONS: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "suppress-bounce": ("bounce", "hard"),
    "suppress-complaint": ("complaint", ""),
    "suppress-unsubscribe": ("unsubscribe", ""),
    "espblock": ("bounce", "policy"),
    # Mailgun gave up after retries.
    "old": ("bounce", "soft"),
}
#: Programs that Mailgun recognises.
_BOTS: Final = frozenset({"apple", "generic"})


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Return why the call is not Mailgun's; "" when it is."""
    proof = Document(parse_json(call.body)).within("signature")
    at, token, signature = (proof.text(name) for name in ("timestamp", "token", "signature"))
    if not (at and token and signature):
        return "unsigned"
    signed = f"{at}{token}".encode("utf-8", "replace")
    if not matches_any(signature, [hmac.digest(key.encode(), signed, "sha256").hex() for key in keys]):
        return "forged"
    fresh = is_fresh(unix_instant(at, otherwise=0), now=now, within=FRESH_REPEATED)
    return "" if fresh else "stale"


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Return the report of one event; its id is the token."""
    whole = Document(parse_json(call.body))
    event, token = whole.within("event-data"), whole.within("signature").text("token")
    if not event.value or not token:
        return None
    meaning = _meaning(event)
    if meaning is None:
        return []
    kind, severity = meaning
    status, headers = event.within("delivery-status"), event.within("message").within("headers")
    return [
        Report(
            provider="mailgun",
            event_id=token,
            kind=kind,
            at=unix_instant(event.text("timestamp"), otherwise=now),
            severity=severity,
            header_id=headers.text("message-id") or None,
            address=address(event.text("recipient") or headers.text("to")),
            machine=kind in ("open", "click") and event.within("client-info").text("bot") in _BOTS,
            detail=without_empty(
                diagnostic=status.text("message", "description"),
                code=status.text("code"),
                url=event.text("url"),
                user_agent=event.within("client-info").text("user-agent"),
                subject=headers.text("subject"),
            ),
            raw=event.raw(),
        )
    ]


def _meaning(event: Document) -> tuple[ReportKind, Severity] | None:
    kind = _KINDS.get(event.text("event"))
    if kind != "bounce":
        return (kind, "") if kind else None
    if event.text("severity") == "temporary":
        return "deferred", ""
    status = event.within("delivery-status")
    reason = _REASONS.get(event.text("reason"))
    return reason or ("bounce", severity_of(status.text("code"), status.text("message", "description")))

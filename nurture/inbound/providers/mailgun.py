"""Mailgun: HMAC-SHA256 over timestamp and token, which stand in the body. Key: the webhook signing key.

The signature says nothing about the event beside it, so a token counts once: it is the report's id, and a call
that brings it again, whatever else it holds, is one that was seen before. They repeat a call for eight hours
without signing it anew. https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks
"""

import hmac
from collections.abc import Sequence
from typing import Final

from nurture.domain.feedback import Report, ReportKind, Severity
from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    FRESH_REPEATED,
    Call,
    Document,
    Fetch,
    Refusal,
    address,
    decoded,
    filled,
    fits,
    is_fresh,
    unix_instant,
)
from nurture.transports.smtp.replies import severity_of

_KINDS: Final[dict[str, ReportKind]] = {
    "delivered": "delivered",
    "failed": "bounce",
    "complained": "complaint",
    "opened": "open",
    "clicked": "click",
    "unsubscribed": "unsubscribe",
}
#: Reasons of a permanent failure that say more than its code.
_REASONS: Final[dict[str, tuple[ReportKind, Severity]]] = {
    "suppress-bounce": ("bounce", "hard"),
    "suppress-complaint": ("complaint", ""),
    "suppress-unsubscribe": ("unsubscribe", ""),
    "espblock": ("bounce", "policy"),
    # Tried until it was too old.
    "old": ("bounce", "soft"),
}
#: Programs that Mailgun itself tells from people.
_BOTS: Final = frozenset({"apple", "generic"})


def verify(call: Call, keys: Sequence[str], *, now: Instant, fetch: Fetch) -> Refusal:  # noqa: ARG001
    """Say why the call is not Mailgun's."""
    proof = Document(decoded(call.body)).within("signature")
    at, token, said = (proof.text(name) for name in ("timestamp", "token", "signature"))
    if not (at and token and said):
        return "unsigned"
    signed = f"{at}{token}".encode("utf-8", "replace")
    if not fits(said, [hmac.digest(key.encode(), signed, "sha256").hex() for key in keys]):
        return "forged"
    fresh = is_fresh(unix_instant(at, otherwise=0), now=now, within=FRESH_REPEATED)
    return "" if fresh else "stale"


def read(call: Call, *, now: Instant) -> list[Report] | None:
    """Translate one event; the token is its id."""
    whole = Document(decoded(call.body))
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
            detail=filled(
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

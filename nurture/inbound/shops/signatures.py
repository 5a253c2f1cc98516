"""Verify that a call comes from the shop: HMAC-SHA256 over the bytes as they came. Pure.

https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, WooCommerce's class-wc-webhook.php,
https://docs.stripe.com/webhooks#verify-manually. Neither Shopify nor WooCommerce signs a time: a call that is repeated
changes nothing, because its things and states are known.
"""

import hmac
import re
from collections.abc import Sequence

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import (
    Call,
    Refusal,
    decode_base64,
    is_fresh,
    matches_any,
    unix_instant,
)

_SHA256_BYTES = 32
#: Signatures of one Stripe call that are looked at; a key being changed makes two.
_SIGNATURES_MAX = 10
#: WooCommerce's call when a webhook is saved; it has no signature and asks for nothing but the answer 200.
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")


def verify_shopify(call: Call, keys: Sequence[str], *, now: Instant) -> Refusal:  # noqa: ARG001
    """Return why the call is not Shopify's, "" when it is. keys: client secrets of the app."""
    return _verify_base64(
        call, call.header("x-shopify-hmac-sha256") or call.header("shopify-hmac-sha256"), keys
    )


def verify_woocommerce(call: Call, keys: Sequence[str], *, now: Instant) -> Refusal:  # noqa: ARG001
    """Return why the call is not WooCommerce's, "" when it is. keys: secrets of webhooks, as typed in the shop."""
    return _verify_base64(call, call.header("x-wc-webhook-signature"), keys)


def verify_stripe(call: Call, keys: Sequence[str], *, now: Instant) -> Refusal:
    """Return why the call is not Stripe's, "" when it is. keys: signing secrets of endpoints, `whsec_...`.

    Any v1 may fit. A time is too far away in either direction.
    """
    header = call.header("stripe-signature")
    if not header:
        return "unsigned"
    if "\n" in header:
        return "forged"
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"][:_SIGNATURES_MAX]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0], re.ASCII):
        return "forged"
    signed = times[0].encode() + b"." + call.body
    expected = [hmac.digest(key.encode(), signed, "sha256").hex() for key in keys]
    if True not in [matches_any(signature, expected) for signature in signatures]:
        return "forged"
    return "" if is_fresh(unix_instant(times[0], otherwise=0), now=now) else "stale"


def is_ping(call: Call) -> bool:
    """Tell whether the call is WooCommerce's unsigned test of the address."""
    return not call.header("x-wc-webhook-signature") and _PING.fullmatch(call.body.strip()) is not None


def _verify_base64(call: Call, header: str, keys: Sequence[str]) -> Refusal:
    if not header:
        return "unsigned"
    signature = decode_base64(header)
    if signature is None or len(signature) != _SHA256_BYTES:
        return "forged"
    matches = [hmac.compare_digest(hmac.digest(key.encode(), call.body, "sha256"), signature) for key in keys]
    return "" if True in matches else "forged"

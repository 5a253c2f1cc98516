"""Shops whose webhooks are sources of events: one module each, all with the same two functions.

Both are pure: `verify` tells whether a call comes from the shop, `read` what it says. Neither raises, whatever the call
contains. `tests/inbound/shops/test_shops.py` is the conformance suite of every entry of SHOPS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from nurture.domain.instant import Instant
from nurture.inbound.providers.call import Call, Refusal
from nurture.inbound.shops import shopify, signatures, stripe, woocommerce
from nurture.inbound.shops.signatures import is_ping
from nurture.inbound.shops.statement import ShopOptions, Statement

__all__ = ["SHOPS", "Shop", "is_ping"]


class _Verify(Protocol):
    def __call__(self, call: Call, keys: Sequence[str], *, now: Instant) -> Refusal: ...


class _Read(Protocol):
    def __call__(self, call: Call, *, now: Instant, options: ShopOptions) -> Statement | None: ...


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop system. Its name is the last part of `/webhooks/NAME`, and the source of its events."""

    name: str
    #: Returns why the call is refused, "" when it is accepted. keys: of the settings; one of them must match.
    verify: _Verify
    #: Returns what the call says; None when it cannot be read.
    read: _Read


SHOPS: Final[Mapping[str, Shop]] = MappingProxyType(
    {
        "shopify": Shop("shopify", signatures.verify_shopify, shopify.read),
        "woocommerce": Shop("woocommerce", signatures.verify_woocommerce, woocommerce.read),
        "stripe": Shop("stripe", signatures.verify_stripe, stripe.read),
    }
)

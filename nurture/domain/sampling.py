"""Sampling by a hash of stable keys: the same keys give the same result on every worker and in every replay."""

from collections.abc import Sequence
from hashlib import blake2b

from nurture.domain.measure import Variant

#: The number of shares: a share is a hundredth of a percent.
SHARES = 10_000


def hash_share(*keys: object) -> int:
    """Return a number from 0 to 9999, evenly distributed over the keys."""
    text = "\x1f".join(str(key) for key in keys)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % SHARES


def pick_variant(variants: Sequence[Variant], *keys: object) -> str:
    """Return the name of the variant that the keys select, "" without variants; weights are relative.

    A variant that ended gets nobody.
    """
    if not variants:
        return ""
    name = _pick(variants, "variant", *keys)
    live = [variant for variant in variants if not variant.is_ended]
    if not live or any(variant.name == name for variant in live):
        return name
    # Those of the others stay where they are.
    return live[hash_share("variant again", *keys) * len(live) // SHARES].name


def variant_shares(variants: Sequence[Variant]) -> dict[str, float]:
    """Return name of a variant -> the share of people whom `pick_variant` gives it."""
    total = sum(variant.weight for variant in variants)
    live = sum(not variant.is_ended for variant in variants)
    freed = sum(variant.weight for variant in variants if variant.is_ended) if live else 0
    return {
        variant.name: 0.0 if variant.is_ended and live else (variant.weight + freed / max(live, 1)) / total
        for variant in variants
    }


def _pick(variants: Sequence[Variant], *keys: object) -> str:
    total = sum(variant.weight for variant in variants)
    place = hash_share(*keys) * total
    for variant in variants:
        place -= variant.weight * SHARES
        if place < 0:
            return variant.name
    return variants[-1].name

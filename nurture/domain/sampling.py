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
    """Return the name of the variant that the keys select, "" without variants; weights are relative."""
    if not variants:
        return ""
    total = sum(variant.weight for variant in variants)
    place = hash_share("variant", *keys) * total
    for variant in variants:
        place -= variant.weight * SHARES
        if place < 0:
            return variant.name
    return variants[-1].name

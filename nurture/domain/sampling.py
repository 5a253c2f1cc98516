"""Chance as a hash of stable keys: the same person always falls the same way, on every worker and replay."""

from collections.abc import Sequence
from hashlib import blake2b

from nurture.domain.measure import Variant

#: Shares are counted in hundredths of a percent.
WHOLE = 10_000


def share(*keys: object) -> int:
    """Return a number in 0..9999, evenly spread over the keys."""
    text = "\x1f".join(str(key) for key in keys)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % WHOLE


def pick(variants: Sequence[Variant], *keys: object) -> str:
    """Return the name of the variant the keys fall on, "" when there are none; weights are relative."""
    if not variants:
        return ""
    total = sum(variant.weight for variant in variants)
    place = share("variant", *keys) * total
    for variant in variants:
        place -= variant.weight * WHOLE
        if place < 0:
            return variant.name
    return variants[-1].name

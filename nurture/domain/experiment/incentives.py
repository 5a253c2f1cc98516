"""Incentives: what the coupons of a measure gave away in the orders that used them."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from nurture.domain.entities import net_amount
from nurture.domain.entities.refunds import gross_amount
from nurture.domain.memory import Entity
from nurture.domain.playbook import EntityKind, Playbook
from nurture.domain.values import coerce

#: The property of an order with its codes, and the one with what was taken off, by the e-commerce specification.
_COUPON: Final = "coupon"
_DISCOUNT: Final = "discount"
_PREFIX: Final = "incentive:"


def incentive_of(measure: str) -> str:
    """Return the name of the outcomes that hold what the coupons of a measure (its identity) gave away."""
    return _PREFIX + measure


def codes_of(entity: Entity) -> frozenset[str]:
    """Return the codes that an order was told with; several stand in one text, separated by commas or spaces."""
    text = entity.fields.get(_COUPON)
    # Ours are in capitals; a till takes them as they are typed.
    return frozenset(re.split(r"[,;\s]+", text.upper())) - {""} if isinstance(text, str) else frozenset()


def incentives_of(playbook: Playbook) -> Mapping[str, tuple[str, ...]]:
    """Return kind of entities -> the identities of the measures from whose amounts incentives are taken off."""
    found: dict[str, list[str]] = {}
    for measure in playbook.measures.values():
        if measure.metric is not None and measure.metric.is_net_of_incentive:
            found.setdefault(measure.metric.entity, []).append(measure.root)
    return {kind: tuple(sorted(roots)) for kind, roots in found.items()}


def given_away(entity: Entity, kind: EntityKind, offers: Iterable[str], playbook: Playbook) -> int:
    """Return what codes of these offers gave away in an order, in hundredths, less the share that was refunded.

    With one code that is the `discount` of the order, as told. Beside other codes, or without a discount, it is the
    percentage of each offer, and no more than the discount.
    """
    gross = gross_amount(entity, kind)
    value = coerce(entity.fields.get(_DISCOUNT), "decimal")
    discount = value if isinstance(value, int) and value >= 0 else None
    names = list(offers)
    if discount is not None and len(codes_of(entity)) == 1:
        given = discount
    else:
        percent = sum(playbook.offers[name].percent for name in names if name in playbook.offers)
        given = round(Decimal(gross or 0) * min(percent, 100) / 100)
        given = given if discount is None else min(given, discount)
    if not gross:
        return given
    return round(Decimal(given) * (net_amount(entity, kind, playbook) or 0) / gross)

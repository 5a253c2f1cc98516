"""Amounts of entities: what they are worth, which share was given back, and what is left.

A refund names a part of a total, such as an order's `total` with tax and shipping; the amount (`revenue`) goes down by
the same share. The refunded share is the sum of the single refunds, or the greatest sum that was told where that is
more: each of the two may be incomplete, and both tell the same money.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from nurture.domain.entities.reading import currency_in, price_of, quantity_of, returned_line
from nurture.domain.instant import Instant
from nurture.domain.memory import Entity, FieldStamp, Refund
from nurture.domain.playbook import EntityKind, Playbook

#: Amounts that differ by no more than a hundredth are equal: shops round the tax of each line.
_TOLERANCE: Final = 1
_NOTHING: Final = Fraction(0)
_ALL: Final = Fraction(1)


def refund_rank(refund: Refund) -> tuple[bool, bool, int, FieldStamp]:
    """Return the rank of what was told about one refund: the greatest counts, in any order of arrival."""
    if not refund.cumulative:
        return False, False, 0, refund.stamp
    return True, refund.amount is None, refund.amount or 0, refund.stamp


def totals_of(kind: EntityKind) -> list[str]:
    """Return the properties that refunds are a part of, where they are others than the amount."""
    names = (reversal.amount for reversal in kind.reversed_by)
    return [name for name in names if name is not None and name != kind.amount]


def gross_amount(entity: Entity, kind: EntityKind) -> int | None:
    """Return the amount before refunds, in hundredths: as told, else the sum of its lines; None when unknown."""
    if entity.worth is not None:
        return entity.worth.amount
    if kind.amount is None or kind.lines is None:
        return None
    total = 0
    lines = [line for line in entity.lines.values() if line.present]
    for line in lines:
        price = price_of(line.fields)
        if price is None:
            return None
        total += price * quantity_of(line.fields)
    return total if lines else None


def net_amount(entity: Entity, kind: EntityKind, playbook: Playbook) -> int | None:
    """Return the amount less the share that was given back, in hundredths; None when no amount is known."""
    if entity.reversed_at is not None:
        return 0
    amount = gross_amount(entity, kind)
    if amount is None or not entity.refunds:
        return amount
    share = _NOTHING
    for _, so_far in _shares_given_back(entity, kind, playbook):
        share = so_far
    return round(amount * (_ALL - min(share, _ALL)))


def refunded_in_full_at(entity: Entity, kind: EntityKind, playbook: Playbook) -> Instant | None:
    """Return when the refunds reached the total; None while something is left, and for what was free."""
    bases = [base for refund in entity.refunds.values() if (base := _base(entity, refund, kind)) is not None]
    whole = max(bases, default=0)
    for at, share in _shares_given_back(entity, kind, playbook):
        if share and (_ALL - share) * whole <= _TOLERANCE:
            return at
    return None


def is_in_other_currency(entity: Entity, refund: Refund, playbook: Playbook) -> bool:
    """Tell whether a refund names another currency than its entity: it gives nothing back."""
    return bool(refund.currency) and refund.currency != (own_currency(entity, playbook) or refund.currency)


def own_currency(entity: Entity, playbook: Playbook) -> str:
    """Return the currency that the entity names, else the brand's first one; "" where no amount of it is known."""
    worth = entity.worth or next(iter(entity.totals.values()), None)
    named = (worth.currency if worth is not None else "") or currency_in(entity.fields)
    if named or not playbook.currencies or (worth is None and not entity.lines):
        return named
    return playbook.currencies[0]


def _shares_given_back(
    entity: Entity, kind: EntityKind, playbook: Playbook
) -> Iterator[tuple[Instant, Fraction]]:
    """Yield, refund by refund, its instant and the share of the entity that was given back by then."""
    single = cumulative = _NOTHING
    for refund in sorted(entity.refunds.values(), key=lambda refund: refund.stamp):
        share = _share(entity, refund, kind, playbook)
        if refund.cumulative:
            cumulative = max(cumulative, share)
        else:
            single += share
        yield refund.stamp[0], max(single, cumulative)


def _share(entity: Entity, refund: Refund, kind: EntityKind, playbook: Playbook) -> Fraction:
    if is_in_other_currency(entity, refund, playbook):
        return _NOTHING
    if refund.amount is None and not refund.lines:
        return _ALL
    base = _base(entity, refund, kind)
    return Fraction(_value(entity, refund), base) if base is not None and base > 0 else _NOTHING


def _base(entity: Entity, refund: Refund, kind: EntityKind) -> int | None:
    """Return what a refund is a part of: the total that it names, else the amount; None when it is unknown."""
    total = entity.totals.get(refund.of)
    # A newer amount without a total changes the total, nobody knows to what.
    if total is not None and (entity.worth is None or total.stamp >= entity.worth.stamp):
        return total.amount
    return gross_amount(entity, kind)


def _value(entity: Entity, refund: Refund) -> int:
    """Return what a refund gives back, in hundredths: its amount, else the price of its goods in the entity."""
    if refund.amount is not None:
        return refund.amount
    total = 0
    for key, quantity in refund.lines.items():
        line = entity.lines.get(returned_line(entity, refund, key))
        total += ((price_of(line.fields) if line is not None else None) or 0) * quantity
    return total

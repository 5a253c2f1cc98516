"""The guard's check of a call to action that may sell small things only (`price_at_most`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from nurture.domain.guard.input import CheckContext, Refusal
from nurture.domain.values import read_decimal

REASON = "price_bound"


def check_price_bound(context: CheckContext) -> str | Refusal:
    """Skip unless each price of the mail's objects is known and within the bound; one of them has a price."""
    measure = context.measure
    bounds = context.playbook.price_bounds.get(measure.action.kind) if measure else None
    if not bounds:
        return "no bound"
    currencies = context.playbook.currencies or tuple(bounds)
    priced = list(_priced(context.input.objects))
    if not priced:
        return Refusal("skip", REASON, "no object of this mail tells its price")
    for name, values in priced:
        price, currency = read_decimal(values["price"]), str(values.get("currency") or currencies[0])
        bound = bounds.get(currency)
        if price is None or bound is None or price > bound:
            limit = "has no bound" if bound is None else f"is at most {bound}"
            shown = "unknown" if price is None else price
            return Refusal("skip", REASON, f"{name}.price is {shown}; a price in {currency} {limit}")
    return f"{len(priced)} within the bound"


def _priced(objects: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (name, values) of each object that has a price, those in lists too."""
    for name, values in objects.items():
        for item in values if isinstance(values, list) else [values]:
            if isinstance(item, Mapping) and "price" in item:
                yield name, item

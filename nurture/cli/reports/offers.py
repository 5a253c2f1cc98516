"""`nurture report offers`: the ladder of a measure's variants, and which one to keep."""

from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation

_COLUMNS = ["measure", "step", "variant", "people", "with outcome", "value", "against no mail", "advice"]
_ADVICE = {
    "keep": "keep: the cheapest that is not shown to be worse",
    "open": "",
    "worse": "shown to be worse",
    "": "",
}


def offers(
    path: Annotated[
        str | None, typer.Argument(metavar="[MEASURE]", help="track/stage/name of a measure; default: all.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show which offer is enough: no mail first, then each variant from the cheapest (the first in the file) up.

    The one to keep is the cheapest variant that is not shown to be worse than another one; never one that is shown to
    be worse than no mail. Amounts are net of what coupons gave away where the metric says `net_of: incentive`.

    Example: nurture report offers customer/any/second_order_coupon
    """
    from nurture.app import experiments

    with open_installation() as services:
        rows = experiments.list_offers(services, path)
    if as_json:
        output.print_json(rows)
        return
    output.print_table([_shown(row) for row in rows], _COLUMNS, empty="no measure has variants")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a step of the ladder in people's units."""
    advice = "keep" if row["is_final"] else _ADVICE[row["advice"]]
    return {
        "measure": row["measure"],
        "step": row["step"],
        "variant": row["variant"],
        "people": f"{row['n']:,}",
        "with outcome": f"{row['events']:,}",
        "value": "" if row["value"] is None else _value(row["value"], row),
        "against no mail": _interval(row),
        "advice": f"{advice} so far" if advice.startswith("keep:") else advice,
    }


def _interval(row: dict[str, Any]) -> str:
    if row["lift"] is None:
        return ""
    if row["low"] is None or row["high"] is None:
        return "open"
    low, high = (_value(row[name], row, signed=True) for name in ("low", "high"))
    return f"{low} to {high}"


def _value(value: float, row: dict[str, Any], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if row["unit"] == "amount":
        return f"{value:{sign}.2f} {row['currency']}".strip()
    return f"{100 * value:{sign}.2f} {'points' if signed else '%'}"

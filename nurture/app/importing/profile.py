"""A first look at all cells of a file: how its columns write amounts and dates.

`1.234` and `01/02/2024` are read as the other cells of their column say, so a file is read twice.
"""

from dataclasses import dataclass, field
from typing import Final

from nurture.app.importing.plan import Plan
from nurture.domain.cells.amounts import (
    DecimalSign,
    column_sign,
    decimal_sign_of,
    is_amount_with_marks,
    looks_like_money,
    read_amount,
)
from nurture.domain.cells.moments import DayOrder, column_order, day_order_of, is_two_dates
from nurture.inbound.files.table import Table

_LOOKED_AT: Final = ("auto", "money", "number", "instant", "date")


@dataclass(slots=True)
class ColumnProfile:
    """The forms of numbers and dates that the cells of one column show."""

    signs: set[DecimalSign] = field(default_factory=set)
    orders: set[DayOrder] = field(default_factory=set)
    filled: int = 0
    amounts: int = 0
    marked: int = 0
    like_money: int = 0
    has_leading_nought: bool = False
    # The first cell whose day and month could be changed about.
    slashed: str = ""

    def look_at(self, text: str, *, is_date: bool) -> None:
        """Note what one cell shows."""
        self.filled += 1
        if is_date:
            order = day_order_of(text)
            if order is not None:
                self.orders.add(order)
            elif not self.slashed and is_two_dates(text):
                self.slashed = text
            return
        sign = decimal_sign_of(text)
        if sign is not None:
            self.signs.add(sign)
        if read_amount(text, ".") is not None:
            self.amounts += 1
        if is_amount_with_marks(text):
            self.marked += 1
            self.like_money += looks_like_money(text)
        self.has_leading_nought |= len(text) > 1 and text[0] == "0" and text.isdigit()

    @property
    def sign(self) -> DecimalSign | None:
        """The decimal sign of the column."""
        return column_sign(self.signs)

    @property
    def order(self) -> DayOrder | None:
        """Which number of its dates is the day."""
        return column_order(self.orders)

    @property
    def is_money(self) -> bool:
        """Whether a column of which nothing is known holds amounts that only people write so."""
        is_mostly = self.amounts * 2 >= self.filled and self.like_money * 2 >= self.marked
        return bool(self.marked) and is_mostly and not self.has_leading_nought


def profile(table: Table, plan: Plan) -> dict[str, ColumnProfile]:
    """Return column -> what its cells show; reads the whole file once, where any column has to be looked at."""
    if table.form == "jsonl":
        return {}
    wanted = {
        name: column.type in ("instant", "date")
        for name, column in plan.columns.items()
        if column.type in _LOOKED_AT
    }
    profiles = {name: ColumnProfile() for name in wanted}
    if not wanted:
        return profiles
    for record in table.records():
        for name, cell in record.cells.items():
            if name in wanted and isinstance(cell, str):
                profiles[name].look_at(cell.strip(), is_date=wanted[name])
    return profiles

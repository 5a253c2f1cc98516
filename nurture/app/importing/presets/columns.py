"""Add columns to a plan by the names that a tool gives them."""

from collections.abc import Iterable, Mapping

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.plan import Column, ColumnType, Plan, add_columns
from nurture.domain.cells.headers import field_of_header, normalize, snake_case
from nurture.domain.cells.moments import DayOrder
from nurture.inbound.files.table import Table

#: A type, and the fields that the column fills with their ranks.
Meaning = tuple[ColumnType, tuple[tuple[str, int], ...]]


def one(name: str, kind: ColumnType = "text", rank: int = 0) -> Meaning:
    """Return the meaning of a column that fills one field."""
    return kind, ((name, rank),)


def add_named(
    plan: Plan,
    table: Table,
    options: ImportOptions,
    meanings: Mapping[str, Meaning],
    orders: Mapping[str, DayOrder] | None = None,
) -> Plan:
    """Return the plan with a meaning for each column: the tool's, else a text under its name in small letters.

    meanings: name of a column -> its meaning. orders: name -> which number of its dates is the day.
    """
    known = {normalize(name): meaning for name, meaning in meanings.items()}
    orders = {normalize(name): order for name, order in (orders or {}).items()}
    has_address = any(known.get(normalize(name), ("", ()))[0] == "email" for name in table.header)
    columns = []
    for name in table.header:
        form = normalize(name)
        kind, fields = known.get(form, ("auto", ((snake_case(name), 0),)))
        # The labels of an audience are in the shop's language.
        if not has_address and field_of_header(name) == "email":
            kind, fields = one("email", "email")
        columns.append(Column(name, kind, fields, order=orders.get(form)))
    return add_columns(plan, table, options, columns)


def order_columns(table: Table, *, amounts: Iterable[str], times: Iterable[str]) -> list[Column]:
    """Return the columns of a file of orders; of amounts and times the whole column shows how they are written."""
    kinds: dict[str, ColumnType] = {normalize(name): "money" for name in amounts}
    kinds |= {normalize(name): "instant" for name in times}
    return [Column(name, kinds.get(normalize(name), "text"), ((name, 0),)) for name in table.header]

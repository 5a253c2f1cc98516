"""Shopify's export of orders: one line for each product; the order's own cells stand on its first line only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.orders import CURRENCY, Order, OrderCells, Product
from nurture.app.importing.plan import Column, Plan, add_columns
from nurture.app.importing.presets.columns import order_columns
from nurture.domain.cells.headers import normalize
from nurture.domain.cells.texts import without_apostrophe
from nurture.domain.errors import InputError
from nurture.inbound.files.table import Record, Table

_PAID: Final = frozenset({"paid", "partiallypaid", "partiallyrefunded", "refunded"})
_NEEDED: Final = ("Name", "Financial Status", "Total")
_AMOUNTS: Final = (
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Amount",
    "Lineitem price",
    "Refunded Amount",
)
_TIMES: Final = ("Paid at", "Created at", "Fulfilled at", "Cancelled at", "Canceled at")
_CENT: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)


def plan(plan: Plan, table: Table, options: ImportOptions) -> Plan:
    """Return the plan of an order export. Raises InputError for a file that is none."""
    columns = order_columns(table, amounts=_AMOUNTS, times=_TIMES)
    columns = [
        replace(column, type="email") if normalize(column.name) == "email" else column for column in columns
    ]
    plan = add_columns(replace(plan, decimal=".", international=True), table, options, columns)
    names = {normalize(name) for name in table.header}
    names |= {normalize(target) for column in plan.columns.values() for target, _ in column.fields}
    missing = [name for name in _NEEDED if normalize(name) not in names]
    if missing:
        message = (
            f"{table.path}:{table.header_line}: no export of Shopify's orders: no column {', '.join(missing)}"
        )
        raise InputError(message)
    return plan


@dataclass(frozen=True, slots=True)
class ShopifyOrders:
    """Reads the lines of an order."""

    table: Table

    def key(self, record: Record) -> str:
        """Return the order's name, `#1001`: all its lines have it."""
        name = next((name for name in self.table.header if normalize(name) == "name"), "")
        return str(record.cells.get(name, "")).strip()

    def read(self, cells: OrderCells) -> Order:
        """Return the order. Raises Rejection."""
        order = Order(_order_id(cells), currency=cells.text(*CURRENCY).upper())
        order.identities = [
            identity
            for identity in (
                cells.identity("email", "Email"),
                cells.identity("phone", "Phone", "Billing Phone"),
            )
            if identity is not None
        ]
        order.completed_at = cells.instant("Paid at", "Created at")
        order.is_paid = normalize(cells.text("Financial Status")) in _PAID
        order.cancelled_at = cells.instant("Cancelled at", "Canceled at")
        order.amounts = _amounts(cells)
        order.coupon = cells.text("Discount Code")
        order.products = list(_products(cells))
        refunded = cells.amount("Refunded Amount")
        if refunded:
            order.refunds = [(refunded, None)]
        country = cells.text("Billing Country", "Shipping Country")
        order.traits = {"country": country} if country else {}
        return order


def _order_id(cells: OrderCells) -> str:
    """Return the order's id, else its name; a spreadsheet makes `5,81235E+12` of an id."""
    number = without_apostrophe(cells.text("Id"))
    return number if number.isascii() and number.isdigit() else cells.text("Name")


def _amounts(cells: OrderCells) -> dict[str, Decimal]:
    total = cells.amount("Total", needed=True) or _ZERO
    amounts = {"total": total}
    columns = {"subtotal": "Subtotal", "shipping": "Shipping", "tax": "Taxes", "discount": "Discount Amount"}
    for name, column in columns.items():
        amount = cells.amount(column)
        if amount is not None:
            amounts[name] = amount
    amounts["revenue"] = _revenue(amounts, lines=len(cells.records))
    return amounts


def _revenue(amounts: dict[str, Decimal], *, lines: int) -> Decimal:
    """Return what was paid for goods without tax and shipping. The subtotal contains the tax where the sum says so."""
    total, shipping, tax = amounts["total"], amounts.get("shipping", _ZERO), amounts.get("tax", _ZERO)
    subtotal = amounts.get("subtotal", total - shipping - tax)
    gross = subtotal + shipping
    if (
        tax
        and gross
        and abs(total - gross) <= _CENT * lines
        and abs(total - gross - tax) > abs(total - gross)
    ):
        return (subtotal - tax * subtotal / gross).quantize(_CENT)
    return subtotal


def _products(cells: OrderCells) -> Iterator[Product]:
    quantity, price = cells.column("Lineitem quantity"), cells.column("Lineitem price")
    sku, name = cells.column("Lineitem sku"), cells.column("Lineitem name")
    # The first line of an order has its status; the others may come in any order and are told in one.
    status = cells.column("Financial Status") or ""

    def place(record: Record) -> tuple[bool, list[str]]:
        return status not in record.cells, [
            str(record.cells.get(column or "")) for column in (name, sku, price)
        ]

    for record in sorted(cells.records, key=place):
        if name is None or name not in record.cells:
            continue
        amounts = [
            cells.amount_of(record, Column(column, "money"), record.cells[column])
            if column is not None and column in record.cells
            else None
            for column in (quantity, price)
        ]
        code = without_apostrophe(str(record.cells.get(sku or "", ""))).strip()
        yield Product(name=str(record.cells[name]).strip(), sku=code, quantity=amounts[0], price=amounts[1])

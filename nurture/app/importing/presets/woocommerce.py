"""WooCommerce's orders, as two plugins export them. WooCommerce's own file names nobody and is refused.

WebToffee Order Export writes a record for each order, its lines in the cells `line_item_1`, `line_item_2` ... as
`name:X|product_id:1|sku:S|quantity:2|total:7.00`. Advanced Order Export (AlgolPlus) writes a record for each line, with
the columns `SKU`, `Item Name`, `Quantity` and `Item Cost`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from nurture.app.importing.cells import Unreadable
from nurture.app.importing.options import ImportOptions
from nurture.app.importing.orders import CURRENCY, Order, OrderCells, Product
from nurture.app.importing.plan import Column, Plan, add_columns
from nurture.app.importing.presets.columns import order_columns
from nurture.app.importing.row import remark
from nurture.domain.cells.headers import normalize
from nurture.domain.errors import InputError
from nurture.domain.instant import Instant
from nurture.inbound.files.table import Record, Table

_PAID: Final = frozenset({"processing", "completed", "refunded"})
_KEYS: Final = ("order_id", "order_number", "Order ID", "Order Number")
_STATUS: Final = ("status", "order_status", "Order Status")
_PAID_AT: Final = ("paid_date", "date_paid", "Paid Date")
_MADE_AT: Final = ("order_date", "date", "Order Date")
_EMAIL: Final = (
    "billing_email",
    "customer_email",
    "Email (Billing)",
    "Billing Email Address",
    "Customer Account Email Address",
)
_USER: Final = ("customer_id", "customer_user", "Customer User ID", "User ID")
_TOTAL: Final = ("order_total", "Order Total Amount", "Order Total")
_AMOUNTS: Final = (
    *_TOTAL,
    *("shipping_total", "tax_total", "discount_total", "Order Shipping Amount", "Order Total Tax Amount"),
    *("Order Refund Amount", "Item Cost", "Order Line Total"),
)
_LINE_COLUMN: Final = re.compile(r"lineitem(\d{1,6})")
#: Keys of a line's cell; its name may contain every mark, so the cell is cut at the last of each.
_LINE_KEYS: Final = ("name", "product_id", "sku", "quantity", "total", "sub_total")
_PART: Final = re.compile(r"(?:^|\|)(?P<key>[a-z_]+):", re.DOTALL)
_ZERO: Final = Decimal(0)


def plan(plan: Plan, table: Table, options: ImportOptions) -> Plan:
    """Return the plan of an order export. Raises InputError for WooCommerce's own file and for one that is none."""
    columns = order_columns(table, amounts=_AMOUNTS, times=(*_PAID_AT, *_MADE_AT))
    plan = add_columns(replace(plan, decimal=".", international=True), table, options, columns)
    names = {normalize(name) for name in table.header}
    names |= {normalize(target) for column in plan.columns.values() for target, _ in column.fields}
    if not any(normalize(name) in names for name in (*_EMAIL, "email")):
        message = (
            f"{table.path}:{table.header_line}: this file names nobody by address, so its orders belong to nobody. "
            "WooCommerce's own download (Analytics, Orders) is like that; export the orders with the plugin "
            "WebToffee Order Export or Advanced Order Export, or connect the shop by its webhook"
        )
        raise InputError(message)
    missing = [
        group[0] for group in (_KEYS, _STATUS, _TOTAL) if not any(normalize(name) in names for name in group)
    ]
    if missing:
        message = f"{table.path}:{table.header_line}: no export of WooCommerce's orders: no column {', '.join(missing)}"
        raise InputError(message)
    # The columns by which `check_plan` knows that the file names people.
    by_address = {
        name: replace(column, type="email", fields=(*column.fields, ("email", 0)))
        for name, column in plan.columns.items()
        if normalize(name) in {normalize(known) for known in _EMAIL}
    }
    return replace(plan, columns={**plan.columns, **by_address})


def order_format(table: Table) -> "WooOrders":
    """Return the reader of a file's orders."""
    return WooOrders(table)


@dataclass(frozen=True, slots=True)
class WooOrders:
    """Reads the records of an order."""

    table: Table

    def key(self, record: Record) -> str:
        """Return the order's id or number."""
        names = {normalize(name): name for name in reversed(self.table.header)}
        known = (names[normalize(key)] for key in _KEYS if normalize(key) in names)
        return next((str(record.cells[name]).strip() for name in known if name in record.cells), "")

    def read(self, cells: OrderCells) -> Order:
        """Return the order. Raises Rejection."""
        order = Order(cells.text(*_KEYS), currency=cells.text(*CURRENCY).upper())
        known = (
            cells.identity("user_id", *_USER),
            cells.identity("email", *_EMAIL),
            cells.identity("phone", "billing_phone", "Phone (Billing)"),
        )
        order.identities = [identity for identity in known if identity is not None]
        order.completed_at = cells.instant(*_PAID_AT, *_MADE_AT)
        status = normalize(cells.text(*_STATUS)).removeprefix("wc")
        order.is_paid = status in _PAID
        order.amounts = _amounts(cells)
        order.coupon = (
            cells.text("coupon_items", "Coupon Code", "Coupons").partition("|")[0].removeprefix("code:")
        )
        order.products = [*_products_in_cells(cells), *_products_in_records(cells)]
        lines = [product.total for product in order.products if product.total is not None]
        if lines and len(lines) == len(order.products):
            order.amounts["revenue"] = sum(lines, start=_ZERO)
        order.refunds = list(_refunds(cells, order.amounts["total"], is_refunded=status == "refunded"))
        names = {
            "firstName": "billing_first_name",
            "lastName": "billing_last_name",
            "country": "billing_country",
        }
        labels = {
            "firstName": "First Name (Billing)",
            "lastName": "Last Name (Billing)",
            "country": "Country Code (Billing)",
        }
        traits = {trait: cells.text(names[trait], labels[trait]) for trait in names}
        order.traits = {trait: text for trait, text in traits.items() if text}
        return order


def _amounts(cells: OrderCells) -> dict[str, Decimal]:
    total = cells.amount(*_TOTAL, needed=True) or _ZERO
    optional = {
        "shipping": cells.amount("shipping_total", "Order Shipping Amount"),
        "tax": cells.amount("tax_total", "Order Total Tax Amount", "order_tax"),
        "discount": cells.amount(
            "discount_total", "Order Discount Amount", "Cart Discount Amount", "cart_discount"
        ),
    }
    amounts = {name: amount for name, amount in optional.items() if amount is not None}
    revenue = total - amounts.get("shipping", _ZERO) - amounts.get("tax", _ZERO)
    return {"total": total, "revenue": max(revenue, _ZERO), **amounts}


def _refunds(
    cells: OrderCells, total: Decimal, *, is_refunded: bool
) -> Iterator[tuple[Decimal, Instant | None]]:
    """Yield (amount, instant) of each refund: of a cell `amount:10.00|reason:...|date:...||amount:...`."""
    place = cells.find("refund_items")
    if place is not None and (refunds := list(_refunds_in_cell(cells, *place))):
        yield from refunds
        return
    amount = cells.amount("Order Refund Amount", "refund_total")
    if not amount and is_refunded:
        amount = total
    if amount:
        yield abs(amount), None


def _refunds_in_cell(
    cells: OrderCells, record: Record, column: Column, cell: Any
) -> Iterator[tuple[Decimal, Instant | None]]:
    for text in str(cell).split("||"):
        parts = _read_parts(text, ("amount", "reason", "date"))
        if "amount" not in parts:
            cells.row.remarks.append(
                remark(record, column.name, text, "not a refund: write for example amount:10.00")
            )
        elif amount := cells.amount_of(record, Column(column.name, "money"), parts["amount"]):
            yield abs(amount), _refund_time(cells, record, column, parts.get("date", ""))


def _refund_time(cells: OrderCells, record: Record, column: Column, text: str) -> Instant | None:
    """Return when a refund was made; None, for the order's own time, without a date or with an unreadable one."""
    if not text:
        return None
    try:
        return min(int(cells.reader.read(Column(column.name, "instant"), text)), cells.now)
    except Unreadable as error:
        cells.row.remarks.append(remark(record, column.name, text, str(error)))
        return None


def _products_in_cells(cells: OrderCells) -> Iterator[Product]:
    """Yield the lines of cells `line_item_1`, `line_item_2` ..."""
    columns = {
        name: match for name in cells.names.values() if (match := _LINE_COLUMN.fullmatch(normalize(name)))
    }
    # Somebody may have moved the columns.
    ordered = sorted(columns, key=lambda name: int(columns[name][1]))
    for record in cells.records:
        for name, cell in ((name, record.cells[name]) for name in ordered if name in record.cells):
            parts = _read_parts(str(cell), _LINE_KEYS)
            if "name" not in parts:
                cells.row.remarks.append(remark(record, name, cell, "not a line of an order"))
                continue
            column = Column(name, "money")
            quantity, total = (
                cells.amount_of(record, column, parts[key]) if parts.get(key) else None
                for key in ("quantity", "total")
            )
            yield Product(
                parts["name"], parts.get("product_id", ""), parts.get("sku", ""), quantity, total=total
            )


def _read_parts(text: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Return key -> value of a cell `key:value|key:value`, cut at the last occurrence of each known key."""
    places: dict[str, tuple[int, int]] = {}
    for match in _PART.finditer(text):
        key = match["key"]
        if key in keys and (key != keys[0] or key not in places):
            places[key] = match.span()
    ordered = sorted(places.items(), key=lambda item: item[1])
    starts = [start for _, (start, _) in ordered]
    ends = [*starts[1:], len(text)]
    return {key: text[begin:end].strip() for (key, (_, begin)), end in zip(ordered, ends, strict=False)}


def _products_in_records(cells: OrderCells) -> Iterator[Product]:
    """Yield the lines of an order with one record for each."""
    name = cells.column("Item Name", "Name", "Product Name")
    # The lines may come in any order and are told in one.
    for record in sorted(cells.records, key=lambda record: sorted(map(str, record.cells.items()))):
        if name is None or name not in record.cells:
            continue
        one = OrderCells([record], cells.row, cells.reader, cells.now, cells.names)
        yield Product(
            name=one.text("Item Name", "Name", "Product Name"),
            product_id=one.text("Product Id", "Product ID"),
            sku=one.text("SKU"),
            quantity=one.amount("Quantity"),
            price=one.amount("Item Cost"),
            total=one.amount("Order Line Total", "Order Line Subtotal"),
        )

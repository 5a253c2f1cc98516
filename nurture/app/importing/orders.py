"""Read the records of one order as events: completed, refunded, cancelled, in the words of Segment.

An order has one record a line, or one record with its lines in cells; what belongs to the whole order stands on its
first record or on all. Message ids are made of the order and its state, so next week's export of the same orders
changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Protocol

from nurture.app.importing.cells import CellReader, Unreadable, as_number
from nurture.app.importing.plan import Column, Plan
from nurture.app.importing.row import Rejection, Row, check_bounds, check_fault, digest_of, remark
from nurture.app.importing.rows import bounded
from nurture.app.importing.spool import group_records
from nurture.contacts.accept import NewEvent
from nurture.domain.cells.headers import normalize
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_phone
from nurture.domain.instant import Instant
from nurture.domain.placeholders import is_placeholder_id, without_placeholders
from nurture.inbound.files.table import Record, Table

#: The refund id of a sum of refunds, as files state it.
_EXPORT: Final = "export"
_ZERO: Final = Decimal(0)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Product:
    """One line of an order."""

    name: str = ""
    product_id: str = ""
    sku: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    # The amount of the line, where the file has it instead of a price.
    total: Decimal | None = None

    def document(self) -> dict[str, Any]:
        """Return the line as Segment writes a product."""
        price = self.price
        if price is None and self.total is not None and self.quantity:
            price = (self.total / self.quantity).quantize(Decimal("0.0001"), ROUND_HALF_EVEN).normalize()
        texts = {"product_id": self.product_id or self.sku or self.name, "sku": self.sku, "name": self.name}
        numbers = {"quantity": self.quantity, "price": price}
        return {name: text for name, text in texts.items() if text} | {
            name: as_number(number) for name, number in numbers.items() if number is not None
        }


@dataclass(slots=True)
class Order:
    """One order, as its records state it."""

    key: str
    is_paid: bool = False
    completed_at: Instant | None = None
    # Set where the order was cancelled.
    cancelled_at: Instant | None = None
    currency: str = ""
    amounts: dict[str, Decimal] = field(default_factory=dict)
    coupon: str = ""
    products: list[Product] = field(default_factory=list)
    # (amount, instant)
    refunds: list[tuple[Decimal, Instant | None]] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    traits: dict[str, str] = field(default_factory=dict)


class OrderFormat(Protocol):
    """How a tool writes orders."""

    def key(self, record: Record) -> str:
        """Return what the records of one order have in common; "" where a record names no order."""
        ...

    def read(self, cells: "OrderCells") -> Order:
        """Return the order of some records. Raises Rejection."""
        ...


@dataclass(slots=True)
class OrderCells:
    """The cells of one order, by the names of its tool's columns; what cannot be read is remarked on its row."""

    records: Sequence[Record]
    row: Row
    reader: CellReader
    now: Instant
    # Name without marks -> the file's column.
    names: Mapping[str, str]
    # Cells that should hold a time and cannot be read, as `COLUMN 'CELL'`.
    unread_times: list[str] = field(default_factory=list)

    @property
    def described_times(self) -> str:
        """The unread cells of times in words, the first two."""
        return ", ".join(self.unread_times[:2]) or "date"

    def column(self, *names: str) -> str | None:
        """Return the file's column of the first of these names that it has."""
        return next((self.names[form] for name in names if (form := normalize(name)) in self.names), None)

    def find(self, *names: str) -> tuple[Record, Column, Any] | None:
        """Return the first filled cell of these columns: of the first name that has one in any record."""
        for name in names:
            column = self.column(name)
            for record in self.records if column is not None else ():
                if (cell := record.cells.get(column or "")) is not None:
                    return record, Column(column or "", "text", ((name, 0),)), cell
        return None

    def text(self, *names: str) -> str:
        """Return a cell as text, "" where none is filled."""
        place = self.find(*names)
        return str(self.reader.read(place[1], place[2])) if place else ""

    def texts(self, *names: str) -> Iterator[tuple[Record, str]]:
        """Yield (record, text) of a column in every record in which it is filled."""
        column = self.column(*names)
        for record in self.records if column is not None else ():
            if (cell := record.cells.get(column or "")) is not None:
                yield record, str(self.reader.read(Column(column or "", "text"), cell))

    def amount(self, *names: str, needed: bool = False) -> Decimal | None:
        """Return an amount, None where none is filled. Raises Rejection for an unreadable one that is needed."""
        place = self.find(*names)
        if place is None:
            if needed:
                raise Rejection("bad_money", f"{names[0]}: the amount of the order is empty: fill it")
            return None
        record, column, cell = place
        return self.amount_of(record, column, cell, needed=needed)

    def amount_of(self, record: Record, column: Column, cell: Any, *, needed: bool = False) -> Decimal | None:
        """Return the amount of a cell. Raises Rejection for an unreadable one that is needed."""
        try:
            amount = self.reader.amount(column, cell)
        except Unreadable as error:
            if needed:
                raise Rejection("bad_money", f"{column.name}: {str(cell)[:80]!r}: {error}") from error
            self.row.remarks.append(remark(record, column.name, cell, str(error)))
            return None
        currency = self.text(*CURRENCY)
        if amount.currency and currency and amount.currency != currency.upper():
            self.row.remarks.append(
                remark(
                    record,
                    column.name,
                    cell,
                    f"the order is in {currency}: the amount was taken so",
                    is_unread=False,
                )
            )
        return amount.value

    def instant(self, *names: str) -> Instant | None:
        """Return the first readable time of these columns; the others that are filled are remarked."""
        for column_name in dict.fromkeys(filter(None, map(self.column, names))):
            place = self.find(column_name)
            if place is None:
                continue
            record, column, cell = place
            try:
                return bounded(
                    self.reader.read(Column(column.name, "instant"), cell), self.now, record, self.row
                )
            except Unreadable as error:
                self.row.remarks.append(remark(record, column.name, cell, str(error)))
                self.unread_times.append(f"{column.name} {str(cell)[:80]!r}")
        return None

    def identity(self, kind: str, *names: str) -> Identity | None:
        """Return an address, user id or telephone number. Raises Rejection for an address that is none."""
        place = self.find(*names)
        if place is None:
            return None
        record, column, cell = place
        if kind == "phone":
            known = canonical_phone(str(self.reader.read(column, cell)))
            if known is None:
                text = "not a telephone number with its country: write +49..."
                self.row.remarks.append(remark(record, column.name, cell, text))
            return Identity("phone", known) if known else None
        try:
            value = self.reader.read(Column(column.name, "email" if kind == "email" else "id"), cell)
        except Unreadable as error:
            if kind == "email":
                raise Rejection("bad_address", f"{column.name}: {str(cell)[:80]!r} is {error}") from error
            # A guest has the number 0.
            if not is_placeholder_id(str(cell).strip()):
                self.row.remarks.append(remark(record, column.name, cell, str(error)))
            return None
        return Identity("email" if kind == "email" else "user_id", str(value))


#: Names of the column with an order's currency.
CURRENCY: Final = ("Currency", "order_currency", "Order Currency")


@dataclass(slots=True)
class OrderReader:
    """Reads a file of orders, grouped over the whole file."""

    plan: Plan
    reader: CellReader
    now: Instant
    format: OrderFormat
    table: Table

    def rows(self, records: Iterator[Record]) -> Iterator[Row]:
        """Yield a row for each order."""
        names = {normalize(name): name for name in reversed(self.table.header)}
        names |= {normalize(target): name for name, target in self._mapped()}
        for group in group_records((self._key(record), record) for record in records):
            yield self._read_group(group, names)

    def _mapped(self) -> Iterator[tuple[str, str]]:
        for name, column in self.plan.columns.items():
            for target, _ in column.fields:
                if target != name:
                    yield name, target

    def _key(self, record: Record) -> str:
        return "" if record.fault else self.format.key(record)

    def _read_group(self, group: list[Record], names: Mapping[str, str]) -> Row:
        row = Row(group)
        try:
            check_fault(group)
            row.cells = sum(len(record.cells) for record in group)
            cells = OrderCells(group, row, self.reader, self.now, names)
            self._add_events(row, self.format.read(cells), cells)
        except Rejection as rejection:
            return Row(group, rejection=rejection)
        return row

    def _add_events(self, row: Row, order: Order, cells: OrderCells) -> None:
        """Add the events of an order that was paid; an order that was not says nothing. Raises Rejection."""
        identities = without_placeholders(order.identities)
        if not order.key:
            raise Rejection("bad_shape", "the record names no order: fill its number")
        if not identities:
            raise Rejection("nobody", "no cell names a person: fill the address")
        if order.completed_at is None:
            raise Rejection(
                "bad_date", f"{cells.described_times}: no date of the order can be read: correct it"
            )
        if not order.is_paid:
            return
        currency = order.currency or self.plan.currency
        properties: dict[str, Any] = {"order_id": order.key}
        properties |= {name: as_number(amount) for name, amount in order.amounts.items()}
        properties |= {"currency": currency} if currency else {}
        properties |= {"coupon": order.coupon} if order.coupon else {}
        properties["products"] = [product.document() for product in order.products]
        row.events.append(
            self._event(identities, "Order Completed", order.completed_at, properties, order.traits)
        )
        total = order.amounts.get("total", _ZERO)
        refunded = sum((amount for amount, _ in order.refunds), start=_ZERO)
        if order.refunds:
            # A file states how much went back so far: of two exports the greater sum is the newer one.
            at = max(at or order.completed_at for _, at in order.refunds) + int(refunded * 100)
            details = {"refund_id": _EXPORT, "total": as_number(refunded), "cumulative": True}
            details["full"] = refunded + _CENT >= total
            details |= {"order_id": order.key} | ({"currency": currency} if currency else {})
            row.events.append(self._event(identities, "Order Refunded", min(at, self.now), details))
        if order.cancelled_at is not None:
            details = {"order_id": order.key}
            row.events.append(self._event(identities, "Order Cancelled", order.cancelled_at, details))
        for event in row.events:
            check_bounds(event)
        row.orders = 1
        is_reversed = order.cancelled_at is not None or (bool(order.refunds) and refunded + _CENT >= total)
        row.orders_net = 0 if is_reversed else 1

    def _event(
        self,
        identities: tuple[Identity, ...],
        name: str,
        at: Instant,
        properties: dict[str, Any],
        traits: Mapping[str, str] | None = None,
    ) -> NewEvent:
        return NewEvent(
            source="import",
            message_id=digest_of(name, at, properties),
            kind="track",
            name=name,
            occurred_at=at,
            received_at=self.now,
            historic=self.plan.historic,
            identities=identities,
            properties=properties,
            traits=dict(traits or {}),
            context={"backlog": "enter"} if self.plan.backlog else {},
        )

"""Read one record of a file as a contact, an event, an object or a suppression."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from nurture.app.importing.cells import CellReader, Unreadable, as_number, as_text, shown
from nurture.app.importing.consents import Statement, is_about_consent, read_words
from nurture.app.importing.plan import IDENTITIES, Column, Plan
from nurture.app.importing.row import Rejection, Row, check_bounds, check_fault, digest_of, remark
from nurture.app.importing.seen import SeenCounter
from nurture.contacts.accept import NewEvent
from nurture.domain.cells.amounts import Amount
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.domain.placeholders import without_placeholders
from nurture.inbound.files.phones import is_country
from nurture.inbound.files.table import Record

#: Properties without which an event would say that nothing was paid.
_PAID: Final = ("revenue", "total", "subtotal", "price", "value", "amount")
#: Fields whose instants are read here; all others are texts of the event.
_INSTANTS: Final = ("timestamp", "consent_at", "suppressed_at")
#: Fields of contacts that are no traits.
_NO_TRAITS: Final = (
    *IDENTITIES,
    *("event", "timestamp", "message_id", "suppressed_at", "consent_at", "consent_source"),
)


_TEXT: Final = Column("", "text")
#: Columns that are kept ready; objects of JSON may have any number.
_READINGS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Target:
    """A field that a column fills."""

    name: str
    rank: int
    is_statement: bool
    is_text: bool


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """A column with the function that reads its cells."""

    column: Column
    read: Callable[[Any], Any]
    targets: tuple[_Target, ...]


@dataclass
class RowReader:
    """Reads records as contacts, events, objects or suppressions."""

    plan: Plan
    reader: CellReader
    now: Instant
    # Equal records of events each need a message id of their own.
    occurrences: SeenCounter
    readings: dict[str, ColumnReading] = field(default_factory=dict)

    def rows(self, records: Iterator[Record]) -> Iterator[Row]:
        """Yield a row for each record."""
        for record in records:
            row = Row([record])
            try:
                self._read(record, row)
            except Rejection as rejection:
                yield Row([record], rejection=rejection)
            else:
                yield row

    def _read(self, record: Record, row: Row) -> None:
        """Fill in what the record says. Raises Rejection."""
        check_fault([record])
        values, statements = self._values(record, row)
        identities = self._identities(values)
        if not identities and self.plan.kind != "objects":
            raise Rejection("nobody", "no cell names a person: fill the address or the user id")
        if self.plan.kind in ("events", "objects"):
            row.events.append(self._track(record, row, values, identities))
        else:
            read_words(self.plan, record, row, values, statements, identities=identities, now=self.now)
            if self.plan.kind == "contacts":
                row.events.insert(0, self._identify(values, identities))
        for event in row.events:
            check_bounds(event)

    def _values(self, record: Record, row: Row) -> tuple[dict[str, Any], list[Statement]]:
        """Return field -> value (of several columns of a field, the readable one with the lowest rank); statements."""
        ranked: dict[str, tuple[int, Any]] = {}
        statements: list[Statement] = []
        amounts: list[tuple[Column, Any, Amount]] = []
        for reading, cell in self._cells(record):
            column = reading.column
            row.cells += 1
            if column.type == "skip":
                continue
            try:
                value: Any = self._phone(record, cell) if column.type == "phone" else reading.read(cell)
            except Unreadable as error:
                self._note_unread(record, row, column, cell, str(error))
                continue
            if isinstance(value, Amount):
                amounts.append((column, cell, value))
                value = as_number(value.value)
            for target in reading.targets:
                if target.is_statement:
                    statements.append(Statement(target.name, column, as_text(value)))
                    continue
                known = ranked.get(target.name)
                if known is not None and known[0] == target.rank and target.name in IDENTITIES:
                    self._note_second(record, row, column, value, known[1])
                if known is None or target.rank < known[0]:
                    # A time is a text of the event; the engine's own unit stays inside.
                    ranked[target.name] = target.rank, to_iso(value) if target.is_text else value
        values = {name: value for name, (_, value) in ranked.items()}
        if self.plan.kind == "events":
            self._read_currency(record, row, values, amounts)
        return values, statements

    def _note_second(self, record: Record, row: Row, column: Column, value: Any, known: Any) -> None:
        """List a second address, id or telephone number of a person: one is kept."""
        if value != known:
            row.remarks.append(remark(record, column.name, value, f"{known} was taken", is_unread=False))

    def _read_currency(
        self, record: Record, row: Row, values: dict[str, Any], amounts: Sequence[tuple[Column, Any, Amount]]
    ) -> None:
        """Fill in the currency that the amounts of an event name, and leave out those of another. Raises Rejection."""
        named = [amount.currency for _, _, amount in amounts if amount.currency]
        currency = str(values.get("currency") or (named[0] if named else self.plan.currency)).upper()
        for column, cell, amount in amounts:
            if currency and not amount.may_be_in(currency):
                self._note_unread(record, row, column, cell, _other_currency(amount, currency))
                for name, _ in column.fields:
                    values.pop(name, None)
        if named and currency != self.plan.currency:
            values.setdefault("currency", currency)

    def _phone(self, record: Record, cell: Any) -> str:
        """Return a telephone number; it is local to the country that its record names. Raises Unreadable."""
        return self.reader.phone(self.reader.read(_TEXT, cell), self._country(record) or self.plan.country)

    def _country(self, record: Record) -> str | None:
        """Return the country that the record names by its two letters."""
        for name in self.countries:
            code = str(record.cells.get(name, "")).strip().upper()
            if is_country(code):
                return code
        return None

    def _prepare(self, column: Column) -> ColumnReading:
        is_person = self.plan.kind in ("contacts", "suppressions")
        targets = tuple(
            _Target(
                name,
                rank,
                is_statement=is_person and is_about_consent(name),
                is_text=column.type == "instant" and name not in _INSTANTS,
            )
            for name, rank in column.fields
        )
        return ColumnReading(column, self.reader.reader_of(column), targets)

    @cached_property
    def countries(self) -> list[str]:
        """The columns with a country."""
        return [name for name, column in self.plan.columns.items() if "country" in dict(column.fields)]

    def _cells(self, record: Record) -> Iterator[tuple[ColumnReading, Any]]:
        for name, cell in record.cells.items():
            reading = self.readings.get(name)
            if reading is None:
                reading = self._prepare(self.plan.column_of(name))
                if len(self.readings) < _READINGS_MAX:
                    self.readings[name] = reading
            yield reading, cell
        yield from self.constants

    @cached_property
    def constants(self) -> list[tuple[ColumnReading, Any]]:
        """The columns whose value stands on the command line."""
        return [(self._prepare(column), value) for column, value in self.plan.constants.values()]

    def _note_unread(self, record: Record, row: Row, column: Column, cell: Any, reason: str) -> None:
        """List an unread cell. Raises Rejection where the record means nothing without it."""
        targets = [name for name, _ in column.fields]
        if column.type == "email":
            raise Rejection("bad_address", f"{column.name}: {shown(cell)!r} is {reason}")
        if self.plan.kind in ("events", "objects"):
            if "timestamp" in targets:
                raise Rejection("bad_date", f"{column.name}: {shown(cell)!r}: {reason}")
            if column.type == "money" and any(name in _PAID for name in targets):
                raise Rejection("bad_money", f"{column.name}: {shown(cell)!r}: {reason}")
        row.remarks.append(remark(record, column.name, cell, reason))

    def _identities(self, values: Mapping[str, Any]) -> tuple[Identity, ...]:
        named = [Identity(kind, values[kind]) for kind in IDENTITIES if values.get(kind)]
        return without_placeholders(named)

    def _track(
        self, record: Record, row: Row, values: dict[str, Any], identities: tuple[Identity, ...]
    ) -> NewEvent:
        name = str(values.get("event") or self.plan.event or "")
        if not name:
            raise Rejection("bad_shape", "no event: fill the column event, or add --event NAME")
        at = self._occurred_at(record, row, values)
        reserved = {"event", "timestamp", "message_id", *IDENTITIES}
        properties = {name: value for name, value in values.items() if name not in reserved}
        own = values.get("message_id")
        is_object = self.plan.kind == "objects"
        return NewEvent(
            source="import",
            message_id=str(own) if own else self._message_id(name, at, identities, properties),
            kind="track",
            name=name,
            occurred_at=self.now if at is None else at,
            received_at=self.now,
            historic=self.plan.historic,
            identities=() if is_object else identities,
            properties=properties,
            context=self.context,
        )

    def _occurred_at(self, record: Record, row: Row, values: Mapping[str, Any]) -> Instant | None:
        """Return when an event occurred, None where the file has no times. Raises Rejection."""
        at: Instant | None = values.get("timestamp")
        if at is None:
            columns = self.plan.columns.values()
            if any(name == "timestamp" for column in columns for name, _ in column.fields):
                raise Rejection("bad_date", "the time is empty: fill it")
            if self.plan.historic:
                raise Rejection(
                    "bad_date", "history needs a time: add a column timestamp, or --set timestamp=2026-03-01"
                )
            return None
        return bounded(at, self.now, record, row)

    def _identify(self, values: dict[str, Any], identities: tuple[Identity, ...]) -> NewEvent:
        at: Instant | None = values.get("timestamp")
        traits = {name: value for name, value in values.items() if name not in _NO_TRAITS}
        # Without a time the file says what is known on the day of its import.
        day = self.now // DAY if at is None else at
        own = values.get("message_id")
        return NewEvent(
            source="import",
            message_id=str(own) if own else digest_of("identify", day, identities, traits),
            kind="identify",
            name="Identified",
            occurred_at=self.now if at is None else min(at, self.now),
            received_at=self.now,
            historic=self.plan.historic,
            identities=identities,
            traits=traits,
            context=self.context,
        )

    @property
    def context(self) -> dict[str, Any]:
        """The context of every event of the file."""
        return {"backlog": "enter"} if self.plan.backlog else {}

    def _message_id(
        self, name: str, at: Instant | None, identities: Sequence[Identity], properties: Mapping[str, Any]
    ) -> str:
        """Return an id made of the event: equal records are several events, unless an order's id says otherwise."""
        text = digest_of(name, at, identities, properties)
        if "order_id" in properties:
            return text
        return f"{text}-{self.occurrences.count(bytes.fromhex(text))}"


def _other_currency(amount: Amount, currency: str) -> str:
    if amount.currency:
        return f"the row is in {currency}: correct the amount or the currency"
    return "a sign of several currencies: add a column currency, or for example --set currency=USD"


def bounded(at: Instant, now: Instant, record: Record, row: Row) -> Instant:
    """Return the instant, at the latest now; one in the future is remarked."""
    if at > now + DAY:
        row.remarks.append(remark(record, "", "", "a time in the future: taken as now", is_unread=False))
    return min(at, now)

"""Read one cell by the type of its column. A cell that cannot be read is `Unreadable`, with what to change."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from nurture.app.importing.plan import Column, ColumnType, Plan
from nurture.app.importing.profile import ColumnProfile
from nurture.domain.cells.amounts import Amount, read_amount
from nurture.domain.cells.headers import normalize
from nurture.domain.cells.moments import (
    DateRules,
    from_serial,
    from_spreadsheet,
    read_date,
    read_instant,
    to_instant,
)
from nurture.domain.cells.texts import bare_address, read_list, without_apostrophe
from nurture.domain.cells.words import read_yes_no
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.values import INTEGER_MAX, coerce, read_decimal
from nurture.inbound.files.phones import read_phone
from nurture.inbound.files.table import CellError

#: Digits that a float keeps exactly.
_EXACT_DIGITS: Final = 15
#: Columns whose numbers are names: two that differ in their last digits are two people, orders or goods.
_NAMES: Final = ("id", "text", "phone")
#: From here on a spreadsheet keeps no longer all digits of a number.
_ROUNDED: Final = 10**_EXACT_DIGITS
#: Columns whose digits are no number, by their names without marks.
_TEXT_COLUMNS: Final = frozenset(
    {"id", "phone", "zip", "zipcode", "postcode", "postalcode", "plz", "sku", "version", "邮编", "邮政编码"}
)
#: Not `inf` and `nan`, which are names too, and no numbers of JSON. Python converts 4,300 digits at most.
_NUMBER: Final = re.compile(r"-?[0-9]{1,300}(?P<part>\.[0-9]{1,300})?")
_SHOWN: Final = 80


class Unreadable(Exception):
    """A cell cannot be read; the message says why."""


@dataclass(frozen=True)
class CellReader:
    """Reads the cells of a file. `is_json`: its values have types of their own."""

    plan: Plan
    profiles: Mapping[str, ColumnProfile]
    is_json: bool = False

    def read(self, column: Column, cell: Any) -> Any:
        """Return the value of a cell. Raises Unreadable."""
        return self.reader_of(column)(cell)

    def reader_of(self, column: Column) -> Callable[[Any], Any]:
        """Return a function that reads the cells of one column. It raises Unreadable."""
        read = self._auto_reader(column) if column.type == "auto" else self._readers[column.type]
        is_name = column.type in _NAMES and not self.is_json

        def read_cell(cell: Any) -> Any:
            if isinstance(cell, str):
                cell = cell.strip()
                if cell.startswith("'"):
                    cell = without_apostrophe(cell)
            elif isinstance(cell, CellError):
                raise Unreadable("an error of the spreadsheet: correct the formula")
            elif is_name and not isinstance(cell, bool | datetime | date | time) and abs(cell) >= _ROUNDED:
                raise Unreadable(
                    "the spreadsheet rounded this number: make the column text, and fill it anew"
                )
            return read(column, cell)

        return read_cell

    @cached_property
    def _readers(self) -> Mapping[ColumnType, Callable[[Column, Any], Any]]:
        return {
            "text": lambda _, cell: cell if self.is_json else as_text(cell),
            "number": self._number,
            "money": self.amount,
            "instant": self._instant,
            "date": self._date,
            "bool": _bool,
            "list": _list,
            "email": _email,
            "id": _id,
            "phone": self._phone,
            "consent": lambda _, cell: as_text(cell),
            "optout": lambda _, cell: as_text(cell),
            "suppress": lambda _, cell: as_text(cell),
            "skip": lambda _, cell: as_text(cell),
        }

    def amount(self, column: Column, cell: Any) -> Amount:
        """Return the amount of a cell. Raises Unreadable."""
        if isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
            number = read_decimal(cell)
            if number is not None:
                return Amount(number)
        profile = self.profiles.get(column.name)
        sign = (profile.sign if profile else None) or self.plan.decimal
        amount = read_amount(cell, sign) if isinstance(cell, str) else None
        if amount is None and isinstance(cell, str) and read_amount(cell, ".") is not None:
            raise Unreadable("two amounts are possible: name --locale, or write the decimals")
        if amount is None:
            raise Unreadable("not an amount: write for example 19.90")
        return amount

    def _auto_reader(self, column: Column) -> Callable[[Column, Any], Any]:
        """Return the reader of a column of no known type: amounts where its cells show it, else each as it is."""
        profile = self.profiles.get(column.name)
        is_money = profile is not None and profile.is_money
        is_text = self.is_json or is_text_column(column.name)

        def read(column: Column, cell: Any) -> Any:
            if not isinstance(cell, str):
                return as_text(cell) if isinstance(cell, date | time) else cell
            if is_money:
                return as_number(self.amount(column, cell).value)
            return cell if is_text else parse_cell(cell)

        return read

    def _number(self, column: Column, cell: Any) -> Any:
        if isinstance(cell, str | float) or self.is_json:
            whole = coerce(cell, "integer")
            if whole is not None:
                return whole
        return as_number(self.amount(column, cell).value)

    def _instant(self, column: Column, cell: Any) -> int:
        instant: int | None = None
        if self.is_json:
            instant = coerce(cell, "instant")
        elif isinstance(cell, datetime):
            instant = to_instant(from_spreadsheet(cell), self.plan.dates.zone)
        elif isinstance(cell, int | float) and not isinstance(cell, bool):
            moment = from_serial(cell)
            instant = to_instant(moment, self.plan.dates.zone) if moment else None
        if instant is None and isinstance(cell, str):
            instant = read_instant(cell, self._rules(column))
        if instant is None:
            raise Unreadable(self._date_fault(cell))
        return instant

    def _date(self, column: Column, cell: Any) -> str:
        day: str | None = None
        if isinstance(cell, datetime | date):
            day = cell.isoformat()[:10]
        elif isinstance(cell, int | float) and not isinstance(cell, bool) and not self.is_json:
            moment = from_serial(cell)
            day = moment.date().isoformat() if moment else None
        elif isinstance(cell, str):
            day = read_date(cell, self._rules(column))
        if day is None or coerce(day, "date") is None:
            raise Unreadable(self._date_fault(cell))
        return day

    def _rules(self, column: Column) -> DateRules:
        profile = self.profiles.get(column.name)
        order = (profile.order if profile else None) or column.order or self.plan.dates.order
        rules = self.plan.dates
        return rules if order == rules.order else replace(rules, order=order)

    def _date_fault(self, cell: Any) -> str:
        if isinstance(cell, str) and "/" in cell and read_date(cell, replace(self.plan.dates, order="day")):
            return "two dates are possible: name --locale or --date-format"
        return "not a date: write for example 2026-03-01T12:00:00Z, or name --date-format"

    def _phone(self, _: Column, cell: Any) -> str:
        return self.phone(cell, self.plan.country)

    def phone(self, cell: Any, country: str | None) -> str:
        """Return the telephone number of a cell. country: of a number without one. Raises Unreadable."""
        text = as_text(cell)
        known = canonical_phone(text) if self.plan.international else read_phone(text, country)
        if known is None:
            raise Unreadable("not a telephone number with its country: write +49..., or --set country=DE")
        return known


def is_text_column(name: str) -> bool:
    """Tell whether the digits of a column are no number: ids, telephone numbers, postcodes keep leading noughts."""
    return normalize(name) in _TEXT_COLUMNS or name.lower().endswith(("_id", " id"))


def parse_cell(cell: str) -> Any:
    """Return the value of a cell: true or false, a number in its canonical form, else text."""
    lowered = cell.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return cell
    if match["part"] is None:
        # A sign or leading noughts belong to a text, as in a number of a house or a part.
        return int(cell) if str(int(cell)) == cell else cell
    value = float(cell)
    return value if repr(value) == cell or _is_plain_decimal(cell) else cell


def _is_plain_decimal(cell: str) -> bool:
    whole, point, part = cell.lstrip("-").partition(".")
    usual = whole == "0" or not whole.startswith("0")
    return point == "." and whole.isdigit() and part.isdigit() and usual and len(cell) <= _EXACT_DIGITS


def as_text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, dates as ISO 8601."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, float):
        return format(Decimal(repr(cell)), "f")
    return str(cell)


def as_number(value: Decimal) -> int | float | str:
    """Return a decimal as a number of JSON, as text where a float would not keep its digits."""
    if value == value.to_integral_value() and abs(value) <= INTEGER_MAX:
        return int(value)
    return float(value) if len(value.as_tuple().digits) <= _EXACT_DIGITS else str(value)


def shown(cell: Any) -> str:
    """Return a cell as the answer shows it."""
    return cell.text if isinstance(cell, CellError) else as_text(cell)[:_SHOWN]


def _bool(_: Column, cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    value = read_yes_no(as_text(cell))
    if value is None:
        raise Unreadable("neither yes nor no")
    return value


def _list(_: Column, cell: Any) -> list[Any]:
    return cell if isinstance(cell, list) else read_list(as_text(cell))


def _email(_: Column, cell: Any) -> str:
    text = as_text(cell)
    known = canonical_email(bare_address(text))
    if known is None and text.count("@") > 1:
        raise Unreadable("several addresses, or one that is broken: write one")
    if known is None:
        raise Unreadable("no e-mail address: correct it")
    return known


def _id(_: Column, cell: Any) -> str:
    known = canonical_user_id(as_text(cell))
    if known is None:
        raise Unreadable("a word that stands for a missing id")
    return known

"""Read a file of numbers that are published: one row for each value and key."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nurture.domain.errors import InputError
from nurture.domain.playbook import Playbook, PublishedValue
from nurture.domain.published_values import read_number
from nurture.domain.values import key_text
from nurture.inbound.files import Record, TableOptions, open_table

_COLUMNS: Final = ("name", "key", "value")
#: Columns that may hold the key under another name.
_KEYS: Final = ("key", "who", "contact", "email", "user_id")
#: So many refused rows are listed in the answer.
_REFUSED_SHOWN_MAX: Final = 100
#: The longest interval, in days.
_DAYS_MAX: Final = 36_525


@dataclass(frozen=True, slots=True)
class Number:
    """One number of the file; `key` is a person's name (`WHO`) in a value of contacts. None: taken back."""

    line: int
    key: str
    number: int | None


@dataclass(slots=True)
class NumbersFile:
    """The numbers of a file by value, and what was refused."""

    path: Path
    numbers: dict[str, list[Number]] = field(default_factory=dict)
    by_reason: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    def refuse(self, line: int, reason: str, about: str = "") -> None:
        """Count a row that cannot be used, and list it."""
        self.by_reason[reason] += 1
        if len(self.refused) < _REFUSED_SHOWN_MAX:
            self.refused.append(f"{self.path.name}:{line}: {reason}{about and f': {about}'}")

    def copy(self) -> "NumbersFile":
        """Return the same, to which refusals may be added."""
        return NumbersFile(self.path, self.numbers, Counter(self.by_reason), list(self.refused))

    @property
    def rejected(self) -> int:
        """How many rows were refused."""
        return sum(self.by_reason.values())


def read_numbers(path: Path, playbook: Playbook, *, name: str | None) -> NumbersFile:
    """Return the numbers of a file. name: the value of rows that name none.

    Raises InputError for a file that cannot be read, one without its columns, and a name that is no value.
    """
    if not playbook.values:
        raise InputError("the active playbook has no `values`; add them to playbook.yaml and publish it")
    if name is not None and name not in playbook.values:
        raise InputError(f"--name {name}: no such value; there are: {', '.join(sorted(playbook.values))}")
    if name is not None and playbook.values[name].model:
        raise InputError(f"--name {name}: {_by_model(playbook.values[name])}")
    table = open_table(path, TableOptions(columns=frozenset({"key", "value"})))
    _check_columns(table.header, path, needs_name=name is None and len(playbook.values) > 1)
    only = name or (next(iter(playbook.values)) if len(playbook.values) == 1 else None)
    file, seen = NumbersFile(path), set[tuple[str, str]]()
    for record in table.records():
        _read(record, file, playbook, only, seen)
    return file


def _check_columns(header: Any, path: Path, *, needs_name: bool) -> None:
    known = {column.strip().lower() for column in header}
    if not known:
        # JSON lines name the columns in each record.
        return
    missing = [
        *(["name"] if needs_name and "name" not in known else []),
        *([] if known & set(_KEYS) else ["key"]),
        *([] if "value" in known else ["value"]),
    ]
    if missing:
        advice = " (or say --name NAME)" if missing == ["name"] else ""
        raise InputError(f"{path}: no column `{missing[0]}`{advice}; a row is: {', '.join(_COLUMNS)}")


def _read(
    record: Record, file: NumbersFile, playbook: Playbook, only: str | None, seen: set[tuple[str, str]]
) -> None:
    cells = {column.strip().lower(): value for column, value in record.cells.items()}
    if record.fault is not None:
        file.refuse(record.line, record.fault.text)
        return
    name = str(cells.get("name") or only or "").strip()
    value = playbook.values.get(name)
    if value is None:
        file.refuse(record.line, "no such value", name or "write a column `name`")
        return
    if value.model:
        file.refuse(record.line, _by_model(value), name)
        return
    key = _key(cells, value)
    if key is None:
        file.refuse(record.line, "no key", "write who or what the number is of")
        return
    written = cells.get("value")
    number = None if written in (None, "") else read_number(written)
    if number is None and written not in (None, ""):
        file.refuse(record.line, "no number", str(written)[:40])
        return
    if number is not None and not value.is_of_contacts and _is_no_interval(number, value):
        file.refuse(record.line, "no interval in days", str(written)[:40])
        return
    if (name, key) in seen:
        file.refuse(record.line, "given twice", key)
        return
    seen.add((name, key))
    file.numbers.setdefault(name, []).append(Number(record.line, key, number))


def _by_model(value: PublishedValue) -> str:
    return f"it is computed by model {value.model}; to hand numbers in, take `model` out of the playbook"


def _key(cells: Mapping[str, Any], value: PublishedValue) -> str | None:
    for column in _KEYS:
        key = key_text(cells.get(column))
        if key is not None:
            is_user_id = column == "user_id" and value.is_of_contacts
            return f"id:{key}" if is_user_id else key
    return None


def _is_no_interval(number: int, value: PublishedValue) -> bool:
    """Tell whether a number of a value that has an `else`, an interval, is no number of days."""
    return value.otherwise is not None and not 0 < number <= _DAYS_MAX * 1_000_000


def pages(numbers: list[Number], size: int) -> Iterator[list[Number]]:
    """Yield the numbers in pages."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]

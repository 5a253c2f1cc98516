"""The people of a send: everybody whom a condition matches, or a list of people by name."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nurture.app.sends import queries
from nurture.app.services import Services
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_user_id
from nurture.domain.values import read_row_id
from nurture.inbound.files.delimiter import detect_delimiter
from nurture.inbound.files.encoding import detect_encoding
from nurture.inbound.files.open import detect_form, open_table

#: Names of a header that an error shows, and the longest of them.
_NAMES_SHOWN: Final = 12
_NAME_MAX: Final = 40
#: Names looked up in one statement.
_BATCH: Final = 1_000
_SAMPLE_LINES: Final = 50
#: Column that names the people -> the kind of WHO that its cells are, where they say no kind themselves.
_COLUMNS: Final = {
    "who": "",
    "email": "",
    "e-mail": "",
    "email address": "",
    "e-mail address": "",
    "address": "",
    "mail": "",
    "user_id": "id:",
    "userid": "id:",
    "user id": "id:",
    "contact": "contact:",
    "contact_id": "contact:",
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name of the list that leads to nobody: where it stands, and why."""

    place: str
    who: str
    why: str = "nobody is known by this name"


@dataclass(frozen=True, slots=True)
class Recipients:
    """The people of a send."""

    # None: the contacts of a list.
    expression: str | None = None
    # Ids of living contacts, each once, ascending.
    contacts: tuple[int, ...] = ()
    # In words, without names of people.
    words: str = ""
    unknown: tuple[Unknown, ...] = ()
    # How many names of the list led to somebody whom another one had named.
    repeated: int = 0

    @property
    def approved_as(self) -> str:
        """The text under which a second operator approves it."""
        return self.words if self.expression is None else self.expression

    @property
    def is_one_person(self) -> bool:
        """True for a list of one."""
        return self.expression is None and len(self.contacts) == 1


def audience_of(expression: str) -> Recipients:
    """Return everybody whom the condition matches."""
    return Recipients(expression=expression, words=f"audience: {expression}")


def find_recipients(
    services: Services, names: Sequence[str], *, file: Path | None = None, column: str | None = None
) -> Recipients:
    """Return the people of `--to` and `--file`. Names that lead to nobody are listed, never dropped.

    Raises InputError for a file that cannot be read, NotFoundError when no name leads to anybody.
    """
    wanted = [("--to", name) for name in names]
    if file is not None:
        wanted += _names_in(file, column)
    ids: set[int] = set()
    unknown: list[Unknown] = []
    for batch in _batches(wanted):
        known = _look_up(services, [who for _, who in batch])
        for place, who in batch:
            contact = known.get(who)
            if contact is not None:
                ids.add(contact)
            else:
                unknown.append(Unknown(place, who))
    if not ids:
        first = f"{unknown[0].who!r} ({unknown[0].place})" if unknown else "the list is empty"
        raise NotFoundError(f"nobody is known: {first}; write e-mail addresses, id:USER_ID or contact:N")
    count = len(ids)
    words = "one person" if count == 1 else f"a list of {count} people"
    return Recipients(
        contacts=tuple(sorted(ids)),
        words=f"{words} (contact:{min(ids)})" if count == 1 else words,
        unknown=tuple(unknown),
        repeated=len(wanted) - len(unknown) - count,
    )


def _batches(wanted: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    names = iter(wanted)
    while batch := list(islice(names, _BATCH)):
        yield batch


def _look_up(services: Services, names: Sequence[str]) -> dict[str, int]:
    """Return name -> living contact, for the names that lead to one."""
    identities: dict[str, Identity] = {}
    contacts: dict[str, int] = {}
    for who in names:
        kind, _, rest = who.partition(":")
        if kind == "contact" and (number := read_row_id(rest)) is not None:
            contacts[who] = number
        elif identity := _identity_of(who):
            identities[who] = identity
    with services.database.read() as connection:
        owners = load_index_by_identities(connection, sorted(set(identities.values()))).owners
        contacts.update({who: owners[name] for who, name in identities.items() if name in owners})
        living = queries.load_living(connection, sorted(set(contacts.values())))
    return {who: living[contact] for who, contact in contacts.items() if contact in living}


def _identity_of(who: str) -> Identity | None:
    if who.startswith("id:"):
        user_id = canonical_user_id(who.removeprefix("id:"))
        return Identity("user_id", user_id) if user_id else None
    email = canonical_email(who)
    return Identity("email", email) if email else None


# ---- files -----------------------------------------------------------------------------------------------


def _names_in(path: Path, column: str | None) -> list[tuple[str, str]]:
    """Return (place, WHO) of a file: one WHO a line, or a column of a CSV, an Excel or a JSON lines file."""
    header = _header_of(path)
    if header is None and column is None:
        return list(_plain_names(path))
    table = open_table(path)
    name, prefix = _column_of(path, table.header or header or [], column)
    names: list[tuple[str, str]] = []
    for record in table.records():
        place = f"{path.name}:{record.line}"
        if record.fault is not None:
            names.append((place, f"({record.fault.text})"))
            continue
        cell = _text(next((cell for key, cell in record.cells.items() if key.casefold() == name), ""))
        if not cell and not record.cells:
            continue
        names.append((place, _who_of(cell, prefix) if cell else f"(no {name})"))
    return names


def _text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _who_of(cell: str, prefix: str) -> str:
    return cell if not prefix or cell.startswith(prefix) else f"{prefix}{cell}"


def _header_of(path: Path) -> list[str] | None:
    """Return the header of a file; None for one whose first line is a WHO itself. Raises InputError."""
    try:
        with path.open("rb") as stream:
            form = detect_form(path, stream.read(8))
        if form != "csv":
            return []
        lines = _lines(path, _SAMPLE_LINES)
    except FileNotFoundError as error:
        raise InputError(f"{path}: the file does not exist") from error
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not lines:
        raise InputError(f"{path}: the file is empty")
    if "\x00" in lines[0]:
        raise InputError(f"{path}: this is no text; write one WHO a line, or a CSV, Excel or JSON lines file")
    cells = next(csv.reader(lines[:1], delimiter=detect_delimiter(lines)), [])
    return None if any(_is_who(cell.strip()) for cell in cells) else [cell.strip() for cell in cells]


def _lines(path: Path, most: int | None) -> list[str]:
    with path.open(encoding=detect_encoding(path), newline="") as stream:
        return list(islice((line for line in stream if line.strip()), most))


def _is_who(cell: str) -> bool:
    return cell.startswith(("id:", "contact:")) or canonical_email(cell) is not None


def _plain_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, WHO) of a file without a header: the first cell of each line that is a WHO."""
    with path.open(encoding=detect_encoding(path), newline="") as stream:
        lines = list(stream)
    reader = csv.reader(lines, delimiter=detect_delimiter([line for line in lines[:_SAMPLE_LINES] if line]))
    for cells in reader:
        texts = [cell.strip() for cell in cells if cell.strip()]
        if texts:
            yield f"{path.name}:{reader.line_num}", next((text for text in texts if _is_who(text)), texts[0])


def _column_of(path: Path, header: Sequence[str], column: str | None) -> tuple[str, str]:
    """Return the name of the column with the people, in lower case, and what its cells begin with."""
    names = [name.strip().casefold() for name in header]
    if column is not None:
        name = column.strip().casefold()
        if names and name not in names:
            raise InputError(f"{path}: no column {column!r}; it has: {_shown(header)}")
        return name, _COLUMNS.get(name, "")
    for name, prefix in _COLUMNS.items():
        if name in names or (not names and name == "email"):
            return name, prefix
    raise InputError(
        f"{path}: no column names people; call one of them `email`, or name it with --column; "
        f"it has: {_shown(header)}"
    )


def _shown(header: Sequence[str]) -> str:
    """Return the first names of a header, short enough for a line."""
    names = [name if len(name) <= _NAME_MAX else f"{name[:_NAME_MAX]}..." for name in header[:_NAMES_SHOWN]]
    more = len(header) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")

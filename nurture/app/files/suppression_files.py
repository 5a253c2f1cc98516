"""Bring in suppressions of other tools from a CSV file or a plain list of addresses, and write our own as CSV."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import sqlalchemy as sa

from nurture.app.files.tabular import write_rows
from nurture.app.importing.suppression_words import read_reason
from nurture.app.services import Services
from nurture.consent.record import Suppression, address_hash, suppress_addresses
from nurture.consent.suppression_queries import load_every_row, load_known_addresses
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.database.audit import record
from nurture.domain.consent.suppressions import DECIDED_BY_PEOPLE, SCOPES, SuppressionReason, SuppressionScope
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email
from nurture.domain.instant import SECOND, Duration, Instant, parse_iso, to_iso
from nurture.inbound.files.delimiter import detect_delimiter
from nurture.inbound.files.encoding import detect_encoding

_BATCH: Final = 500
#: Lines by which the delimiter is recognised.
_SAMPLE_LINES: Final = 50
_ADDRESS_COLUMNS: Final = (
    "email",
    "e-mail",
    "email address",
    "e-mail address",
    "address",
    "recipient",
    "mail",
)
#: When another tool recorded it.
_DATE_COLUMNS: Final = (
    "since", "at", "date", "created", "created_at", "created at", "createdat", "timestamp", "time", "unsub_time",
    "unsubscribed at", "unsubscribed_at", "suppressed at", "suppressed_at", "recorded at", "recorded_at",
)  # fmt: skip
#: Digits of a Unix time -> its unit: seconds since 1973, milliseconds since 2001.
_UNIX_UNITS: Final[dict[int, Duration]] = {9: SECOND, 10: SECOND, 13: SECOND // 1000}
#: No list of suppressions is older; an earlier date is an unset one.
_EARLIEST: Final[Instant] = parse_iso("1990-01-01")
_DATE_FAULT: Final = "date: write it as 2026-03-01 or 2026-03-01T12:00:00Z"
#: So many refused rows are listed in the answer; all of them stand in FILE.rejected.
_REFUSED_SHOWN_MAX: Final = 100
EXPORT_COLUMNS: Final = ("address", "address_hash", "contact", "scope", "reason", "since", "source")


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of a file: the line it begins on, its cells, and its suppressions or why it is refused."""

    number: int
    cells: list[str]
    suppressions: tuple[Suppression, ...] = ()
    fault: str = ""


@dataclass(slots=True)
class _Counts:
    """The counts of an import, as its rows are read."""

    accepted: int = 0
    rejected: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    # `FILE:LINE: reason` of the first refused rows.
    refused: list[str] = field(default_factory=list)

    def note(self, line: _Line, place: str) -> None:
        """Count one row."""
        if not line.fault:
            self.accepted += 1
            self.reasons.update(row.reason for row in line.suppressions)
            return
        self.rejected += 1
        self.faults[line.fault] += 1
        if len(self.refused) < _REFUSED_SHOWN_MAX:
            self.refused.append(f"{place}: {line.fault}")


def import_suppressions(
    services: Services,
    path: Path,
    *,
    scope: SuppressionScope,
    reason: SuppressionReason,
    dry_run: bool,
    actor: str,
) -> dict[str, Any]:
    """Suppress every address of the file, and the person who owns it; return the counts.

    The file is read row by row: once to know that all of it can be read, then to import it. scope, reason: of rows
    that name none. Rejected rows go to FILE.rejected, in the file's own form with one more column that names file, line
    and reason. dry_run: reads and counts only. Raises InputError for a file that cannot be read; then nothing changes.
    """
    now, key = services.clock.now(), services.settings.suppression_secret
    table = _Table.open(path, scope, reason, now=now)
    counts = _Counts()
    for line in table.lines():
        counts.note(line, f"{path.name}:{line.number}")
    if not dry_run:

        def store(batch: Sequence[Suppression]) -> None:
            services.database.run(
                lambda connection: suppress_addresses(
                    connection, _with_owners(connection, batch), now=now, source="import", suppression_key=key
                )
            )

        accepted = (row for line in _keep_rejected(table) for row in line.suppressions)
        while batch := list(islice(accepted, _BATCH)):
            store(batch)
        detail = {"accepted": counts.accepted, "rejected": counts.rejected}
        services.database.run(
            lambda connection: record(
                connection, at=now, actor=actor, action="suppression import", detail=detail
            )
        )
    return {
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "rows": counts.accepted + counts.rejected,
        "by_reason": dict(sorted(counts.faults.items())),
        "refused": counts.refused,
        "suppressions": dict(sorted(counts.reasons.items())),
        "encoding": table.encoding.removesuffix("-sig"),
        "delimiter": table.delimiter,
        "dry_run": dry_run,
    }


def _with_owners(connection: sa.Connection, batch: Sequence[Suppression]) -> list[Suppression]:
    """Return the suppressions with the contact that owns the address, where a person decided it."""
    names = [Identity("email", row.address or "") for row in batch]
    owners = load_index_by_identities(connection, sorted(set(names))).owners
    return [
        replace(row, contact_id=owners.get(name) if row.reason in DECIDED_BY_PEOPLE else None)
        for row, name in zip(batch, names, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Table:
    """A file of suppressions: its form, and what stands for a row that names no scope or reason."""

    path: Path
    encoding: str
    delimiter: str
    # None: a plain list of addresses.
    header: list[str] | None
    scope: SuppressionScope
    reason: SuppressionReason
    now: Instant

    @classmethod
    def open(
        cls, path: Path, scope: SuppressionScope, reason: SuppressionReason, *, now: Instant
    ) -> "_Table":
        """Recognise the form of a file by its first row. Raises InputError."""
        try:
            encoding = detect_encoding(path)
            with path.open(encoding=encoding, newline="") as stream:
                lines = list(islice((line for line in stream if line.strip()), _SAMPLE_LINES))
        except FileNotFoundError as error:
            raise InputError(f"{path}: the file does not exist") from error
        except (OSError, UnicodeError, InputError) as error:
            raise InputError(_unreadable(path, error)) from error
        delimiter = detect_delimiter(lines)
        cells = next(csv.reader(lines[:1], delimiter=delimiter), [])
        if not cells or any(canonical_email(cell) for cell in cells):
            return cls(path, encoding, delimiter, None, scope, reason, now)
        header = [cell.strip() for cell in cells]
        table = cls(path, encoding, delimiter, header, scope, reason, now)
        if table._place(_ADDRESS_COLUMNS) is None:
            raise InputError(f"{path}:1: no column with addresses; name one of them `email`")
        return table

    def lines(self) -> Iterator[_Line]:
        """Yield the rows that are not blank, each with its suppressions or its fault. Raises InputError."""
        try:
            with self.path.open(encoding=self.encoding, newline="") as stream:
                reader = csv.reader(stream, delimiter=self.delimiter)
                is_header = self.header is not None
                while True:
                    number = reader.line_num + 1
                    try:
                        cells = next(reader)
                    except StopIteration:
                        return
                    except csv.Error as error:
                        yield _Line(number, [], fault=f"not CSV: {error}")
                        continue
                    if not any(cell.strip() for cell in cells):
                        continue
                    if is_header:
                        is_header = False
                        continue
                    yield self._read(number, cells)
        except (OSError, UnicodeError) as error:
            raise InputError(_unreadable(self.path, error)) from error

    def _place(self, names: Sequence[str]) -> int | None:
        places = {name.casefold(): place for place, name in enumerate(self.header or ())}
        return next((places[name] for name in names if name in places), None)

    def _cell(self, cells: Sequence[str], names: Sequence[str]) -> str:
        place = self._place(names)
        return cells[place].strip() if place is not None and place < len(cells) else ""

    def _read(self, number: int, cells: list[str]) -> _Line:
        if self.header is None:
            return self._read_plain(number, cells)
        if any(cell.strip() for cell in cells[len(self.header) :]):
            return _Line(number, cells, fault="more cells than the header has")
        address = canonical_email(self._cell(cells, _ADDRESS_COLUMNS))
        if address is None:
            return _Line(number, cells, fault="no e-mail address")
        scope_text = self._cell(cells, ("scope",)).casefold()
        if scope_text and scope_text not in SCOPES:
            return _Line(number, cells, fault="scope: write all or marketing")
        word = self._cell(cells, ("reason",)) or self._cell(cells, ("type",))
        known = read_reason(word)
        if word and known is None:
            return _Line(number, cells, fault="reason: write unsubscribed, complaint, hard_bounce or ops")
        try:
            at = _read_date(self._cell(cells, _DATE_COLUMNS), now=self.now)
        except ValueError as error:
            return _Line(number, cells, fault=str(error))
        reason = known or self.reason
        by_reason: SuppressionScope = "all" if reason == "hard_bounce" else self.scope
        scope = scope_text if scope_text in SCOPES else by_reason
        return _Line(number, cells, (Suppression(address, scope, reason, at=at),))

    def _read_plain(self, number: int, cells: list[str]) -> _Line:
        """Read a row of a plain list: every address in it."""
        addresses = [address for cell in cells if (address := canonical_email(cell))]
        if not addresses:
            return _Line(number, cells, fault="no e-mail address")
        scope: SuppressionScope = "all" if self.reason == "hard_bounce" else self.scope
        return _Line(number, cells, tuple(Suppression(address, scope, self.reason) for address in addresses))


def _read_date(text: str, *, now: Instant) -> Instant | None:
    """Return the instant that a cell names: ISO 8601 or Unix time; None for an empty cell. Raises ValueError."""
    if not text:
        return None
    try:
        unit = _UNIX_UNITS.get(len(text)) if text.isascii() and text.isdigit() else None
        at = parse_iso(text) if unit is None else int(text) * unit
    except (ValueError, OverflowError):
        raise ValueError(_DATE_FAULT) from None
    if at > now:
        raise ValueError("date: it lies in the future")
    if at < _EARLIEST:
        raise ValueError(_DATE_FAULT)
    return at


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path}: cannot be read as text: {error}; save it as UTF-8. Nothing was changed"


def _keep_rejected(table: _Table) -> Iterator[_Line]:
    """Yield the accepted rows; write the others to FILE.rejected, which is made when the first one comes."""
    with ExitStack() as stack:
        writer = None
        for line in table.lines():
            if not line.fault:
                yield line
                continue
            if writer is None:
                path = table.path.with_name(table.path.name + ".rejected")
                stream = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
                writer = csv.writer(stream, delimiter=table.delimiter)
                if table.header is not None:
                    writer.writerow([*table.header, "rejected_because"])
            writer.writerow([*line.cells, f"{table.path.name}:{line.number}: {line.fault}"])


def export_suppressions(services: Services, stream: TextIO, *, kind: str, actor: str) -> int:
    """Write every suppression and return how many; the address where a contact still has it, else its hash only."""
    now, key = services.clock.now(), services.settings.suppression_secret
    services.database.run(
        lambda connection: record(
            connection, at=now, actor=actor, action="export", detail={"noun": "suppressions"}
        )
    )
    with services.database.read() as connection:
        addresses = {address_hash(value, key): value for value in load_known_addresses(connection)}
        return write_rows(stream, _export_rows(connection, addresses), EXPORT_COLUMNS, kind)


def _export_rows(connection: sa.Connection, addresses: dict[str, str]) -> Iterator[dict[str, Any]]:
    for row in load_every_row(connection):
        yield {
            "address": addresses.get(row.address_hash),
            "address_hash": row.address_hash or None,
            "contact": row.contact_id or None,
            "scope": row.scope,
            "reason": row.reason,
            "since": to_iso(row.at - row.at % SECOND),
            "source": row.source,
        }

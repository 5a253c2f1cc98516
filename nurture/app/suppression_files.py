"""Bring in suppressions of other tools from a CSV file or a plain list of addresses, and write our own as CSV."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO, cast

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.tabular import write_rows
from nurture.consent.record import Suppression, address_hash, suppress_addresses
from nurture.consent.suppression_queries import load_every_row, load_known_addresses
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.database.audit import record
from nurture.domain.consent.suppressions import DECIDED_BY_PEOPLE, SCOPES, SuppressionReason, SuppressionScope
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email
from nurture.domain.instant import to_iso

_BATCH: Final = 500
_ADDRESS_COLUMNS: Final = (
    "email",
    "e-mail",
    "email address",
    "e-mail address",
    "address",
    "recipient",
    "mail",
)
#: Words of other tools -> our reason. An unknown word rejects its row.
_REASONS: Final[dict[str, SuppressionReason]] = {
    **dict.fromkeys(
        ("unsubscribed", "unsubscribe", "global unsubscribe", "opt out", "opted out"), "unsubscribed"
    ),
    **dict.fromkeys(
        ("complaint", "complained", "spam", "spam report", "spamcomplaint", "abuse"), "complaint"
    ),
    **dict.fromkeys(("hard bounce", "bounce", "bounced", "hardbounce", "invalid", "cleaned"), "hard_bounce"),
    **dict.fromkeys(("ops", "manual", "manualsuppression", "suppressed", "blocked"), "ops"),
}
EXPORT_COLUMNS: Final = ("address", "address_hash", "contact", "scope", "reason", "since", "source")


@dataclass(frozen=True, slots=True)
class _Line:
    cells: list[str]
    suppression: Suppression | None
    fault: str = ""


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

    scope, reason: of rows that name none. Rejected rows go to FILE.rejected, in the file's own form with one more
    column. dry_run: reads and counts only. Raises InputError for a file that cannot be read.
    """
    header, lines = _read(path, scope, reason)
    rejected = [line for line in lines if line.suppression is None]
    accepted = [line.suppression for line in lines if line.suppression is not None]
    now, key = services.clock.now(), services.settings.suppression_secret
    if not dry_run:
        for start in range(0, len(accepted), _BATCH):
            batch = accepted[start : start + _BATCH]
            services.database.run(
                lambda connection, batch=batch: suppress_addresses(  # type: ignore[misc]
                    connection, _with_owners(connection, batch), now=now, source="import", suppression_key=key
                )
            )
        detail = {"accepted": len(accepted), "rejected": len(rejected)}
        services.database.run(
            lambda connection: record(
                connection, at=now, actor=actor, action="suppression import", detail=detail
            )
        )
        _write_rejected(path, header, rejected)
    return {
        "accepted": len(accepted),
        "rejected": len(rejected),
        "rows": len(lines),
        "by_reason": dict(sorted(Counter(line.fault for line in rejected).items())),
        "suppressions": dict(sorted(Counter(row.reason for row in accepted).items())),
        "dry_run": dry_run,
    }


def _with_owners(connection: sa.Connection, batch: Sequence[Suppression]) -> list[Suppression]:
    """Return the suppressions with the contact that owns the address, where a person decided it."""
    names = [Identity("email", row.address or "") for row in batch]
    owners = load_index_by_identities(connection, sorted(set(names))).owners
    return [
        Suppression(
            row.address, row.scope, row.reason, owners.get(name) if row.reason in DECIDED_BY_PEOPLE else None
        )
        for row, name in zip(batch, names, strict=True)
    ]


def _read(
    path: Path, scope: SuppressionScope, reason: SuppressionReason
) -> tuple[list[str] | None, list[_Line]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: the file does not exist") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 CSV: {error}") from error
    if not rows:
        return None, []
    if any(canonical_email(cell) for cell in rows[0]):
        # A plain list: the first cell of each line is the address.
        return None, [_read_line(row, row[0], "", "", scope, reason) for row in rows]
    header = [cell.strip() for cell in rows[0]]
    places = {name.casefold(): place for place, name in enumerate(header)}
    address = next((places[name] for name in _ADDRESS_COLUMNS if name in places), None)
    if address is None:
        raise InputError(f"{path}:1: no column with addresses; name one of them `email`")

    def cell(row: list[str], name: str) -> str:
        place = places.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""

    return header, [
        _read_line(
            row,
            row[address] if address < len(row) else "",
            cell(row, "scope"),
            cell(row, "reason") or cell(row, "type"),
            scope,
            reason,
        )
        for row in rows[1:]
    ]


def _read_line(  # noqa: PLR0917 - one row's parts
    cells: list[str],
    text: str,
    scope_text: str,
    reason_text: str,
    scope: SuppressionScope,
    reason: SuppressionReason,
) -> _Line:
    address = canonical_email(text)
    if address is None:
        return _Line(cells, None, "no e-mail address")
    if scope_text and scope_text.casefold() not in SCOPES:
        return _Line(cells, None, "scope: write all or marketing")
    word = reason_text.casefold().replace("_", " ").replace("-", " ")
    if word and word not in _REASONS:
        return _Line(cells, None, "reason: write unsubscribed, complaint, hard_bounce or ops")
    own = _REASONS[word] if word else reason
    by_reason: SuppressionScope = "all" if own == "hard_bounce" else scope
    chosen = cast("SuppressionScope", scope_text.casefold()) if scope_text else by_reason
    return _Line(cells, Suppression(address, chosen, own))


def _write_rejected(path: Path, header: list[str] | None, rejected: Sequence[_Line]) -> None:
    if not rejected:
        return
    with path.with_name(path.name + ".rejected").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        if header is not None:
            writer.writerow([*header, "rejected_because"])
        writer.writerows([*line.cells, line.fault] for line in rejected)


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
            "since": to_iso(row.at),
            "source": row.source,
        }

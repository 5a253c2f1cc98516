"""The counts of an import, and what somebody should read of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from nurture.app.importing.row import Row, digest_of
from nurture.app.importing.seen import SeenCounter
from nurture.domain.consent.permissions import UNDATED
from nurture.domain.instant import Instant, to_iso
from nurture.inbound.files.table import Table

#: So many unread cells, remarks and rejected records are listed; all are counted.
_LISTED_MAX: Final = 100


@dataclass(slots=True)
class ImportResult:
    """The counts of an import."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    cells: int = 0
    cells_unread: Counter[str] = field(default_factory=Counter)
    consents: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    suppressions: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    orders_net: int = 0
    # First and last instant that the file states.
    first: Instant | None = None
    last: Instant | None = None
    unread: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resumed_at: int = 0
    rejected_file: str | None = None
    already_done: bool = False
    dry_run: bool = False
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""

    def add(self, row: Row, table: Table, seen: SeenCounter, *, now: Instant) -> None:
        """Count one row. now: an event of this instant has no time of its own.

        seen: counts a person's consent of a topic once, however many rows state it.
        """
        count = len(row.records)
        self.rows += count
        if row.rejection is not None:
            self.rejected += count
            self.by_reason[row.rejection.kind] += count
            if len(self.rejects) < _LISTED_MAX:
                self.rejects.append(f"{table.path.name}:{row.records[0].line}: {row.rejection}")
            return
        self.accepted += count
        self.cells += row.cells
        self.orders += row.orders
        self.orders_net += row.orders_net
        for consent in row.consents:
            key = digest_of(consent.identities, consent.topic, consent.state)
            self.consents[consent.state] += seen.count(bytes.fromhex(key)) == 1
        self.undated += sum(consent.at == UNDATED for consent in row.consents)
        self.suppressions.update(suppression.reason for suppression in row.suppressions)
        self.events.update(event.name for event in row.events)
        self._add_remarks(row)
        instants = [event.occurred_at for event in row.events if event.occurred_at != now]
        instants += [consent.at for consent in row.consents if consent.at not in (UNDATED, now)]
        instants += [suppression.at for suppression in row.suppressions if suppression.at is not None]
        if instants:
            self.first = min(instants) if self.first is None else min(self.first, *instants)
            self.last = max(instants) if self.last is None else max(self.last, *instants)

    def _add_remarks(self, row: Row) -> None:
        for remark in row.remarks:
            item = {"line": remark.line, "column": remark.column, "cell": remark.cell, "reason": remark.text}
            if remark.is_unread:
                self.cells_unread[remark.column] += 1
            shown = self.unread if remark.is_unread else self.remarks
            if len(shown) < _LISTED_MAX:
                shown.append(item)

    def document(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        states = ("granted", "withdrawn", "pending")
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "rows": self.rows,
            "cells_unread": dict(self.cells_unread),
            "by_reason": dict(sorted(self.by_reason.items())),
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "first": to_iso(self.first) if self.first is not None else None,
            "last": to_iso(self.last) if self.last is not None else None,
            "consents": {state: self.consents[state] for state in states},
            "suppressions": self.suppressions.total(),
            "orders": self.orders,
            "orders_net": self.orders_net,
            "suppressions_by_reason": dict(sorted(self.suppressions.items())),
            "events": dict(sorted(self.events.items())),
            "unread": self.unread,
            "remarks": self.remarks,
            "rejects": self.rejects,
            "notes": self.notes,
            "sheet": self.sheet,
            "rejected_file": self.rejected_file,
            "resumed_at": self.resumed_at,
            "already_done": self.already_done,
            "dry_run": self.dry_run,
        }

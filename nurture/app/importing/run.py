"""Import a file: open it, plan it, look at it once, read it again and store it in batches.

Each batch and the position after it are stored in one transaction, so an interrupted import continues where it stopped.
Reading is repeated then, so the counts and FILE.rejected are those of the whole file.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Final, cast

from nurture.app.importing import queries
from nurture.app.importing.cells import CellReader
from nurture.app.importing.notes import write_notes
from nurture.app.importing.options import ImportOptions, Kind
from nurture.app.importing.orders import OrderReader
from nurture.app.importing.plan import Plan, add_columns, basic_plan, check_plan
from nurture.app.importing.presets import KINDS, PLANS, ZONES, order_format
from nurture.app.importing.profile import ColumnProfile, profile
from nurture.app.importing.rejects import RejectWriter, open_rejects, why
from nurture.app.importing.row import Row
from nurture.app.importing.rows import RowReader
from nurture.app.importing.seen import SeenCounter
from nurture.app.importing.store import Store
from nurture.app.importing.summary import ImportResult
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent
from nurture.domain.errors import InputError
from nurture.domain.instant import LATEST, Instant, to_datetime
from nurture.domain.playbook import Playbook
from nurture.inbound.files import Table, TableOptions, open_table
from nurture.inbound.files.table import FileForm

_BATCH: Final = 1_000
#: Changed when the same file is read otherwise than before, so that it may be imported again.
_REVISION: Final = 2
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is ready to be read as rows."""

    table: Table
    plan: Plan
    profiles: dict[str, ColumnProfile]
    playbook: Playbook
    now: Instant
    preset: str | None = None

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the file, in its order; of orders, in the order of their first records."""
        with SeenCounter() as occurrences:
            yield from self._rows(occurrences)

    def _rows(self, occurrences: SeenCounter) -> Iterator[Row]:
        reader = CellReader(self.plan, self.profiles, is_json=self.table.form == "jsonl")
        form = order_format(self.preset, self.table)
        if form is not None:
            return OrderReader(self.plan, reader, self.now, form, self.table).rows(self.table.records())
        return RowReader(self.plan, reader, self.now, occurrences).rows(self.table.records())


def open_file(
    path: Path, options: ImportOptions, playbook: Playbook, *, now: Instant, this_year: int | None = None
) -> OpenedFile:
    """Open a file by its options. Raises InputError for a file or options that do not fit.

    now: no event occurs later. this_year: the year of today, where `now` is not today.
    """
    if options.format not in (None, "csv", "jsonl", "xlsx"):
        raise InputError(f"--format {options.format}: write csv, jsonl or xlsx")
    if options.preset is not None and options.preset not in PLANS:
        raise InputError(f"--preset {options.preset}: write one of {', '.join(PLANS)}")
    kind: Kind = options.kind or KINDS.get(options.preset or "", "events")
    form = cast(FileForm | None, options.format)
    columns = frozenset({*options.map, *(["Name", "order_id", "Order Number"] if options.preset else [])})
    table = open_table(path, TableOptions(form, options.encoding, options.delimiter, options.sheet, columns))
    zone = ZONES.get(options.preset or "", "UTC" if table.form == "jsonl" else "")
    plan = basic_plan(options, playbook, kind, this_year=this_year or to_datetime(now).year, zone=zone)
    plan = replace(plan, currency=str(playbook.brand.get("currency") or ""))
    if options.preset is not None:
        plan = PLANS[options.preset](plan, table, options)
    else:
        plan = add_columns(plan, table, options)
    check_plan(plan, table, playbook)
    return OpenedFile(table, plan, profile(table, plan), playbook, now, options.preset)


def compute_fingerprint(path: Path, options: ImportOptions, plan: Plan) -> str:
    """Return a digest of the file's content and of the rules; an import is resumed by it. Raises InputError."""
    rules = [asdict(options), plan.dates.zone, plan.topics, plan.country, plan.currency, _REVISION]
    digest = blake2b(json.dumps(rules, sort_keys=True).encode(), digest_size=20)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise InputError(message) from error
    return digest.hexdigest()


def import_file(
    services: Services,
    path: Path,
    options: ImportOptions,
    *,
    actor: str,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportResult:
    """Import the file and write rejected rows with their reasons to `FILE.rejected`.

    dry_run: read and count only. progress: called with the number of records after each batch. Raises InputError when
    the file cannot be read; then nothing changes.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    opened = open_file(path, options, playbook, now=now)
    table = opened.table
    result = ImportResult(
        encoding=table.encoding, delimiter=table.delimiter, sheet=table.sheet, dry_run=dry_run
    )
    fingerprint = compute_fingerprint(path, options, opened.plan)
    if not dry_run:
        before = services.database.run(
            lambda connection: queries.load_or_create(connection, fingerprint, path.name, now)
        )
        result.resumed_at, result.already_done = 0 if before.done else before.rows, before.done
    store = None if dry_run or result.already_done else Store(services, playbook, fingerprint, now)
    _read_all(opened, result, store, None if dry_run else open_rejects(table), progress)
    if store is not None:
        counts = {"kind": opened.plan.kind, "rows": result.rows, "rejected": result.rejected}
        store.finish(counts, actor=actor)
    result.notes += write_notes(opened.table, opened.plan, opened.profiles, options, result)
    result.notes += [
        f"{address}: consent is granted, and the address is suppressed ({reason}): it gets no mail"
        for address, reason in sorted((store.contradicted if store else {}).items())[:20]
    ]
    return result


def _read_all(
    opened: OpenedFile,
    result: ImportResult,
    store: Store | None,
    rejects: RejectWriter | None,
    progress: Progress | None,
) -> None:
    """Read every row: count it, store it where it is not stored yet, and write it to the rejected ones."""
    rows = opened.rows()
    stored = result.resumed_at
    seen = SeenCounter()
    try:
        while batch := list(islice(rows, _BATCH)):
            if store is not None and result.rows >= stored:
                store.write(batch)
            for row in batch:
                result.add(row, opened.table, seen, now=opened.now)
                if row.rejection is not None and rejects is not None:
                    rejects.add(row.records, str(row.rejection))
            if progress is not None:
                progress(result.rows)
    finally:
        seen.close()
        if rejects is not None:
            result.rejected_file = rejects.close()


def read_events(
    path: Path, playbook: Playbook, *, this_year: int, of_objects: bool = False
) -> Iterator[NewEvent]:
    """Yield the events of a file, for a simulation. Raises InputError for a record that cannot be read.

    of_objects: they are about things and no person; those without a time have LATEST as theirs.
    """
    options = ImportOptions(kind="objects") if of_objects else ImportOptions(historic=True)
    opened = open_file(path, options, playbook, now=LATEST, this_year=this_year)
    for row in opened.rows():
        if row.rejection is not None:
            message = why(opened.table, row.records[0], str(row.rejection))
            raise InputError(message.replace(path.name, str(path), 1))
        yield from (replace(event, historic=False) for event in row.events)

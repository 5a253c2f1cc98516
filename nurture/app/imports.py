"""Imports of events, contacts and objects from CSV or JSON lines: streamed, resumable, with rejected rows set aside.

Each batch of rows and the position after it are stored in one transaction, so an interrupted import continues
where it stopped. A row without a message id gets one made from its content and its occurrence among equal rows of
the file, so importing the same rows again, in any order, changes nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.tabular import FileRow, read_rows
from nurture.consent.from_files import ImportedConsent, import_consents
from nurture.contacts.accept import NewEvent, accept, note_inbox
from nurture.contacts.locking import run_without_lost_race
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.consent.permissions import UNDATED
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.placeholders import without_placeholders
from nurture.domain.playbook import Playbook
from nurture.domain.values import coerce

Kind = Literal["events", "contacts", "objects"]

_BATCH = 1_000
#: Columns with a meaning of their own, after mapping; all others are properties (events) or traits (contacts).
_IDENTITY_COLUMNS = ("user_id", "email", "phone", "anonymous_id")
_RESERVED_COLUMNS = (*_IDENTITY_COLUMNS, "event", "timestamp", "message_id")
#: Contacts: `consent_TOPIC` is granted or withdrawn, `consent_at` its time, `consent_source` where it was given.
_CONSENT = "consent_"
_STATES = ("granted", "withdrawn")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options by which a file is read."""

    kind: Kind = "events"
    format: str | None = None
    # column -> field
    map: Mapping[str, str] = field(default_factory=dict)
    event: str | None = None
    historic: bool = False
    backlog: Literal["none", "enter"] = "none"


@dataclass(slots=True)
class ImportResult:
    """The counts of an import."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    resumed_at: int = 0
    rejected_file: str | None = None
    already_done: bool = False

    def document(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _ImportRow:
    """One row: its event, and its consents as (topic, state, instant, source)."""

    event: NewEvent
    consents: tuple[tuple[str, str, Instant, str], ...] = ()


def detect_format(path: Path, options: ImportOptions) -> str:
    """Return `csv` or `jsonl`, from the option or the file's ending. Raises InputError when neither tells."""
    if options.format in ("csv", "jsonl"):
        return options.format
    if options.format is not None:
        message = f"--format {options.format}: write csv or jsonl"
        raise InputError(message)
    endings = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
    kind = endings.get(path.suffix.lower())
    if kind is None:
        message = f"{path}: cannot tell the format from the ending; add --format csv or --format jsonl"
        raise InputError(message)
    return kind


def compute_fingerprint(path: Path, options: ImportOptions) -> str:
    """Return a digest of the file's content and the options; an import is resumed by it. Raises InputError."""
    digest = blake2b(json.dumps(asdict(options), sort_keys=True).encode(), digest_size=20)
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
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Import the file and write rejected rows with their reasons to `FILE.rejected`.

    progress: called with the number of rows after each batch. Raises InputError when the file cannot be read.
    """
    kind = detect_format(path, options)
    fingerprint = compute_fingerprint(path, options)
    now = services.clock.now()
    before = services.database.run(
        lambda connection: _load_or_create_import(connection, fingerprint, path, now)
    )
    result = ImportResult(rows=before.rows, rejected=before.rejected, resumed_at=before.rows)
    if before.done:
        result.already_done = True
        return result
    rejects = Path(f"{path}.rejected")
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    reader = _RowReader(options, playbook, now)
    rows = read_rows(path, kind)
    for row in islice(rows, before.rows):
        reader.message_id_of(row)
    with rejects.open("a" if before.rows else "w", encoding="utf-8") as out:
        while batch := list(islice(rows, _BATCH)):
            _import_batch(services, batch, reader, result, fingerprint=fingerprint, rejects=out)
            if progress is not None:
                progress(result.rows)
    detail = {
        "import": fingerprint,
        "kind": options.kind,
        "rows": result.rows,
        "rejected": result.rejected,
    }

    def finish(connection: sa.Connection) -> None:
        connection.execute(
            sa.update(t.imports).where(t.imports.c.fingerprint == fingerprint).values(done=True)
        )
        note_inbox(connection)
        record(connection, at=services.clock.now(), actor=actor, action="import", detail=detail)

    services.database.run(finish)
    if result.rejected:
        result.rejected_file = str(rejects)
    else:
        rejects.unlink(missing_ok=True)
    return result


def _load_or_create_import(
    connection: sa.Connection, fingerprint: str, path: Path, now: Instant
) -> sa.Row[Any]:
    statement = sa.select(t.imports).where(t.imports.c.fingerprint == fingerprint)
    row = connection.execute(statement).one_or_none()
    if row is None:
        values = {
            "fingerprint": fingerprint,
            "name": path.name,
            "at": now,
            "rows": 0,
            "rejected": 0,
            "done": False,
        }
        connection.execute(sa.insert(t.imports).values(values))
        row = connection.execute(statement).one()
    return row


def _import_batch(
    services: Services,
    batch: list[FileRow],
    reader: "_RowReader",
    result: ImportResult,
    *,
    fingerprint: str,
    rejects: TextIO,
) -> None:
    """Store one batch in a transaction, then write its rejected rows and count both in `result`."""
    items, rejected = reader.read_batch(batch)
    run_without_lost_race(
        services.database,
        partial(
            _store_batch,
            fingerprint=fingerprint,
            items=items,
            rejected=len(rejected),
            rows=len(batch),
            playbook=reader.playbook,
            now=reader.now,
        ),
    )
    for row, reason in rejected:
        line = {"line": row.line, "reason": reason, "row": row.raw}
        rejects.write(json.dumps(line, ensure_ascii=False) + "\n")
    result.rows += len(batch)
    result.accepted += len(items)
    result.rejected += len(rejected)


def _store_batch(
    connection: sa.Connection,
    *,
    fingerprint: str,
    items: list[_ImportRow],
    rejected: int,
    rows: int,
    playbook: Playbook,
    now: Instant,
) -> None:
    # The workers are notified when the whole file is in.
    accept(connection, [item.event for item in items], notify=False)
    consents = [
        ImportedConsent(item.event.identities, topic, state, at, source)
        for item in items
        for topic, state, at, source in item.consents
    ]
    if consents:
        import_consents(connection, consents, playbook=playbook, now=now)
    connection.execute(
        sa.update(t.imports)
        .where(t.imports.c.fingerprint == fingerprint)
        .values(rows=t.imports.c.rows + rows, rejected=t.imports.c.rejected + rejected)
    )


# ---- one row ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _RowReader:
    """Reads rows as events and consents, and counts equal rows, which each need a message id of their own."""

    options: ImportOptions
    playbook: Playbook
    # When the rows are received; no event occurs later.
    now: Instant
    occurrences: Counter[bytes] = field(default_factory=Counter)

    def read_batch(self, batch: list[FileRow]) -> tuple[list[_ImportRow], list[tuple[FileRow, str]]]:
        """Return the rows that could be read, and the others with their reasons."""
        items: list[_ImportRow] = []
        rejected: list[tuple[FileRow, str]] = []
        for row in batch:
            message_id = self.message_id_of(row)
            try:
                items.append(self._read_row(row, message_id))
            except InputError as error:
                rejected.append((row, str(error)))
        return items, rejected

    def message_id_of(self, row: FileRow) -> str:
        """Return the row's own message id, or one made from its content and its occurrence."""
        return _message_id_of(row, self.options, self.occurrences)

    def _read_row(self, row: FileRow, message_id: str) -> _ImportRow:
        if row.fault:
            raise InputError(row.fault)
        event = _read_event(row, message_id, self.options, self.now)
        if self.options.kind != "contacts":
            return _ImportRow(event)
        consents, traits = _split_consents(dict(event.traits), self.playbook)
        return _ImportRow(replace(event, traits=traits), consents)


def _message_id_of(row: FileRow, options: ImportOptions, occurrences: Counter[bytes]) -> str:
    """Return the row's own message id, or a digest of its content followed by its occurrence."""
    own = row.cells.get("message_id")
    if isinstance(own, str) and own:
        return own
    text = json.dumps([options.kind, options.event, row.cells], sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=16).digest()
    occurrences[digest] += 1
    return f"{digest.hex()}-{occurrences[digest]}"


def _read_event(row: FileRow, message_id: str, options: ImportOptions, now: Instant) -> NewEvent:
    """Return the event of one row. now: when the row is received; no event occurs later. Raises InputError."""
    cells = {options.map.get(name, name): value for name, value in row.cells.items()}
    identities = _read_identities(cells)
    if not identities and options.kind != "objects":
        raise InputError("no identity: fill one of user_id, email, phone, anonymous_id")
    is_contact = options.kind == "contacts"
    name = "Identified" if is_contact else str(cells.get("event") or options.event or "")
    if not name:
        raise InputError("no event: fill the column event, or add --event NAME")
    others = {name: value for name, value in cells.items() if name not in _RESERVED_COLUMNS}
    return NewEvent(
        source="import",
        message_id=message_id,
        kind="identify" if is_contact else "track",
        name=name,
        occurred_at=_read_occurred_at(cells, now),
        received_at=now,
        historic=options.historic,
        identities=identities if options.kind != "objects" else (),
        properties={} if is_contact else others,
        traits=others if is_contact else {},
        context={"backlog": "enter"} if options.backlog == "enter" else {},
    )


_CANONICAL: Mapping[str, Callable[[str], str | None]] = {
    "user_id": canonical_user_id,
    "email": canonical_email,
    "phone": canonical_phone,
    "anonymous_id": canonical_user_id,
}


def _read_identities(cells: Mapping[str, Any]) -> tuple[Identity, ...]:
    identities = []
    for kind in _IDENTITY_COLUMNS:
        value = cells.get(kind)
        if value is None:
            continue
        canonical = _CANONICAL[kind](str(value))
        if canonical is None:
            message = f"{kind}: {str(value)[:80]!r} is not a valid value"
            raise InputError(message)
        identities.append(Identity(kind, canonical))  # type: ignore[arg-type]
    return without_placeholders(identities)


def _read_occurred_at(cells: Mapping[str, Any], now: Instant) -> Instant:
    value = cells.get("timestamp")
    if value is None:
        return now
    instant = coerce(value, "instant")
    if instant is None:
        message = f"timestamp: {str(value)[:40]!r} is not a date; write for example 2026-03-01T12:00:00Z"
        raise InputError(message)
    return min(int(instant), now)


def _split_consents(
    cells: dict[str, Any], playbook: Playbook
) -> tuple[tuple[tuple[str, str, Instant, str], ...], dict[str, Any]]:
    """Return the consents as (topic, state, at, source), and the other cells. Raises InputError."""
    others = {name: value for name, value in cells.items() if not name.startswith(_CONSENT)}
    at = coerce(cells["consent_at"], "instant") if cells.get("consent_at") else UNDATED
    if at is None:
        raise InputError("consent_at: not a date; write for example 2026-03-01T12:00:00Z")
    source = str(cells.get("consent_source", "import"))[:200]
    consents = []
    for name, value in cells.items():
        topic = name.removeprefix(_CONSENT)
        if not name.startswith(_CONSENT) or topic in ("at", "source"):
            continue
        if topic not in playbook.topics:
            known = ", ".join(sorted(playbook.topics))
            raise InputError(f"{name}: the playbook has no topic {topic!r}; it has {known}")
        if value not in _STATES:
            message = f"{name}: write granted or withdrawn, not {str(value)[:40]!r}"
            raise InputError(message)
        consents.append((topic, str(value), int(at), source))
    return tuple(consents), others


def read_map(pairs: list[str]) -> dict[str, str]:
    """Return column -> field from the command line's `column=field` pairs. Raises InputError."""
    mapping = {}
    for pair in pairs:
        column, equals, name = pair.partition("=")
        if not equals or not column or not name:
            message = f"--map {pair}: write column=field, for example --map mail=email"
            raise InputError(message)
        mapping[column] = name
    return mapping


def read_events(rows: Iterator[FileRow], options: ImportOptions) -> Iterator[tuple[FileRow, NewEvent | None]]:
    """Yield each row with its event, for a simulation. A row that cannot be read comes with its fault and None."""
    occurrences: Counter[bytes] = Counter()
    for row in rows:
        message_id = _message_id_of(row, options, occurrences)
        if row.fault:
            yield row, None
            continue
        try:
            yield row, _read_event(row, message_id, options, FOREVER)
        except InputError as error:
            yield replace(row, fault=str(error)), None

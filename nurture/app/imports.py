"""Imports: events, contacts and objects from CSV or JSON lines, streamed, resumable, bad rows set aside.

Each batch of rows is one transaction together with the position behind it, so a killed import goes on where it
stopped. A row without a message id gets one made from its content and its occurrence among equal rows of the
file; shuffling or repeating the file therefore changes nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.app.tabular import FileRow, read_rows
from nurture.consent.from_files import ImportedConsent, import_consents
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.locking import run_without_lost_race
from nurture.database import schema as t
from nurture.database.audit import record
from nurture.domain.errors import InputError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.instant import FOREVER, Instant
from nurture.domain.playbook import Playbook
from nurture.domain.values import coerce

Kind = Literal["events", "contacts", "objects"]

_BATCH = 1_000
#: Columns with a meaning of their own, after mapping; all others are properties (events) or traits (contacts).
_WHO = ("user_id", "email", "phone", "anonymous_id")
_OWN = (*_WHO, "event", "timestamp", "message_id")
#: Contacts: `consent_TOPIC` holds granted or withdrawn; `consent_at` when it was given, `consent_source` where.
_CONSENT = "consent_"
_STATES = ("granted", "withdrawn")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How the file is to be read."""

    kind: Kind = "events"
    format: str | None = None
    # column -> field
    map: Mapping[str, str] = field(default_factory=dict)
    event: str | None = None
    historic: bool = False
    backlog: Literal["none", "enter"] = "none"


@dataclass(slots=True)
class ImportResult:
    """What an import came to."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    resumed_at: int = 0
    rejected_file: str | None = None
    already_done: bool = False

    def document(self) -> dict[str, Any]:
        """Return the outcome for machines."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _ImportRow:
    """A row read: the event, and the consents it brings along."""

    event: NewEvent
    consents: tuple[tuple[str, str, Instant, str], ...] = ()


def detect_format(path: Path, options: ImportOptions) -> str:
    """Return `csv` or `jsonl`, from the option or the file's ending."""
    if options.format in ("csv", "jsonl"):
        return options.format
    if options.format is not None:
        message = f"--format {options.format}: write csv or jsonl"
        raise InputError(message)
    endings = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
    found = endings.get(path.suffix.lower())
    if found is None:
        message = f"{path}: cannot tell the format from the ending; add --format csv or --format jsonl"
        raise InputError(message)
    return found


def compute_fingerprint(path: Path, options: ImportOptions) -> str:
    """Return the name under which this file with these options is remembered."""
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
    """Import the file; bad rows go to `FILE.rejected` with their reason. Raises InputError for the file itself."""
    kind = detect_format(path, options)
    name = compute_fingerprint(path, options)
    now = services.clock.now()
    before = services.database.run(lambda connection: _load_or_create_import(connection, name, path, now))
    outcome = ImportResult(rows=before.rows, rejected=before.rejected, resumed_at=before.rows)
    if before.done:
        outcome.already_done = True
        return outcome
    rejects = Path(f"{path}.rejected")
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
    seen: Counter[bytes] = Counter()
    rows = read_rows(path, kind)
    for row in islice(rows, before.rows):
        _message_id_of(row, options, seen)
    mode = "a" if before.rows else "w"
    with rejects.open(mode, encoding="utf-8") as out:
        while batch := list(islice(rows, _BATCH)):
            items, bad = _read_batch(batch, options, seen, playbook, now)
            store = partial(
                _store_batch,
                name=name,
                items=items,
                bad=len(bad),
                rows=len(batch),
                playbook=playbook,
                now=now,
            )
            run_without_lost_race(services.database, store)
            for row, reason in bad:
                text = {"line": row.line, "reason": reason, "row": row.raw}
                out.write(json.dumps(text, ensure_ascii=False) + "\n")
            outcome.rows += len(batch)
            outcome.accepted += len(items)
            outcome.rejected += len(bad)
            if progress is not None:
                progress(outcome.rows)
    detail = {"import": name, "kind": options.kind, "rows": outcome.rows, "rejected": outcome.rejected}

    def finish(connection: sa.Connection) -> None:
        _mark_done(connection, name)
        record(connection, at=services.clock.now(), actor=actor, action="import", detail=detail)

    services.database.run(finish)
    services.bells.ring("inbox", "all")
    if outcome.rejected:
        outcome.rejected_file = str(rejects)
    else:
        rejects.unlink(missing_ok=True)
    return outcome


def _load_or_create_import(connection: sa.Connection, name: str, path: Path, now: Instant) -> sa.Row[Any]:
    known = sa.select(t.imports).where(t.imports.c.fingerprint == name)
    row = connection.execute(known).one_or_none()
    if row is None:
        values = {"fingerprint": name, "name": path.name, "at": now, "rows": 0, "rejected": 0, "done": False}
        connection.execute(sa.insert(t.imports).values(values))
        row = connection.execute(known).one()
    return row


def _store_batch(
    connection: sa.Connection,
    *,
    name: str,
    items: list[_ImportRow],
    bad: int,
    rows: int,
    playbook: Playbook,
    now: Instant,
) -> None:
    accept(connection, [item.event for item in items])
    consents = [
        ImportedConsent(item.event.identities, topic, state, at, source)
        for item in items
        for topic, state, at, source in item.consents
    ]
    if consents:
        import_consents(connection, consents, playbook=playbook, now=now)
    connection.execute(
        sa.update(t.imports)
        .where(t.imports.c.fingerprint == name)
        .values(rows=t.imports.c.rows + rows, rejected=t.imports.c.rejected + bad)
    )


def _mark_done(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.update(t.imports).where(t.imports.c.fingerprint == name).values(done=True))


# ---- one row ---------------------------------------------------------------------------------------------


def _read_batch(
    batch: list[FileRow], options: ImportOptions, seen: Counter[bytes], playbook: Playbook, now: Instant
) -> tuple[list[_ImportRow], list[tuple[FileRow, str]]]:
    items: list[_ImportRow] = []
    bad: list[tuple[FileRow, str]] = []
    for row in batch:
        message_id = _message_id_of(row, options, seen)
        try:
            items.append(_read_row(row, message_id, options, playbook, now))
        except InputError as error:
            bad.append((row, str(error)))
    return items, bad


def _message_id_of(row: FileRow, options: ImportOptions, seen: Counter[bytes]) -> str:
    """Return the row's own message id, or one of its content and occurrence."""
    own = row.cells.get("message_id")
    if isinstance(own, str) and own:
        return own
    text = json.dumps([options.kind, options.event, row.cells], sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=16).digest()
    seen[digest] += 1
    return f"{digest.hex()}-{seen[digest]}"


def _read_row(
    row: FileRow, message_id: str, options: ImportOptions, playbook: Playbook, now: Instant
) -> _ImportRow:
    if row.fault:
        raise InputError(row.fault)
    event = _read_event(row, message_id, options, now)
    if options.kind != "contacts":
        return _ImportRow(event)
    consents, traits = _split_consents(dict(event.traits), playbook, event.occurred_at)
    return _ImportRow(replace(event, traits=traits), consents)


def _read_event(row: FileRow, message_id: str, options: ImportOptions, now: Instant) -> NewEvent:
    """Read one row as an event. now: when it was received; nothing happens later."""
    cells = {options.map.get(name, name): value for name, value in row.cells.items()}
    identities = _read_identities(cells)
    if not identities and options.kind != "objects":
        raise InputError("nobody: fill one of user_id, email, phone, anonymous_id")
    is_contact = options.kind == "contacts"
    name = "Identified" if is_contact else str(cells.get("event") or options.event or "")
    if not name:
        raise InputError("no event: fill the column event, or add --event NAME")
    rest = {name: value for name, value in cells.items() if name not in _OWN}
    return NewEvent(
        source="import",
        message_id=message_id,
        kind="identify" if is_contact else "track",
        name=name,
        occurred_at=_read_occurred_at(cells, now),
        received_at=now,
        historic=options.historic,
        identities=identities if options.kind != "objects" else (),
        properties={} if is_contact else rest,
        traits=rest if is_contact else {},
        context={"backlog": "enter"} if options.backlog == "enter" else {},
    )


_CANONICAL: Mapping[str, Callable[[str], str | None]] = {
    "user_id": canonical_user_id,
    "email": canonical_email,
    "phone": canonical_phone,
    "anonymous_id": canonical_user_id,
}


def _read_identities(cells: Mapping[str, Any]) -> tuple[Identity, ...]:
    found = []
    for kind in _WHO:
        value = cells.get(kind)
        if value is None:
            continue
        canonical = _CANONICAL[kind](str(value))
        if canonical is None:
            message = f"{kind}: {str(value)[:80]!r} is not one"
            raise InputError(message)
        found.append(Identity(kind, canonical))  # type: ignore[arg-type]
    return tuple(found)


def _read_occurred_at(cells: Mapping[str, Any], now: Instant) -> Instant:
    value = cells.get("timestamp")
    if value is None:
        return now
    instant = coerce(value, "instant")
    if instant is None:
        message = f"timestamp: {str(value)[:40]!r} is no date; write for example 2026-03-01T12:00:00Z"
        raise InputError(message)
    return min(int(instant), now)


def _split_consents(
    cells: dict[str, Any], playbook: Playbook, given_at: Instant
) -> tuple[tuple[tuple[str, str, Instant, str], ...], dict[str, Any]]:
    """Split the consent columns off: (topic, state, at, source), and what is left."""
    rest = {name: value for name, value in cells.items() if not name.startswith(_CONSENT)}
    at = coerce(cells.get("consent_at"), "instant") if "consent_at" in cells else given_at
    if at is None:
        raise InputError("consent_at: no date; write for example 2026-03-01T12:00:00Z")
    source = str(cells.get("consent_source", "import"))[:200]
    found = []
    for name, value in cells.items():
        topic = name.removeprefix(_CONSENT)
        if not name.startswith(_CONSENT) or topic in ("at", "source"):
            continue
        if topic not in playbook.topics:
            message = (
                f"{name}: the playbook has no topic {topic!r}; it has {', '.join(sorted(playbook.topics))}"
            )
            raise InputError(message)
        if value not in _STATES:
            message = f"{name}: write granted or withdrawn, not {str(value)[:40]!r}"
            raise InputError(message)
        found.append((topic, str(value), int(at), source))
    return tuple(found), rest


def read_map(pairs: list[str]) -> dict[str, str]:
    """Read `column=field` pairs of the command line."""
    mapping = {}
    for pair in pairs:
        column, equals, name = pair.partition("=")
        if not equals or not column or not name:
            message = f"--map {pair}: write column=field, for example --map mail=email"
            raise InputError(message)
        mapping[column] = name
    return mapping


def read_events(rows: Iterator[FileRow], options: ImportOptions) -> Iterator[tuple[FileRow, NewEvent | None]]:
    """Read rows of events outside an import (simulation); a row with a fault comes with None."""
    seen: Counter[bytes] = Counter()
    for row in rows:
        message_id = _message_id_of(row, options, seen)
        if row.fault:
            yield row, None
            continue
        try:
            yield row, _read_event(row, message_id, options, FOREVER)
        except InputError as error:
            yield replace(row, fault=str(error)), None


def preview(path: Path, options: ImportOptions, *, limit: int = 3) -> Iterator[FileRow]:
    """Yield the first rows of a file, for a look before an import."""
    return islice(read_rows(path, detect_format(path, options)), limit)

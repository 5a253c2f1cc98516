"""Accept events: store them as rows of the inbox, and quarantine those that break a bound with the reason.

Input: `NewEvent`s that an edge (HTTP, import, Celery, ops) has read. Output: rows of `inbox`, in one statement; the
caller commits, and the workers of the rows' shards are notified after the commit. The drain decides under the contact's
lock whether an event is new (`journey.drain`), so accepting never waits for a lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.inbox_queries import BULK, LIVE, SHARDS, insert_quarantined, insert_rows
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.database.notifications import ALL, INBOX, note
from nurture.domain.event import EventKind, Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import DAY, EARLIEST, Duration, Instant
from nurture.runtime.failpoints import failpoint

#: An event older than this on arrival is refused unless historic. Events are kept this long (25 months), so a
#: repetition of an older one could not be recognised.
RETENTION: Final[Duration] = 761 * DAY
#: Bytes of properties, traits and context together, as JSON.
BODY_BYTES_MAX: Final = 32 * 1024
#: Depth of nested containers, the outermost counted.
DEPTH_MAX: Final = 12
#: Characters of a name, message id or source, of one identity, and of a quarantined item without a form.
_TEXT_MAX: Final = 255
_IDENTITY_MAX: Final = 320
_RAW_MAX: Final = 2_000
#: Characters of a quarantined item with a form: more than a whole event within the bounds, and its names.
_WHOLE_MAX: Final = 3 * BODY_BYTES_MAX
_INTEGER_MAX: Final = 10**100


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as an edge has read it; `domain.event.Event` explains the fields."""

    source: str
    message_id: str
    kind: EventKind
    name: str
    occurred_at: Instant
    received_at: Instant
    historic: bool = False
    # Canonical, at most one of each kind; empty: it may feed an object.
    identities: tuple[Identity, ...] = ()
    # For an alias: the id the person had before.
    previous_id: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    # True: a browser key told it, so it proves nothing (`domain.identity`).
    hint: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that is not an event, or an event that cannot be applied."""

    source: str
    message_id: str | None
    received_at: Instant
    # shape | rule | conflict | crash | too_old
    stage: str
    reason: str
    # The item as received; cut to 2,000 characters when stored without a form.
    raw: str
    contact_id: int | None = None
    # How the quarantine hands it in again: a column of `quarantine`; None: it cannot.
    form: str | None = None
    hint: bool = False


def shard_of(identity: Identity) -> int:
    """Return the shard of live events whose strongest identity this is."""
    return _hash(f"{identity.kind}:{identity.value}")


def shard_for(event: NewEvent) -> int:
    """Return the event's place among the shards of its class; one without a person is spread by its message id."""
    if event.identities:
        return shard_of(strongest_first(event.identities)[0])
    return _hash(f"{event.source}:{event.message_id}")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest()) % SHARDS


def accept(
    connection: sa.Connection, events: Sequence[NewEvent], *, notify: bool = True, bulk: bool = False
) -> int:
    """Append the events to the inbox in the order given and return how many; the caller commits.

    One statement for any number of events. An event that breaks a bound is quarantined by a second statement: stage
    `shape` for a text that is too long and a body over 32 KB or nested deeper than 12, `too_old` for an event older
    than RETENTION. NULs and lone surrogates are removed from every text.

    bulk: True for events of which many come at once and none is urgent (an import, a send to many): live events are
    applied before them. Historic events are always bulk.

    The workers of the events' shards are notified after the commit. notify: False for a part of bulk work, of which
    another transaction notes the whole inbox (`note_inbox`). Raises RuntimeError where no transaction notifies.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for event in events:
        try:
            rows.append(_row(event, bulk=bulk or event.historic))
        except _Refused as refused:
            rejected.append(_rejected(event, refused))
    insert_rows(connection, rows)
    quarantine(connection, rejected)
    note(connection, INBOX, *(sorted({inbox_key(row["shard"]) for row in rows}) if notify else ()))
    failpoint("inbox.accepted")
    return len(rows)


def find_refusal(event: NewEvent) -> str | None:
    """Return why `accept` would quarantine the event; None when it would store it."""
    try:
        _row(event, bulk=False)
    except _Refused as refused:
        return str(refused)
    return None


def inbox_key(shard: int) -> str:
    """Return the key by which the worker of a shard is notified: one worker begins all bulk work."""
    return str(shard) if shard in LIVE else ALL


def note_inbox(connection: sa.Connection) -> None:
    """Record that events wait in the inbox: after the commit one worker is notified for all shards."""
    note(connection, INBOX, ALL)


def quarantine(connection: sa.Connection, items: Sequence[Rejected]) -> None:
    """Quarantine the items with their reasons, in one statement; the caller commits."""
    insert_quarantined(
        connection,
        [
            {
                "source": clean(item.source)[:_TEXT_MAX],
                "message_id": clean(item.message_id)[:_TEXT_MAX] if item.message_id is not None else None,
                "received_at": item.received_at,
                "stage": item.stage,
                "reason": clean(item.reason)[:_RAW_MAX],
                **_kept(item),
                "contact_id": item.contact_id,
                "hint": item.hint,
            }
            for item in items
        ],
    )


def _kept(item: Rejected) -> Row:
    """Return the item's text and its form; a text too long to be kept whole is cut and has no form."""
    raw = clean(item.raw)
    is_whole = item.form is not None and len(raw) <= _WHOLE_MAX
    return {"raw": raw if is_whole else raw[:_RAW_MAX], "form": item.form if is_whole else None}


class _Refused(Exception):
    """The event breaks a bound; `stage` is a column of `quarantine`."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


def _row(event: NewEvent, *, bulk: bool) -> Row:
    if event.occurred_at < event.received_at - RETENTION and not event.historic:
        raise _Refused(
            "too_old", f"it happened more than {RETENTION // DAY} days before it came; import it as historic"
        )
    if event.occurred_at < EARLIEST:
        raise _Refused("too_old", "its time lies before the year 1900; write when it happened")
    row: Row = {
        "shard": (BULK if bulk else LIVE)[shard_for(event)],
        "source": _bounded(event.source, "source", _TEXT_MAX),
        "message_id": _bounded(event.message_id, "messageId", _TEXT_MAX),
        "kind": event.kind,
        "name": _bounded(event.name, "event", _TEXT_MAX),
        "occurred_at": min(event.occurred_at, event.received_at),
        "received_at": event.received_at,
        "historic": event.historic,
        "user_id": None,
        "email": None,
        "phone": None,
        "anonymous_id": None,
        "previous_id": None,
        "body": _body(event),
        "hint": event.hint,
    }
    for identity in event.identities:
        row[identity.kind] = _bounded(identity.value, identity.kind, _IDENTITY_MAX)
    if event.previous_id is not None:
        row["previous_id"] = _bounded(event.previous_id, "previousId", _IDENTITY_MAX)
    return row


def _bounded(text: str, name: str, characters_max: int) -> str:
    value = clean(text)
    if not value or len(value) > characters_max:
        raise _Refused(
            "shape", f"{name}: {'empty' if not value else f'longer than {characters_max} characters'}"
        )
    return value


def _body(event: NewEvent) -> str:
    """Return the event's documents as JSON text, clean and within the bounds."""
    parts = {"properties": event.properties, "traits": event.traits, "context": event.context}
    body = {name: part for name, part in parts.items() if part}
    try:
        text = encode(body)
    except (ValueError, RecursionError, TypeError):
        text = _encode_cleaned(body)
    # The number of braces bounds the depth from above, so only a body that exceeds it is walked. \u0000 may also be
    # an escaped backslash before u0000, which cleaning leaves unchanged.
    if "\\u0000" in text or text.count("{") + text.count("[") > DEPTH_MAX:
        text = _encode_cleaned(body)
    if len(text.encode()) > BODY_BYTES_MAX:
        raise _Refused("shape", f"larger than {BODY_BYTES_MAX} bytes")
    return text


def _encode_cleaned(body: Mapping[str, Any]) -> str:
    try:
        # The outermost container is added here; the event does not nest it.
        return encode(_cleaned(body, DEPTH_MAX + 1))
    except TypeError as error:
        raise _Refused("shape", f"not JSON: {error}") from error


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and abs(value) > _INTEGER_MAX:
        # So long a number cannot be written as text.
        return None
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == 0:
        raise _Refused("shape", f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(inner, depth - 1) for key, inner in value.items()}
    return [_cleaned(inner, depth - 1) for inner in value]


def clean(text: str) -> str:
    """Return the text without NULs and lone surrogates, which no database stores."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii():
        text = text.encode("utf-8", "ignore").decode()
    return text


def _rejected(event: NewEvent, refused: _Refused) -> Rejected:
    return reject_event(event, refused.stage, str(refused))


def reject_event(event: NewEvent, stage: str, reason: str) -> Rejected:
    """Return the event as an item for the quarantine, which can hand it in again unless it is too large."""
    try:
        raw, form = encode(event_document(event)), "event"
    except (ValueError, RecursionError, TypeError):
        raw, form = repr((event.kind, event.name, event.identities)), None
    return Rejected(
        source=event.source,
        message_id=event.message_id,
        received_at=event.received_at,
        stage=stage,
        reason=reason,
        raw=raw,
        form=form,
        hint=event.hint,
    )


def event_document(event: NewEvent) -> dict[str, Any]:
    """Return the event as the JSON object from which `contacts.kept_events` reads it."""
    parts = {"properties": event.properties, "traits": event.traits, "context": event.context}
    return {
        "kind": event.kind,
        "name": event.name,
        "occurred_at": event.occurred_at,
        "historic": event.historic,
        "identities": {name.kind: name.value for name in event.identities},
        "previous_id": event.previous_id,
        "body": encode({name: part for name, part in parts.items() if part}),
    }

"""The content of one record of a file, or why it is rejected; and the bounds that an accepted event keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from nurture.app.importing.cells import shown
from nurture.consent.from_files import ImportedConsent
from nurture.consent.record import Suppression
from nurture.contacts.accept import BODY_BYTES_MAX, RETENTION, NewEvent
from nurture.database.engine import encode
from nurture.domain.instant import DAY, EARLIEST
from nurture.inbound.files.table import Record

_NAME_MAX: Final = 255
#: A body whose cells are shorter than this in all is never too large.
_SMALL: Final = BODY_BYTES_MAX // 8


class Rejection(Exception):
    """A record cannot be used; `kind` is its class in the counts."""

    def __init__(self, kind: str, text: str) -> None:
        """Keep the class and the sentence."""
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Remark:
    """A cell that somebody should look at: unread, or read with a reservation."""

    line: int
    column: str
    cell: str
    text: str
    is_unread: bool = True


@dataclass(slots=True)
class Row:
    """The content of one record, or of the records of one order."""

    records: Sequence[Record]
    events: list[NewEvent] = field(default_factory=list)
    consents: list[ImportedConsent] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    cells: int = 0
    rejection: Rejection | None = None
    # Orders: paid, and still counting after refunds and cancellations.
    orders: int = 0
    orders_net: int = 0


def check_fault(records: Sequence[Record]) -> None:
    """Refuse records of which one cannot be read. Raises Rejection."""
    for record in records:
        if record.fault is not None:
            raise Rejection(record.fault.kind, record.fault.text)


def remark(record: Record, column: str, cell: Any, text: str, *, is_unread: bool = True) -> Remark:
    """Return a remark about a cell of a record."""
    return Remark(record.line, column, shown(cell), text, is_unread)


def digest_of(*parts: Any) -> str:
    """Return a message id made of a thing and its state, so that telling it again changes nothing."""
    return blake2b(encode(list(parts)).encode(), digest_size=16).hexdigest()


def check_bounds(event: NewEvent) -> None:
    """Refuse an event that the inbox would put into quarantine. Raises Rejection."""
    is_old = event.occurred_at < event.received_at - RETENTION and not event.historic
    if event.occurred_at < EARLIEST or is_old:
        raise Rejection("bad_date", f"more than {RETENTION // DAY} days ago: add --historic")
    if len(event.name) > _NAME_MAX or len(event.message_id) > _NAME_MAX:
        raise Rejection(
            "too_long", f"the name or id of the event is longer than {_NAME_MAX} characters: shorten it"
        )
    if _size(event.properties) + _size(event.traits) > _SMALL:
        body = {"properties": event.properties, "traits": event.traits, "context": event.context}
        if len(encode(body).encode()) > BODY_BYTES_MAX:
            raise Rejection(
                "too_long", f"larger than {BODY_BYTES_MAX} bytes: leave columns out with --map COLUMN=-"
            )


def _size(values: Mapping[str, Any]) -> int:
    """Return an upper bound of the characters of simple values; anything else counts as large."""
    return sum(len(name) + _size_of(value) for name, value in values.items())


def _size_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return 24 if isinstance(value, int | float) or value is None else _SMALL

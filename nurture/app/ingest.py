"""Read the items of an ingestion body as `NewEvent`s and rejected items. Pure, no I/O.

It accepts what every recorded client of the Segment family sends (docs/http.md): explicit nulls, times as text or
numbers, ids as numbers, traits inside the context. An invalid item is rejected alone, with its reason; the rest of
the batch is accepted. Next, `contacts.accept` cleans texts, refuses items nested too deeply or too old, and stores
the events.
"""

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

import msgspec

from nurture.app.event_body import Body, NotJson, repair
from nurture.contacts.accept import NewEvent, Rejected
from nurture.domain.event import KIND_NAMES, EventKind, Identity
from nurture.domain.hints import RESERVED
from nurture.domain.identity import canonical_email, canonical_phone, canonical_user_id
from nurture.domain.instant import HOUR, SECOND, Duration, Instant
from nurture.domain.placeholders import without_placeholders
from nurture.domain.values import INTEGER_MAX, read_clock, read_time

#: Largest item; Segment's own API has this limit.
ITEM_BYTES_MAX: Final = 32 * 1024
#: Longest event name, message id and identity.
TEXT_MAX: Final = 200
#: Largest number that is taken as an id; some systems number with 128 bits.
_ID_NUMBER_MAX: Final = 2**128
#: The form of a quarantined call (a column of `quarantine`); `call:KIND` came to the path of this kind.
CALL: Final = "call"
#: A difference below this between sentAt and our clock is network delay, not skew, and is not corrected.
SKEW_MIN: Final[Duration] = 5 * SECOND

#: The kept fields of a call's context. The others (library, client address) say nothing about the person.
_CONTEXT_KEPT: Final = frozenset(
    {"locale", "timezone", "campaign", "page", "referrer", "device", "os", "userAgent", "groupId"}
)


@dataclass(slots=True)
class Intake:
    """The result of reading one body: events to accept, and rejected items for the quarantine."""

    events: list[NewEvent] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class _Item(msgspec.Struct):
    type: Any = None
    event: Any = None
    name: Any = None
    category: Any = None
    userId: Any = None  # noqa: N815 - Segment's field names
    anonymousId: Any = None  # noqa: N815
    previousId: Any = None  # noqa: N815
    groupId: Any = None  # noqa: N815
    messageId: Any = None  # noqa: N815
    timestamp: Any = None
    originalTimestamp: Any = None  # noqa: N815
    sentAt: Any = None  # noqa: N815
    properties: Any = None
    traits: Any = None
    context: Any = None


_read_item = msgspec.json.Decoder(_Item).decode


class _ItemError(Exception):
    """One item is invalid; the message is the reason."""

    message_id: str | None = None


def read_items(
    body: Body, *, source: str, received_at: Instant, kind: str | None = None, hint: bool = False
) -> Intake:
    """Read every item of a body on its own.

    source: the write key's name. kind: the endpoint's kind of call, for items without a type.
    hint: a browser key, or a page, tells the items. An item without a
    messageId gets one made from its content, so that a repeated request is recognised; equal items of one body get
    different ids.
    """
    intake = Intake()
    reader = _Reader(source=source, received_at=received_at, sent_at=body.sent_at, kind=kind, hint=hint)
    for item in body.items:
        try:
            intake.events.append(reader.read(item))
        except _ItemError as refusal:
            row = reject(item, str(refusal), source=source, received_at=received_at)
            # Kept whole, a call can be handed in again from the quarantine.
            is_whole = len(memoryview(item)) <= ITEM_BYTES_MAX
            form = (CALL if kind is None else f"{CALL}:{kind}") if is_whole else None
            intake.rejected.append(replace(row, message_id=refusal.message_id, form=form, hint=hint))
    return intake


def reject(raw: bytes | msgspec.Raw, reason: str, *, source: str, received_at: Instant) -> Rejected:
    """Return the quarantine row of an item that could not be read, with its text as far as it is kept at all."""
    text = bytes(memoryview(raw)[: ITEM_BYTES_MAX + 1]).decode("utf-8", "replace")
    return Rejected(
        source=source,
        message_id=None,
        received_at=received_at,
        stage="shape",
        reason=reason,
        raw=text.replace("\x00", ""),
    )


@dataclass(slots=True)
class _Reader:
    """Reads the items of one body. It holds their common values and counts items with equal content."""

    source: str
    received_at: Instant
    sent_at: Instant | None
    kind: str | None
    hint: bool = False
    occurrences: dict[str, int] = field(default_factory=dict)

    def read(self, raw: bytes | msgspec.Raw) -> NewEvent:
        """Return the event of one item. Raises _ItemError."""
        if len(memoryview(raw)) > ITEM_BYTES_MAX:
            raise _ItemError(f"item: larger than {ITEM_BYTES_MAX // 1024} KB")
        item = _decode(raw)
        try:
            return self._event(item)
        except _ItemError as refusal:
            refusal.message_id = item.messageId[:TEXT_MAX] if isinstance(item.messageId, str) else None
            raise

    def _event(self, item: _Item) -> NewEvent:
        kind = self._kind(item)
        properties = _object(item.properties, "properties")
        traits = _object(item.traits, "traits")
        context = _object(item.context, "context")
        person = traits if kind != "group" else {}
        if isinstance(known := context.get("traits"), dict):
            person = {**known, **person}
        identities = _identities(item, person)
        if kind != "track" and not identities:
            raise _ItemError(f"{kind}: no person; give userId, anonymousId or traits.email")
        name = self._name(item, kind, properties)
        return NewEvent(
            source=self.source,
            message_id=_text(item.messageId, "messageId") or self._content_id(item, kind),
            kind=kind,
            name=name,
            occurred_at=self._occurred_at(item),
            received_at=self.received_at,
            historic=False,
            identities=identities,
            previous_id=_previous_id(item) if kind == "alias" else None,
            properties=properties,
            traits=traits if kind == "group" else person,
            context={
                key: value for key, value in context.items() if key in _CONTEXT_KEPT and value is not None
            },
            hint=self.hint,
        )

    def _kind(self, item: _Item) -> EventKind:
        name = item.type if type(item.type) is str else self.kind
        kind = _KINDS.get(name) or _KINDS.get(name.strip().lower()) if name else None
        if kind is None:
            raise _ItemError(
                f"type: {name!r:.40} is none of {', '.join(_KINDS)}" if name else "type: missing"
            )
        return kind

    def _name(self, item: _Item, kind: EventKind, properties: dict[str, Any]) -> str:
        if kind == "track":
            name = _text(item.event, "event")
            if name is None:
                raise _ItemError("event: missing; name what happened")
            if name in RESERVED:
                raise _ItemError(f"event: {name} is told by the confirmation page and by imports only")
            return name
        if kind == "group":
            group = _text(item.groupId, "groupId")
            if group is None:
                raise _ItemError("groupId: missing")
            properties["group_id"] = group
        elif kind in ("page", "screen"):
            for field_name in ("name", "category"):
                value = getattr(item, field_name)
                if isinstance(value, str) and value:
                    properties.setdefault(field_name, value)
        return KIND_NAMES[kind]

    def _occurred_at(self, item: _Item) -> Instant:
        """Return when the event occurred by our clock: the client's time plus its skew, never later than now.

        A forwarder may have corrected `timestamp` already; then `sentAt` belongs to `originalTimestamp`.
        """
        value = item.timestamp if item.originalTimestamp is None else item.originalTimestamp
        if value is None or value == "":
            return self.received_at
        at = read_time(value)
        if at is None:
            raise _ItemError(f"timestamp: {value!r:.40} is not a date; write 2026-01-31T09:00:00Z")
        sent_at = self.sent_at if self.sent_at is not None else read_clock(item.sentAt)
        if sent_at is not None and abs(self.received_at - sent_at) > SKEW_MIN:
            at += self.received_at - sent_at
        return min(at, self.received_at)

    def _content_id(self, item: _Item, kind: str) -> str:
        at = item.originalTimestamp or item.timestamp
        if not at:
            # Without a time, equal events within an hour are taken as one repeated request. Calls that set a state
            # (identify, group, alias) are never merged: of `pro`, `free`, `pro` within an hour the last one counts.
            at = self.received_at // HOUR if kind in ("track", "page", "screen") else self.received_at
        content = (kind, at, *(getattr(item, name) for name in _CONTENT))
        digest = blake2b(msgspec.json.encode(content, order="deterministic"), digest_size=16).hexdigest()
        place = self.occurrences.get(digest, 0)
        self.occurrences[digest] = place + 1
        return f"content-{digest}" if place == 0 else f"content-{digest}-{place}"


_KINDS: Final[dict[str, EventKind]] = {
    "identify": "identify",
    "track": "track",
    "page": "page",
    "screen": "screen",
    "group": "group",
    "alias": "alias",
}
#: The fields that identify an item without a message id. sentAt is not among them: it changes with every retry.
_CONTENT: Final = (
    *("event", "name", "category", "userId", "anonymousId", "previousId", "groupId"),
    *("properties", "traits", "context"),
)


def _decode(raw: bytes | msgspec.Raw) -> _Item:
    try:
        item = _read_item(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            item = _read_item(repair(bytes(memoryview(raw))))
        except (msgspec.DecodeError, NotJson) as error:
            raise _ItemError(f"item: not an object ({error})") from error
    return item


def _object(value: Any, name: str) -> dict[str, Any]:
    """Return the object; null and the `[]` that PHP writes for an empty object are empty. Raises _ItemError."""
    if not value:
        return {}
    if type(value) is not dict:
        raise _ItemError(f"{name}: not an object")
    return value


def _text(value: Any, name: str) -> str | None:
    """Return an id or name as text: a whole number as its digits, empty text as None. Raises _ItemError."""
    if type(value) is not str:
        if value is None:
            return None
        if type(value) is float and value.is_integer() and abs(value) <= INTEGER_MAX:
            value = int(value)
        if type(value) is not int or abs(value) > _ID_NUMBER_MAX:
            raise _ItemError(f"{name}: neither text nor a whole number")
        value = str(value)
    value = value.strip()
    if len(value) > TEXT_MAX:
        raise _ItemError(f"{name}: longer than {TEXT_MAX} characters")
    return value or None


def _identities(item: _Item, person: dict[str, Any]) -> tuple[Identity, ...]:
    """Return the canonical identities, strongest first. Invalid e-mail addresses and phone numbers are left out."""
    user_id = _text(item.userId, "userId")
    anonymous_id = _text(item.anonymousId, "anonymousId")
    email = person.get("email")
    # Many sites use the address as user id and send no trait.
    if email is None and user_id is not None and "@" in user_id:
        email = user_id
    identities: list[Identity] = []
    if user_id is not None and (known := canonical_user_id(user_id)) is not None:
        identities.append(Identity("user_id", known))
    if type(email) is str and (known := canonical_email(email)) is not None:
        identities.append(Identity("email", known))
    if type(phone := person.get("phone")) is str and (known := canonical_phone(phone)) is not None:
        identities.append(Identity("phone", known))
    if anonymous_id is not None and (known := canonical_user_id(anonymous_id)) is not None:
        identities.append(Identity("anonymous_id", known))
    return without_placeholders(identities)


def _previous_id(item: _Item) -> str:
    before = _text(item.previousId, "previousId")
    if before is None:
        raise _ItemError("previousId: missing; an alias joins an earlier id to userId")
    return before

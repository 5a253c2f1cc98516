"""Kinds of entities: things of a person's that have a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from nurture.domain.conditions import Term
from nurture.domain.instant import DAY, Duration
from nurture.domain.playbook.facts import EventMatch
from nurture.domain.playbook.published_values import UsualInterval


@dataclass(frozen=True, slots=True)
class LineRule:
    """The keyed list inside an entity: the goods of a cart or of an order."""

    # Properties that identify a line: the first one that the line has.
    keys: tuple[str, ...]
    # The property of the entity's events that holds the list (`products`); "": lines come one by one.
    source: str = ""
    # Events that add one line and that remove one.
    added_by: tuple[str, ...] = ()
    removed_by: tuple[str, ...] = ()
    # Kinds whose counted entities take their lines out of this list: what was bought is in no cart any more.
    removed_by_kinds: tuple[str, ...] = ()

    @property
    def may_shrink(self) -> bool:
        """Tell whether lines come and go one by one, so that an entity without lines is empty."""
        return bool(self.added_by or self.removed_by or self.removed_by_kinds)


@dataclass(frozen=True, slots=True)
class Reversal:
    """Events that take an entity back: in full, or by the amount that they name."""

    match: EventMatch
    # None: in full.
    amount: str | None = None
    # The property that identifies a refund, so that one told twice counts once; None: the message id.
    key: str | None = None


@dataclass(frozen=True, slots=True)
class DueRule:
    """When a line is needed again: after the person's own interval, drawn toward the usual one."""

    usual: Duration | UsualInterval
    # How many intervals of the person's own the usual one weighs.
    weight: int


@dataclass(frozen=True, slots=True)
class EntityKind:
    """Things of a contact that have a key and open and close: carts, orders, appointments, cases.

    Events of `of` open and update it; each property of such an event becomes a field (newest occurred_at wins). Closed
    ones are kept for `remember`. Scalars: `NAME.open`, `NAME.ever` (that count and stand), `NAME.last_at`.
    """

    name: str
    # Properties that hold its key: the first one that the event has.
    keys: tuple[str, ...]
    of: tuple[EventMatch, ...] = ()
    # The events that make it count; none: every one of `of`.
    counts_from: tuple[EventMatch, ...] = ()
    # The property that holds its amount.
    amount: str | None = None
    # Event name -> `key` (of that key; without one every entity last updated before the event) or `all`.
    closed_by: Mapping[str, Literal["key", "all"]] = field(default_factory=dict)
    # `restored_by` takes a reversal in full back.
    reversed_by: tuple[Reversal, ...] = ()
    restored_by: tuple[EventMatch, ...] = ()
    # The kind that it is a part of, and the properties that hold that one's key.
    within: str = ""
    parent_keys: tuple[str, ...] = ()
    lines: LineRule | None = None
    # The kind whose lines are its events (`of: order.lines`), "" for none; `due` is for those.
    lines_of: str = ""
    due: DueRule | None = None
    keep: int = 20
    remember: Duration = 30 * DAY

    @property
    def key(self) -> str:
        """Return the first property that holds its key."""
        return self.keys[0]


#: Fields that are worked out for an entity over lines: how often it was bought, when last, and when again (`due`).
_WORKED_OUT: Final[Mapping[str, Term]] = {
    "times": Term("times", "integer", "unknown"),
    "last_at": Term("last_at", "instant", "unknown"),
    "due_at": Term("due_at", "instant", "unknown"),
}
_WORKED_OUT_WITHOUT_DUE: Final = {name: term for name, term in _WORKED_OUT.items() if name != "due_at"}


def field_terms(kind: EntityKind | None, properties: Mapping[str, Term]) -> Mapping[str, Term]:
    """Return the typed fields of an entity: the declared properties, and those worked out for one over lines."""
    if kind is None or not kind.lines_of:
        return properties
    return {**(_WORKED_OUT if kind.due is not None else _WORKED_OUT_WITHOUT_DUE), **properties}

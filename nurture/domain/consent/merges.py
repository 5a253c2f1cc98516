"""Merges of contacts, and the fold of dated rows over a contact with everything merged into it.

Consents and preferences follow the same rule. Within one contact the newest row decides, and of rows of one instant
the stricter, so the order in which rows arrive changes nothing. Where two contacts
turned out to be one person, the stricter of both holds from the merge on, until the person says something newer.
So a merge never undoes a withdrawal, and a confirmation given after the merge still counts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class ContactMerge:
    """A merge: `merged` became part of `survivor` at this instant."""

    survivor: int
    merged: int
    at: Instant


class ContactRow(Protocol):
    """A dated row of one contact. Of rows of one instant the stricter decides, then the one written last."""

    @property
    def contact_id(self) -> int:
        """The contact the row was written for."""

    @property
    def at(self) -> Instant:
        """The instant at which the person decided it."""

    @property
    def strictness(self) -> int:
        """Decides between rows of one instant: the stricter counts as the later."""

    @property
    def id(self) -> int:
        """The order of writing."""


Row = TypeVar("Row", bound=ContactRow)
Value = TypeVar("Value")


def list_families(contact_ids: Iterable[int], merges: Iterable[ContactMerge]) -> dict[int, list[int]]:
    """Return contact -> the contact itself and every contact that these merges lead into it."""
    merged: dict[int, list[int]] = {}
    for merge in merges:
        merged.setdefault(merge.survivor, []).append(merge.merged)
    return {contact: _list_family(contact, merged) for contact in contact_ids}


def _list_family(contact: int, merged: Mapping[int, Sequence[int]]) -> list[int]:
    family = {contact: None}
    waiting = [contact]
    while waiting:
        # A contact already in the family is left out, so a circle of merges ends.
        members = [member for member in merged.get(waiting.pop(), ()) if member not in family]
        family.update(dict.fromkeys(members))
        waiting += members
    return list(family)


def fold_family(
    contact_id: int,
    rows: Iterable[Row],
    merges: Iterable[ContactMerge],
    *,
    apply: Callable[[dict[str, Value], Row], dict[str, Value]],
    take_stricter: Callable[[dict[str, Value], dict[str, Value]], dict[str, Value]],
) -> dict[str, Value]:
    """Return what holds for the contact with everything merged into it.

    rows, merges: of any contacts, in any order; those that do not lead to `contact_id` are ignored.
    apply: the values after one more row. take_stricter: the values after a merge of two contacts.
    """
    merges = list(merges)
    if not merges:
        # Most people were never merged, and this is asked for each of them at each mail.
        alone: dict[str, Value] = {}
        for row in sorted((row for row in rows if row.contact_id == contact_id), key=_order_of_row):
            alone = apply(alone, row)
        return alone
    rows_of: dict[int, list[Row]] = {}
    for row in rows:
        rows_of.setdefault(row.contact_id, []).append(row)
    merges_of: dict[int, list[ContactMerge]] = {}
    for merge in merges:
        merges_of.setdefault(merge.survivor, []).append(merge)

    def fold(contact: int, ancestors: frozenset[int]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        # `ancestors` ends a circle of merges.
        merged = [merge for merge in merges_of.get(contact, ()) if merge.merged not in ancestors]
        for step in _in_order(rows_of.get(contact, ()), merged):
            if isinstance(step, ContactMerge):
                values = take_stricter(values, fold(step.merged, ancestors | {contact}))
            else:
                values = apply(values, step)
        return values

    return fold(contact_id, frozenset())


def _in_order(rows: Sequence[Row], merges: Sequence[ContactMerge]) -> list[Row | ContactMerge]:
    """Return the rows and merges by time. Of one instant the merge comes first: the joined person wrote the row."""
    steps: list[tuple[tuple[Instant, int, int, int], Row | ContactMerge]] = [
        (_order_of_row(row), row) for row in rows
    ]
    steps += [((merge.at, 0, 0, merge.merged), merge) for merge in merges]
    return [step for _order, step in sorted(steps, key=lambda step: step[0])]


def _order_of_row(row: ContactRow) -> tuple[Instant, int, int, int]:
    return row.at, 1, row.strictness, row.id

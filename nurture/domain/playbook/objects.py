"""Kinds of objects: things without a person."""

from dataclasses import dataclass

from nurture.domain.instant import DAY, Duration


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of thing without a person: products, articles, webinars; facts are the newest properties of its events."""

    kind: str
    # The property that names it: `product_id`.
    key: str
    # Events that change it (with or without a person).
    of: tuple[str, ...]
    # Contact events that start and end watching.
    watched_from: tuple[str, ...] = ()
    watched_until: tuple[str, ...] = ()
    # Events on which the watchers are woken.
    wakes: tuple[str, ...] = ()
    # The longest time that a contact waits.
    watch_for: Duration = 180 * DAY
    # Contact events by which somebody reads it.
    read_by: tuple[str, ...] = ()

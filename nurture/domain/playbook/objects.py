"""Kinds of objects: things without a person, and the lists of people who watch them."""

from dataclasses import dataclass

from nurture.domain.instant import DAY, Duration


@dataclass(frozen=True, slots=True)
class WatchList:
    """A list of the people who watch objects of a kind, each since some instant."""

    kind: str
    # The property that names an object of the kind.
    key: str
    # "": the list of a kind's `watched_from`.
    name: str
    # Events of a contact that put it on the list, or the entity whose lines do.
    begun_by: tuple[str, ...] = ()
    lines_of: str = ""
    # Events of a contact that take it off the list.
    ended_by: tuple[str, ...] = ()
    # The longest time on the list.
    lasts: Duration = 180 * DAY
    # True: who is put on it asks for one mail about the object; an event that starts a measure for the list answers.
    asked_for: bool = False

    @property
    def id(self) -> str:
        """Return the name under which watches and requests are stored: `product`, `product/asked`."""
        return f"{self.kind}/{self.name}" if self.name else self.kind


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
    # Lists with a name of their own (`watchers`).
    lists: tuple[WatchList, ...] = ()

    @property
    def all_lists(self) -> tuple[WatchList, ...]:
        """Return the list without a name, and those that have one."""
        unnamed = WatchList(
            self.kind, self.key, "", self.watched_from, "", self.watched_until, self.watch_for
        )
        return unnamed, *self.lists

    def list_named(self, name: str) -> WatchList | None:
        """Return the list of that name; None for none."""
        return next((watch for watch in self.all_lists if watch.name == name), None)

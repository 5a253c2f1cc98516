"""Build the kinds of objects, and the lists of people who watch them."""

from collections.abc import Iterator, Mapping

from nurture.domain.playbook import EntityKind, ObjectKind, WatchList
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.events import names_of
from nurture.playbook.schema.programme import ObjectFile, WatchListFile

_LINES = ".lines"
#: In place of lists in a measure's trigger: everybody in its audience.
_AUDIENCE = "audience"


class ObjectBuilder:
    """Builds the `objects` of playbook.yaml."""

    def __init__(self, document: Document, faults: Faults, *, entities: Mapping[str, EntityKind]) -> None:
        self._document, self._faults, self._entities = document, faults, entities

    def build(self, models: Mapping[str, ObjectFile]) -> dict[str, ObjectKind]:
        """Return the kinds by name."""
        kinds: dict[str, ObjectKind] = {}
        for kind, model in models.items():
            self._check_wakes(kind, model)
            kept = ObjectKind(kind, model.key, ()).watch_for
            kinds[kind] = ObjectKind(
                kind,
                model.key,
                names_of(model.of),
                watched_from=tuple(model.watched_from),
                watched_until=tuple(model.watched_until),
                wakes=tuple(model.wakes),
                watch_for=kept if model.watch_for is None else model.watch_for,
                read_by=tuple(model.read_by),
                lists=tuple(self._lists(kind, model)),
            )
        return kinds

    def _lists(self, kind: str, model: ObjectFile) -> Iterator[WatchList]:
        for name, watch in model.watchers.items():
            loc = ("objects", kind, "watchers", name)
            if name == _AUDIENCE:
                what = "`audience` stands for everybody in a measure's audience"
                self._faults.at(self._document, loc, what, "give the list another name")
            begun_by, lines_of = self._beginnings(watch, loc)
            ended_by = names_of(watch.ends) if watch.ends is not None else ()
            for event in begun_by:
                if event in ended_by:
                    what = f"`{event}` begins and ends the same watch"
                    self._faults.at(self._document, (*loc, "until"), what, "name another event")
            if lines_of and watch.asked_for:
                what = "asked_for, but lines of an order ask for nothing"
                self._faults.at(
                    self._document, (*loc, "asked_for"), what, "remove it, or name an event in `from`"
                )
            yield WatchList(
                kind,
                model.key,
                name,
                begun_by=begun_by,
                lines_of=lines_of,
                ended_by=ended_by,
                lasts=watch.lasts,
                asked_for=bool(watch.asked_for),
            )

    def _beginnings(self, watch: WatchListFile, loc: Loc) -> tuple[tuple[str, ...], str]:
        """Return the events that begin a watch, or the entity whose lines do."""
        names = names_of(watch.starts)
        lines = [name.removesuffix(_LINES) for name in names if name.endswith(_LINES)]
        if not lines:
            return names, ""
        place = (*loc, "from")
        if len(names) > 1:
            self._faults.at(
                self._document, place, "events and lines in one list", "write a list for each of them"
            )
        kind = self._entities.get(lines[0])
        if kind is None and lines[0] not in self._faults.broken_names(self._document.path, "entities"):
            known = format_names(frozenset(self._entities), most=40)
            self._faults.at(self._document, place, f"no entity `{lines[0]}`", f"known: {known}")
        elif kind is not None and kind.lines is None:
            what = f"{names[0]} needs lines on {lines[0]}"
            self._faults.at(self._document, place, what, "add `lines:` to it")
        return (), lines[0]

    def _check_wakes(self, kind: str, model: ObjectFile) -> None:
        for event in model.wakes:
            if event not in names_of(model.of):
                what = f"`{event}` wakes watchers and does not change the {kind}"
                self._faults.at(self._document, ("objects", kind, "wakes"), what, "add it to `of`")

"""Faults: everything that is wrong with a playbook, each with its file, line and remedy.

The readers, builders and checks of this package put faults into one `Faults`; nothing stops at the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nurture.playbook.document import Document, Loc


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to change. `str()` gives `file:line: what: what to change`."""

    path: str
    # From 1.
    line: int
    what: str
    change: str

    def __str__(self) -> str:
        """Return the fault as editors and terminals read it."""
        return f"{self.path}:{self.line}: {self.what}: {self.change}"


class Faults:
    """Collects faults; remembers which places are broken so that nothing is reported twice over."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: list[Fault] = []
        self._broken: dict[str, set[tuple[str | int, ...]]] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._found)

    def add(self, path: str, line: int, what: str, change: str) -> None:
        """Keep a fault at a known line."""
        fault = Fault(path, line, what, change)
        if fault not in self._found:
            self._found.append(fault)

    def at(self, document: "Document", loc: "Loc", what: str, change: str, *, column: int = 0) -> None:
        """Keep a fault at a place inside a document, unless that place is known to be broken already.

        column: the character (from 0) inside the text at `loc`, for text that spans lines.
        """
        if not self.is_broken(document.path, loc):
            self.add(document.path, document.line(loc, column=column), what, change)

    def break_off(self, path: str, loc: "Loc") -> None:
        """Mark a place as broken: its fault is reported, what follows from it is not."""
        self._broken.setdefault(path, set()).add(tuple(loc))

    def is_broken(self, path: str, loc: "Loc") -> bool:
        """Tell whether the place, or one that contains it, is broken."""
        broken = self._broken.get(path, ())
        return any(tuple(loc[: len(place)]) == place for place in broken)

    def has_broken(self, path: str, section: str | None = None) -> bool:
        """Tell whether any place of the file (or of one section of it) is broken."""
        places = self._broken.get(path, set())
        return any(section is None or place[:1] in ((), (section,)) for place in places)

    def broken_names(self, path: str, section: str) -> frozenset[str]:
        """Return the entries of a section that did not read: names that exist, but mean nothing yet."""
        places = self._broken.get(path, ())
        return frozenset(str(place[1]) for place in places if len(place) > 1 and place[0] == section)

    def known(self, path: str, section: str, names: Iterable[str], *, depth: int = 2) -> frozenset[str]:
        """Return a section's names, also those that did not read; every name when that cannot be told.

        depth: how deep the names stand in the file; 2 for most sections.
        """
        is_unclear = self.has_broken(path, section) if depth > 2 else self.is_broken(path, (section,))
        if is_unclear:
            return AnyName(names)
        return frozenset(names) | self.broken_names(path, section)

    def sorted(self) -> list[Fault]:
        """Return all faults by file (`playbook.yaml` first) and line."""
        return sorted(self._found, key=lambda f: (f.path != "playbook.yaml", f.path, f.line, f.what))


class AnyName(frozenset[str]):
    """Names of a section that did not read: whatever is asked for may be among them."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Say yes."""
        return True


def list_of(names: Iterable[object], *, most: int = 12) -> str:
    """Return names as text for a fault's remedy, sorted, cut after `most`."""
    ordered = sorted(str(name) for name in names)
    shown = ", ".join(ordered[:most])
    return f"{shown} ..." if len(ordered) > most else (shown or "(none yet)")

"""Faults of a playbook, each with file, line and what to change.

The readers, builders and checks of this package add their faults to one `Faults` and continue, so that the author
sees all of them at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nurture.playbook.document import Document, Loc


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `str()` gives `file:line: what: what to change`."""

    path: str
    # From 1.
    line: int
    what: str
    change: str
    # True: worth a look; the playbook may be published all the same.
    is_warning: bool = False

    def __str__(self) -> str:
        """Return the fault in the form that editors and terminals recognise."""
        kind = "warning: " if self.is_warning else ""
        return f"{self.path}:{self.line}: {kind}{self.what}: {self.change}"


class Faults:
    """Collects faults, and remembers the broken places, so that faults that follow from them are not reported."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._warnings: list[Fault] = []
        self._broken: dict[str, set[tuple[str | int, ...]]] = {}

    def __bool__(self) -> bool:
        """Tell whether there is a fault."""
        return bool(self._faults)

    def add(self, path: str, line: int, what: str, change: str) -> None:
        """Add a fault at a line of a file."""
        fault = Fault(path, line, what, change)
        if fault not in self._faults:
            self._faults.append(fault)

    def at(self, document: "Document", loc: "Loc", what: str, change: str, *, column: int = 0) -> None:
        """Add a fault at a place inside a document, unless that place is marked as broken.

        column: the character (from 0) inside the text at `loc`, for text that spans lines.
        """
        if not self.is_broken(document.path, loc):
            self.add(document.path, document.line(loc, column=column), what, change)

    def warn(self, document: "Document", loc: "Loc", what: str, change: str) -> None:
        """Add a warning at a place inside a document, unless that place is marked as broken."""
        if not self.is_broken(document.path, loc):
            self.add_warning(document.path, document.line(loc), what, change)

    def add_warning(self, path: str, line: int, what: str, change: str) -> None:
        """Add a warning at a line of a file."""
        warning = Fault(path, line, what, change, is_warning=True)
        if warning not in self._warnings:
            self._warnings.append(warning)

    def mark_broken(self, path: str, loc: "Loc") -> None:
        """Mark a place as broken: later faults at or below it are not added."""
        self._broken.setdefault(path, set()).add(tuple(loc))

    def is_broken(self, path: str, loc: "Loc") -> bool:
        """Tell whether the place, or one that contains it, is marked as broken."""
        broken = self._broken.get(path, ())
        return any(tuple(loc[: len(place)]) == place for place in broken)

    def has_broken(self, path: str, section: str | None = None) -> bool:
        """Tell whether any place of the file, or of one of its sections, is marked as broken."""
        places = self._broken.get(path, set())
        return any(section is None or place[:1] in ((), (section,)) for place in places)

    def broken_names(self, path: str, section: str) -> frozenset[str]:
        """Return the names of a section's broken entries: they exist, but their content is unknown."""
        places = self._broken.get(path, ())
        return frozenset(str(place[1]) for place in places if len(place) > 1 and place[0] == section)

    def known(self, path: str, section: str, names: Iterable[str], *, depth: int = 2) -> frozenset[str]:
        """Return a section's names, broken entries included; a set of every name when the section itself is broken.

        depth: how deep in the file the names are; 2 for most sections.
        """
        is_unclear = self.has_broken(path, section) if depth > 2 else self.is_broken(path, (section,))
        if is_unclear:
            return AnyName(names)
        return frozenset(names) | self.broken_names(path, section)

    def sorted(self) -> list[Fault]:
        """Return all faults by file (`playbook.yaml` first) and line."""
        return sorted(self._faults, key=_order)

    @property
    def warnings(self) -> list[Fault]:
        """All warnings by file and line."""
        return sorted(self._warnings, key=_order)


def _order(fault: Fault) -> tuple[bool, str, int, str]:
    return fault.path != "playbook.yaml", fault.path, fault.line, fault.what


class AnyName(frozenset[str]):
    """The names of a broken section: any name may be among them."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Return True."""
        return True


def format_names(names: Iterable[object], *, most: int = 12) -> str:
    """Return names as text, sorted; only the first `most` of them."""
    ordered = sorted(str(name) for name in names)
    shown = ", ".join(ordered[:most])
    return f"{shown} ..." if len(ordered) > most else (shown or "(none yet)")

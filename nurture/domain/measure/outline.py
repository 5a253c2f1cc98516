"""The order of a measure's steps: which one comes next, and where each stands among branches.

The steps of a measure are one list in the order of the file; a branch is followed by the steps of its cases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from nurture.domain.conditions import Condition
from nurture.domain.measure.steps import Branch, Case, Step

#: The mark of the case `else`.
_ELSE = "else"


class OuterCase(NamedTuple):
    """The case of a branch that a step stands in."""

    # The place (from 0) of the branch in its own list of steps.
    place: int
    branch: str
    # Known by its condition, so that another order of the cases moves nobody.
    case: str


class StepPath(NamedTuple):
    """Where a step stands: the cases around it, the outermost first, and its place in its own list."""

    outer: tuple[OuterCase, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The steps with the way that a run takes through them. Places count from 0 in the order of the file."""

    steps: tuple[Step, ...]
    # Place of a step -> place of the next: in its own list, else behind the branch; the number of steps for none.
    following: tuple[int, ...]
    paths: tuple[StepPath, ...]
    # Step id -> place.
    places: dict[str, int]
    # The cases around a list of steps -> the places of its steps.
    lists: dict[tuple[tuple[str, str], ...], list[int]]

    @classmethod
    def of(cls, steps: tuple[Step, ...]) -> "Outline":
        """Return the outline of a measure's steps."""
        writer = _Writer(steps)
        writer.write_list(0, len(steps), (), len(steps))
        return cls(
            steps,
            tuple(writer.following),
            tuple(writer.paths),
            # Of two steps with one id, which the check refuses, the first.
            {step.id: place for place, step in reversed(list(enumerate(steps)))},
            writer.lists,
        )

    def is_last(self, place: int) -> bool:
        """Tell whether no step comes after this one."""
        return self.following[place] >= len(self.steps)

    def enter_case(self, place: int, number: int) -> int:
        """Return the place of the step to which the branch at `place` leads by this case."""
        branch = self.steps[place]
        if not isinstance(branch, Branch) or not branch.cases[number].length:
            return self.following[place]
        return place + 1 + sum(case.length for case in branch.cases[:number])

    def on_the_way_to(self, place: int) -> list[int]:
        """Return the places that a run may have passed before it came to this one: not those of other cases."""
        here = _key(self.paths[place].outer)
        return [other for other in range(place) if not _are_apart(_key(self.paths[other].outer), here)]

    def passed_before(self, place: int) -> list[int]:
        """Return the places that each run has passed before it came to this one: not those of branches before."""
        here = _key(self.paths[place].outer)
        keys = ((other, _key(self.paths[other].outer)) for other in range(place))
        return [other for other, key in keys if key == here[: len(key)]]

    def conditions_around(self, place: int) -> list[Condition]:
        """Return the conditions of the cases around a step."""
        found = []
        for outer in self.paths[place].outer:
            branch = self.steps[self.places[outer.branch]]
            if isinstance(branch, Branch):
                found += [case.when for case in branch.cases if mark_of(case) == outer.case]
        return [condition for condition in found if condition is not None]

    def place_after_removal(self, path: StepPath) -> int:
        """Return the place of the step that follows one that stood at `path` and is gone; the number of steps for none.

        It is the step that now has its place in its own list, or what follows the innermost branch that is left.
        """
        outer = list(path.outer)
        place = path.place
        while True:
            own = self.lists.get(_key(outer))
            if own is not None:
                return own[place] if place < len(own) else self._place_behind(outer)
            lost = outer.pop()
            branch = self.places.get(lost.branch)
            if branch is not None and isinstance(self.steps[branch], Branch):
                # The case is gone, and the branch is not.
                return self.following[branch]
            place = lost.place

    def _place_behind(self, outer: Sequence[OuterCase]) -> int:
        """Return the place behind the innermost of these branches."""
        return self.following[self.places[outer[-1].branch]] if outer else len(self.steps)


def case_starts(branch: Branch, place: int) -> Iterator[tuple[Case, int]]:
    """Yield each case of the branch at `place` with the place of its first step."""
    start = place + 1
    for case in branch.cases:
        yield case, start
        start += case.length


def end_of(step: Step, place: int) -> int:
    """Return the place behind a step and, for a branch, behind the steps of its cases."""
    return place + 1 + (sum(case.length for case in step.cases) if isinstance(step, Branch) else 0)


def mark_of(case: Case) -> str:
    """Return the mark by which a case is known to the runs inside it."""
    if case.when is None:
        return _ELSE
    return blake2b(" ".join(case.when.text.split()).encode(), digest_size=4).hexdigest()


def _key(outer: Sequence[OuterCase]) -> tuple[tuple[str, str], ...]:
    return tuple((case.branch, case.case) for case in outer)


def _are_apart(one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether two steps stand in different cases of one branch."""
    first = next(((a, b) for a, b in zip(one, other, strict=False) if a != b), None)
    return first is not None and first[0][0] == first[1][0]


@dataclass(slots=True)
class _Writer:
    """Collects what each step is followed by, and where it stands."""

    steps: tuple[Step, ...]
    following: list[int] = field(default_factory=list)
    paths: list[StepPath] = field(default_factory=list)
    lists: dict[tuple[tuple[str, str], ...], list[int]] = field(default_factory=dict)

    def write_list(self, start: int, end: int, outer: tuple[OuterCase, ...], behind: int) -> None:
        """Add the steps of one list, which is left to `behind`."""
        own = self.lists.setdefault(_key(outer), [])
        place = start
        while place < end:
            step = self.steps[place]
            after = end_of(step, place)
            self.paths.append(StepPath(outer, len(own)))
            self.following.append(after if after < end else behind)
            own.append(place)
            if isinstance(step, Branch):
                for case, first in case_starts(step, place):
                    inside = (*outer, OuterCase(len(own) - 1, step.id, mark_of(case)))
                    self.write_list(first, first + case.length, inside, self.following[place])
            place = after

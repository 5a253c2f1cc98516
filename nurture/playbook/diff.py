"""The differences between two playbooks, and their effect on the people in flight.

A measure is added, removed, renamed, changed in its rules (then contacts are judged again) or changed in its wording
only. A measure that moves to another folder counts as removed and added, unless it says `was`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from nurture.domain.instant import format_duration
from nurture.domain.measure import Measure, Step, WaitFor, WaitUntilEvent
from nurture.domain.playbook import Playbook
from nurture.playbook import hashes
from nurture.playbook.loaded_playbook import LoadedPlaybook

Kind = Literal["added", "removed", "renamed", "rules", "words"]


@dataclass(frozen=True, slots=True)
class InFlight:
    """The number of runs at one step, and the effect of the change on them."""

    step: str
    people: int
    effect: str


@dataclass(frozen=True, slots=True)
class Change:
    """The difference of one measure."""

    measure: str
    kind: Kind
    # Keys of measure.yaml, facts that it reads and files of its mails that differ.
    details: tuple[str, ...] = ()
    # Runs by step; `with_people` fills it.
    in_flight: tuple[InFlight, ...] = ()
    # The measure's path before; "" when it has not changed.
    was: str = ""

    @property
    def people(self) -> int:
        """Return how many runs are in flight."""
        return sum(step.people for step in self.in_flight)


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences of all measures, of playbook.yaml and of the other files."""

    changes: tuple[Change, ...]
    # Parts of playbook.yaml whose rules differ: `facts orders`, `caps`, ...
    programme: tuple[str, ...]
    # True when contacts are woken and judged again.
    wakes: bool
    # Files outside of measures that differ in wording only: playbook.yaml, the layout.
    words: tuple[str, ...]

    def __bool__(self) -> bool:
        """Tell whether there is a difference."""
        return bool(self.changes or self.programme or self.words)


def compare(old: LoadedPlaybook, new: LoadedPlaybook) -> Difference:
    """Return what publishing `new` in place of `old` would change; measures in path order."""
    before = {measure.root: measure for measure in old.playbook.measures.values()}
    after = {measure.root: measure for measure in new.playbook.measures.values()}
    found = (_change(before.get(root), after.get(root), old, new) for root in {*before, *after})
    changes = sorted((change for change in found if change is not None), key=lambda change: change.measure)
    measures = {f"{path}/" for path in {*old.playbook.measures, *new.playbook.measures}}
    outside = [
        path
        for path in _changed_files("", old.files, new.files)
        if not any(path.startswith(measure) for measure in measures)
    ]
    programme = tuple(_changed_programme(old.playbook, new.playbook))
    wakes = old.playbook.rules_hash != new.playbook.rules_hash
    words = tuple(path for path in outside if path != "playbook.yaml" or not programme)
    return Difference(tuple(changes), programme, wakes, words)


def _change(
    before: Measure | None, after: Measure | None, old: LoadedPlaybook, new: LoadedPlaybook
) -> Change | None:
    """Return the difference between a measure and what becomes of it; None when there is none."""
    if after is None:
        return None if before is None else Change(before.path, "removed")
    if before is None:
        return Change(after.path, "added")
    was = before.path if before.path != after.path else ""
    names = (f"was {was}",) if was else ()
    if before.rules_hash != after.rules_hash:
        rules = tuple(_changed_rules(before, after, old.playbook, new.playbook))
        return Change(after.path, "rules", (*names, *rules), was=was)
    if was:
        return Change(after.path, "renamed", names, was=was)
    files = _changed_files(f"{after.path}/", old.files, new.files)
    return Change(after.path, "words", files) if files else None


def with_people(
    difference: Difference,
    old: LoadedPlaybook,
    new: LoadedPlaybook,
    in_flight: Mapping[tuple[str, str], int],
) -> Difference:
    """Return the difference with its effect on people in flight.

    in_flight: {(measure, step): runs}, as `playbook.queries.in_flight` counts them.
    """
    changes = []
    for change in difference.changes:
        before = old.playbook.measures.get(change.was or change.measure)
        after = new.playbook.measures.get(change.measure)
        root = after.root if after is not None else before.root if before is not None else ""
        steps = {step: count for (path, step), count in in_flight.items() if path == root}
        runs = tuple(
            InFlight(step, count, effect(step, before, after)) for step, count in sorted(steps.items())
        )
        changes.append(replace(change, in_flight=runs))
    return replace(difference, changes=tuple(changes))


def effect(step_id: str, before: Measure | None, after: Measure | None) -> str:
    """Return, as text, the effect on people at a step of `before` when `after` replaces it."""
    if after is None:
        return "their runs end: the measure is gone"
    new = after.step(step_id)
    if new is None:
        place = before.position(step_id) if before is not None else None
        path = before.outline.paths[place] if before is not None and place is not None else None
        place = len(after.steps) if path is None else after.outline.place_after_removal(path)
        if place >= len(after.steps):
            return "their runs end: the step is gone and none comes after"
        return f"they go on at `{after.steps[place].id}`: their step is gone"
    old = before.step(step_id) if before is not None else None
    if old is None or hashes.canonical_value(old) == hashes.canonical_value(new):
        return "they go on"
    return _changed_step(old, new)


def _changed_step(old: Step, new: Step) -> str:
    was, now = _span(old), _span(new)
    if was is not None and now is not None and was != now:
        spans = f"{format_duration(was)} -> {format_duration(now)}"
        if now < was:
            return f"they leave when the shorter time is over, at once where it is ({spans})"
        return f"they wait on, the time they waited counts ({spans})"
    if type(old) is not type(new):
        return "they go on at the step of the same id, which is another kind now"
    return "they go on; the step's changed rules are judged anew"


def _span(step: Step) -> int | None:
    match step:
        case WaitFor(duration=span) | WaitUntilEvent(at_most=span):
            return span
        case _:
            return None


def _changed_rules(before: Measure, after: Measure, old: Playbook, new: Playbook) -> Iterable[str]:
    """Yield the fields whose rules differ, and the names of definitions that the measure reads and that differ."""
    for field in fields(Measure):
        if field.name not in {*hashes.WORDING_FIELDS[Measure], "path"}:
            was, now = getattr(before, field.name), getattr(after, field.name)
            if hashes.canonical_value(was) != hashes.canonical_value(now):
                yield field.name
    was_read, now_read = dict(hashes.definitions_read(before, old)), dict(hashes.definitions_read(after, new))
    for name in sorted({*was_read, *now_read}):
        if hashes.canonical_value(was_read.get(name)) != hashes.canonical_value(now_read.get(name)):
            yield name


def _changed_programme(old: Playbook, new: Playbook) -> Iterable[str]:
    for field in fields(Playbook):
        if field.name in hashes.WORDING_FIELDS[Playbook] and field.name not in ("segments", "tables"):
            continue
        was, now = getattr(old, field.name), getattr(new, field.name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            for name in sorted({*was, *now}):
                if hashes.canonical_value(was.get(name)) != hashes.canonical_value(now.get(name)):
                    yield f"{field.name} {name}"
        elif hashes.canonical_value(was) != hashes.canonical_value(now):
            yield field.name


def _changed_files(prefix: str, old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    paths = {path for path in {*old, *new} if path.startswith(prefix)}
    return tuple(sorted(path for path in paths if old.get(path) != new.get(path)))

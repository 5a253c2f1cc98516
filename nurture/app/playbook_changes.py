"""The differences of two playbooks as people read them: rules and words before and after, and whom they concern."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from nurture.app import experiments
from nurture.app.audience import condition_sql, count_living
from nurture.app.services import Services
from nurture.domain.errors import ConditionError
from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING, Measure
from nurture.domain.playbook import Playbook
from nurture.measurement.verdict_times import verdict_times
from nurture.playbook import LoadedPlaybook
from nurture.playbook.diff import Change, Difference, compare, with_people
from nurture.playbook.queries import in_flight
from nurture.playbook.written_changes import WrittenChange, changed_lines, changed_values

_PROGRAMME: Final = "playbook.yaml"
#: Measures that a row names; of more the number.
_NAMED: Final = 6


def describe_changes(
    difference: Difference, old: LoadedPlaybook, new: LoadedPlaybook
) -> list[dict[str, Any]]:
    """Return one row for each measure and each part of playbook.yaml that differs.

    `values` are rules with before and after as they are written, `words` the lines of mails and texts, `concerns` the
    measures that a change of playbook.yaml concerns.
    """
    rows = [_measure_row(change, old, new) for change in difference.changes]
    return [*rows, *_programme_rows(difference, old, new), *_file_rows(difference, old, new)]


def _measure_row(change: Change, old: LoadedPlaybook, new: LoadedPlaybook) -> dict[str, Any]:
    before, after = f"{change.was or change.measure}/", f"{change.measure}/"
    row: dict[str, Any] = {
        "measure": change.measure,
        "change": f"{change.kind}: {', '.join(change.details)}" if change.details else change.kind,
        "in_flight": change.people,
        "effects": [f"{step.people} at {step.step}: {step.effect}" for step in change.in_flight],
        "values": [],
        "words": [],
        "concerns": [],
    }
    if change.kind in ("added", "removed"):
        return row
    names = {
        path.removeprefix(prefix)
        for prefix, files in ((before, old.files), (after, new.files))
        for path in files
        if path.startswith(prefix)
    }
    for name in sorted(names):
        was, now = old.files.get(before + name, ""), new.files.get(after + name, "")
        if name == "measure.yaml":
            row["values"] = _values(changed_values(was, now))
        elif was != now:
            row["words"].append({"file": name, "lines": changed_lines(was, now)})
    return row


def _values(changes: Iterable[WrittenChange]) -> list[dict[str, str]]:
    return [change._asdict() for change in changes]


def _programme_rows(
    difference: Difference, old: LoadedPlaybook, new: LoadedPlaybook
) -> Iterator[dict[str, Any]]:
    """Yield the rows of playbook.yaml: one for each part whose rules differ, one for all other values."""
    left = changed_values(old.files.get(_PROGRAMME, ""), new.files.get(_PROGRAMME, ""))
    for name in difference.programme:
        place = name.replace(" ", ".")
        own = [change for change in left if _is_below(change.where, place)]
        left = [change for change in left if change not in own]
        concerns = _concerned(name, difference, old.playbook, new.playbook)
        yield _part_row(name, "rules", values=_values(own), concerns=concerns)
    if left:
        kind = "words" if not difference.programme else "other values"
        yield _part_row(_PROGRAMME, kind, values=_values(left))


def _is_below(where: str, place: str) -> bool:
    return where == place or where.startswith((f"{place}.", f"{place}:"))


def _file_rows(difference: Difference, old: LoadedPlaybook, new: LoadedPlaybook) -> Iterator[dict[str, Any]]:
    for path in difference.words:
        if path == _PROGRAMME:
            continue
        lines = changed_lines(old.files.get(path, ""), new.files.get(path, ""))
        yield _part_row(path, "words", words=[{"file": path, "lines": lines}])


def added_row(path: str) -> dict[str, Any]:
    """Return the row of a measure of the first programme."""
    return _part_row(path, "added")


def _part_row(name: str, change: str, **parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"in_flight": 0, "effects": [], "values": [], "words": [], "concerns": []}
    return {"measure": name, "change": change, **empty, **parts}


def _concerned(name: str, difference: Difference, old: Playbook, new: Playbook) -> list[str]:
    """Return the measures that a part of playbook.yaml concerns: those that read it, or whose mail it limits."""
    field, _, item = name.partition(" ")
    if field in ("caps", "holds", "quiet_hours", "arbitration"):
        purposes = _limited_purposes(field, item, old) | _limited_purposes(field, item, new)
        if field == "caps":
            differ = set(old.caps) ^ set(new.caps)
            purposes = frozenset(purpose for cap in differ for purpose in cap.purposes)
        return sorted(path for path, measure in new.measures.items() if measure.purpose in purposes)
    kinds = {f"{singular} {item}" for singular in (field.removesuffix("s"), field.removesuffix("ies") + "y")}
    return sorted(change.measure for change in difference.changes if {*kinds, field} & set(change.details))


def _limited_purposes(field: str, item: str, playbook: Playbook) -> frozenset[str]:
    if field == "holds" and item in playbook.holds:
        return frozenset(playbook.holds[item].stops)
    return frozenset(MARKETING)


# ---- with the people of a database -------------------------------------------------------------------------


def describe_publication(
    services: Services, connection: sa.Connection, old: LoadedPlaybook, new: LoadedPlaybook
) -> list[dict[str, Any]]:
    """Return the rows of a change from `old` to `new`, with the people whom each concerns.

    `audience` is how many people match a changed audience now and then, by the facts as they are; `weeks` how long a
    verdict on the changed measure takes. A first row says how many people are judged again.
    """
    difference = with_people(compare(old, new), old, new, in_flight(connection))
    rows = describe_changes(difference, old, new)
    now = services.clock.now()
    weeks = _weeks(services, new)
    for row, change in zip(rows, difference.changes, strict=False):
        before = old.playbook.measures.get(change.was or change.measure)
        after = new.playbook.measures.get(change.measure)
        row["weeks"] = weeks.get(change.measure)
        if before is not None and after is not None and before.audience.text != after.audience.text:
            row["audience"] = [
                _count(connection, before, old.playbook, now),
                _count(connection, after, new.playbook, now),
            ]
    if difference.wakes and rows:
        people = count_living(connection)
        sentence = f"{people:,} people are judged again, a bounded number at a time"
        rows.insert(0, _part_row("everybody", sentence))
    return rows


def _weeks(services: Services, new: LoadedPlaybook) -> Mapping[str, float | None]:
    known = experiments.known_measures(services)
    return {
        time.measure: time.weeks for time in verdict_times(new.playbook.measures, known, entries_a_week=None)
    }


def _count(connection: sa.Connection, measure: Measure, playbook: Playbook, now: Instant) -> int | None:
    """Return how many people match an audience; None where it reads what the database does not have yet."""
    try:
        matches = condition_sql(connection, measure.audience, playbook, now)
    except ConditionError:
        return None
    return count_living(connection, matches)

"""Pictures of a programme: its map, and the journey of each measure, as SVG files."""

from collections.abc import Iterator, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any, Final

from nurture.app.installation import programme_folder
from nurture.domain.errors import InputError
from nurture.domain.instant import format_duration
from nurture.domain.measure import (
    Branch,
    EmitStep,
    EndTopicStep,
    LocalSlot,
    MailStep,
    Measure,
    NotifyStep,
    WaitBusinessTime,
    WaitFor,
    WaitFromTable,
    WaitUntilDate,
    WaitUntilEvent,
    WaitUntilMoment,
    WaitUntilSlot,
)
from nurture.domain.playbook import Playbook
from nurture.pictures import JourneyRow, MapRow, Picture, StageColumn, draw_journey, draw_map, standalone
from nurture.playbook import load_files, rebuild
from nurture.reports.triggers import describe_trigger
from nurture.runtime.settings import load_settings

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WORDS: Final[Mapping[str, str]] = {"nothing": "no own mail", "end": "ends", "trigger": "starts"}


def write_pictures(playbook_folder: Path | None, target: Path) -> list[dict[str, Any]]:
    """Write `programme.svg` and `MEASURE.svg` for each measure, wide and narrow; return a row for each file.

    Raises PlaybookError for a folder that cannot be read, InputError when the target is a file.
    """
    root = playbook_folder if playbook_folder is not None else programme_folder(load_settings())
    playbook = rebuild(load_files(root), id_=0).playbook
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; name a folder for the pictures")
    written = []
    for name, picture in _pictures(playbook):
        for side, svg in (("", picture.wide), (".narrow", picture.narrow)):
            path = target / f"{name}{side}.svg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(standalone(svg), encoding="utf-8")
            written.append({"file": str(path), "of": name})
    return written


def _pictures(playbook: Playbook) -> Iterator[tuple[str, Picture]]:
    yield "programme", draw_programme_map(playbook)
    for path, measure in sorted(playbook.measures.items()):
        yield path, draw_measure_journey(measure)


def draw_programme_map(playbook: Playbook) -> Picture:
    """Return the map of a programme: each measure over the stages that it serves."""
    columns = [StageColumn(stage.track, stage.name) for stage in playbook.stages]
    rows = [_map_row(measure, columns) for _, measure in sorted(playbook.measures.items())]
    rows.sort(key=lambda row: (row.first, -row.last, row.name))
    return draw_map(rows, columns, {**_WORDS, "title": f"The measures of {playbook.name}"}, id_="programme")


def _map_row(measure: Measure, columns: list[StageColumn]) -> MapRow:
    tracks = (measure.track,) if measure.track != "any" else ("lead", "customer")
    places = [
        place
        for place, column in enumerate(columns)
        if column.track in tracks and measure.fits_stage(column.name)
    ]
    name = measure.path.rpartition("/")[2]
    return MapRow(name, min(places, default=-1), max(places, default=-1), measure.purpose)


def draw_measure_journey(
    measure: Measure, people: Mapping[str, int] | None = None, words: Mapping[str, str] | None = None
) -> Picture:
    """Return the journey of a measure.

    people: step id -> number of people, "" for the start, `ID/case 1` and `ID/else` for the cases of a branch.
    words: in place of the English ones.
    """
    own = words or {}
    words = {**_WORDS, "title": f"The journey of {measure.path}", "description": measure.goal, **own}
    rows = list(journey_rows(measure, people or {}))
    return draw_journey(rows, words, id_=measure.path.replace("/", "-"))


def journey_rows(measure: Measure, people: Mapping[str, int]) -> Iterator[JourneyRow]:
    """Yield what starts the measure, its steps with those of branches set in, and what ends it."""
    _, wakes = describe_trigger(measure)
    audience = "" if measure.audience.text == "True" else f"for {measure.audience.text}"
    yield JourneyRow("trigger", wakes.removeprefix("wakes "), audience, people=people.get(""))
    if measure.holdout:
        yield JourneyRow("case", f"{measure.holdout / 100:g} % get no mail, to compare")
    yield from _steps(measure, 0, len(measure.steps), 0, people)
    for ending in measure.exits:
        what = ending.event or (ending.when.text if ending.when is not None else "")
        yield JourneyRow("end", f"at once on {what}", ending.reason)
    yield JourneyRow("goal", measure.goal, _metric(measure))


def _metric(measure: Measure) -> str:
    metric = measure.metric
    if metric is None:
        return ""
    return f"{metric.expect} {metric.event or metric.entity} in {format_duration(metric.within)}"


def _steps(
    measure: Measure, place: int, end: int, level: int, people: Mapping[str, int]
) -> Iterator[JourneyRow]:
    """Yield the rows of the steps at these places, those of each case below its branch."""
    while place < end:
        step = measure.steps[place]
        kind, title = _describe(step)
        notes = [f"when {step.when.text}" if step.when is not None else "", _mail_notes(step)]
        note = "; ".join(note for note in notes if note)
        yield JourneyRow(kind, title, note, level, people.get(step.id))
        place += 1
        for number, case in enumerate(step.cases if isinstance(step, Branch) else (), start=1):
            name, text = ("else", "else") if case.when is None else (f"case {number}", case.when.text)
            yield JourneyRow("case", text, level=level + 1, people=people.get(f"{step.id}/{name}"))
            yield from _steps(measure, place, place + case.length, level + 2, people)
            place += case.length


def _mail_notes(step: object) -> str:
    if not isinstance(step, MailStep):
        return ""
    slot = "" if step.send_at is None else _slot(step.send_at)
    condition = "" if step.send_if is None else f"only if {step.send_if.text}"
    return "; ".join(note for note in (slot, condition) if note)


def _slot(slot: LocalSlot) -> str:
    minute = slot.minute_of_day
    clock = "" if minute is None else f"at {minute // 60:02d}:{minute % 60:02d}"
    days = "" if len(slot.weekdays) == 7 else ", ".join(_WEEKDAYS[day] for day in sorted(slot.weekdays))
    month = "" if slot.month_day is None else f"day {slot.month_day}"
    return " ".join(part for part in (month, days, clock) if part)


@singledispatch
def _describe(step: object) -> tuple[str, str]:
    """Return the kind and the words of a step."""
    return "wait", type(step).__name__


@_describe.register
def _(step: MailStep) -> tuple[str, str]:
    return "mail", step.id


@_describe.register
def _(step: Branch) -> tuple[str, str]:
    return "branch", step.id


@_describe.register
def _(step: EmitStep) -> tuple[str, str]:
    return "action", f"hands in {step.event}"


@_describe.register
def _(step: EndTopicStep) -> tuple[str, str]:
    return "action", f"ends the topic {step.topic}"


@_describe.register
def _(step: NotifyStep) -> tuple[str, str]:
    return "action", f"mails {', '.join(step.to)}"


@_describe.register
def _(step: WaitFor) -> tuple[str, str]:
    return "wait", format_duration(step.duration)


@_describe.register
def _(step: WaitFromTable) -> tuple[str, str]:
    return "wait", f"by the table of {step.table.by}"


@_describe.register
def _(step: WaitUntilSlot) -> tuple[str, str]:
    least = f", at least {format_duration(step.at_least)}" if step.at_least else ""
    return "wait", f"until {_slot(step.slot)}{least}"


@_describe.register
def _(step: WaitUntilEvent) -> tuple[str, str]:
    return "wait", f"{', '.join(step.names)}, at most {format_duration(step.at_most)}"


@_describe.register
def _(step: WaitUntilDate) -> tuple[str, str]:
    offset = f" {format_duration(step.offset)}" if step.offset else ""
    return "wait", f"until {step.date}{offset}"


@_describe.register
def _(step: WaitUntilMoment) -> tuple[str, str]:
    return "wait", f"until {step.moment}"


@_describe.register
def _(step: WaitBusinessTime) -> tuple[str, str]:
    return "wait", f"{step.days} days and {format_duration(step.rest)} of open hours"

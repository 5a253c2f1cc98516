"""The map of a programme: the stages as columns, each measure as a bar over the stages that it serves."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import SMALL, Canvas, text_width
from nurture.pictures.picture import Picture, Words, make_picture, word

_MEASURES_MAX = 150


@dataclass(frozen=True, slots=True)
class StageColumn:
    """A stage of a track."""

    track: str
    name: str


@dataclass(frozen=True, slots=True)
class MapRow:
    """A measure: the stages that it serves as places (from 0) of the columns, both ends included."""

    name: str
    first: int
    last: int
    purpose: str = ""
    note: str = ""


def draw_map(rows: Sequence[MapRow], columns: Sequence[StageColumn], words: Words, *, id_: str) -> Picture:
    """Draw the programme. words: title, measure, stages, purpose, note, nothing (a stage without an own measure)."""
    shown = [row for row in rows[:_MEASURES_MAX] if columns and _within(row, len(columns))]

    def draw(width: float) -> Canvas:
        return (
            _draw_wide(shown, columns, words, width)
            if width > 400
            else _draw_narrow(shown, columns, words, width)
        )

    cells = [
        [
            row.name,
            ", ".join(column.name for column in columns[max(0, row.first) : row.last + 1]),
            row.purpose,
            row.note,
        ]
        for row in rows
    ]
    return make_picture(
        draw, id_=id_, words=words, columns=("measure", "stages", "purpose", "note"), rows=cells
    )


def _within(row: MapRow, count: int) -> bool:
    return 0 <= row.first <= row.last < count


def _draw_wide(rows: Sequence[MapRow], columns: Sequence[StageColumn], words: Words, width: float) -> Canvas:
    cell = (width - 8) / max(1, len(columns))
    canvas = Canvas(width, 64 + 26.0 * max(1, len(rows)))
    for place, column in enumerate(columns):
        x = 4 + place * cell
        if not place or columns[place - 1].track != column.track:
            canvas.text(x + 4, 15, column.track, kind="soft", size=SMALL, most=cell * 2)
            canvas.line(x, 4, x, canvas.height - 4, "soft")
        canvas.text(x + cell / 2, 32, column.name, anchor="middle", bold=True, most=cell - 6)
        if not any(row.first == row.last == place for row in rows):
            canvas.text(
                x + cell / 2, 47, word(words, "nothing"), kind="b", size=SMALL, anchor="middle", most=cell - 6
            )
    for number, row in enumerate(rows):
        x, y, size = 4 + row.first * cell, 54 + number * 26.0, (row.last - row.first + 1) * cell
        is_own = row.first == row.last
        ink = "card" if is_own else "on2"
        canvas.rect(x + 2, y, size - 4, 21, "a" if is_own else "s2", round_=4)
        if text_width(row.name) <= size - 18:
            canvas.text(x + 9, y + 15, row.name, kind=ink)
            note = size - 30 - text_width(row.name)
            canvas.text(x + size - 8, y + 15, row.note, kind=ink, size=SMALL, anchor="end", most=note)
        elif x + size + text_width(row.name) + 8 < width:
            canvas.text(x + size + 4, y + 15, row.name)
        else:
            canvas.text(x - 4, y + 15, row.name, anchor="end")
    return canvas


def _draw_narrow(
    rows: Sequence[MapRow], columns: Sequence[StageColumn], words: Words, width: float
) -> Canvas:
    """Draw a list by the stages at which measures begin, because eight columns do not fit."""
    groups: dict[tuple[int, int], list[MapRow]] = {}
    for row in sorted(rows, key=lambda row: (row.first, row.last)):
        groups.setdefault((row.first, row.last), []).append(row)
    for place in range(len(columns)):
        groups.setdefault((place, place), [])
    canvas = Canvas(width, 12 + sum(30.0 + 24.0 * max(1, len(group)) for group in groups.values()))
    y = 8.0
    for (first, last), group in sorted(groups.items()):
        name = columns[first].name if first == last else f"{columns[first].name} – {columns[last].name}"
        tracks = dict.fromkeys(column.track for column in columns[first : last + 1])
        canvas.text(4, y + 16, f"{', '.join(tracks)} · {name}", bold=True, most=width - 8)
        y += 24
        if not group:
            canvas.text(10, y + 14, word(words, "nothing"), kind="b", size=SMALL)
            y += 24
        for row in group:
            canvas.rect(4, y, width - 8, 20, "a" if first == last else "s2", round_=4)
            canvas.text(10, y + 14, row.name, kind="card" if first == last else "on2", most=width - 24)
            y += 24
        y += 6
    return canvas

"""The journey of one measure: its steps from above to below, the steps of a branch set in, people beside each."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import SMALL, Canvas, clean, number_or_none, wrap
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import show_number

_STEPS_MAX = 80
#: Width of the kind of a step in its box.
_KIND = 52.0
_LEVEL_MAX = 4
#: Kind of step -> the class of its box, and of the text in it.
_BOXES = {
    "trigger": ("s1", "on1"),
    "mail": ("a", "card"),
    "wait": ("s2", "on2"),
    "branch": ("s3", "on3"),
    "case": ("s1", "on1"),
    "action": ("b", "card"),
    "end": ("s1", "on1"),
    "goal": ("s3", "on3"),
}


@dataclass(frozen=True, slots=True)
class JourneyRow:
    """One step. level: how many branches and cases are around it.

    kind: trigger, mail, wait, branch, case, action, end or goal.
    """

    kind: str
    title: str
    note: str = ""
    level: int = 0
    # People who stand there now; None: not counted.
    people: float | None = None


def draw_journey(rows: Sequence[JourneyRow], words: Words, *, id_: str) -> Picture:
    """Draw the steps. words: title, kind, step, note, people, and each kind. A dashed line leads past a branch."""
    shown = rows[:_STEPS_MAX]

    def draw(width: float) -> Canvas:
        is_wide = width > 400
        tops = _tops(shown, is_wide=is_wide)
        canvas = Canvas(width, tops[-1] + 4)
        box = width * 0.5 if is_wide else width - 64
        indent = 26.0 if is_wide else 14.0
        for number, row in enumerate(shown):
            _draw_step(
                canvas,
                row,
                words,
                x=6 + _level(row) * indent,
                y=tops[number],
                box=box,
                is_wide=is_wide,
            )
        _connect(canvas, shown, tops, indent=indent)
        return canvas

    cells = [
        [
            word(words, row.kind),
            f"{'· ' * _level(row)}{row.title}",
            row.note,
            "" if row.people is None else show_number(number_or_none(row.people)),
        ]
        for row in rows
    ]
    return make_picture(draw, id_=id_, words=words, columns=("kind", "step", "note", "people"), rows=cells)


def _tops(rows: Sequence[JourneyRow], *, is_wide: bool) -> list[float]:
    """Return the upper edge of each step, and the lower edge of all; in a narrow picture notes stand below."""
    tops = [8.0]
    for row in rows:
        tops.append(tops[-1] + (40 if is_wide or not row.note else 70))
    return tops


def _level(row: JourneyRow) -> int:
    return max(0, min(_LEVEL_MAX, row.level))


def _draw_step(
    canvas: Canvas, row: JourneyRow, words: Words, *, x: float, y: float, box: float, is_wide: bool
) -> None:
    fill, ink = _BOXES.get(row.kind, _BOXES["end"])
    width = box - (x - 6)
    canvas.rect(x, y, width, 28, fill, round_=14 if row.kind in ("trigger", "end", "goal") else 4)
    canvas.text(x + 10, y + 18, word(words, row.kind), kind=ink, size=SMALL, most=_KIND - 8)
    canvas.text(x + 10 + _KIND, y + 18, row.title, kind=ink, bold=True, most=width - _KIND - 18)
    if row.people is not None:
        people = show_number(number_or_none(row.people))
        canvas.text(canvas.width - 6, y + 18, people, anchor="end", bold=True, most=46)
    left, top = (box + 16, y + 11) if is_wide else (x + 10, y + 41)
    room = canvas.width - left - (60 if is_wide else 8)
    for number, line in enumerate(wrap(clean(row.note), room, lines=2, size=SMALL)):
        canvas.text(left, top + number * 14, line, kind="soft", size=SMALL, most=room)


def _connect(canvas: Canvas, rows: Sequence[JourneyRow], tops: Sequence[float], *, indent: float) -> None:
    """Join each step with the next of its level, or with the step above that it belongs to."""
    last: dict[int, int] = {}
    for number, row in enumerate(rows):
        level = _level(row)
        above = last.get(level)
        if above is not None:
            x = 18 + level * indent
            begin, end = tops[above] + 28, tops[number]
            canvas.line(x, begin, x, end, "soft", dashed=number - above > 1)
        elif level and number:
            x = 18 + (level - 1) * indent
            canvas.path(
                [
                    (x, tops[number - 1] + 28),
                    (x, tops[number] + 14),
                    (6 + level * indent, tops[number] + 14),
                ],
                "line",
            )
        last = {key: value for key, value in last.items() if key < level} | {level: number}

"""A month of days, shaded by their numbers."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt

from nurture.pictures.canvas import SMALL, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import quantile, show_number

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_STEPS = 5


@dataclass(frozen=True, slots=True)
class DayRow:
    """The number of a day."""

    day: date
    count: float | None


def draw_calendar(rows: Sequence[DayRow], words: Words, *, id_: str, year: int, month: int) -> Picture:
    """Draw a month from Monday to Sunday; days without a row are empty. words: title, day, count, mon to sun.

    A day is shaded by the square root of its number, up to the 98th percentile: one far day flattens no other.
    """
    counts = {
        row.day: number
        for row in rows
        if (row.day.year, row.day.month) == (year, month)
        and (number := number_or_none(row.count)) is not None
    }
    top = quantile([max(0.0, count) for count in counts.values()], 0.98)
    first = date(year, month, 1).weekday()
    days = monthrange(year, month)[1]

    def draw(width: float) -> Canvas:
        cell, height = (width - 8) / 7, 44.0
        canvas = Canvas(width, 24 + height * ((first + days + 6) // 7) + 4)
        for place, name in enumerate(_WEEKDAYS):
            canvas.text(
                4 + (place + 0.5) * cell,
                15,
                word(words, name),
                kind="soft",
                size=SMALL,
                anchor="middle",
                most=cell - 4,
            )
        for number in range(1, days + 1):
            row, column = divmod(first + number - 1, 7)
            x, y = 4 + column * cell, 22 + row * height
            count = counts.get(date(year, month, number))
            step = 0 if not count or count < 0 else _step(count, top)
            canvas.rect(x + 1, y + 1, cell - 2, height - 2, f"s{step}" if step else "card", round_=3)
            if not step:
                canvas.path([(x + 2, y + height - 2), (x + cell - 2, y + height - 2)], "line")
            ink = f"on{step}" if step else "soft"
            canvas.text(x + 6, y + 14, number, kind=ink, size=SMALL)
            if count is not None:
                canvas.text(
                    x + cell - 6,
                    y + 34,
                    show_number(count),
                    kind=f"on{step}" if step else "ink",
                    anchor="end",
                    most=cell - 10,
                )
        return canvas

    cells = [
        [row.day.isoformat(), show_number(number_or_none(row.count))]
        for row in sorted(rows, key=lambda row: row.day)
    ]
    return make_picture(draw, id_=id_, words=words, columns=("day", "count"), rows=cells)


def _step(count: float, top: float) -> int:
    share = sqrt(min(1.0, count / top)) if top > 0 else 1.0
    return max(1, min(_STEPS, int(share * _STEPS) + (share * _STEPS % 1 > 0)))

"""Pictures of values over time: a sparkline, an interval, a lift with its narrowing sequence, a series with breaks."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import SMALL, Anchor, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import Scale, make_scale, marks, show_number

#: Points that are drawn at most; of more, evenly chosen ones.
_POINTS_MAX = 366


@dataclass(frozen=True, slots=True)
class PointRow:
    """A value at a place of time, with its interval and a mark where the series breaks; None is unknown."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_break: bool = False


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A value with its interval. verdict: `good`, `bad` or "" while it is open."""

    value: float | None
    low: float | None
    high: float | None
    verdict: str = ""


def draw_sparkline(rows: Sequence[PointRow], words: Words, *, id_: str) -> Picture:
    """Draw a small line without axes; its last value is written beside it. words: title, label, value."""

    def draw(width: float) -> Canvas:
        canvas = Canvas(width / 3, 32)
        points = [number_or_none(row.value) for row in _chosen(rows)]
        scale = make_scale([value for value in points if value is not None], 28, 4)
        right = canvas.width - 54
        _lines(canvas, points, scale, left=4, right=right, kind="a")
        last = next((value for value in reversed(points) if value is not None), None)
        if last is not None:
            canvas.text(right + 8, scale.place(last) / 2 + 11, show_number(last), bold=True)
        return canvas

    return make_picture(draw, id_=id_, words=words, columns=("label", "value"), rows=_cells(rows, 2))


def draw_interval(row: IntervalRow, words: Words, *, id_: str, bound: float) -> Picture:
    """Draw a value with its interval on an axis from -bound to bound. words: title, value, low, high."""
    limit = abs(number_or_none(bound) or 0.0) or 1.0

    def draw(width: float) -> Canvas:
        canvas = Canvas(width / 3, 38)
        scale = Scale(-limit, limit, 6, canvas.width - 6)
        kind = row.verdict if row.verdict in ("good", "bad") else "soft"
        canvas.line(scale.place(0), 4, scale.place(0), 22)
        low, high, value = (number_or_none(part) for part in (row.low, row.high, row.value))
        if low is not None and high is not None:
            left, right = sorted((scale.place(low), scale.place(high)))
            canvas.rect(left, 9, max(right - left, 2), 8, kind, round_=4)
        if value is not None:
            canvas.dot(scale.place(value), 13, 5, "card")
            canvas.dot(scale.place(value), 13, 5, kind, hollow=True)
        canvas.text(6, 33, show_number(-limit), kind="soft", size=SMALL)
        canvas.text(canvas.width - 6, 33, show_number(limit), kind="soft", size=SMALL, anchor="end")
        canvas.text(scale.place(0), 33, "0", kind="soft", size=SMALL, anchor="middle")
        return canvas

    cells = [[show_number(number_or_none(part)) for part in (row.value, row.low, row.high)]]
    return make_picture(draw, id_=id_, words=words, columns=("value", "low", "high"), rows=cells)


def draw_lift(rows: Sequence[PointRow], words: Words, *, id_: str, expected: float | None = None) -> Picture:
    """Draw a lift day by day with the interval that narrows around it, and what was expected of it.

    words: title, expected, label, value, low, high.
    """
    return _draw_band(rows, words, id_=id_, expected=number_or_none(expected), with_zero=True)


def draw_series(rows: Sequence[PointRow], words: Words, *, id_: str) -> Picture:
    """Draw a series with the band that it usually keeps to, and the places where it breaks out of it.

    words: title, break, label, value, low, high.
    """
    return _draw_band(rows, words, id_=id_, expected=None, with_zero=False)


def _draw_band(
    rows: Sequence[PointRow], words: Words, *, id_: str, expected: float | None, with_zero: bool
) -> Picture:
    chosen = _chosen(rows)

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 220)
        left, right, top, bottom = 48.0, width - 52, 16.0, 184.0
        numbers = [
            number
            for row in chosen
            for part in (row.value, row.low, row.high)
            if (number := number_or_none(part)) is not None
        ]
        numbers += [] if expected is None else [expected]
        scale = make_scale(numbers, bottom, top, with_zero=with_zero)
        _axis(canvas, scale, left=left, right=right)
        places = [left + _share(number, len(chosen)) * (right - left) for number in range(len(chosen))]
        _band(canvas, chosen, places, scale)
        if with_zero:
            canvas.line(left, scale.place(0), right, scale.place(0), "soft")
        if expected is not None:
            canvas.line(left, scale.place(expected), right, scale.place(expected), "b", dashed=True)
        _lines(canvas, [number_or_none(row.value) for row in chosen], scale, left=left, right=right, kind="a")
        for place, row in zip(places, chosen, strict=True):
            if row.is_break and (value := number_or_none(row.value)) is not None:
                canvas.dot(place, scale.place(value), 5, "bad")
                canvas.text(place, scale.place(value) - 9, word(words, "break"), kind="bad", anchor="middle")
        _ends(canvas, chosen, places, scale, expected=expected, words=words)
        return canvas

    columns = ("label", "value", "low", "high")
    return make_picture(draw, id_=id_, words=words, columns=columns, rows=_cells(rows, 4))


def _ends(
    canvas: Canvas,
    rows: Sequence[PointRow],
    places: Sequence[float],
    scale: Scale,
    *,
    expected: float | None,
    words: Words,
) -> None:
    """Write the last value, the expectation, and the labels of both ends."""
    known = [
        (place, row) for place, row in zip(places, rows, strict=True) if number_or_none(row.value) is not None
    ]
    if known:
        place, row = known[-1]
        value = number_or_none(row.value) or 0.0
        canvas.text(place + 8, scale.place(value) + 4, show_number(value), bold=True)
    if expected is not None:
        text, y = f"{word(words, 'expected')} {show_number(expected)}", scale.place(expected)
        tries: tuple[tuple[float, float, Anchor], ...] = (
            (canvas.width - 4, y - 5, "end"),
            (52, y - 5, "start"),
            (52, y + 14, "start"),
        )
        for x, base, side in tries:
            if canvas.text(x, base, text, kind="b", size=SMALL, anchor=side):
                break
    ends: tuple[tuple[int, Anchor], ...] = ((0, "start"), (len(rows) - 1, "end"))
    for number, anchor in ends:
        if rows:
            at = places[number]
            canvas.text(
                at,
                204,
                rows[number].label,
                kind="soft",
                size=SMALL,
                anchor=anchor,
                most=canvas.width / 3,
            )


def _axis(canvas: Canvas, scale: Scale, *, left: float, right: float) -> None:
    for mark in marks(scale):
        canvas.line(left, scale.place(mark), right, scale.place(mark))
        canvas.text(left - 6, scale.place(mark) + 4, show_number(mark), kind="soft", size=SMALL, anchor="end")


def _band(canvas: Canvas, rows: Sequence[PointRow], places: Sequence[float], scale: Scale) -> None:
    edges = [
        (place, scale.place(low), scale.place(high))
        for place, row in zip(places, rows, strict=True)
        if (low := number_or_none(row.low)) is not None and (high := number_or_none(row.high)) is not None
    ]
    outline = [(x, high) for x, _, high in edges] + [(x, low) for x, low, _ in reversed(edges)]
    canvas.path(outline if len(edges) > 1 else [], "band", closed=True)


def _lines(
    canvas: Canvas, values: Sequence[float | None], scale: Scale, *, left: float, right: float, kind: str
) -> None:
    """Draw the values as lines, broken where one is unknown; the last one has a dot."""
    part: list[tuple[float, float]] = []
    for number, value in enumerate([*values, None]):
        if value is None:
            canvas.path(part if len(part) > 1 else [], kind)
            if len(part) == 1:
                canvas.dot(*part[0], 2.5, kind)
            part = []
        else:
            part.append((left + _share(number, len(values)) * (right - left), scale.place(value)))
    known = [number for number, value in enumerate(values) if value is not None]
    if known:
        last = values[known[-1]] or 0.0
        canvas.dot(left + _share(known[-1], len(values)) * (right - left), scale.place(last), 3.5, kind)


def _share(number: int, count: int) -> float:
    return 0.5 if count < 2 else number / (count - 1)


def _chosen(rows: Sequence[PointRow]) -> Sequence[PointRow]:
    """Return the rows that are drawn: all, or evenly chosen ones with every break and the last."""
    if len(rows) <= _POINTS_MAX:
        return rows
    step = len(rows) / _POINTS_MAX
    wanted = {int(number * step) for number in range(_POINTS_MAX)} | {len(rows) - 1}
    return [row for number, row in enumerate(rows) if number in wanted or row.is_break]


def _cells(rows: Sequence[PointRow], count: int) -> list[list[str]]:
    return [
        [row.label, *(show_number(number_or_none(part)) for part in (row.value, row.low, row.high))][:count]
        for row in rows
    ]

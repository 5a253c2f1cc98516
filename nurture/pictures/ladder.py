"""A ladder of offers: each with what it changes, below one another on one axis; and a calibration of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import SMALL, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import Scale, make_scale, marks, show_number

_OFFERS_MAX = 20
_POINTS_MAX = 40


@dataclass(frozen=True, slots=True)
class OfferRow:
    """An offer with its effect and the interval of it. is_best: the cheapest that is not shown to be worse."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """People of about one predicted rate, and the rate that came, as shares from 0 to 1."""

    predicted: float | None
    observed: float | None
    low: float | None = None
    high: float | None = None
    people: int = 0


def draw_ladder(rows: Sequence[OfferRow], words: Words, *, id_: str) -> Picture:
    """Draw the offers in their order. words: title, offer, value, low, high, note, best."""
    shown = rows[:_OFFERS_MAX]
    numbers = [
        number
        for row in shown
        for part in (row.value, row.low, row.high)
        if (number := number_or_none(part)) is not None
    ]

    def draw(width: float) -> Canvas:
        is_wide = width > 400
        head, height = (170.0, 40.0) if is_wide else (8.0, 58.0)
        canvas = Canvas(width, 10 + height * max(1, len(shown)) + 22)
        scale = make_scale(numbers, head + 12, width - 64, with_zero=True)
        base = canvas.height - 20
        if is_wide:
            canvas.line(scale.place(0), 4, scale.place(0), base, "soft")
        for mark in marks(scale):
            at = scale.place(mark)
            canvas.text(at, base + 14, show_number(mark), kind="soft", size=SMALL, anchor="middle")
        for number, row in enumerate(shown):
            _draw_offer(canvas, row, words, scale, y=8 + number * height, head=head, is_wide=is_wide)
        return canvas

    cells = [
        [
            f"{row.label} ({word(words, 'best')})" if row.is_best else row.label,
            *(show_number(number_or_none(part)) for part in (row.value, row.low, row.high)),
            row.note,
        ]
        for row in rows
    ]
    return make_picture(
        draw, id_=id_, words=words, columns=("offer", "value", "low", "high", "note"), rows=cells
    )


def _draw_offer(
    canvas: Canvas, row: OfferRow, words: Words, scale: Scale, *, y: float, head: float, is_wide: bool
) -> None:
    kind, middle = "good" if row.is_best else "a", y + (14 if is_wide else 34)
    room = head - 8 if is_wide else canvas.width - 80
    canvas.text(4, y + 14, row.label, bold=row.is_best, most=room)
    note = f"{word(words, 'best')} · {row.note}".rstrip(" ·") if row.is_best else row.note
    if is_wide:
        canvas.text(4, y + 28, note, kind="soft", size=SMALL, most=room)
    else:
        # A line over the whole height would cross the labels.
        canvas.line(scale.place(0), middle - 10, scale.place(0), middle + 10, "soft")
    low, high, value = (number_or_none(part) for part in (row.low, row.high, row.value))
    if low is not None and high is not None:
        left, right = sorted((scale.place(low), scale.place(high)))
        canvas.rect(left, middle - 4, max(right - left, 2), 8, kind, round_=4)
    if value is not None:
        canvas.dot(scale.place(value), middle, 5, "card")
        canvas.dot(scale.place(value), middle, 5, kind, hollow=True)
        canvas.text(canvas.width - 6, middle + 4, show_number(value), bold=row.is_best, anchor="end", most=54)


def draw_calibration(rows: Sequence[CalibrationRow], words: Words, *, id_: str) -> Picture:
    """Draw what came against what was predicted; a true prediction lies on the dashed line.

    words: title, predicted, observed, low, high, people.
    """
    known = [
        (predicted, observed, row)
        for row in rows[:_POINTS_MAX]
        if (predicted := number_or_none(row.predicted)) is not None
        and (observed := number_or_none(row.observed)) is not None
    ]
    top = max([0.01, *(max(predicted, observed) for predicted, observed, _ in known)])

    def draw(width: float) -> Canvas:
        size = min(width - 60, 340.0)
        canvas = Canvas(width, size + 48)
        across, up = Scale(0, top, 48, 48 + size), Scale(0, top, size + 8, 8)
        for mark in marks(up):
            canvas.line(48, up.place(mark), 48 + size, up.place(mark))
            canvas.text(42, up.place(mark) + 4, f"{mark:.3g}", kind="soft", size=SMALL, anchor="end")
            canvas.text(
                across.place(mark), size + 24, f"{mark:.3g}", kind="soft", size=SMALL, anchor="middle"
            )
        canvas.line(across.place(0), up.place(0), across.place(top), up.place(top), "b", dashed=True)
        for predicted, observed, row in known:
            x, low, high = across.place(predicted), number_or_none(row.low), number_or_none(row.high)
            if low is not None and high is not None:
                canvas.line(x, up.place(low), x, up.place(high), "soft")
            canvas.dot(x, up.place(observed), 5, "a")
        canvas.text(48 + size, size + 42, word(words, "predicted"), size=SMALL, anchor="end", most=size)
        canvas.text(52, 18, word(words, "observed"), size=SMALL, most=size)
        return canvas

    cells = [
        [
            *(_percent(part) for part in (row.predicted, row.observed, row.low, row.high)),
            show_number(row.people),
        ]
        for row in rows
    ]
    columns = ("predicted", "observed", "low", "high", "people")
    return make_picture(draw, id_=id_, words=words, columns=columns, rows=cells)


def _percent(value: float | None) -> str:
    number = number_or_none(value)
    return "–" if number is None else f"{100 * number:.3g}%"

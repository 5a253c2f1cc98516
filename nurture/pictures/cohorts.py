"""Pictures of groups of people: a funnel of steps, and a triangle of cohorts over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nurture.pictures.canvas import SMALL, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import show_number

#: Rows that are drawn at most; the table has all.
_ROWS_MAX = 24
_COLUMNS_MAX = 13


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """A step and how many people came to it."""

    label: str
    count: float | None


@dataclass(frozen=True, slots=True)
class CohortRow:
    """People who began together, and the share of them that is still there after each period, 0 to 1."""

    label: str
    people: int
    shares: tuple[float | None, ...]


def draw_funnel(rows: Sequence[FunnelRow], words: Words, *, id_: str) -> Picture:
    """Draw a bar for each step, with its number and its share of the step before. words: title, step, people, share."""
    shown = rows[:_ROWS_MAX]
    counts = [max(0.0, number_or_none(row.count) or 0.0) for row in rows]
    top = max(counts, default=0.0) or 1.0
    shares = [None, *(_share(after, before) for before, after in pairwise(counts))]

    def draw(width: float) -> Canvas:
        canvas = Canvas(width, 8 + 40.0 * max(1, len(shown)))
        for number, row in enumerate(shown):
            y, size = 8 + number * 40.0, (width - 8) * counts[number] / top
            share = shares[number]
            text = show_number(number_or_none(row.count)) + ("" if share is None else f" · {share:.0%}")
            canvas.rect(4, y + 16, max(size, 1), 14, "a", round_=2)
            canvas.text(width - 4, y + 11, text, anchor="end", bold=True, most=width * 0.5)
            canvas.text(4, y + 11, row.label, most=width * 0.5 - 12)
        return canvas

    cells = [
        [row.label, show_number(number_or_none(row.count)), "–" if share is None else f"{share:.0%}"]
        for row, share in zip(rows, shares, strict=False)
    ]
    return make_picture(draw, id_=id_, words=words, columns=("step", "people", "share"), rows=cells)


def draw_bars(rows: Sequence[FunnelRow], words: Words, *, id_: str) -> Picture:
    """Draw a bar for each row, with its number. words: title, label, count."""
    shown = rows[:_ROWS_MAX]
    counts = [max(0.0, number_or_none(row.count) or 0.0) for row in rows]
    top = max(counts, default=0.0) or 1.0

    def draw(width: float) -> Canvas:
        head = width * 0.32
        canvas = Canvas(width, 8 + 24.0 * max(1, len(shown)))
        room = width - head - 64
        for number, row in enumerate(shown):
            y = 8 + number * 24.0
            size = room * counts[number] / top
            canvas.text(head - 8, y + 13, row.label, anchor="end", most=head - 12)
            canvas.rect(head, y + 2, max(size, 1), 15, "a", round_=2)
            canvas.text(head + size + 6, y + 14, show_number(number_or_none(row.count)), size=SMALL, most=54)
        return canvas

    cells = [[row.label, show_number(number_or_none(row.count))] for row in rows]
    return make_picture(draw, id_=id_, words=words, columns=("label", "count"), rows=cells)


def _share(after: float, before: float) -> float | None:
    return after / before if before else None


def draw_triangle(rows: Sequence[CohortRow], words: Words, *, id_: str) -> Picture:
    """Draw the cohorts below each other, a cell for each period. words: title, cohort, people, period."""
    shown = rows[-_ROWS_MAX:]
    periods = min(_COLUMNS_MAX, max((len(row.shares) for row in rows), default=1) or 1)

    def draw(width: float) -> Canvas:
        head = 150.0 if width > 400 else 78.0
        cell, height = (width - head - 4) / periods, 24.0
        canvas = Canvas(width, 24 + height * max(1, len(shown)) + 4)
        canvas.text(4, 15, word(words, "cohort"), kind="soft", size=SMALL, most=head - 8)
        for period in range(periods):
            canvas.text(
                head + (period + 0.5) * cell, 15, period, kind="soft", size=SMALL, anchor="middle", most=cell
            )
        for number, row in enumerate(shown):
            y = 22 + number * height
            canvas.text(4, y + 16, row.label, most=head - 8)
            for period, share in enumerate(row.shares[:periods]):
                _draw_cell(
                    canvas,
                    head + period * cell,
                    y,
                    width=cell,
                    height=height,
                    share=number_or_none(share),
                )
        return canvas

    cells = [
        [
            row.label,
            show_number(row.people),
            *("–" if number_or_none(share) is None else f"{share:.0%}" for share in row.shares[:periods]),
        ]
        for row in rows
    ]
    columns = ("cohort", "people", *(f"{word(words, 'period')} {period}" for period in range(periods)))
    return make_picture(draw, id_=id_, words=words, columns=columns, rows=cells)


def _draw_cell(
    canvas: Canvas, x: float, y: float, *, width: float, height: float, share: float | None
) -> None:
    if share is None:
        return
    step = max(1, min(5, int(max(0.0, min(1.0, share)) * 5 + 0.999)))
    canvas.rect(x + 1, y + 1, width - 2, height - 2, f"s{step}", round_=2)
    canvas.text(
        x + width / 2,
        y + 16,
        f"{share * 100:.0f}",
        kind=f"on{step}",
        anchor="middle",
        size=SMALL,
        most=width - 2,
    )

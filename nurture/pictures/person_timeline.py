"""The timeline of one person: runs and holds as bars, events and mails as marks, a lane for each kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import SMALL, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture
from nurture.pictures.scale import make_scale

_LANES_MAX = 30


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A happening. kind: `span`, `event`, `sent` or `withheld`."""

    lane: str
    label: str
    # Places in time, in any one unit; `when` is the same in words.
    start: float
    end: float | None = None
    kind: str = "event"
    when: str = ""


def draw_timeline(
    rows: Sequence[SpanRow], words: Words, *, id_: str, ends: tuple[str, str] = ("", "")
) -> Picture:
    """Draw the rows by their lanes. ends: the first and the last instant in words.

    words: title, lane, label, when, kind, and each kind.
    """
    known = [row for row in rows if number_or_none(row.start) is not None]
    lanes = list(dict.fromkeys(row.lane for row in known))[:_LANES_MAX]
    numbers = [row.start for row in known] + [
        end for row in known if (end := number_or_none(row.end)) is not None
    ]

    def draw(width: float) -> Canvas:
        is_wide = width > 400
        head, lane_height = (150.0, 34.0) if is_wide else (8.0, 50.0)
        canvas = Canvas(width, 12 + lane_height * max(1, len(lanes)) + 20)
        scale = make_scale(numbers, head + 8, width - 12)
        for number, lane in enumerate(lanes):
            top = 8 + number * lane_height
            canvas.text(4, top + 14, lane, bold=True, most=head - 8 if is_wide else width - 8)
            middle = top + (12 if is_wide else 28)
            canvas.line(head + 4, middle + 12, width - 4, middle + 12)
            for row in known:
                if row.lane == lane:
                    _draw_row(canvas, row, scale.place(row.start), _end(row, scale.place), middle)
        base = canvas.height - 6
        canvas.text(head + 8, base, ends[0], kind="soft", size=SMALL, most=width / 3)
        canvas.text(width - 8, base, ends[1], kind="soft", size=SMALL, anchor="end", most=width / 3)
        return canvas

    cells = [[row.lane, row.label, row.when, words.get(row.kind, row.kind)] for row in rows]
    return make_picture(draw, id_=id_, words=words, columns=("lane", "label", "when", "kind"), rows=cells)


def _end(row: SpanRow, place: object) -> float | None:
    end = number_or_none(row.end)
    return None if end is None or not callable(place) else float(place(end))


def _draw_row(canvas: Canvas, row: SpanRow, x: float, end: float | None, y: float) -> None:
    """Draw a bar, or a mark: full for what was sent, hollow for what was withheld, a stroke for an event."""
    if row.kind == "span" or end is not None:
        canvas.rect(x, y - 5, max((end or x) - x, 3), 10, "s3", round_=3)
    elif row.kind == "sent":
        canvas.dot(x, y, 5, "a")
    elif row.kind == "withheld":
        canvas.dot(x, y, 4.5, "bad", hollow=True)
    else:
        canvas.rect(x - 1.5, y - 6, 3, 12, "soft")
    canvas.text(x + 8, y + 4, row.label, size=SMALL, most=120)

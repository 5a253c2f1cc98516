"""Stacked areas over time: people at each stage, mails of each purpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from nurture.pictures.canvas import SMALL, Anchor, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import Scale, make_scale, marks, show_number

#: Places in time that are drawn at most; of more, evenly chosen ones.
_PLACES_MAX = 180
#: Groups with a shade of their own; the others are one more.
_GROUPS_MAX = 8
#: Classes of the groups, from below: neighbours differ in light and dark.
_FILLS = ("s5", "s2", "s4", "s1", "b", "s3", "soft", "s2", "s1")


@dataclass(frozen=True, slots=True)
class AreaRow:
    """The numbers of the groups at a place in time, in the order of the groups; None is 0."""

    label: str
    counts: tuple[float | None, ...]


def draw_areas(rows: Sequence[AreaRow], groups: Sequence[str], words: Words, *, id_: str) -> Picture:
    """Draw the groups above each other, the first one below. words: title, label, others."""
    names = [*groups[:_GROUPS_MAX], *([word(words, "others")] if len(groups) > _GROUPS_MAX else [])]
    chosen = _chosen(rows)
    tops = [_tops(row, len(names)) for row in chosen]

    def draw(width: float) -> Canvas:
        is_wide = width > 400
        legend = 18.0 * -(-len(names) // (4 if is_wide else 2))
        canvas = Canvas(width, 216 + legend)
        left, right = 48.0, width - 12
        scale = make_scale([top[-1] for top in tops if top], 176, 12, with_zero=True)
        _axis(canvas, scale, left=left, right=right)
        places = [left + _share(number, len(chosen)) * (right - left) for number in range(len(chosen))]
        for number in reversed(range(len(names))):
            line = [(place, scale.place(top[number])) for place, top in zip(places, tops, strict=True)]
            if len(line) == 1:
                line = [(left, line[0][1]), (right, line[0][1])]
            ground = [(line[-1][0], scale.place(0)), (line[0][0], scale.place(0))] if line else []
            canvas.path([*line, *ground], _FILLS[number], closed=True)
        ends: tuple[tuple[int, Anchor], ...] = ((0, "start"), (-1, "end"))
        for place, anchor in ends if len(chosen) > 1 else ():
            canvas.text(
                places[place],
                194,
                chosen[place].label,
                kind="soft",
                size=SMALL,
                anchor=anchor,
                most=width / 3,
            )
        _legend(canvas, names, is_wide=is_wide, top=208)
        return canvas

    cells = [
        [row.label, *(show_number(number_or_none(count) or 0.0) for count in _padded(row, len(groups)))]
        for row in rows
    ]
    return make_picture(draw, id_=id_, words=words, columns=("label", *groups), rows=cells)


def _padded(row: AreaRow, count: int) -> list[float | None]:
    return [*row.counts[:count], *([None] * (count - len(row.counts)))]


def _tops(row: AreaRow, count: int) -> list[float]:
    """Return the upper edge of each group; what has no group of its own counts to the last one."""
    values = [max(0.0, number_or_none(value) or 0.0) for value in row.counts]
    own = [*values[:count], *([0.0] * (count - len(values)))]
    if count and len(values) > count:
        own[-1] += sum(values[count:])
    return list(accumulate(own))


def _axis(canvas: Canvas, scale: Scale, *, left: float, right: float) -> None:
    for mark in marks(scale):
        canvas.line(left, scale.place(mark), right, scale.place(mark))
        canvas.text(left - 6, scale.place(mark) + 4, show_number(mark), kind="soft", size=SMALL, anchor="end")


def _legend(canvas: Canvas, names: Sequence[str], *, is_wide: bool, top: float) -> None:
    columns = 4 if is_wide else 2
    room = (canvas.width - 12) / columns
    for number, name in enumerate(names):
        row, column = divmod(number, columns)
        x, y = 8 + column * room, top + row * 18
        canvas.rect(x, y, 12, 12, _FILLS[number], round_=2)
        canvas.line(x, y + 12, x + 12, y + 12, "soft")
        canvas.text(x + 18, y + 10, name, size=SMALL, most=room - 24)


def _share(number: int, count: int) -> float:
    return 0.5 if count < 2 else number / (count - 1)


def _chosen(rows: Sequence[AreaRow]) -> Sequence[AreaRow]:
    if len(rows) <= _PLACES_MAX:
        return rows
    step = len(rows) / _PLACES_MAX
    wanted = {int(number * step) for number in range(_PLACES_MAX)} | {len(rows) - 1}
    return [row for number, row in enumerate(rows) if number in wanted]

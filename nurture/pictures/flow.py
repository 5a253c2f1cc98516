"""The flow of people between groups, from one date to another."""

from collections.abc import Sequence
from dataclasses import dataclass

from nurture.pictures.canvas import Anchor, Canvas, number_or_none
from nurture.pictures.picture import Picture, Words, make_picture, word
from nurture.pictures.scale import show_number

#: Groups of one side that are drawn; the others are one more.
_GROUPS_MAX = 10


@dataclass(frozen=True, slots=True)
class FlowRow:
    """How many people went from a group to another one, or stayed."""

    source: str
    target: str
    count: float | None


def draw_flow(rows: Sequence[FlowRow], words: Words, *, id_: str) -> Picture:
    """Draw bands between the groups of two dates. words: title, from, to, people, others."""
    other = word(words, "others")
    counted = [(row.source, row.target, max(0.0, number_or_none(row.count) or 0.0)) for row in rows]
    sources, targets = _groups(counted, 0, other), _groups(counted, 1, other)
    flows: dict[tuple[str, str], float] = {}
    for source, target, count in counted:
        pair = (source if source in sources else other, target if target in targets else other)
        flows[pair] = flows.get(pair, 0.0) + count

    def draw(width: float) -> Canvas:
        return _draw(width, flows, list(sources), list(targets))

    cells = [[row.source, row.target, show_number(number_or_none(row.count))] for row in rows]
    return make_picture(draw, id_=id_, words=words, columns=("from", "to", "people"), rows=cells)


def _groups(rows: Sequence[tuple[str, str, float]], side: int, other: str) -> dict[str, None]:
    """Return the groups of a side in their order; of many the largest, and one for the others."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[str(row[side])] = sums.get(str(row[side]), 0.0) + row[2]
    if len(sums) <= _GROUPS_MAX:
        return dict.fromkeys(sums)
    largest = set(sorted(sums, key=lambda name: -sums[name])[:_GROUPS_MAX])
    return dict.fromkeys([*(name for name in sums if name in largest), other])


def _draw(
    width: float, flows: dict[tuple[str, str], float], sources: list[str], targets: list[str]
) -> Canvas:
    count = max(len(sources), len(targets), 1)
    canvas = Canvas(width, 60 + 44.0 * count)
    total = sum(flows.values()) or 1.0
    unit = (canvas.height - 24 - 30.0 * count) / total
    label = width * 0.27
    left, right = label + 8, width - label - 8
    starts, ends = _edges(flows, sources, 0, unit), _edges(flows, targets, 1, unit)
    at, to = dict(starts), dict(ends)
    for (source, target), people in sorted(
        flows.items(), key=lambda item: (sources.index(item[0][0]), targets.index(item[0][1]))
    ):
        size = people * unit
        kind = "s2" if source == target else "s3"
        canvas.ribbon(
            (left + 8, at[source], at[source] + size), (right - 8, to[target], to[target] + size), kind
        )
        at[source], to[target] = at[source] + size, to[target] + size
    for names, tops, x, side in ((sources, starts, left, 0), (targets, ends, right - 8, 1)):
        for name in names:
            people = sum(value for pair, value in flows.items() if pair[side] == name)
            canvas.rect(x, tops[name], 8, max(people * unit, 1), "a")
            anchor: Anchor = "end" if side == 0 else "start"
            edge = x - 6 if side == 0 else x + 14
            middle = tops[name] + max(people * unit, 1) / 2
            canvas.text(edge, middle + 1, name, anchor=anchor, most=label - 4)
            canvas.text(
                edge,
                middle + 15,
                show_number(people),
                kind="soft",
                anchor=anchor,
                most=label - 4,
            )
    return canvas


def _edges(flows: dict[tuple[str, str], float], names: list[str], side: int, unit: float) -> dict[str, float]:
    """Return the upper edge of each group of a side."""
    edges, y = dict[str, float](), 14.0
    for name in names:
        edges[name] = y
        y += sum(value for pair, value in flows.items() if pair[side] == name) * unit + 30
    return edges

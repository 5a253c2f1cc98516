"""Line charts as SVG, from the standard library: both axes logarithmic, readable on light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 150, 56, 60
#: Told apart also without colour: each line has its own dashes.
_STYLES = (
    ("#1f6f54", ""),
    ("#b3541e", "7 4"),
    ("#3b5bab", "2 4"),
    ("#7a3b8f", "10 3 2 3"),
    ("#555555", "1 3"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its name and points, ascending; all values above 0."""

    name: str
    points: Sequence[tuple[float, float]]


def chart(title: str, lines: Sequence[Line], *, across: str, up: str) -> str:
    """Return the chart as SVG text; across and up name the axes with their units."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    left, right = log10(min(xs)), log10(max(xs))
    low, high = floor(log10(min(ys))), max(ceil(log10(max(ys))), floor(log10(min(ys))) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        along = (log10(x) - left) / ((right - left) or 1)
        rise = (log10(y) - low) / (high - low)
        wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return round(_LEFT + along * wide, 1), round(_HEIGHT - _BOTTOM - rise * tall, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="28" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        _, y = place(min(xs), 10**power)
        parts.append(f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    for x in sorted(set(xs)):
        at, _ = place(x, 10**low)
        parts.append(f'<text x="{at}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{x:,.0f}</text>')
    middle = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 14}" text-anchor="middle">{escape(across)}</text>')
    turned = f'transform="translate(18 {_HEIGHT / 2}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle">{escape(up)}</text>')
    ends = _apart([place(*line.points[-1])[1] for line in lines])
    for number, line in enumerate(lines):
        color, dashes = _STYLES[number % len(_STYLES)]
        points = [place(*point) for point in line.points]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{color}"/>' for x, y in points]
        parts.append(
            f'<text x="{points[-1][0] + 10}" y="{ends[number] + 4}" fill="{color}">{escape(line.name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(heights: Sequence[float], least: float = 16.0) -> list[float]:
    """Move labels so far down that none covers another."""
    placed: dict[int, float] = {}
    last = float("-inf")
    for number, height in sorted(enumerate(heights), key=lambda one: one[1]):
        last = placed[number] = max(height, last + least)
    return [placed[number] for number in range(len(heights))]

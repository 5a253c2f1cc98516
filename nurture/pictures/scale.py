"""Scales: from values to places on a canvas, with round marks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps a range of values onto a range of px."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return the place of a value; values outside lie on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + max(0.0, min(1.0, share)) * (self.end - self.start)


def make_scale(values: Iterable[float], start: float, end: float, *, with_zero: bool = False) -> Scale:
    """Return the scale of the values; a range of nothing becomes a range around it."""
    numbers = [*values, *([0.0] if with_zero else [])] or [0.0]
    low, high = min(numbers), max(numbers)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        around = abs(high) * 0.1 or 1.0
        low, high = low - around, high + around
    return Scale(low, high, start, end)


def marks(scale: Scale, count: int = 4) -> list[float]:
    """Return about so many round values within the scale."""
    rough = (scale.high - scale.low) / max(1, count)
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = floor(scale.low / step)
    values = [(first + number) * step for number in range(count * 3 + 3)]
    return [value for value in values if scale.low <= value <= scale.high]


def show_number(value: float | None) -> str:
    """Return a number as pictures show it: 1,204, 0.25, 12.5k, 3.1M."""
    if value is None:
        return "–"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.1f}".removesuffix(".0") + "M"
    if abs(value) >= 1e5:
        return f"{value / 1e3:.1f}".removesuffix(".0") + "k"
    if abs(value) >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies; 0 without values."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0

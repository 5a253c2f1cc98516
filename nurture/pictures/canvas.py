"""A canvas that collects shapes and labels, and gives them as SVG text.

The width of text is not known here: a Latin letter counts 0.62 em, one of a wide script 1 em. Labels never leave
the canvas and never touch each other: a long one is cut, and a label without room is left out.
"""

import re
from collections.abc import Iterable
from html import escape
from math import isfinite
from typing import Final, Literal
from unicodedata import east_asian_width

Anchor = Literal["start", "middle", "end"]

#: Size of text, and of the small text of notes, in px.
SIZE: Final = 12
SMALL: Final = 10.5
WIDE: Final = 720
NARROW: Final = 288
#: The least distance between two lines of labels.
GAP: Final = 3.0
_LATIN, _BROAD = 0.62, 1.0
#: The largest number that is drawn; beyond it lies no picture that anybody reads.
_LARGEST: Final = 1e12


def number_or_none(value: float | None) -> float | None:
    """Return a value that can be drawn; None for none, for NaN and for what is endless."""
    if value is None or not isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, float(value)))


def clean(text: object, *, most: int = 200) -> str:
    """Return a text in one line without characters that XML refuses."""
    plain = "".join(
        character
        if character >= " "
        and not 0xD800 <= ord(character) <= 0xDFFF
        and ord(character) not in (0xFFFE, 0xFFFF)
        else " "
        for character in str(text)[: most * 2]
    )
    return " ".join(plain.split())[:most]


def text_width(text: str, size: float = SIZE) -> float:
    """Return the estimated width of a text in px."""
    return size * sum(_BROAD if east_asian_width(character) in "WF" else _LATIN for character in text)


def fit(text: str, width: float, size: float = SIZE) -> str:
    """Return the text, cut with an ellipsis where it is wider; "" where not even two letters fit."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(f"{kept}…", size) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}…" if len(kept) > 1 else ""


def wrap(text: str, width: float, *, lines: int, size: float = SIZE) -> list[str]:
    """Return the text in at most so many lines; the last one is cut where more is left."""
    wrapped, words = list[str](), text.split()
    while words and len(wrapped) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size) <= width:
            count += 1
        wrapped.append(fit(" ".join(words[:count]), width, size))
        words = words[count:]
    return [*wrapped, fit(" ".join(words), width, size)] if words else wrapped


class Canvas:
    """Shapes and labels of one picture."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._parts: list[str] = []
        # (left, top, right, bottom) of the labels, by the rows of 20 px that they touch.
        self._labels: dict[int, list[tuple[float, float, float, float]]] = {}

    def rect(self, x: float, y: float, width: float, height: float, kind: str, *, round_: float = 0) -> None:
        """Add a rectangle of a class."""
        corner = f' rx="{_n(round_)}"' if round_ else ""
        self._parts.append(
            f'<rect class="p-{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" '
            f'height="{_n(max(height, 0))}"{corner}/>'
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, kind: str = "line", *, dashed: bool = False
    ) -> None:
        """Add a line of a class."""
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(
            f'<line class="p-{kind}-line" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"{dash}/>'
        )

    def path(self, points: Iterable[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """Add a line through points, or the area that they enclose."""
        text = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        if text and closed:
            self._parts.append(f'<polygon class="p-{kind}" points="{text}"/>')
        elif text:
            self._parts.append(f'<polyline class="p-{kind}-line" stroke-width="2" points="{text}"/>')

    def ribbon(self, left: tuple[float, float, float], right: tuple[float, float, float], kind: str) -> None:
        """Add a bent band between two edges, each (x, top, bottom)."""
        (x1, top1, bottom1), (x2, top2, bottom2) = left, right
        middle = (x1 + x2) / 2
        text = (
            f"M{_n(x1)},{_n(top1)} C{_n(middle)},{_n(top1)} {_n(middle)},{_n(top2)} {_n(x2)},{_n(top2)} "
            f"L{_n(x2)},{_n(bottom2)} C{_n(middle)},{_n(bottom2)} {_n(middle)},{_n(bottom1)} {_n(x1)},{_n(bottom1)} Z"
        )
        self._parts.append(f'<path class="p-{kind}" d="{text}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str, *, hollow: bool = False) -> None:
        """Add a circle; a hollow one shows its edge."""
        name = f"p-{kind}-line" if hollow else f"p-{kind}"
        edge = ' stroke-width="2"' if hollow else ""
        self._parts.append(f'<circle class="{name}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"{edge}/>')

    def text(
        self,
        x: float,
        y: float,
        text: object,
        *,
        kind: str = "ink",
        anchor: Anchor = "start",
        size: float = SIZE,
        most: float | None = None,
        bold: bool = False,
    ) -> bool:
        """Add a label with its baseline at y; tell whether it found room.

        most: the width that it may take. It is cut where it would leave the canvas.
        """
        room = {"start": self.width - x, "end": x, "middle": 2 * min(x, self.width - x)}[anchor] - 1
        shown = fit(clean(text), min(room, room if most is None else most), size)
        width = text_width(shown, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = (left, y - size * 0.8, left + width, y + size * 0.25)
        if not shown or box[0] < 0 or box[1] < 0 or box[3] > self.height or not self._is_free(box):
            return False
        for row in _rows(box):
            self._labels.setdefault(row, []).append(box)
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text class="p-{kind}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" text-anchor="{anchor}"{weight}>'
            f"{escape(shown, quote=False)}</text>"
        )
        return True

    def _is_free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        return not any(
            left < other[2] + GAP and other[0] < right + GAP and top < other[3] and other[1] < bottom
            for row in _rows(box)
            for other in self._labels.get(row, ())
        )

    def svg(self, *, id_: str, title: str, description: str = "", side: str = "") -> str:
        """Return the picture. id_: differs for each picture of a page. side: `wide` or `narrow`."""
        name = re.sub(r"[^\w-]+", "-", clean(id_))
        labelled = f"{name}-t {name}-d" if description else f"{name}-t"
        described = (
            f'<desc id="{escape(name)}-d">{escape(clean(description, most=1_000))}</desc>'
            if description
            else ""
        )
        kind = f' class="p-{side}"' if side else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg"{kind} role="img" aria-labelledby="{escape(labelled)}" '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}" '
            f'font-family="system-ui, sans-serif">'
            f'<title id="{escape(name)}-t">{escape(clean(title))}</title>{described}{"".join(self._parts)}</svg>'
        )


def _rows(box: tuple[float, float, float, float]) -> range:
    return range(int(box[1] // 20), int(box[3] // 20) + 1)


def _n(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text

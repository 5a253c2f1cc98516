"""The colours of pictures, light and dark, as classes; and the contrast that tests hold them to.

Five steps shade a cell. The text on a step is ink on the light ones and the colour of the card on the strong ones, so
that its contrast stays at 4.5 or more.
"""

from collections.abc import Mapping
from typing import Final

#: Name -> colour, for each theme. `a` and `b` tell two groups apart, `good` and `bad` a verdict.
LIGHT: Final[Mapping[str, str]] = {
    "card": "#ffffff",
    "ink": "#1d2320",
    "soft": "#56605a",
    "line": "#c9d1cc",
    "a": "#1f5a4c",
    "b": "#8a4b12",
    "good": "#1b6e3c",
    "bad": "#a32a2a",
}
DARK: Final[Mapping[str, str]] = {
    "card": "#151a18",
    "ink": "#e8ece9",
    "soft": "#a9b4ae",
    "line": "#3a4440",
    "a": "#6fc3a9",
    "b": "#e0a468",
    "good": "#6ccf8e",
    "bad": "#f08a84",
}
#: How much of the colour `a` each step has over the card; and the steps from which text has the card's colour.
SHARES: Final[Mapping[str, tuple[float, ...]]] = {
    "light": (0.08, 0.22, 0.38, 0.8, 1.0),
    "dark": (0.1, 0.2, 0.32, 0.75, 1.0),
}
CARD_TEXT_FROM: Final = 4
#: The share of a band behind a line.
BAND: Final = 0.18


def blend(colour: str, ground: str, share: float) -> str:
    """Return the colour that a part of one makes over another."""
    parts = zip(_parts(colour), _parts(ground), strict=True)
    return "#" + "".join(f"{round(own * share + under * (1 - share)):02x}" for own, under in parts)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.2 counts it, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def step_colours(theme: str) -> list[tuple[str, str]]:
    """Return (fill, text) of the five steps of a theme, `light` or `dark`."""
    colours = LIGHT if theme == "light" else DARK
    return [
        (
            blend(colours["a"], colours["card"], share),
            colours["card"] if number >= CARD_TEXT_FROM else colours["ink"],
        )
        for number, share in enumerate(SHARES[theme], start=1)
    ]


def stylesheet() -> str:
    """Return the rules of the classes that pictures use, for a page's sheet or a file that stands alone."""
    narrow = "@media (max-width: 45rem) { .p-wide { display: none } .p-narrow { display: block } }"
    return "\n".join(
        [
            _rules("light"),
            "@media (prefers-color-scheme: dark) {",
            _rules("dark"),
            "}",
            ".p-narrow { display: none }",
            narrow,
            "",
        ]
    )


def _rules(theme: str) -> str:
    colours = LIGHT if theme == "light" else DARK
    lines = [f".p-{name} {{ fill: {value} }}" for name, value in colours.items() if name != "line"]
    lines += [f".p-{name}-line {{ stroke: {value}; fill: none }}" for name, value in colours.items()]
    lines.append(f".p-band {{ fill: {blend(colours['a'], colours['card'], BAND)} }}")
    for number, (fill, text) in enumerate(step_colours(theme), start=1):
        lines += [f".p-s{number} {{ fill: {fill} }}", f".p-on{number} {{ fill: {text} }}"]
    return "\n".join(lines)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)

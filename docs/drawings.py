"""Draw the pictures of the shipped mails.

`.venv/bin/python docs/drawings.py [NAME ...]` writes `email_templates/_layout/images` (with names, these alone).

Small shapes with one hand: a flat fill that is shifted by (5, 5) from an ink line with round ends, one table line, one
big disc behind, six colours. No picture has words, so one set serves all languages, and each has its own ground, so it
looks the same in dark mode. Needs Chromium on the PATH; the PNGs have 32 colours, without dither.
"""

import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

OUT: Final = Path(__file__).parents[1] / "email_templates" / "_layout" / "images"
COLOURS_MAX: Final = 32
SCALE: Final = 2

INK, GREEN, SAGE, APRICOT = "#22322c", "#1f5a4c", "#a9c7b7", "#f2a950"
CHERRY, CREAM, CREMA, SKIN = "#d65a3c", "#fff7e8", "#e9cfa6", "#f0c8a0"
PALE, SAND, PARTY, STAMP = "#dbe9e0", "#f6e7cd", "#2d7a68", "#e4d9c6"


class Drawing(NamedTuple):
    """A picture of a width and a height in mails, drawn at twice the size."""

    width: int
    height: int
    svg: str


def shape(path: str, fill: str, *, line: float = 4.5, shift: int = 5) -> str:
    """Return a closed shape: the fill, shifted, under its line."""
    return (
        f'<path d="{path}" fill="{fill}" transform="translate({shift} {shift})"/>'
        f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="{line}"/>'
    )


def stroke(path: str, *, line: float = 4.5, colour: str = INK) -> str:
    """Return an open line."""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{line}"/>'


def at(x: float, y: float, scale: float, *parts: str) -> str:
    """Return parts moved and scaled."""
    return f'<g transform="translate({x} {y}) scale({scale})">{"".join(parts)}</g>'


def disc(x: float, y: float, radius: float, fill: str) -> str:
    """Return a disc without a line."""
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}"/>'


def ground(width: int, height: int, fill: str, table: str, *behind: str, at_y: int) -> str:
    """Return the ground of a scene: a wall, what is behind the table, the table and its line."""
    return (
        f'<rect width="{width}" height="{height}" fill="{fill}"/>{"".join(behind)}'
        f'<rect y="{at_y}" width="{width}" height="{height - at_y}" fill="{table}"/>'
        f'<path d="M0 {at_y}H{width}" stroke="{INK}" stroke-width="4.5"/>'
    )


def bean(fill: str = CHERRY) -> str:
    """Return a coffee bean in 24 by 28."""
    return shape("M12 2C22 4 24 20 14 26C3 26 0 8 12 2Z", fill, line=3, shift=2) + stroke(
        "M14 4C8 11 18 17 12 25", line=3
    )


def bag(fill: str, label: str = CREAM) -> str:
    """Return a bag of coffee in 90 by 120."""
    return (
        shape("M8 30L18 6H74L84 30V116H8Z", fill)
        + stroke("M8 30H84M26 18H66")
        + shape("M26 54H66V94H26Z", label, line=3.5, shift=0)
        + at(35, 60, 0.95, bean(APRICOT))
    )


def cup(fill: str = CREAM) -> str:
    """Return a cup with steam in 110 by 110."""
    return (
        shape("M14 50H82V72C82 92 70 100 48 100C26 100 14 92 14 72Z", fill)
        + stroke("M82 58C102 54 102 82 80 82")
        + stroke("M30 38C24 30 36 26 30 14M48 38C42 30 54 26 48 14M66 38C60 30 72 26 66 14", line=4)
    )


def grinder() -> str:
    """Return a hand grinder in 80 by 120."""
    return (
        shape("M18 52H62L56 114H24Z", GREEN)
        + shape("M16 34H64V52H16Z", APRICOT)
        + stroke("M40 34V20L68 10")
        + shape("M64 4H76V16H64Z", CHERRY, line=3.5, shift=2)
    )


def kettle(fill: str = CHERRY) -> str:
    """Return a kettle with a swan's neck in 130 by 100."""
    return (
        shape("M40 40H96L104 92H32Z", fill)
        + stroke("M36 74C16 72 22 40 4 36")
        + stroke("M98 48C126 44 126 84 102 82")
        + stroke("M46 40C46 26 90 26 90 40M68 28V22")
    )


def box(fill: str = CREMA) -> str:
    """Return a parcel in 120 by 100."""
    return (
        shape("M8 32L60 12L112 32V84L60 100L8 84Z", fill)
        + stroke("M8 32L60 50L112 32M60 50V100")
        + shape("M34 22L86 42V58L74 62V46L22 27Z", APRICOT, line=3.5, shift=0)
    )


def lark(fill: str = CREAM, wing: str = SAGE) -> str:
    """Return the lark, which sits somewhere in nearly every scene, in 110 by 80."""
    return (
        shape("M4 66C14 58 20 46 30 34C44 12 78 8 88 26L104 32L90 40C86 62 60 74 34 64Z", fill)
        + shape("M34 50C46 34 66 36 70 46C62 58 44 58 34 50Z", wing, line=3.5, shift=2)
        + disc(78, 28, 3.6, INK)
    )


def twig() -> str:
    """Return a twig with two leaves and cherries in 90 by 110."""
    return (
        stroke("M46 108C44 70 48 40 46 8")
        + shape("M46 56C22 52 10 36 6 20C28 20 44 34 46 56Z", SAGE)
        + shape("M48 66C70 58 80 44 86 28C64 32 48 44 48 66Z", GREEN)
        + shape("M28 78A10 10 0 1 0 48 78A10 10 0 1 0 28 78Z", CHERRY, line=4, shift=2)
        + shape("M54 86A9 9 0 1 0 72 86A9 9 0 1 0 54 86Z", CHERRY, line=4, shift=2)
    )


def shop() -> str:
    """Return the shop with its awning in 300 by 190."""
    stripes = "".join(
        f'<path d="M{34 + 36 * n} 10H{52 + 36 * n}L{50 + 38 * n} 56H{30 + 38 * n}Z" fill="{CHERRY}"/>'
        for n in range(7)
    )
    return (
        shape("M30 56H270V186H30Z", CREAM)
        + shape("M34 10H276L300 56H6Z", CREAM, shift=0)
        + stripes
        + stroke("M34 10H276L300 56H6Z")
        + shape("M54 84H160V160H54Z", PALE)
        + shape("M190 84H246V186H190Z", GREEN)
        + disc(236, 138, 4, APRICOT)
        + at(66, 100, 0.56, kettle(APRICOT))
        + at(124, 98, 0.52, bag(CHERRY))
    )


def woman() -> str:
    """Return a portrait in 112 by 112."""
    return (
        f'<rect width="112" height="112" fill="{SAGE}"/>'
        + disc(78, 20, 11, "#5a3826")
        + shape("M14 116C16 84 36 78 56 78C76 78 96 84 98 116Z", GREEN)
        + shape("M46 66H66V84C62 92 50 92 46 84Z", SKIN, line=3.5, shift=0)
        + shape("M34 46C34 24 78 24 78 46C78 66 68 76 56 76C44 76 34 66 34 46Z", SKIN, line=3.5, shift=0)
        + '<path d="M31 50C26 18 84 10 82 50C76 44 74 38 72 34C60 42 42 40 38 38C36 42 34 46 31 50Z" fill="#5a3826"/>'
        + disc(48, 52, 2.8, INK)
        + disc(65, 52, 2.8, INK)
        + stroke("M50 64C54 68 60 68 63 64", line=3)
    )


def bird_and_kettle() -> str:
    """Return the mark: the bird whose tail is a handle, on its own tile, in 88 by 88."""
    return (
        f'<rect width="88" height="88" fill="{GREEN}"/>'
        f'<path d="M16 32C24 16 42 18 46 32L48 42H72V56C72 68 62 72 48 72C32 72 26 62 27 48L28 40Z" fill="{CREAM}"/>'
        f'<path d="M50 38C50 18 74 18 74 40" fill="none" stroke="{CREAM}" stroke-width="6"/>'
        f'<path d="M40 54C46 48 58 48 62 54C58 62 46 62 40 54Z" fill="{GREEN}"/>' + disc(33, 30, 3, GREEN)
    )


def bunting(width: int) -> str:
    """Return flags on a line and confetti, for a celebration."""
    flags = [
        (40 + 78 * n, 34 + 14 * abs(3 - n) // 2 * -1 + 20, (CREAM, APRICOT, CHERRY, SAGE)[n % 4])
        for n in range(7)
    ]
    drawn = "".join(
        shape(f"M{x} {y}L{x + 30} {y + 3}L{x + 14} {y + 32}Z", fill, line=3.5, shift=0)
        for x, y, fill in flags
    )
    bits = [
        (60, 120),
        (120, 150),
        (96, 210),
        (170, 108),
        (200, 170),
        (420, 120),
        (470, 168),
        (520, 120),
        (548, 200),
        (390, 180),
        (150, 250),
        (450, 238),
    ]
    colours = (APRICOT, CREAM, CHERRY, SAGE)
    confetti = "".join(
        f'<rect x="{x}" y="{y}" width="7" height="20" rx="3" fill="{colours[n % 4]}" '
        f'transform="rotate({29 * n % 90} {x} {y})"/>'
        for n, (x, y) in enumerate(bits)
    )
    return stroke(f"M0 40C150 66 320 64 {width} 22") + drawn + confetti


def drawings() -> Mapping[str, Drawing]:
    """Return name -> drawing."""
    wall, table = SAND, CREMA
    return {
        "mark": Drawing(44, 44, f'<g transform="scale(.5)">{bird_and_kettle()}</g>'),
        "portrait": Drawing(56, 56, f'<g transform="scale(.5)">{woman()}</g>'),
        "stamp": Drawing(66, 78, _stamp()),
        "bag": Drawing(64, 64, f'<rect width="64" height="64" fill="{SAND}"/>' + at(14, 6, 0.42, bag(GREEN))),
        "grinder": Drawing(
            64, 64, f'<rect width="64" height="64" fill="{PALE}"/>' + at(14, 6, 0.44, grinder())
        ),
        "goods": Drawing(64, 64, f'<rect width="64" height="64" fill="{SAND}"/>' + at(7, 9, 0.42, box())),
        "hero_offer": Drawing(
            600,
            240,
            ground(600, 240, wall, table, at_y=196)
            + '<path d="M336 194A150 150 0 0 1 600 60V194Z" fill="#f2d3a0"/>'
            + at(60, 62, 1.14, bag(GREEN))
            + at(182, 44, 1.3, bag(APRICOT))
            + at(322, 84, 0.95, bag(CHERRY))
            + at(426, 88, 1.06, cup())
            + at(34, 172, 0.9, bean(APRICOT))
            + at(548, 170, 0.9, bean()),
        ),
        "hero_party": Drawing(
            600,
            320,
            f'<rect width="600" height="320" fill="{PARTY}"/>'
            + disc(300, 200, 120, "#3d8b78")
            + bunting(600)
            + at(20, 208, 1.05, twig())
            + at(490, 208, 1.05, twig())
            + at(
                238,
                168,
                1.4,
                "".join(
                    (
                        shape("M14 50H82V72C82 92 70 100 48 100C26 100 14 92 14 72Z", APRICOT),
                        stroke("M82 58C102 54 102 82 80 82"),
                    )
                ),
            )
            + at(246, 143, 1.15, lark()),
        ),
        "hero_shop": Drawing(
            600,
            240,
            ground(600, 240, PALE, table, disc(470, 90, 84, "#c9ddd0"), at_y=206)
            + at(120, 34, 0.92, shop())
            + at(10, 84, 1.1, twig())
            + at(446, 108, 0.95, cup(GREEN))
            + at(290, 0, 0.5, lark(APRICOT, CREAM)),
        ),
        "hero_parcel": Drawing(
            600,
            240,
            ground(600, 240, PALE, table, disc(300, 130, 104, "#c9ddd0"), at_y=196)
            + at(196, 60, 1.5, box())
            + at(226, 14, 0.95, lark())
            + at(66, 82, 1.05, twig())
            + at(424, 110, 0.8, bag(GREEN))
            + at(520, 164, 1.1, bean(APRICOT)),
        ),
        "hero_welcome": Drawing(
            600,
            240,
            ground(600, 240, wall, table, disc(300, 120, 104, "#f2d3a0"), at_y=196)
            + at(230, 80, 1.14, cup())
            + at(96, 92, 1.12, kettle())
            + at(390, 78, 1.05, grinder())
            + at(486, 136, 0.9, lark(APRICOT, CREAM))
            + at(360, 174, 0.8, bean()),
        ),
    }


def _stamp() -> str:
    holes = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.4" fill="#fbf8f1"/>'
        for x, y in [
            *((n, e) for n in range(3, 66, 6) for e in (0, 78)),
            *((e, n) for n in range(3, 78, 6) for e in (0, 66)),
        ]
    )
    return (
        f'<rect width="66" height="78" fill="{STAMP}"/>{holes}'
        f'<rect x="6" y="6" width="54" height="66" fill="{APRICOT}"/>'
        f'<rect x="6" y="56" width="54" height="16" fill="{GREEN}"/>'
        + disc(44, 22, 10, CREAM)
        + at(10, 24, 0.42, lark(CHERRY, APRICOT))
    )


# ---- from drawings to small PNGs -------------------------------------------------------------------------------


def main() -> None:
    """Draw every picture with Chromium and write it as base64."""
    wanted = sys.argv[1:]
    for name, drawing in drawings().items():
        if wanted and name not in wanted:
            continue
        data = small_png(read_png(render(drawing)))
        (OUT / f"{name}.png.b64").write_text(_lines(b64encode(data).decode()), "ascii")
        sys.stdout.write(f"{name}: {drawing.width}x{drawing.height}, {len(data)} bytes\n")


def _lines(text: str) -> str:
    return "".join(f"{text[at_ : at_ + 100]}\n" for at_ in range(0, len(text), 100))


def render(drawing: Drawing) -> bytes:
    """Return the drawing as Chromium's PNG, at twice its size."""
    chromium = shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder, "page.html"), Path(folder, "picture.png")
        page.write_text(
            f'<body style="margin:0"><svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}" '
            f'height="{drawing.height}" style="display:block" stroke-linecap="round" stroke-linejoin="round">'
            f"{drawing.svg}</svg>",
            "utf-8",
        )
        subprocess.run(  # noqa: S603 - our own arguments
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                "--default-background-color=00000000", f"--force-device-scale-factor={SCALE}",
                f"--window-size={drawing.width},{drawing.height}", f"--screenshot={picture}", f"file://{page}",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return picture.read_bytes()


def read_png(data: bytes) -> NDArray[np.uint8]:
    """Return the RGB pixels of a PNG of 8 bits with or without alpha, laid on white."""
    width, height, kind, at_, packed = 0, 0, 0, 8, b""
    while at_ < len(data):
        (length,) = struct.unpack(">I", data[at_ : at_ + 4])
        name, body = data[at_ + 4 : at_ + 8], data[at_ + 8 : at_ + 8 + length]
        if name == b"IHDR":
            width, height, _, kind = struct.unpack(">IIBB", body[:10])
        packed += body if name == b"IDAT" else b""
        at_ += 12 + length
    size = 4 if kind == 6 else 3
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, width * size + 1)
    rows = np.zeros((height + 1, width, size), np.uint8)
    for y in range(height):
        rows[y + 1] = _unfiltered(raw[y, 0], raw[y, 1:].reshape(width, size), rows[y])
    pixels: NDArray[np.uint8] = rows[1:, :, :3]
    return pixels


def _unfiltered(kind: int, line: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a PNG's line without its filter."""
    done = line.astype(np.int32)
    up = above.astype(np.int32)
    if kind == 2:
        return ((done + up) % 256).astype(np.uint8)
    if kind == 1:
        return (np.cumsum(done, axis=0) % 256).astype(np.uint8)
    for x in range(len(done)) if kind in (3, 4) else ():
        left = done[x - 1] if x else np.zeros_like(done[0])
        corner = up[x - 1] if x else np.zeros_like(up[0])
        done[x] = (done[x] + ((left + up[x]) // 2 if kind == 3 else _paeth(left, up[x], corner))) % 256
    return done.astype(np.uint8)


def _paeth(left: NDArray[np.int32], up: NDArray[np.int32], corner: NDArray[np.int32]) -> NDArray[np.int32]:
    near = left + up - corner
    by_left, by_up, by_corner = abs(near - left), abs(near - up), abs(near - corner)
    chosen = np.where(
        (by_left <= by_up) & (by_left <= by_corner), left, np.where(by_up <= by_corner, up, corner)
    )
    return chosen.astype(np.int32)


def small_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return the pixels as a PNG of at most COLOURS_MAX colours: the commonest, and for each other the nearest."""
    height, width, _ = pixels.shape
    colours, places, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    palette = _palette(colours.astype(np.int32), counts)
    nearest = np.argmin(((colours[:, None].astype(np.int32) - palette[None]) ** 2).sum(axis=2), axis=1)
    index = nearest[places.reshape(-1)].astype(np.uint8).reshape(height, width)
    lines = b"".join(b"\0" + row.tobytes() for row in index)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [
        (b"IHDR", head),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _palette(colours: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the colours that cost least: each next one is the commonest of those that are still badly shown."""
    chosen = [colours[int(np.argmax(counts))]]
    while len(chosen) < min(COLOURS_MAX, len(colours)):
        away = ((colours[:, None] - np.array(chosen)[None]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(colours[int(np.argmax(away * counts))])
    return np.array(chosen)


if __name__ == "__main__":
    main()

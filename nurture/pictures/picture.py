"""A picture in its two widths with the table of its rows, and how pages and files hold it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from nurture.pictures.canvas import NARROW, WIDE, Canvas, clean
from nurture.pictures.palette import stylesheet

#: Words of a picture by what they name, such as `title`; a missing one is shown as its name.
Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a picture as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self) -> str:
        """Return it as an HTML table."""
        head = "".join(f'<th scope="col">{escape(clean(name))}</th>' for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(clean(cell))}</td>' for cell in row)}</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture."""

    wide: str
    narrow: str
    table: Table


def word(words: Words, name: str) -> str:
    """Return one of the words that were passed in; its name where it is missing."""
    return words.get(name, name.replace("_", " "))


def make_picture(
    draw: Callable[[float], Canvas],
    *,
    id_: str,
    words: Words,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> Picture:
    """Return a picture drawn in both widths. columns: names of words."""
    title, description = word(words, "title"), words.get("description", "")
    table = Table(
        tuple(word(words, name) for name in columns),
        tuple(tuple(clean(cell) for cell in row) for row in rows),
    )
    sides = {
        side: draw(width).svg(id_=f"{id_[:80]}-{side}", title=title, description=description, side=side)
        for side, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return Picture(sides["wide"], sides["narrow"], table)


def page_part(picture: Picture, *, summary: str) -> str:
    """Return the picture for a page: both widths, and the table behind a summary. The page has the classes' rules."""
    return (
        f'<figure class="picture">{picture.wide}{picture.narrow}'
        f"<details><summary>{escape(clean(summary))}</summary>{picture.table.html()}</details></figure>"
    )


def standalone(svg: str) -> str:
    """Return the SVG text of a file that is opened by itself: with its colours and its ground."""
    inside = svg.replace(' class="p-wide"', "", 1).replace(' class="p-narrow"', "", 1)
    begin = inside.index(">") + 1
    ground = '<rect class="p-card" width="100%" height="100%"/>'
    return f"{inside[:begin]}<style>{stylesheet()}</style>{ground}{inside[begin:]}\n"

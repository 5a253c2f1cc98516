"""A template's text cut into what readers see and what is code, in one pass whatever the text."""

import html
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["text", "output", "statement", "comment"]

_OPENERS = re.compile(r"\{\{|\{%|\{#|<!--")
_CLOSERS: dict[str, tuple[str, Kind]] = {
    "{{": ("}}", "output"),
    "{%": ("%}", "statement"),
    "{#": ("#}", "comment"),
    "<!--": ("-->", "comment"),
}
_TAG = re.compile(r"<[^<>]*>")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_REFERENCE = re.compile(r"""-?\s{0,9}(?:extends|include|import|from)\s{1,9}["']([^"']{1,200})["']""")


class Piece(NamedTuple):
    """A stretch of a template."""

    kind: Kind
    # Without its brackets.
    text: str


def pieces(source: str) -> Iterator[Piece]:
    """Yield the stretches of a template in order; a bracket that is never closed is text."""
    at = 0
    while (found := _OPENERS.search(source, at)) is not None:
        closer, kind = _CLOSERS[found[0]]
        end = source.find(closer, found.end())
        if end < 0:
            # The syntax check speaks of it; looking for more closers would take for ever in a hostile text.
            break
        if found.start() > at:
            yield Piece("text", source[at : found.start()])
        yield Piece(kind, source[found.end() : end])
        at = end + len(closer)
    if at < len(source):
        yield Piece("text", source[at:])


def outputs(source: str) -> list[str]:
    """Return the code of every `{{ ... }}`."""
    return [piece.text for piece in pieces(source) if piece.kind == "output"]


def references(source: str) -> list[str]:
    """Return the layouts that the template extends, includes or imports."""
    statements = (piece.text for piece in pieces(source) if piece.kind == "statement")
    return [found[1] for found in map(_REFERENCE.match, statements) if found]


def literal(source: str) -> str:
    """Return the template without any code: what is certain to be there."""
    return "".join(piece.text for piece in pieces(source) if piece.kind == "text")


def readable(source: str) -> str:
    """Return what a reader sees of a template, each line in its place; what data fills in stands as 9.

    Text that stands in quotes inside template code is kept: a label handed to a macro is read too.
    """
    text = "".join(map(_said, pieces(source)))
    return html.unescape(_TAG.sub(lambda found: " " + "\n" * found[0].count("\n"), text))


def _said(piece: Piece) -> str:
    if piece.kind == "text":
        return piece.text
    if piece.kind == "comment":
        return " " + "\n" * piece.text.count("\n")
    return _quoted(piece.text, filled="9" if piece.kind == "output" else "")


def _quoted(code: str, *, filled: str) -> str:
    """Keep the quoted texts of template code; `filled` stands for each stretch that names data."""
    kept: list[str] = []
    end = 0
    for found in _QUOTED.finditer(code):
        kept += [_code(code[end : found.start()], filled), found[1] or found[2] or ""]
        end = found.end()
    return "".join([*kept, _code(code[end:], filled)])


def _code(code: str, filled: str) -> str:
    return (filled if re.search(r"\w", code) else "") + "\n" * code.count("\n")

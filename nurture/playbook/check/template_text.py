"""Split a template into text and code. Every function takes linear time, also for hostile text."""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
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
    """A part of a template: text, or one piece of code."""

    kind: Kind
    # Without its delimiters.
    text: str


def pieces(source: str) -> Iterator[Piece]:
    """Yield the pieces of a template in order; an opening delimiter that is never closed is text."""
    at = 0
    while (opener := _OPENERS.search(source, at)) is not None:
        closer, kind = _CLOSERS[opener[0]]
        end = source.find(closer, opener.end())
        if end < 0:
            # The syntax check reports it. A search for further closers would take quadratic time in a hostile text.
            break
        if opener.start() > at:
            yield Piece("text", source[at : opener.start()])
        yield Piece(kind, source[opener.end() : end])
        at = end + len(closer)
    if at < len(source):
        yield Piece("text", source[at:])


@lru_cache(maxsize=2_000)
def outputs(source: str) -> tuple[str, ...]:
    """Return the code of every `{{ ... }}`."""
    return tuple(piece.text for piece in pieces(source) if piece.kind == "output")


def references(source: str) -> list[str]:
    """Return the layouts that the template extends, includes or imports."""
    statements = (piece.text for piece in pieces(source) if piece.kind == "statement")
    return [reference[1] for reference in map(_REFERENCE.match, statements) if reference]


def literal(source: str) -> str:
    """Return the template without its code: the text that every mail contains."""
    return "".join(piece.text for piece in pieces(source) if piece.kind == "text")


def readable(source: str, *, filled: str = "9") -> str:
    """Return the text that a reader sees, with the same line numbers; `filled` replaces each printed value.

    Text in quotes inside template code is kept, because a label that is passed to a macro is printed too.
    """
    text = "".join(_visible_text(piece, filled) for piece in pieces(source))
    return html.unescape(_TAG.sub(lambda tag: " " + "\n" * tag[0].count("\n"), text))


def _visible_text(piece: Piece, filled: str) -> str:
    if piece.kind == "text":
        return piece.text
    if piece.kind == "comment":
        return " " + "\n" * piece.text.count("\n")
    return _quoted(piece.text, filled=filled if piece.kind == "output" else "")


def _quoted(code: str, *, filled: str) -> str:
    """Return the quoted texts of template code; `filled` replaces each part that names data."""
    kept: list[str] = []
    end = 0
    for quoted in _QUOTED.finditer(code):
        kept += [_code(code[end : quoted.start()], filled), quoted[1] or quoted[2] or ""]
        end = quoted.end()
    return "".join([*kept, _code(code[end:], filled)])


def _code(code: str, filled: str) -> str:
    return (filled if re.search(r"\w", code) else "") + "\n" * code.count("\n")

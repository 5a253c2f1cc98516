"""Parse the text of a condition into Python's syntax tree, within bounds, and place errors in the text."""

import ast
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nurture.domain.errors import ConditionError

#: People must be able to read a condition; a longer or deeper one is written with facts of its own.
LENGTH_MAX = 2_000
DEPTH_MAX = 30

_SPACES = str.maketrans("\n\r\t\f\v", "     ")

#: Operators of other languages, and what to write instead.
_HINTS = (
    (r"&&", "write `and`"),
    (r"\|\|", "write `or`"),
    (r"<>", "write `!=`"),
    (r"!(?!=)", "write `not`"),
    (r"[“”‘’]", 'write plain quotes: "'),
    (r"(?<![=!<>])=(?!=)", "write `==` to compare"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one condition; finds the piece of a syntax node and places errors in it."""

    text: str
    # The same as UTF-8: the parser counts columns in bytes.
    encoded: bytes
    # Texts of nodes that were not parsed from this text: they came from segments.
    pieces: dict[ast.expr, str] = field(default_factory=dict, compare=False)

    def piece(self, node: ast.expr) -> str:
        """Return the part of the text that a syntax node was parsed from, on one line."""
        if node in self.pieces:
            return self.pieces[node]
        if not hasattr(node, "col_offset"):
            return ast.unparse(node)
        return " ".join(self.encoded[node.col_offset : node.end_col_offset].decode().split())

    def fault(self, node: ast.expr, message: str) -> ConditionError:
        """Return an error that points at a syntax node; the caller raises it."""
        return ConditionError(message, column=len(self.encoded[: node.col_offset].decode()))


def parse_expression(text: str) -> tuple[Source, ast.expr]:
    """Return the text with its syntax tree. Raises ConditionError for text that is none, too long or too deep."""
    if len(text) > LENGTH_MAX:
        raise ConditionError(
            f"the condition has {len(text)} characters; at most {LENGTH_MAX} are allowed: make facts of its parts",
            column=LENGTH_MAX,
        )
    if "\\" in text:
        raise ConditionError("`\\` is not supported; write the character itself", column=text.index("\\"))
    if not text.strip():
        raise ConditionError("the condition is empty; write True for everybody")
    flat = text.translate(_SPACES)
    source = Source(flat, flat.encode("utf-8", "surrogatepass"))
    tree = _parse(flat)
    _check_end(flat, source, tree)
    check_depth(source, tree)
    return source, tree


def _parse(text: str) -> ast.expr:
    # Python would read leading blanks as an indentation.
    blanks = len(text) - len(text.lstrip())
    try:
        tree = ast.parse(text.lstrip(), mode="eval").body
    except SyntaxError as error:
        # No offset: the text ended too early.
        column = min(error.offset - 1 + blanks, len(text)) if error.offset else len(text)
        raise ConditionError(f"cannot be read here: {error.msg}{_hint(text)}", column=column) from error
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        raise ConditionError(f"cannot be read: {str(error) or 'too deeply nested'}") from error
    if blanks:
        shift = len(text[:blanks].encode())
        for node in ast.walk(tree):
            if isinstance(node, ast.expr):
                node.col_offset += shift
                node.end_col_offset = (node.end_col_offset or 0) + shift
    return tree


def _hint(text: str) -> str:
    return next((f" ({advice})" for sign, advice in _HINTS if re.search(sign, text)), "")


def _check_end(text: str, source: Source, tree: ast.expr) -> None:
    """Raise ConditionError for a comment: on one line it would hide the rest of the condition."""
    rest = source.encoded[tree.end_col_offset :].decode()
    if "#" in rest:
        column = len(text) - len(rest) + rest.index("#")
        raise ConditionError("comments are not supported; write them beside the condition", column=column)


def check_depth(source: Source, tree: ast.expr) -> None:
    """Raise ConditionError for a tree that is nested too deep for people to read."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise source.fault(node, f"nested more than {DEPTH_MAX} deep; make facts of its parts")
        waiting.extend(
            (child, depth + 1) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
        )


def suggest_nearest(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the most similar words, or "" without any."""
    similar = difflib.get_close_matches(word, sorted(words), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(similar)}?" if similar else ""

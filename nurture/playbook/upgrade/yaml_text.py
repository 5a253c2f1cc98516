"""Edit YAML text by the places of its values, so that comments and layout stay.

Each edit returns new text. The text must be YAML of the project's own kind: no anchors, tags or directives.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nurture.playbook.document import compose

#: Spaces by which an entry stands under its section.
INDENT = 2
#: The section above which a new one is made.
_FACTS = "facts"
_HEADING = re.compile(r"#\s*[-=#*]{2}")
_PLAIN = re.compile(r"[A-Za-z_]([A-Za-z0-9 _-]*[A-Za-z0-9_-])?")
#: Texts that a reader takes for another type unless they stand in quotes.
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A key of a mapping with its value."""

    key: Node
    value: Node


class YamlText:
    """One YAML text with the places of its values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        root = compose(text)
        assert root is not None, "the text has keys"  # noqa: S101 - it was read before
        self.root: Node = root

    def pair(self, *path: str) -> Pair:
        """Return the pair at a path of keys."""
        value, pair = self.root, None
        for name in path:
            key, value = next(item for item in value.value if item[0].value == name)
            pair = Pair(key, value)
        assert pair is not None, "a path has a key"  # noqa: S101 - the callers name one
        return pair

    def value(self, *path: str) -> Node:
        """Return the value at a path of keys; the root for none."""
        return self.pair(*path).value if path else self.root

    def source(self, node: Node) -> str:
        """Return the text of a value as it is written."""
        return self.text[node.start_mark.index : self.end(node)]

    def end(self, node: Node) -> int:
        """Return the place behind the last character of a value; the marks of a block reach to the next value."""
        if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self.end(last[1] if isinstance(node, MappingNode) else last)
        start: int = node.start_mark.index
        end: int = node.end_mark.index
        return start + len(self.text[start:end].rstrip())

    def line_of(self, place: int) -> int:
        """Return the line (from 0) of a character."""
        return self.text.count("\n", 0, place)

    def comments(self, start: int = 0, end: int | None = None) -> list[str]:
        """Return the comments between two places, each as it is written."""
        shown = list(self.text)
        for scalar in scalars(self.root):
            first, last = scalar.start_mark.index, self.end(scalar)
            shown[first:last] = ["x" if character != "\n" else "\n" for character in shown[first:last]]
        part = "".join(shown[start:end])
        return [self.text[start:end][m.start(1) : m.end(1)] for m in re.finditer(r"(?:^|\s)(#[^\n]*)", part)]

    def flow(self, node: Node) -> str:
        """Return a value on one line, as it may stand between brackets; comments inside it are not kept."""
        if isinstance(node, SequenceNode):
            return f"[{', '.join(self.flow(item) for item in node.value)}]"
        if isinstance(node, MappingNode):
            pairs = (f"{self.flow(key)}: {self.flow(value)}" for key, value in node.value)
            return f"{{{', '.join(pairs)}}}"
        source, style = self.source(node), getattr(node, "style", None)
        is_plain = style is None and (_PLAIN.fullmatch(source) or not str(node.tag).endswith(":str"))
        is_quoted = style in ("'", '"') and "\n" not in source
        return source if is_plain or is_quoted else quoted(node.value)


def scalars(node: Node) -> Iterator[ScalarNode]:
    """Yield every scalar of a value, keys too."""
    if isinstance(node, ScalarNode):
        yield node
    for item in node.value if isinstance(node, MappingNode | SequenceNode) else ():
        for part in item if isinstance(item, tuple) else (item,):
            yield from scalars(part)


def plain(node: Node) -> Any:
    """Return a value as mappings, lists and texts."""
    if isinstance(node, MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    return [plain(item) for item in node.value] if isinstance(node, SequenceNode) else node.value


def quoted(text: str) -> str:
    """Return a text as it may stand between brackets, in quotes where it needs them."""
    return (
        text
        if _PLAIN.fullmatch(text) and text.lower() not in _WORDS
        else json.dumps(text, ensure_ascii=False)
    )


def replaced(text: str, start: int, end: int, new: str) -> str:
    """Return the text with one part replaced."""
    return text[:start] + new + text[end:]


def indent_of(line: str) -> int:
    """Return the number of spaces before a line."""
    return len(line) - len(line.lstrip(" "))


def shifted(lines: Sequence[str], by: int) -> list[str]:
    """Return the lines further in, or further out as far as there is space."""
    return [" " * max(0, indent_of(line) + by) + line.lstrip(" ") if line.strip() else "" for line in lines]


# ---- mappings in brackets ----------------------------------------------------------------------------------


def to_block(text: str, path: Sequence[str]) -> str:
    """Return the text with the mapping at `path` written as lines instead of between brackets."""
    yaml = YamlText(text)
    node = yaml.value(*path)
    if not isinstance(node, MappingNode) or not node.flow_style:
        return text
    column = yaml.pair(*path).key.start_mark.column + INDENT if path else 0
    start, end = node.start_mark.index, node.end_mark.index
    lines: list[str] = []
    place = start
    for key, value in node.value:
        before, trailing = _comments_between(yaml, place, key.start_mark.index)
        _put_behind(lines, trailing)
        inside = yaml.comments(key.end_mark.index, value.start_mark.index)
        lines += [" " * column + comment for comment in (*before, *inside)]
        head, *rest = f"{yaml.source(key)}: {yaml.source(value)}".split("\n")
        deep = min((indent_of(line) for line in rest if line.strip()), default=0)
        lines += [" " * column + head.rstrip(), *shifted(rest, column + INDENT - deep)]
        place = yaml.end(value)
    before, trailing = _comments_between(yaml, place, end)
    _put_behind(lines, trailing)
    lines += [" " * column + comment for comment in before]
    tail = text[end:].split("\n", 1)
    if path:
        start = text.index(":", yaml.pair(*path).key.end_mark.index) + 1
        # A comment behind the closing bracket goes with the key.
        lines = [tail[0].rstrip(), *lines]
    else:
        lines = [*([tail[0].strip()] if tail[0].strip() else []), *lines]
    rest_of_text = "\n" + tail[1] if len(tail) > 1 else ""
    return text[:start] + "\n".join(lines) + rest_of_text


def _comments_between(yaml: YamlText, start: int, end: int) -> tuple[list[str], list[str]]:
    """Return the comments on lines of their own, and those that stand behind the entry before, in a gap."""
    comments = yaml.comments(start, end)
    first_line = yaml.text[start:end].split("\n", 1)[0]
    is_behind = bool(comments) and comments[0] in first_line
    return (comments[1:], comments[:1]) if is_behind else (comments, [])


def _put_behind(lines: list[str], comments: Sequence[str]) -> None:
    for comment in comments:
        if lines:
            lines[-1] += "  " + comment
        else:
            lines.append(comment)


def drop_key(text: str, path: Sequence[str]) -> str:
    """Return the text without the pair at `path`. Comments that stand inside it are not kept."""
    yaml = YamlText(text)
    parent = yaml.value(*path[:-1])
    if not isinstance(parent, MappingNode) or not parent.flow_style:
        return take_entry(text, path)[0]
    pairs = parent.value
    number = next(place for place, pair in enumerate(pairs) if pair[0].value == path[-1])
    if number + 1 < len(pairs):
        return replaced(text, pairs[number][0].start_mark.index, pairs[number + 1][0].start_mark.index, "")
    start = yaml.end(pairs[number - 1][1]) if number else parent.start_mark.index + 1
    return replaced(text, start, yaml.end(pairs[number][1]), "")


# ---- entries of mappings that are written as lines ---------------------------------------------------------


def take_entry(text: str, path: Sequence[str]) -> tuple[str, list[str]]:
    """Return the text without the entry at `path`, and its lines with the comments above it, from column 0 on."""
    yaml = YamlText(text)
    pair, parent = yaml.pair(*path), yaml.value(*path[:-1])
    column = pair.key.start_mark.column
    start = first_line(yaml, pair, 0 if len(path) == 1 else yaml.pair(*path[:-1]).key.start_mark.line + 1)
    end = yaml.line_of(yaml.end(pair.value)) + 1
    while end < len(yaml.lines) and _is_comment(yaml.lines[end]) and indent_of(yaml.lines[end]) > column:
        end += 1
    taken = shifted(yaml.lines[start:end], -column)
    is_blank_above = start == 0 or not yaml.lines[start - 1].strip()
    if is_blank_above and end < len(yaml.lines) and not yaml.lines[end].strip():
        end += 1
    rest = yaml.lines[:start] + yaml.lines[end:]
    if len(parent.value) == 1 and len(path) > 1:
        section = yaml.pair(*path[:-1]).key
        line = section.start_mark.line
        head = section.start_mark.column + len(yaml.source(section))
        place = rest[line].index(":", head) + 1
        rest[line] = rest[line][:place] + " {}" + rest[line][place:]
    return "\n".join(rest), taken


def first_line(yaml: YamlText, pair: Pair, top: int) -> int:
    """Return the line on which an entry begins, with the comments directly above it; headings stay."""
    line, column = int(pair.key.start_mark.line), pair.key.start_mark.column
    while line > top and _is_comment(yaml.lines[line - 1]) and not _is_heading(yaml.lines[line - 1]):
        if indent_of(yaml.lines[line - 1]) > column:
            break
        line -= 1
    return line


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _is_heading(line: str) -> bool:
    return _HEADING.match(line.lstrip()) is not None


def put_above(text: str, section: str, lines: Sequence[str]) -> str:
    """Return the text with lines directly above a top-level section. lines: from column 0 on."""
    yaml = YamlText(text)
    key = yaml.pair(section).key
    place = yaml.line_of(key.start_mark.index)
    return "\n".join([*yaml.lines[:place], *shifted(lines, key.start_mark.column), *yaml.lines[place:]])


def put_first(text: str, section: str, lines: Sequence[str]) -> str:
    """Return the text with an entry as the first one of a top-level section, which is made where there is none.

    lines: the entry, from column 0 on.
    """
    text, pair = _with_section(text, section)
    place = int(pair.key.start_mark.line) + 1
    return _with_lines(text, place, shifted(lines, _entry_column(pair)))


def put_last(text: str, section: str, lines: Sequence[str]) -> str:
    """Return the text with an entry as the last one of a top-level section, which is made where there is none.

    lines: the entry, from column 0 on.
    """
    text, pair = _with_section(text, section)
    yaml, column = YamlText(text), pair.key.start_mark.column
    place = yaml.line_of(yaml.end(pair.value) if _has_entries(pair) else pair.key.start_mark.index) + 1
    while (
        place < len(yaml.lines) and _is_comment(yaml.lines[place]) and indent_of(yaml.lines[place]) > column
    ):
        place += 1
    return _with_lines(text, place, shifted(lines, _entry_column(pair)))


def _with_section(text: str, section: str) -> tuple[str, Pair]:
    """Return the text with the section as lines, and its place; a new one stands above the facts."""
    yaml = YamlText(text)
    if section in (key.value for key, _ in yaml.root.value):
        text = to_block(text, [section])
    else:
        facts = yaml.pair(_FACTS)
        place = first_line(yaml, facts, 0)
        gap = [""] if place > 0 and not yaml.lines[place - 1].strip() else []
        text = _with_lines(text, place, shifted([f"{section}:", *gap], facts.key.start_mark.column))
    return text, YamlText(text).pair(section)


def _with_lines(text: str, place: int, lines: Sequence[str]) -> str:
    """Return the text with lines before the one at `place`."""
    before = text.split("\n")
    return "\n".join([*before[:place], *lines, *before[place:]])


def _has_entries(pair: Pair) -> bool:
    return isinstance(pair.value, MappingNode) and bool(pair.value.value)


def _entry_column(pair: Pair) -> int:
    """Return the column of the entries of a section, also of one without entries."""
    if _has_entries(pair):
        return int(pair.value.value[0][0].start_mark.column)
    return int(pair.key.start_mark.column) + INDENT

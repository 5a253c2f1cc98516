"""Read YAML text into plain values, and remember the line of every value.

The YAML is version 1.2 (ruamel): mappings, lists, text, numbers, true and false. Values that YAML readers understand
differently (`yes`, `10:00`, `010`, dates, anchors, tags) are faults, so that a file means the same to every tool.
Broken YAML is one fault with its line.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nurture.playbook.fault import Faults

#: Keys and list indexes, from the document's root.
Loc = Sequence[str | int]

#: Limits far above any ordinary file, so that a hostile one cannot exhaust the reader.
NODES_MAX = 20_000
DEPTH_MAX = 24

_YAML_1_1_WORDS = {"yes", "no", "on", "off", "y", "n"}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)")
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """The plain value of one YAML text, and the line of every place in it."""

    path: str
    data: Any
    _root: Node | None
    _lines: tuple[str, ...]
    # Lines of the file before the YAML begins (front matter).
    _skipped: int = 0

    def line(self, loc: Loc, *, column: int = 0) -> int:
        """Return the line (from 1) of a place, or of its nearest parent that exists.

        column: the character inside the text at `loc`.
        """
        key, value = _find(self._root, loc)
        if column and isinstance(value, ScalarNode):
            return self._line_within(value, column)
        return _line_of(key) + self._skipped

    def _line_within(self, node: ScalarNode, column: int) -> int:
        """Return the line of a character. It counts visible characters, because folding changes only white space."""
        ahead = len("".join(node.value[:column].split()))
        line = node.start_mark.line
        text = self._lines[line][node.start_mark.column :]
        if node.style in ("|", ">"):
            line += 1
            text = self._lines[line] if line < len(self._lines) else ""
        elif node.style in ("'", '"'):
            text = text[1:]
        while (count := len("".join(text.split()))) <= ahead and line < node.end_mark.line:
            ahead -= count
            line += 1
            text = self._lines[line] if line < len(self._lines) else ""
        return int(line) + 1 + self._skipped


def _line_of(node: Node | None) -> int:
    return 1 if node is None else int(node.start_mark.line) + 1


def _find(root: Node | None, loc: Loc) -> tuple[Node | None, Node | None]:
    """Return the node whose line stands for `loc` (a key or a list entry), and the deepest value on the way."""
    key, value = root, root
    for part in loc:
        if isinstance(value, MappingNode):
            pair = next((pair for pair in value.value if pair[0].value == part), None)
            if pair is None:
                break
            key, value = pair
        elif isinstance(value, SequenceNode) and isinstance(part, int) and part < len(value.value):
            key = value = value.value[part]
        else:
            break
    return key, value


# Composing is most of the work of a build. The cache saves it when a playbook is checked and then published; it holds
# the documents of several playbooks, because one of them read in order would push out each of its own before its turn.
@lru_cache(maxsize=1_000)
def compose(text: str) -> Node | None:
    """Return the root of a YAML text with the places of its values. Raises YAMLError."""
    root: Node | None = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    return root


def read_document(path: str, text: str, faults: Faults, *, lines_above: int = 0) -> Document | None:
    """Return the document of one YAML text whose root is a mapping; None, and a fault, when it is not YAML.

    lines_above: lines of the file above the text.
    """
    for number, line in enumerate(text.splitlines()):
        if line.startswith("%"):
            faults.add(
                path, number + 1 + lines_above, "a YAML directive", "remove the line; files are YAML 1.2"
            )
            return None
    try:
        root = compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line_number = (mark.line if mark else 0) + 1 + lines_above
        faults.add(
            path, line_number, f"not YAML ({_problem(error)})", _remedy(text, line_number - lines_above)
        )
        return None
    except (YAMLError, RecursionError, ValueError) as error:
        reason = (
            "nested too deeply" if isinstance(error, RecursionError) else "a character YAML does not allow"
        )
        faults.add(path, _line_at(text, error) + lines_above, f"not YAML ({reason})", "rewrite this place")
        return None
    if not isinstance(root, MappingNode):
        faults.add(path, 1 + lines_above, "no keys in this file", "write `key: value` lines")
        return None
    reader = _Reader(path, faults, lines_above)
    data = reader.value(root, ())
    if reader.gave_up:
        return None
    return Document(path, data, root, tuple(text.splitlines()), lines_above)


def _problem(error: MarkedYAMLError) -> str:
    return " ".join(str(error.problem or error.context or "unreadable").split())


def _remedy(text: str, line: int) -> str:
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    if "{{" in here and not re.search(r"""["'].*\{\{""", here):
        return 'put text that holds {{ }} into quotes: "{{ ... }}"'
    if "\t" in here:
        return "indent with spaces, not tabs"
    if here.count(": ") > 1 and not here.lstrip().startswith(("-", "{")):
        return "put text that holds `: ` into quotes"
    return "check indentation, quotes and brackets here and on the line above"


def _line_at(text: str, error: Exception) -> int:
    position = getattr(error, "position", 0)
    return text.count("\n", 0, position if isinstance(position, int) else 0) + 1


class _Reader:
    """Converts nodes to plain values; a value that YAML readers understand differently is a fault."""

    def __init__(self, path: str, faults: Faults, lines_above: int) -> None:
        self.path = path
        self.faults = faults
        self.lines_above = lines_above
        self.seen: set[int] = set()
        self.gave_up = False

    def value(self, node: Node, loc: tuple[str | int, ...]) -> Any:
        """Return the node's plain value."""
        if self.gave_up:
            return None
        if id(node) in self.seen:
            return self._give_up(
                node, "an anchor used again (`*name`)", "write the value out where it is needed"
            )
        self.seen.add(id(node))
        if len(loc) > DEPTH_MAX or len(self.seen) > NODES_MAX:
            return self._give_up(node, "too many or too deeply nested values", "split the file")
        if isinstance(node, MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*loc, place)) for place, item in enumerate(node.value)]
        return self._scalar(node, loc) if isinstance(node, ScalarNode) else None

    def _mapping(self, node: MappingNode, loc: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, ScalarNode):
                # YAML reads `{{ name }}` without quotes as a mapping with a mapping as its key.
                self._fault(
                    key_node, "a mapping used as a key", 'put text with {{ }} into quotes: "{{ ... }}"'
                )
                self.faults.mark_broken(self.path, loc)
            elif key == "<<":
                self._fault(key_node, "a merge key (`<<`)", "write the keys out")
            elif key in values:
                self._fault(key_node, f"`{key}` is given twice", "keep one of them")
            else:
                values[key] = self.value(value_node, (*loc, key))
        return values

    def _scalar(self, node: ScalarNode, loc: tuple[str | int, ...]) -> Any:
        text, tag = node.value, str(node.tag).removeprefix(_TAG)
        if node.style is None and self._report_ambiguous(node, text, tag, loc):
            self.faults.mark_broken(self.path, loc)
        if tag == "bool":
            return text.lower() == "true"
        if tag == "int":
            return int(text) if _INTEGER.fullmatch(text) else 0
        if tag == "float":
            return float(text.replace("_", "")) if text.strip("+-.").lower() not in ("inf", "nan") else 0.0
        if tag == "null":
            return None
        if tag not in ("str", "timestamp"):
            self._fault(node, f"the tag `{tag}`", "remove it; values are text, numbers, true, false, lists")
        return text

    def _report_ambiguous(self, node: ScalarNode, text: str, tag: str, loc: tuple[str | int, ...]) -> bool:
        """Report an unquoted value that is empty or that YAML readers understand differently; return whether it was."""
        if tag == "null":
            name = loc[-1] if loc else "value"
            self._fault(node, f"`{name}` is empty", "give a value, or remove the key ({} for no settings)")
        elif text.lower() in _YAML_1_1_WORDS:
            what = f"`{text}` is text to some YAML readers and true or false to others"
            self._fault(node, what, f'write true or false, or "{text}" in quotes for the word')
        elif _CLOCK.fullmatch(text):
            self._fault(node, f"`{text}` is a number to some YAML readers", f'write "{text}" in quotes')
        elif tag == "timestamp":
            what = f"`{text}` is a date to some YAML readers and text to others"
            self._fault(node, what, f'write "{text}" in quotes')
        elif tag == "int" and not _INTEGER.fullmatch(text):
            what = f"`{text}` is a different number to different YAML readers"
            self._fault(node, what, "write a plain decimal number, or put it in quotes")
        else:
            return False
        return True

    def _fault(self, node: Node, what: str, change: str) -> None:
        self.faults.add(self.path, _line_of(node) + self.lines_above, what, change)

    def _give_up(self, node: Node, what: str, change: str) -> None:
        self._fault(node, what, change)
        self.gave_up = True

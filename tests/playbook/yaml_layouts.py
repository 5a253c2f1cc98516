"""Draw layouts of YAML text: brackets or lines, comments, indents and quotes, for the same plain values."""

import json
import random  # noqa: TID251 - seeded, so the same seed draws the same
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _]*")


class Layout:
    """Writes plain values as YAML text in a layout that is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.comments: list[str] = []

    def document(self, data: dict[str, Any]) -> str:
        """Return a file of these values."""
        if self._is_drawn(8):
            return self._comment_line(0) + self._flow(data, 0) + "\n"
        return "".join(self._lines(data, 0)) + (self._comment_line(0) if self._is_drawn(4) else "")

    def _is_drawn(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    def _comment(self) -> str:
        self.comments.append(f'# note {len(self.comments)}: it\'s {{not}} a value, "is it"')
        return self.comments[-1]

    def _comment_line(self, column: int) -> str:
        return " " * column + self._comment() + "\n"

    def _scalar(self, value: Any) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        if (
            _PLAIN.fullmatch(value)
            and value == value.strip()
            and value not in ("yes", "no")
            and self._is_drawn(2)
        ):
            return value
        return json.dumps(value) if self._is_drawn(2) or "'" in value else f"'{value}'"

    def _flow(self, value: Any, column: int) -> str:
        """Return a value between brackets, on one line or on several."""
        if not isinstance(value, dict | list) or not value:
            return json.dumps(value) if value in ({}, []) else self._scalar(value)
        is_long = self._is_drawn(4)
        parts = []
        for item in value:
            text = (
                self._flow(item, column + 2)
                if isinstance(value, list)
                else (f"{self._scalar(item)}: {self._flow(value[item], column + 2)}")
            )
            parts.append(text)
        left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
        if not is_long:
            return left + ", ".join(parts) + right
        text = left + "\n"
        for number, part in enumerate(parts):
            above = self._comment_line(column + 2) if self._is_drawn(4) else ""
            comma = "," if number + 1 < len(parts) or self._is_drawn(2) else ""
            behind = "  " + self._comment() if self._is_drawn(4) else ""
            text += f"{above}{' ' * (column + 2)}{part}{comma}{behind}\n"
        return text + " " * (column + 1) + right

    def _lines(self, data: dict[str, Any], column: int) -> list[str]:
        """Return the entries of a mapping, one below the other."""
        step = 4 if self._is_drawn(4) else 2
        out: list[str] = []
        for key, value in data.items():
            if self._is_drawn(5):
                out.append("\n")
            if self._is_drawn(4):
                out.append(self._comment_line(column))
            head = " " * column + self._scalar(key) + ":"
            behind = "  " + self._comment() if self._is_drawn(5) else ""
            if isinstance(value, dict) and value and not self._is_drawn(3):
                out += [head + behind + "\n", *self._lines(value, column + step)]
            elif isinstance(value, list) and self._is_drawn(2):
                out += [head + behind + "\n", *self._items(value, column + self.random.choice([0, 2]))]
            else:
                out.append(f"{head} {self._flow(value, column)}{behind}\n")
        if column and self._is_drawn(6):
            out.append(self._comment_line(column))
        return out

    def _items(self, items: list[Any], column: int) -> list[str]:
        out: list[str] = []
        for item in items:
            if self._is_drawn(4):
                out.append(self._comment_line(column))
            out.append(f"{' ' * column}- {self._flow(item, column + 2)}\n")
        return out

"""Find the differences of two versions of a file as its author wrote it: values before and after, lines of words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, unified_diff
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

#: Characters of a value, and lines of a file of words, that are shown.
_VALUE_MAX: Final = 160
_LINES_MAX: Final = 40
#: The key by which an entry of a list is named, the first that it has.
_NAMES: Final = ("id", "mail", "name", "event", "when")


class WrittenChange(NamedTuple):
    """A value of a file: where it stands, and its text before and after; "" where it was not there."""

    where: str
    before: str
    after: str


def changed_values(before: str, after: str) -> list[WrittenChange]:
    """Return the values of a YAML file that differ, in the order of the file; none for a text that is no YAML."""
    if before == after:
        return []
    try:
        old, new = _read(before), _read(after)
    except YAMLError:
        return []
    return list(_compare("", old, new))


def changed_lines(before: str, after: str) -> list[str]:
    """Return the lines that differ, each with `-` or `+` before it; of many the first."""
    lines = [
        line.rstrip()
        for line in unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    shown = [line for line in lines if len(line) > 1]
    rest = len(shown) - _LINES_MAX
    return [*shown[:_LINES_MAX], f"… {rest} more lines"] if rest > 0 else shown


def _read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text) if text.strip() else {}


def _compare(where: str, old: Any, new: Any) -> Iterator[WrittenChange]:
    # As text, because true equals 1 otherwise.
    if _text(old) == _text(new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            place = f"{where}.{name}" if where else str(name)
            if name not in old or name not in new:
                yield WrittenChange(place, _shown(old.get(name)), _shown(new.get(name)))
            else:
                yield from _compare(place, old[name], new[name])
    elif _is_list_of_parts(old) and _is_list_of_parts(new):
        yield from _compare_lists(where, old, new)
    else:
        yield WrittenChange(where, _shown(old), _shown(new))


def _is_list_of_parts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(part, Mapping) for part in value)


def _compare_lists(where: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[WrittenChange]:
    """Compare entries that stand for each other: equal ones first, then those of one name between them."""
    matcher = SequenceMatcher(
        None, [_text(part) for part in old], [_text(part) for part in new], autojunk=False
    )
    for kind, begin, end, first, last in matcher.get_opcodes():
        if kind == "equal":
            continue
        left, right = list(old[begin:end]), list(new[first:last])
        for part in left:
            twin = next((other for other in right if _name(other) == _name(part)), None)
            if twin is None and len(left) == len(right) == 1:
                twin = right[0] if _kind(right[0]) == _kind(part) else None
            if twin is None:
                yield WrittenChange(f"{where}: {_name(part)}", _shown(part), "")
            else:
                right.remove(twin)
                yield from _compare(f"{where}: {_name(part)}", part, twin)
        for part in right:
            yield WrittenChange(f"{where}: {_name(part)}", "", _shown(part))


def _name(part: Any) -> str:
    if not isinstance(part, Mapping):
        return _shown(part)
    name = next((str(part[key]) for key in _NAMES if key in part), None)
    return name if name is not None else f"{next(iter(part), '')} {_shown(next(iter(part.values()), ''))}"


def _kind(part: Any) -> str:
    return str(next(iter(part), "")) if isinstance(part, Mapping) else ""


def _shown(value: Any) -> str:
    """Return a value as one line of YAML would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        text = " ".join(str(value).split())
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{name}: {_shown(part)}" for name, part in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(map(_shown, value)) + "]"
    else:
        text = str(value)
    return text if len(text) <= _VALUE_MAX else f"{text[: _VALUE_MAX - 1]}…"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)

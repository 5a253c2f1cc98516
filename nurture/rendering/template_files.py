"""Template files: their paths, and the front matter at their top."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import Any, Final

import jinja2
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from nurture.rendering.errors import TemplateFault, TemplateProblem

LAYOUT: Final = "_layout"
_FRONT: Final = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_KEYS: Final = ("subject", "preheader")


@dataclass(frozen=True, slots=True)
class Source:
    """One MJML file as three templates, each with blank lines before it up to its own line in the file."""

    path: str
    subject: str
    preheader: str
    body: str


def path_of(measure: str, mail: str, variant: str, locale: str, part: str) -> str:
    """Return the path of a mail's file: `<measure>/<mail>[@<variant>].<locale>.<part>`; part: `mjml` or `txt`."""
    return f"{measure}/{mail}{'@' + variant if variant else ''}.{locale}.{part}"


# A mail's file is read when it is compiled and again when it is checked.
@lru_cache(maxsize=8)
def read_source(path: str, text: str) -> Source:
    """Split an MJML file. Raises TemplateFault when its front matter is missing or not two texts."""
    values, body = _split(path, text, _FRONT_KEYS)
    return Source(path=path, subject=values["subject"], preheader=values["preheader"], body=body)


def read_owner_source(path: str, text: str) -> Source:
    """Split the file of a mail to owners, which has a subject only. Raises TemplateFault as `read_source` does."""
    values, body = _split(path, text, _FRONT_KEYS[:1])
    return Source(path=path, subject=values["subject"], preheader="", body=body)


def _split(path: str, text: str, keys: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return the texts of the front matter and the body, each with blank lines up to its own line in the file."""
    front = _FRONT.match(text)
    if front is None:
        lines = ", ".join(f"`{key}:`" for key in keys)
        raise _fault(path, 1, "no front matter", f"begin with `---`, {lines}, `---`")
    document = read_yaml(path, front[1], above=1)
    values: dict[str, str] = {}
    for key in keys:
        value = document.get(key)
        if not isinstance(value, str) or (key == "subject" and not value.strip()):
            raise _fault(
                path, 1, f"no {key} in the front matter", f'write {key}: "..." between the --- lines'
            )
        values[key] = value
    for key in document:
        if key not in keys:
            raise _fault(
                path, 1, f"`{key}` in the front matter", f"write {' and '.join(keys)} there, and nothing else"
            )
    above = front[1].split("\n")
    placed = {key: "\n" * (_line(above, key) - 1) + value for key, value in values.items()}
    return placed, "\n" * front[0].count("\n") + text[front.end() :]


def read_yaml(path: str, text: str, *, above: int = 0) -> dict[str, Any]:
    """Return a YAML mapping. Raises TemplateFault.

    above: lines of the file before the text, for the line numbers of errors.
    """
    try:
        # Values without line numbers; the playbook's own reader keeps those.
        document = YAML(typ="safe", pure=True).load(StringIO(text))
    except MarkedYAMLError as error:
        line = (error.problem_mark.line + 1 if error.problem_mark else 1) + above
        raise _fault(path, line, f"not YAML: {error.problem}", "put texts into quotes") from error
    except YAMLError as error:
        raise _fault(path, 1 + above, "not YAML", "put texts into quotes") from error
    if not isinstance(document, dict):
        raise _fault(path, 1 + above, "no mapping", "write one `key: text` per line")
    return document


def loader(files: Mapping[str, str], *, part: str) -> jinja2.BaseLoader:
    """Return a loader of layouts only: `base` or `base.mjml` is `_layout/base.mjml`, and nothing else is found.

    part: `mjml` or `txt`, the suffix of a name without one. It never reads the file system.
    """

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        path = layout_path(files, name, part=part)
        return None if path is None else (files[path], path, lambda: True)

    return jinja2.FunctionLoader(load)


def layout_path(files: Mapping[str, str], name: str, *, part: str) -> str | None:
    """Return the path of the layout file with this name; None when there is none."""
    for path in (f"{LAYOUT}/{name}.{part}", f"{LAYOUT}/{name}"):
        if path in files and path.endswith((".mjml", ".txt")):
            return path
    return None


def _line(lines: list[str], key: str) -> int:
    return next((place for place, line in enumerate(lines, start=2) if line.startswith(key)), 1)


def _fault(path: str, line: int, what: str, change: str) -> TemplateFault:
    return TemplateFault(TemplateProblem(path, line, what, change))

"""Texts and lists in cells: the apostrophe that keeps digits text, and several values in one cell."""

import csv
import json
import re
from typing import Final

#: Cells that a leading apostrophe protects: digits, a telephone number, a formula, an alphanumeric postcode.
_PROTECTED: Final = re.compile(
    r"'(?:[+\d][\d\s()./-]*|[=@\t\r\n+\uff1d\uff0b\uff0d\uff20-].*|[A-Z\d]{2,4}[ -]?\d[A-Z\d]{1,3})",
    re.DOTALL,
)
#: An address behind the name of its owner, or in the brackets of a mail program.
_NAMED_ADDRESS: Final = re.compile(r"[^<>]*<([^<>]+)>")
_LINK: Final = "mailto:"
#: So many values of one cell are kept.
_VALUES_MAX: Final = 200


def without_apostrophe(text: str) -> str:
    """Return the text without the one apostrophe that keeps digits or a formula text; `'t Hart` stays as it is."""
    return text[1:] if text.startswith("'") and _PROTECTED.fullmatch(text) else text


def bare_address(text: str) -> str:
    """Return the address of `Ann Lee <ann@x.example>` or `mailto:ann@x.example`; any other text as it is."""
    match = _NAMED_ADDRESS.fullmatch(text)
    text = (match[1] if match else text).strip()
    return text[len(_LINK) :].partition("?")[0] if text.lower().startswith(_LINK) else text


def read_list(text: str) -> list[str]:
    """Return the values of a cell: a JSON list, or a line of CSV with commas, else semicolons."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list):
            return _texts([value if isinstance(value, str) else json.dumps(value) for value in values])
    delimiter = ";" if ";" in text and "," not in text else ","
    text = text.replace("\r", " ").replace("\n", " ")
    try:
        (values, *_) = csv.reader(
            [text], delimiter=delimiter, skipinitialspace=True, strict=True, escapechar="\\"
        )
    except (csv.Error, ValueError):
        values = text.split(delimiter)
    return _texts(values)


def _texts(values: list[str]) -> list[str]:
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))[:_VALUES_MAX]

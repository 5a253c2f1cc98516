"""Recognise the encoding of a text file, by its bytes alone.

A byte order mark decides; then UTF-8, when the whole file is valid UTF-8 (the first umlaut may stand in the last row);
then UTF-16, by its zero bytes; then GB18030, when the characters are common Chinese ones; else Windows-1252. Libraries
that guess by letter frequency take German text for Polish or Chinese, so none is used.
"""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nurture.domain.errors import InputError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1 << 17
_SAMPLE: Final = 1 << 16
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_RUNS_MAX: Final = 50_000
#: Lead bytes of the 3,755 commonest Chinese characters in GB2312.
_COMMON_HANZI: Final = range(0xB0, 0xD8)
#: Lead bytes of marks, wide letters and digits.
_MARKS_OF_GB: Final = frozenset(range(0xA1, 0xAA))


def detect_encoding(path: Path) -> str:
    """Return the encoding of the file. Raises InputError for one that has to be named, and OSError."""
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if wide := _utf_16(sample):
        return wide
    if is_encoded(path, "utf-8"):
        return "utf-8"
    if _is_chinese(_high_bytes(path)) and is_encoded(path, "gb18030"):
        return "gb18030"
    if not is_encoded(path, "cp1252"):
        message = (
            f"{path}: the encoding is none of UTF-8, UTF-16, GB18030 and Windows-1252; "
            "name it, for example --encoding mac_roman, or save the file as UTF-8"
        )
        raise InputError(message)
    return "cp1252"


def check_encoding(path: Path, name: str) -> str:
    """Return the name when Python knows the encoding and the whole file can be read in it. Raises InputError."""
    try:
        codecs.lookup(name)
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        message = f"--encoding {name}: there is no such encoding; write for example utf-8, cp1252 or gb18030"
        raise InputError(message) from error
    if not is_encoded(path, name):
        raise InputError(f"{path}: cannot be read as {name}: name another --encoding, or save it as UTF-8")
    return name


def _utf_16(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > pairs // 2:
        return "utf-16-le"
    return "utf-16-be" if pairs and sample[0::2].count(0) > pairs // 2 else None


def is_encoded(path: Path, encoding: str) -> bool:
    """Tell whether the whole file can be read in an encoding; asked before anything of it is stored."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with path.open("rb") as stream:
        try:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _high_bytes(path: Path) -> list[bytes]:
    """Return runs of bytes over 127: the first of them, which are enough to know the language by."""
    runs: list[bytes] = []
    with path.open("rb") as stream:
        while len(runs) < _RUNS_MAX and (chunk := stream.read(_CHUNK)):
            runs += _HIGH.findall(chunk)
    return runs[:_RUNS_MAX]


def _is_chinese(runs: Sequence[bytes]) -> bool:
    """Tell whether runs of bytes over 127 read as common Chinese characters, and are as long as words of those."""
    leads = [_leads_of(run) for run in runs]
    # Wide digits, `￥` and other marks say nothing; `元` behind an amount is one character.
    words = [
        run for run, lead in zip(runs, leads, strict=True) if not lead or not _MARKS_OF_GB.issuperset(lead)
    ]
    long = sum(len(run) for run in words if len(run) % 2 == 0 and len(run) >= 4)
    if not words or long * 2 < sum(map(len, words)):
        return False
    characters = [lead for of_run in leads for lead in of_run if lead not in _MARKS_OF_GB]
    common = sum(lead in _COMMON_HANZI for lead in characters)
    return bool(characters) and common >= 0.8 * len(characters)


def _leads_of(run: bytes) -> list[int]:
    """Return the lead byte in GB2312 of each character of a run; 0 for a character that is not in it."""
    encoded = (character.encode("gb2312", "ignore") for character in run.decode("gb18030", "ignore"))
    return [code[0] if len(code) == 2 else 0 for code in encoded]

"""Recognise the encoding of a text file, by its bytes alone.

A byte order mark decides; then UTF-8, when the whole file is valid UTF-8 (the first umlaut may stand in the last row);
then UTF-16, by its zero bytes; then GB18030, when the characters are common Chinese ones; else Windows-1252. Libraries
that guess by letter frequency take German text for Polish or Chinese, so none is used.
"""

import codecs
import re
from pathlib import Path
from typing import Final

from nurture.domain.errors import InputError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1 << 20
_SAMPLE: Final = 1 << 18
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
#: Bytes that Windows-1252 does not define.
_UNDEFINED: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
#: Lead bytes of the 3,755 commonest Chinese characters in GB2312.
_COMMON_HANZI: Final = range(0xB0, 0xD8)


def detect_encoding(path: Path) -> str:
    """Return the encoding of the file. Raises InputError for one that has to be named, and OSError."""
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if wide := _utf_16(sample):
        return wide
    if _decodes(path, "utf-8"):
        return "utf-8"
    high = b"".join(_high_bytes(path))
    if _is_chinese(high) and _decodes(path, "gb18030"):
        return "gb18030"
    if _UNDEFINED.search(high):
        message = (
            f"{path}: the encoding is none of UTF-8, UTF-16, GB18030 and Windows-1252; "
            "name it, for example --encoding mac_roman, or save the file as UTF-8"
        )
        raise InputError(message)
    return "cp1252"


def check_encoding(name: str) -> str:
    """Return the name when Python knows the encoding. Raises InputError."""
    try:
        codecs.lookup(name)
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError) as error:
        message = f"--encoding {name}: there is no such encoding; write for example utf-8, cp1252 or gb18030"
        raise InputError(message) from error
    return name


def _utf_16(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > pairs // 2:
        return "utf-16-le"
    return "utf-16-be" if pairs and sample[0::2].count(0) > pairs // 2 else None


def _decodes(path: Path, encoding: str) -> bool:
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
    """Return the runs of bytes over 127 with a blank between them, at most a sample of each megabyte."""
    runs: list[bytes] = []
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            runs += [run + b" " for run in _HIGH.findall(chunk)[:10_000]]
    return runs


def _is_chinese(high: bytes) -> bool:
    """Tell whether runs of bytes over 127 read as common Chinese characters, and are as long as words of those."""
    runs = high.split()
    if not runs or sum(len(run) % 2 == 0 and len(run) >= 4 for run in runs) * 2 < len(runs):
        return False
    characters = "".join(run.decode("gb18030", "ignore") for run in runs)
    common = sum(_is_common(character) for character in characters)
    return bool(characters) and common >= 0.8 * len(characters)


def _is_common(character: str) -> bool:
    encoded = character.encode("gb2312", "ignore")
    return len(encoded) == 2 and encoded[0] in _COMMON_HANZI

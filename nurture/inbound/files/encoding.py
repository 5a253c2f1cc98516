"""Recognise the encoding of a text file, by its bytes alone.

A byte order mark decides; then UTF-8, when the whole file is valid UTF-8 (the first umlaut may stand in the last row);
then UTF-16, by its zero bytes; then GB18030, when the characters are common Chinese ones; else Windows-1252. Libraries
that guess by letter frequency take German text for Polish or Chinese, so none is used.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from nurture.domain.errors import InputError

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Encodings that the characters alone show.
GUESSED: Final = frozenset(("cp1252", "gb18030"))
_CHUNK: Final = 1 << 17
_SAMPLE: Final = 1 << 16
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_RUNS_MAX: Final = 50_000
#: Lead bytes of the 3,755 commonest Chinese characters in GB2312.
_COMMON_HANZI: Final = range(0xB0, 0xD8)
#: Lead bytes of marks, wide letters and digits.
_MARKS_OF_GB: Final = frozenset(range(0xA1, 0xAA))
#: Words with a character that is not ASCII.
_FOREIGN_WORD: Final = re.compile(r"[^\s,;|\"'()/<>@.-]*[^\x00-\x7f\s][^\s,;|\"'()/<>@.-]*")
#: Signs that no Western word has between its letters, nor before them; letters of other alphabets become such.
_AMID: Final = re.compile(
    r"[^\W\d_][¡¢£¤¥¦§¨©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾¿×÷‡†‰‹›•][^\W\d_]|[£¤¥¦§¨©¬®¯±¶¸¹³][^\W\d_]"
)
_CAPITAL_AMID: Final = re.compile(r"[a-zà-öø-ÿ][À-ÖØ-ÞŠŽŸŒ]|[^\W\d_][À-ÖØ-ÞŠŽŸŒ][a-zà-öø-ÿ]")
_HIGH_RUN: Final = re.compile(r"[À-ÖØ-öø-ÿŠšŽžŸŒœƒ]{3,}")
#: Three of these may follow each other in German and in Icelandic.
_WESTERN_RUNS: Final = (frozenset("äöüßÄÖÜ"), frozenset("áéíóúýþæöðÁÉÍÓÚÝÞÆÖÐ"))
#: UTF-8 that was read as Windows-1252 has a note of its own.
_TWICE: Final = re.compile("[ÃÂâ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


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
    _check_western(path)
    return "cp1252"


def find_foreign_word(path: Path, encoding: str) -> str:
    """Return the first word of the file that is not ASCII, "" for a file without one."""
    return next(_foreign_words(path, encoding), "")


def _check_western(path: Path) -> None:
    """Refuse a file whose words are none of a Western language in Windows-1252. Raises InputError."""
    words = [word for word in islice(_foreign_words(path, "cp1252"), _RUNS_MAX) if not _TWICE.search(word)]
    wrong = [word for word in words if _looks_wrong(word)]
    if len(wrong) < max(1, len(words) * _WRONG_SHARE):
        return
    raw = wrong[0].encode("cp1252")
    other = next((name for name in _OTHERS if _reads_well(raw, name)), "mac_roman")
    message = (
        f"{path}: the encoding is none of UTF-8, UTF-16, GB18030 and Windows-1252 ({wrong[0]!r}); name it, for "
        f"example --encoding {other} ({raw.decode(other, 'replace')!r}), or save the file as UTF-8"
    )
    raise InputError(message)


#: Of words that are not ASCII; a Western file has hardly any, one in Mac Roman a third.
_WRONG_SHARE: Final = 0.25
#: Encodings that are named where Windows-1252 is none.
_OTHERS: Final = ("cp1251", "cp1250", "big5", "mac_roman")


def _reads_well(raw: bytes, encoding: str) -> bool:
    """Tell whether bytes read as a word of letters, with capitals only at its beginning or throughout."""
    word = raw.decode(encoding, "replace")
    return word.isalpha() and (word.istitle() or word.islower() or word.isupper())


def _foreign_words(path: Path, encoding: str) -> Iterator[str]:
    with path.open(encoding=encoding, newline="") as stream:
        while chunk := stream.read(_CHUNK):
            yield from _FOREIGN_WORD.findall(chunk)


def _looks_wrong(word: str) -> bool:
    runs = _HIGH_RUN.findall(word)
    return (
        any(not any(known.issuperset(run) for known in _WESTERN_RUNS) for run in runs)
        or _AMID.search(word) is not None
        or _CAPITAL_AMID.search(word) is not None
    )


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

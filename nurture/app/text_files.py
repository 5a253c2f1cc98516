"""Recognise the encoding and the delimiter of a text file that another tool wrote."""

from pathlib import Path
from typing import Final

#: The first bytes of a file -> its encoding.
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SAMPLE_BYTES: Final = 4096
_DELIMITERS: Final = (",", ";", "\t")


def detect_encoding(path: Path) -> str:
    """Return UTF-8 or UTF-16, by the byte order mark or by the zero bytes of Latin text. Raises OSError."""
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > pairs // 2:
        return "utf-16-le"
    if pairs and sample[0::2].count(0) > pairs // 2:
        return "utf-16-be"
    return "utf-8"


def detect_delimiter(line: str) -> str:
    """Return the delimiter that occurs most often outside quotes in a line: comma, semicolon or tab."""
    plain = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=plain.count)

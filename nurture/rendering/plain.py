"""Text made harmless: what may not stand in a mail is taken out, in bodies and in headers."""

import re

# C0 (but for tab and line feed), DEL and C1. They show nothing, and some readers choke on them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
# Direction overrides and isolates: a name with one can make a header read as another.
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(r"\s+")
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_GAPS = re.compile(r"\n{3,}")
# One search tells that there is nothing to do, which is nearly always so.
_SUSPICIOUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: A subject or name longer than this is cut; no mail program shows more.
HEADER_LENGTH_MAX = 250


def body_text(text: str) -> str:
    """Return text for a mail's body: line ends are LF, no control characters, no lone surrogates."""
    if not _SUSPICIOUS.search(text):
        return text
    text = _LINE_ENDS.sub("\n", text)
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


def header_text(text: str) -> str:
    """Return text for a header: one line, no controls, no direction overrides, at most 250 characters."""
    text = _BLANKS.sub(" ", _CONTROLS.sub(" ", _DIRECTIONS.sub("", text))).strip()
    text = _SURROGATES.sub("\ufffd", text)
    if len(text) <= HEADER_LENGTH_MAX:
        return text
    return text[: HEADER_LENGTH_MAX - 1].rstrip() + "…"


def tidy(text: str) -> str:
    """Return a text part as it is sent: no blanks at line ends, no gaps above one empty line."""
    return _GAPS.sub("\n\n", _TRAILING.sub("", text)).strip("\n") + "\n"

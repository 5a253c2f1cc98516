"""Remove characters that a mail must not hold, for bodies and for headers."""

import re

# C0 (except tab and line feed), DEL and C1: invisible, and some mail programs fail on them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
# Direction overrides and isolates: with one of them a name can make a header look like another.
_DIRECTIONS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(r"\s+")
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_GAPS = re.compile(r"\n{3,}")
# Characters that `clean_body` changes. One search shows that a text has none, as nearly all have.
_SUSPICIOUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: Characters of a subject or name; longer text is cut, because no mail program shows more.
HEADER_LENGTH_MAX = 250


def clean_body(text: str) -> str:
    """Return text for a mail's body: line ends as LF, no control characters, no lone surrogates."""
    if not _SUSPICIOUS.search(text):
        return text
    text = _LINE_ENDS.sub("\n", text)
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


def clean_header(text: str) -> str:
    """Return text for a header: one line, no control characters, no direction overrides, at most 250 characters."""
    text = _BLANKS.sub(" ", _CONTROLS.sub(" ", _DIRECTIONS.sub("", text))).strip()
    text = _SURROGATES.sub("\ufffd", text)
    if len(text) <= HEADER_LENGTH_MAX:
        return text
    return text[: HEADER_LENGTH_MAX - 1].rstrip() + "…"


def tidy_text(text: str) -> str:
    """Return a text part without blanks at line ends and with at most one empty line between paragraphs."""
    return _GAPS.sub("\n\n", _TRAILING.sub("", text)).strip("\n") + "\n"

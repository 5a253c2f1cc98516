"""The HTML part of a recording, encoded once: per mail only the values are encoded.

`mime.html_body` reads a whole body to choose its encoding. Here the numbers that it needs are counted once in the
pieces between the slots. When pieces and values together cannot be sent as 7-bit, `mime.html_body` decides. Both
give the same bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nurture.rendering.marks import OPEN
from nurture.rendering.mime import LINE_MAX, foreign_bytes, has_few, has_plain_styles

# A piece may end inside a tag's name, which the value would continue.
_OPEN_TAG: Final = re.compile(r"<[A-Za-z/!]*\Z")
# A mailbox separator: no line of a body may begin with it.
_SEPARATOR: Final = "\nFrom "


@dataclass(frozen=True, slots=True)
class EncodedBody:
    """Pieces of a 7-bit body: before the first slot, between the first and the second ..."""

    texts: tuple[bytes, ...]
    # Bytes of all pieces as UTF-8, and how many of them are not ASCII.
    length: int
    foreign: int
    # Characters of the longest line with slots, without its values; and the most slots in one line.
    line_length: int
    line_slots: int

    def fill(self, values: Sequence[str]) -> bytes | None:
        """Return the body as it is sent, 7-bit; None when `mime.html_body` must choose another encoding.

        values: one for each slot. Only the last, the open picture, may hold `<`; none holds a line end.
        """
        joined = "".join(values)
        length, foreign = self.length + len(joined), self.foreign
        if not joined.isascii():
            data = joined.encode()
            length, foreign = self.length + len(data), foreign + foreign_bytes(data)
        pieces = [value.encode("ascii", "xmlcharrefreplace") for value in values]
        if (
            not has_few(foreign, length)
            or max(map(len, pieces)) * self.line_slots + self.line_length > LINE_MAX
        ):
            return None
        body = [b""] * (2 * len(pieces) + 1)
        body[0::2] = self.texts
        body[1::2] = pieces
        return b"".join(body)


def encode_pieces(pieces: Sequence[str]) -> EncodedBody | None:
    """Return HTML pieces encoded; None when the encoding must be chosen for each mail.

    pieces: HTML between the slots. One slot is added here, before `</body>`: the picture that records an open.
    """
    *others, last = pieces
    head, end, tail = last.rpartition("</body>")
    if not end:
        return None
    texts = [*others, head, end + tail if tail.endswith("\n") else f"{end}{tail}\n"]
    whole = OPEN.join(texts)
    if not _has_fixed_encoding(texts, whole):
        return None
    lines = whole.replace(OPEN, "\ue001").encode("ascii", "xmlcharrefreplace").split(b"\n")
    slot = b"&#57345;"
    filled = [line for line in lines if slot in line]
    if max(map(len, (line for line in lines if slot not in line)), default=0) > LINE_MAX:
        return None
    data = [text.replace("\n", "\r\n").encode() for text in texts]
    return EncodedBody(
        texts=tuple(piece.decode().encode("ascii", "xmlcharrefreplace") for piece in data),
        length=sum(map(len, data)),
        foreign=sum(map(foreign_bytes, data)),
        line_length=max(len(line) - line.count(slot) * len(slot) for line in filled),
        line_slots=max(line.count(slot) for line in filled),
    )


def _has_fixed_encoding(texts: Sequence[str], whole: str) -> bool:
    """Tell whether no value can change how the pieces are encoded. whole: the pieces joined by a mark."""
    # A style sheet does not read character references, and a mark is not ASCII.
    if "\r" in whole or _SEPARATOR in f"\n{whole}" or not has_plain_styles(whole):
        return False
    return not any(_OPEN_TAG.search(text) or _may_separate(text) for text in texts[:-1])


def _may_separate(text: str) -> bool:
    """Tell whether a value after this text could begin, or complete, a line that reads `From `."""
    return _SEPARATOR.startswith("\n" + text.rpartition("\n")[2])

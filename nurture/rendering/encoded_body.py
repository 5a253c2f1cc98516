"""HTML of a known way, encoded once: per mail only its values are.

`mime` looks at a whole body to choose its encoding. Most of a mail is the same from person to person, so what it
looks for is counted beforehand in the pieces between the slots; what cannot be told from the values alone is left
to `mime`. Both give the same bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nurture.rendering.mime import LINE_MAX, foreign_bytes, has_few, has_plain_styles
from nurture.rendering.tracing.values import OPEN

# A tag's name may go on in a value; a line may begin so that a value makes a mailbox separator of it.
_OPEN_TAG: Final = re.compile(r"<[A-Za-z/!]*\Z")
_SEPARATOR: Final = "\nFrom "


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pieces of a 7-bit body: before the first slot, between the first and the second ..."""

    texts: tuple[bytes, ...]
    # Of the pieces as UTF-8: their length, and how many bytes are beyond ASCII.
    length: int
    foreign: int
    # Characters of the longest line with values, without them, and most values in one line.
    longest: int
    most: int

    def encoded(self, values: Sequence[str]) -> bytes | None:
        """Return the body as it is sent, 7-bit; None: ask `mime`.

        values: of the slots, one for each place; they hold no line ends and no `<` but the last one's.
        """
        whole = "".join(values)
        length, foreign = self.length + len(whole), self.foreign
        if not whole.isascii():
            data = whole.encode()
            length, foreign = self.length + len(data), foreign + foreign_bytes(data)
        pieces = [value.encode("ascii", "xmlcharrefreplace") for value in values]
        if not has_few(foreign, length) or max(map(len, pieces)) * self.most + self.longest > LINE_MAX:
            return None
        body = [b""] * (2 * len(pieces) + 1)
        body[0::2] = self.texts
        body[1::2] = pieces
        return b"".join(body)


def prepare(pieces: Sequence[str]) -> Prepared | None:
    """Prepare HTML; None: its encoding must be chosen mail by mail.

    pieces: HTML between the slots. The last slot is made here: the picture that records an open.
    """
    *others, last = pieces
    head, end, tail = last.rpartition("</body>")
    if not end:
        return None
    texts = [*others, head, end + tail if tail.endswith("\n") else f"{end}{tail}\n"]
    whole = OPEN.join(texts)
    # In a style sheet, references would not be read, and a mark is not ASCII.
    if "\r" in whole or _SEPARATOR in f"\n{whole}" or not has_plain_styles(whole):
        return None
    if any(_OPEN_TAG.search(text) or _may_separate(text) for text in texts[:-1]):
        return None
    lines = whole.replace(OPEN, "\ue001").encode("ascii", "xmlcharrefreplace").split(b"\n")
    slot = b"&#57345;"
    filled = [line for line in lines if slot in line]
    if max(map(len, (line for line in lines if slot not in line)), default=0) > LINE_MAX:
        return None
    data = [text.replace("\n", "\r\n").encode() for text in texts]
    return Prepared(
        texts=tuple(each.decode().encode("ascii", "xmlcharrefreplace") for each in data),
        length=sum(map(len, data)),
        foreign=sum(map(foreign_bytes, data)),
        longest=max(len(line) - line.count(slot) * len(slot) for line in filled),
        most=max(line.count(slot) for line in filled),
    )


def _may_separate(text: str) -> bool:
    """Tell whether a value behind this text could begin, or complete, a line that reads `From `."""
    return _SEPARATOR.startswith("\n" + text.rpartition("\n")[2])

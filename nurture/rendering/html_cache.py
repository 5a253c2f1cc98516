"""MJML to HTML by MRML, and a cache of its results by the MJML's fixed text.

The reference path runs Jinja, then MRML, for each mail. Most of a mail's MJML is the same from person to person; only
the values printed into text and attributes differ. So Jinja marks the values, MRML converts the fixed text once, with
a numbered placeholder in each slot, and later mails with the same fixed text have their slots filled.

An entry is used only after a proof on its first mail: filling its slots must give byte for byte what MRML gives, for
several sets of probe values and for that mail's values. A mail with a value that could be more than text (markup,
outer blanks, control characters) takes the reference path. Both paths give the same bytes.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

import mrml

from nurture.rendering.marks import CLOSE, OPEN

# Tags in which a blank becomes a line end; they make up nearly all of a mail.
_TAGS_TO_BREAK: Final = ("<table ", "<td ", "<div ", "<a ", "<img ")
#: Entries kept, those used last, each some tens of kilobytes.
ENTRIES_MAX: Final = 256

_SLOT: Final = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
# The placeholder of a slot while MRML runs. It is plain ASCII, because MRML escapes other characters in the title.
_NUMBERED: Final = re.compile("qzslot([0-9]+)zq")
# Text that may fill any slot: no markup, no control, surrogate or private character, blanks only inside, no line end.
_FREE: Final = r"[^\s<>\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000\ue001]+"
_PLAIN: Final = re.compile(f"{_FREE}(?:[ \u00a0\u202f]{_FREE})*")
# Text that may fill a slot that MRML prints escaped (the title's): characters that every table of MRML prints as is.
_COMMON: Final = (
    r"[!-;=?-\[\]-~\u00a1-\u00ac\u00ae-\u024f\u0391-\u03a1\u03a3-\u03c9\u0400-\u0481"
    r"\u3001-\u3029\u3041-\u3096\u309b-\u30ff\u4e00-\u9fa5\uff01-\uff60]+"
)
_COMMON_TEXT: Final = re.compile(f"{_COMMON}(?: {_COMMON})*")
# A value that begins like this may be a link that could be run; the reference path checks it.
_SCHEME: Final = re.compile(r"(?:(?:java|vb)script|data|file)\s*:", re.IGNORECASE)
# An attribute with a URL, which a mail program may follow or run.
_LINK: Final = re.compile(r"""(?:href|src|action|background)\s*=\s*["']?\s*""", re.IGNORECASE)
# The beginning of a URL: letters and values, and whether a colon follows them.
_LINK_HEAD: Final = re.compile(rf"([A-Za-z{OPEN}]*)(\s*:)?")
# Values that every slot must accept: short, long, entities of both kinds, other scripts, numbers, a URL.
_PROBES: Final = (
    "x",
    "0",
    "Zo&amp;e &#39;and&#39; &#34;co&#34;",
    "中文、ÄÖÜ кто Ω",
    "https://shop.example.test/a?b=c&amp;d=%20e#f",
    "w" * 300,
)
# A slot that does not accept this one accepts common characters only.
_AWKWARD: Final = "a\\n\\ b\u202fc 🎉\u200d\u0301{{x}}$1 \u05e2"


@dataclass(frozen=True, slots=True)
class SplitHtml:
    """HTML split at its slots. Between pieces n and n + 1 comes the slot with number `order[n]`."""

    pieces: tuple[str, ...]
    order: tuple[int, ...]
    # Slots that accept only common characters.
    common_slots: tuple[int, ...] = ()

    def accepts(self, slots: Sequence[str]) -> bool:
        """Tell whether its slots may be filled with these values, which are plain."""
        return all(is_common(slots[number]) for number in self.common_slots)

    def fill(self, slots: Sequence[str]) -> str:
        """Return the HTML with these values in its slots."""
        html = [""] * (2 * len(self.order) + 1)
        html[0::2] = self.pieces
        html[1::2] = [slots[number] for number in self.order]
        return "".join(html)


def is_plain(slot: str) -> bool:
    """Tell whether text may fill a slot: no parser of markup can read it as anything but text."""
    return _PLAIN.fullmatch(slot) is not None and not _SCHEME.match(slot)


def is_common(slot: str) -> bool:
    """Tell whether text may fill a slot that MRML prints escaped."""
    return _COMMON_TEXT.fullmatch(slot) is not None


@dataclass(frozen=True, slots=True)
class MarkedText:
    """Text with marks around the values of one mail, split into fixed text and slots."""

    statics: tuple[str, ...]
    slots: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "MarkedText | None":
        """Return marked text split at its marks; None when the marks do not pair."""
        parts = _SLOT.split(text)
        statics = tuple(parts[0::2])
        if any(OPEN in static or CLOSE in static for static in statics):
            return None
        return cls(statics, tuple(parts[1::2]))

    def is_plain(self) -> bool:
        """Tell whether every value is text that no parser of markup can read as anything else."""
        return all(map(is_plain, self.slots))

    def with_slots(self, slots: Sequence[str]) -> str:
        """Return the text with these values."""
        parts = [""] * (len(self.statics) + len(slots))
        parts[0::2] = self.statics
        parts[1::2] = slots
        return "".join(parts)


def to_html(mjml: str) -> str:
    """Return the HTML of MJML. Raises ValueError with MRML's message; no include is ever followed.

    MRML writes a mail as one long line. A blank inside a tag becomes a line end, which means the same, so that
    the mail can be sent without an encoding.
    """
    try:
        html = str(mrml.to_html(mjml).content)
    except OSError as error:
        raise ValueError(str(error)) from error
    except BaseException as error:
        # Its parser splits some text inside a character; the library then raises a BaseException.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"MRML cannot read it: {error}") from error
    for tag in _TAGS_TO_BREAK:
        html = html.replace(tag, tag[:-1] + "\n")
    return html


class HtmlCache:
    """HTML by the fixed text of its MJML, for all templates of a playbook. Safe for several threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], SplitHtml | None] = OrderedDict()
        self._lock = Lock()

    def find(self, marked: MarkedText) -> str | None:
        """Return the HTML of MJML with marks; None when it must take the reference path (then call `add`)."""
        split = self._entries.get(marked.statics)
        if split is None or not marked.is_plain() or not split.accepts(marked.slots):
            return None
        with self._lock:
            # Another thread may have dropped it meanwhile.
            if marked.statics in self._entries:
                self._entries.move_to_end(marked.statics)
        return split.fill(marked.slots)

    def add(self, marked: MarkedText, reference: str) -> bool:
        """Split the HTML of a mail by the reference path and keep it; return whether its slots can be filled."""
        if marked.statics in self._entries or not marked.is_plain():
            return self._entries.get(marked.statics) is not None
        split = split_html(marked, reference)
        with self._lock:
            self._entries[marked.statics] = split
            while len(self._entries) > ENTRIES_MAX:
                self._entries.popitem(last=False)
        return split is not None


def split_html(marked: MarkedText, reference: str) -> SplitHtml | None:
    """Return the HTML split at its slots; None when filling the slots would not always give the same HTML as MRML.

    reference: the HTML of the same text and slots by the reference path.
    """
    count = len(marked.slots)
    if any(_NUMBERED.search(static) for static in marked.statics):
        return None
    try:
        html = to_html(marked.with_slots([f"qzslot{number}zq" for number in range(count)]))
        parts = _NUMBERED.split(html)
        split = SplitHtml(tuple(parts[0::2]), tuple(int(number) for number in parts[1::2]))
        # Each slot gets another value, so that the comparison fails when a value lands in the wrong slot.
        if not all(_is_same(split, marked, [f"{probe}{n}" for n in range(count)]) for probe in _PROBES):
            return None
        split = replace(split, common_slots=tuple(_common_slots(split, marked, range(count))))
    except ValueError:
        return None
    if _may_make_scheme(split):
        return None
    return split if not split.accepts(marked.slots) or split.fill(marked.slots) == reference else None


def _may_make_scheme(split: SplitHtml) -> bool:
    """Tell whether a value could be a part of a link's scheme without being the whole beginning of the link.

    A value that is the whole beginning of a link is checked by `is_plain`.
    """
    html = OPEN.join(split.pieces)
    beginnings = (_LINK_HEAD.match(html, link.end()) for link in _LINK.finditer(html))
    return any(head and OPEN in head[1] and (head[1] != OPEN or head[2]) for head in beginnings)


def _is_same(split: SplitHtml, marked: MarkedText, slots: Sequence[str]) -> bool:
    return split.fill(slots) == to_html(marked.with_slots(slots))


def _common_slots(split: SplitHtml, marked: MarkedText, suspects: Sequence[int]) -> Iterator[int]:
    """Yield those of these slots that do not accept the awkward value, by bisection."""
    slots = [f"{_AWKWARD}{n}" if n in suspects else f"x{n}" for n in range(len(marked.slots))]
    if not suspects or _is_same(split, marked, slots):
        return
    if len(suspects) == 1:
        yield suspects[0]
        return
    middle = len(suspects) // 2
    yield from _common_slots(split, marked, suspects[:middle])
    yield from _common_slots(split, marked, suspects[middle:])

"""MJML to HTML, at the price of a look-up wherever that provably changes nothing.

The reference path is Jinja, then MRML, for each mail. But most of a mail's MJML is the same from person to
person: what differs are the values printed into text and attributes. So the values are marked while Jinja
runs; what is left, the skeleton, goes through MRML once, with numbered slots, and later mails with the same
skeleton only have their slots filled.

A skeleton is used only after a proof on its first mail: filling its slots must give byte for byte what the
reference path gives, for that mail's values and for several others made to be awkward. And a value that could
be more than text (markup, outer blanks, control characters) sends its mail down the reference path. So the
choice is made by the check, never by the author, and both ways give the same bytes.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

import mrml

from nurture.rendering.tracing.values import CLOSE, OPEN

# The tags that make up nearly all of a mail.
_BROKEN: Final = ("<table ", "<td ", "<div ", "<a ", "<img ")
#: Skeletons kept, the newest used ones, each some tens of kilobytes.
KEPT_MAX: Final = 256

_SLOT: Final = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")
# What stands for a slot while MRML runs: plain ASCII, for MRML escapes rarer characters in one place.
_NUMBERED: Final = re.compile("qzslot([0-9]+)zq")
# What may fill any slot: no markup, no control, surrogate or private character, blanks only inside and no line
# ends among them.
_FREE: Final = r"[^\s<>\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000\ue001]+"
_PLAIN: Final = re.compile(f"{_FREE}(?:[ \u00a0\u202f]{_FREE})*")
# What may fill a slot that MRML prints escaped (the title's): characters that every table agrees to print.
_COMMON: Final = (
    r"[!-;=?-\[\]-~\u00a1-\u00ac\u00ae-\u024f\u0391-\u03a1\u03a3-\u03c9\u0400-\u0481"
    r"\u3001-\u3029\u3041-\u3096\u309b-\u30ff\u4e00-\u9fa5\uff01-\uff60]+"
)
_STRICT: Final = re.compile(f"{_COMMON}(?: {_COMMON})*")
# A value that begins like this may be a link that must not be; the reference path looks closer.
_SCHEME: Final = re.compile(r"(?:(?:java|vb)script|data|file)\s*:", re.IGNORECASE)
# What a mail program may follow, or run.
_LINK: Final = re.compile(r"""(?:href|src|action|background)\s*=\s*["']?\s*""", re.IGNORECASE)
# Letters and values, and whether a colon follows them.
_LINK_HEAD: Final = re.compile(rf"([A-Za-z{OPEN}]*)(\s*:)?")
# Values that every slot must take: short, long, entities of both kinds, other scripts, numbers, an address.
_PROBES: Final = (
    "x",
    "0",
    "Zo&amp;e &#39;and&#39; &#34;co&#34;",
    "中文、ÄÖÜ кто Ω",
    "https://shop.example.test/a?b=c&amp;d=%20e#f",
    "w" * 300,
)
# What a slot must take besides, to be filled with whatever is plain.
_AWKWARD: Final = "a\\n\\ b\u202fc 🎉\u200d\u0301{{x}}$1 \u05e2"


@dataclass(frozen=True, slots=True)
class Proven:
    """HTML in pieces: between two pieces stands the slot whose number is at that place of `order`."""

    pieces: tuple[str, ...]
    order: tuple[int, ...]
    # Slots that take only common characters.
    strict: tuple[int, ...] = ()

    def takes(self, slots: Sequence[str]) -> bool:
        """Tell whether its slots take these values."""
        return all(is_common(slots[number]) for number in self.strict)

    def filled(self, slots: Sequence[str]) -> str:
        """Return the HTML."""
        html = [""] * (2 * len(self.order) + 1)
        html[0::2] = self.pieces
        html[1::2] = [slots[number] for number in self.order]
        return "".join(html)


def is_plain(slot: str) -> bool:
    """Tell whether text may fill a slot: one piece, which no reader of markup can take for anything else."""
    return _PLAIN.fullmatch(slot) is not None and not _SCHEME.match(slot)


def is_common(slot: str) -> bool:
    """Tell whether text may fill a slot that MRML prints escaped."""
    return _STRICT.fullmatch(slot) is not None


@dataclass(frozen=True, slots=True)
class Marked:
    """MJML with marks around what belongs to one mail alone, taken apart."""

    statics: tuple[str, ...]
    slots: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Marked | None":
        """Take marked MJML apart; None when the marks do not pair."""
        parts = _SLOT.split(text)
        statics = tuple(parts[0::2])
        if any(OPEN in static or CLOSE in static for static in statics):
            return None
        return cls(statics, tuple(parts[1::2]))

    def is_plain(self) -> bool:
        """Tell whether every value is text that no reader of markup can take for anything else."""
        return all(map(is_plain, self.slots))

    def with_slots(self, slots: Sequence[str]) -> str:
        """Return the MJML with these values."""
        parts = [""] * (len(self.statics) + len(slots))
        parts[0::2] = self.statics
        parts[1::2] = slots
        return "".join(parts)


def to_html(mjml: str) -> str:
    """Return the HTML of MJML. Raises ValueError with MRML's words; no include is ever followed.

    MRML writes a mail as one long line. A blank inside a tag becomes a line end, which means the same, so that
    the mail can travel unencoded.
    """
    try:
        html = str(mrml.to_html(mjml).content)
    except OSError as error:
        raise ValueError(str(error)) from error
    except BaseException as error:
        # Its parser cuts some text apart in the middle of a character, and the library is no Exception then.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"MRML cannot read it: {error}") from error
    for tag in _BROKEN:
        html = html.replace(tag, tag[:-1] + "\n")
    return html


class Skeletons:
    """The proven skeletons of a playbook's templates. Safe for several threads."""

    def __init__(self) -> None:
        """Know none yet."""
        self._kept: OrderedDict[tuple[str, ...], Proven | None] = OrderedDict()
        self._lock = Lock()

    def html(self, marked: Marked) -> str | None:
        """Return the HTML from a proven skeleton; None: take the reference path (and tell `learn` of it)."""
        proven = self._kept.get(marked.statics)
        if proven is None or not marked.is_plain() or not proven.takes(marked.slots):
            return None
        with self._lock:
            # Another thread may have dropped it meanwhile.
            if marked.statics in self._kept:
                self._kept.move_to_end(marked.statics)
        return proven.filled(marked.slots)

    def learn(self, marked: Marked, reference: str) -> bool:
        """Prove the skeleton of a mail whose HTML by the reference path is known; tells whether it holds."""
        if marked.statics in self._kept or not marked.is_plain():
            return self._kept.get(marked.statics) is not None
        proven = prove(marked, reference)
        with self._lock:
            self._kept[marked.statics] = proven
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return proven is not None


def prove(marked: Marked, reference: str) -> Proven | None:
    """Return the HTML in pieces, None when the slots do not hold.

    reference: the HTML of these slots by the reference path.
    """
    count = len(marked.slots)
    if any(_NUMBERED.search(static) for static in marked.statics):
        return None
    try:
        html = to_html(marked.with_slots([f"qzslot{number}zq" for number in range(count)]))
        parts = _NUMBERED.split(html)
        proven = Proven(tuple(parts[0::2]), tuple(int(number) for number in parts[1::2]))
        # Every slot another value, so that a slot that lands in the wrong place shows.
        if not all(_holds(proven, marked, [f"{probe}{n}" for n in range(count)]) for probe in _PROBES):
            return None
        proven = replace(proven, strict=tuple(_strict(proven, marked, range(count))))
    except ValueError:
        return None
    if _may_make_scheme(proven):
        return None
    return proven if not proven.takes(marked.slots) or proven.filled(marked.slots) == reference else None


def _may_make_scheme(proven: Proven) -> bool:
    """Tell whether a value could be a part of a link's scheme without being the whole beginning of the link.

    Of a value alone at the beginning, `is_plain` sees what it is.
    """
    html = OPEN.join(proven.pieces)
    heads = (_LINK_HEAD.match(html, found.end()) for found in _LINK.finditer(html))
    return any(head and OPEN in head[1] and (head[1] != OPEN or head[2]) for head in heads)


def _holds(proven: Proven, marked: Marked, slots: Sequence[str]) -> bool:
    return proven.filled(slots) == to_html(marked.with_slots(slots))


def _strict(proven: Proven, marked: Marked, suspects: Sequence[int]) -> Iterator[int]:
    """Yield which of these slots do not take awkward values, by halves."""
    slots = [f"{_AWKWARD}{n}" if n in suspects else f"x{n}" for n in range(len(marked.slots))]
    if not suspects or _holds(proven, marked, slots):
        return
    if len(suspects) == 1:
        yield suspects[0]
        return
    middle = len(suspects) // 2
    yield from _strict(proven, marked, suspects[:middle])
    yield from _strict(proven, marked, suspects[middle:])

"""The known ways through a template, and what each prints: one mail more for the price of its own values.

A template is run with watched values once for each way (`tracing.values`): each first name there and not
there, each number of lines in a cart. What it prints between the values is kept ready: subject, text as it is
sent, and HTML in the pieces of a proven skeleton. A later mail's values are asked the same questions; when the
answers are known, its slots are filled, and nothing is run.

A way is kept only if it gives for its first mail, byte for byte, what the run gave, and the next few mails are
made both ways too: one difference, and the template is run for every mail from then on. A value that is more
than text, a question that cannot be answered, a mail near a bound: all these are run as well.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from nurture.rendering.encoded_body import Prepared
from nurture.rendering.html_cache import Marked, is_common, is_plain
from nurture.rendering.plain import header_text
from nurture.rendering.render_context import RENDERING, Rendering
from nurture.rendering.tracing.values import Read

#: Ways kept of one template, each some tens of kilobytes; who goes another is run.
WAYS_MAX: Final = 64
#: Mails made both ways after a way is found.
TRIALS: Final = 3
# Unknown ways remembered.
_MET_MAX: Final = 1000


class Parts(NamedTuple):
    """What a person reads."""

    subject: str
    preheader: str
    html: str
    text: str


class Pieces(NamedTuple):
    """Text between slots: before the first, between the first and the second ... `order` names the slots."""

    texts: tuple[str, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, marked: str) -> "Pieces":
        """Take text with numbered marks apart. Raises ValueError for what the trace did not mark."""
        read = Marked.read(marked)
        if read is None:
            raise ValueError("marks that do not pair")
        return cls(read.statics, tuple(map(int, read.slots)))

    def filled(self, slots: Sequence[str] | Mapping[int, str]) -> str:
        """Return the text."""
        if not self.order:
            return self.texts[0]
        whole = [""] * (2 * len(self.order) + 1)
        whole[0::2] = self.texts
        whole[1::2] = [slots[number] for number in self.order]
        return "".join(whole)


@dataclass(slots=True, eq=False)
class Way:
    """One way: what it prints."""

    # How to read each slot from a mail's values.
    slots: tuple[Callable[[dict[str, Any]], str], ...]
    subject: Pieces
    preheader: Pieces
    text: Pieces
    html: Pieces
    # Slots of text and HTML: they take plain values only; of these, only common characters.
    plain: tuple[int, ...]
    common: tuple[int, ...]
    # Characters that the longest part has left for values, and how often it prints one.
    room: int
    places: int
    # The HTML encoded, where that can be done beforehand.
    prepared: Prepared | None
    trials: int = field(default_factory=lambda: TRIALS)

    def fill(self, values: dict[str, Any]) -> "Filled | None":
        """Return what a mail prints; None: these values must be run."""
        slots = [read(values) for read in self.slots]
        if not all(is_plain(slots[number]) for number in self.plain):
            return None
        if not all(is_common(slots[number]) for number in self.common):
            return None
        if slots and max(map(len, slots)) * self.places > self.room:
            return None
        return Filled(self, slots)


class Filled(NamedTuple):
    """A mail whose way is known, with what it prints in each slot."""

    way: Way
    slots: list[str]

    def subject(self) -> str:
        """Return the subject."""
        return header_text(self.way.subject.filled(self.slots))

    def text(self) -> str:
        """Return the text part."""
        return self.way.text.filled(self.slots)

    def parts(self) -> Parts:
        """Return all parts, without the picture that records an open."""
        preheader = header_text(self.way.preheader.filled(self.slots))
        return Parts(self.subject(), preheader, self.way.html.filled(self.slots), self.text())

    def body(self, picture: str) -> bytes | None:
        """Return the HTML as it is sent, 7-bit, with the picture; None: its encoding must be chosen."""
        prepared = self.way.prepared
        if prepared is None:
            return None
        return prepared.encoded([*(self.slots[number] for number in self.way.html.order), picture])


class _Fork(NamedTuple):
    """A question to a mail's values, and where each answer leads."""

    ask: Read
    ways: "_Branch"


#: Answer -> the next question, or the way. None: known, and to be run.
_Branch = dict[Hashable, _Fork | Way | None]
_UNKNOWN: Final = object()


class Gap(NamedTuple):
    """Where a mail went on an unknown way."""

    branch: _Branch
    answer: Hashable


class Ways:
    """The ways of one template. Several threads may use it: what one adds, another finds, or adds again."""

    def __init__(self) -> None:
        """Know none yet."""
        # By the names that a mail has.
        self._first: _Branch = {}
        self._met: set[tuple[int, Hashable]] = set()
        self._count = 0
        # Every mail is run.
        self.is_closed = False

    def fill(self, values: dict[str, Any], rendering: Rendering) -> tuple[Filled | None, Gap | None]:
        """Return what a mail prints; or None, and where its way is not known, if that is why."""
        if self.is_closed:
            return None, None
        token = RENDERING.set(rendering)
        try:
            branch, answer = self._first, frozenset[str](values)
            found: Any = branch.get(answer, _UNKNOWN)
            while type(found) is _Fork:
                branch, answer = found.ways, found.ask(values)
                found = branch.get(answer, _UNKNOWN)
            if type(found) is Way:
                return found.fill(values), None
        except Exception:  # noqa: BLE001 - the run finds out what is wrong, and says it
            return None, None
        finally:
            RENDERING.reset(token)
        return None, Gap(branch, answer) if found is _UNKNOWN else None

    def is_worth(self, gap: Gap) -> bool:
        """Tell whether an unknown way is to be learned: when a second mail goes it, while there is room."""
        if self._count >= WAYS_MAX:
            return False
        key = (id(gap.branch), gap.answer)
        if key in self._met:
            return True
        if len(self._met) < _MET_MAX:
            self._met.add(key)
        return False

    def add(self, names: frozenset[str], seen: Sequence[tuple[Read, Hashable]], way: Way) -> None:
        """Keep a way: the questions in their order, with its answers."""
        branch, answer = self._first, cast("Hashable", names)
        for ask, reply in seen:
            fork = branch.get(answer)
            if not isinstance(fork, _Fork):
                fork = branch[answer] = _Fork(ask, {})
            branch, answer = fork.ways, reply
        branch[answer] = way
        self._count += 1

    def refuse(self, gap: Gap) -> None:
        """Run all mails that go on here."""
        gap.branch[gap.answer] = None

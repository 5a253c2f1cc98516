"""The recordings of one template: what each prints, and by which answers it is found again.

A template's run is decided by the answers to its questions about the values: is the first name there, how many
lines has the cart. A recording holds what one such run printed between the values: subject, text as it is sent, and
HTML in pieces. The values of a later mail are asked the same questions in the same order; when all answers are
known, its slots are filled and the template does not run.

A recording is kept only if it reproduces its first mail byte for byte. The next CHECKS_PER_RECORDING mails are made
both ways; one difference disables all recordings of the template. These mails always run: a value that is more than
plain text, a question that cannot be answered, a mail near a size limit.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from nurture.rendering.clean_text import clean_header
from nurture.rendering.encoded_body import EncodedBody
from nurture.rendering.html_cache import MarkedText, is_common, is_plain
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.render_state import RENDER_STATE, RenderState
from nurture.rendering.tracing.values import ReadValue

#: Recordings of one template, each some tens of kilobytes. Mails that fit none of them run.
RECORDINGS_MAX: Final = 64
#: Mails that are made both ways before a recording is used alone.
CHECKS_PER_RECORDING: Final = 3
# Misses remembered, so that only the second mail with the same answers is recorded.
_MISSES_MAX: Final = 1000


class Pieces(NamedTuple):
    """Text between slots: before the first, between the first and the second ... `order` numbers the slots."""

    texts: tuple[str, ...]
    order: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Pieces":
        """Split text with numbered marks. Raises ValueError when the marks do not pair."""
        marked = MarkedText.parse(text)
        if marked is None:
            raise ValueError("marks that do not pair")
        return cls(marked.statics, tuple(map(int, marked.slots)))

    def fill(self, slots: Sequence[str] | Mapping[int, str]) -> str:
        """Return the text with these values in its slots."""
        if not self.order:
            return self.texts[0]
        parts = [""] * (2 * len(self.order) + 1)
        parts[0::2] = self.texts
        parts[1::2] = [slots[number] for number in self.order]
        return "".join(parts)


@dataclass(slots=True, eq=False)
class Recording:
    """The text that a template prints for one set of answers, with slots for the values."""

    # How to read each slot from a mail's values.
    slots: tuple[Callable[[dict[str, Any]], str], ...]
    subject: Pieces
    preheader: Pieces
    text: Pieces
    html: Pieces
    # Slots of text and HTML, which accept plain values only; and those of them that accept only common characters.
    plain_slots: tuple[int, ...]
    common_slots: tuple[int, ...]
    # Characters that the longest part has left for values, and how many slots it prints.
    room: int
    places: int
    # The HTML encoded beforehand, where that is possible.
    encoded_body: EncodedBody | None
    checks_left: int = field(default_factory=lambda: CHECKS_PER_RECORDING)

    def fill(self, values: dict[str, Any]) -> "FilledRecording | None":
        """Return the recording with a mail's values; None when these values need a run of the template."""
        slots = [read(values) for read in self.slots]
        if not all(is_plain(slots[number]) for number in self.plain_slots):
            return None
        if not all(is_common(slots[number]) for number in self.common_slots):
            return None
        if slots and max(map(len, slots)) * self.places > self.room:
            return None
        return FilledRecording(self, slots)


class FilledRecording(NamedTuple):
    """A recording with the text of each slot for one mail."""

    recording: Recording
    slots: list[str]

    def subject(self) -> str:
        """Return the subject."""
        return clean_header(self.recording.subject.fill(self.slots))

    def text(self) -> str:
        """Return the text part."""
        return self.recording.text.fill(self.slots)

    def parts(self) -> MailParts:
        """Return all parts, without the picture that records an open."""
        preheader = clean_header(self.recording.preheader.fill(self.slots))
        return MailParts(self.subject(), preheader, self.recording.html.fill(self.slots), self.text())

    def body(self, picture: str) -> bytes | None:
        """Return the HTML as it is sent, 7-bit, with the picture; None when `mime` must choose its encoding."""
        encoded_body = self.recording.encoded_body
        if encoded_body is None:
            return None
        return encoded_body.fill([*(self.slots[number] for number in self.recording.html.order), picture])


class _Question(NamedTuple):
    """A question about a mail's values, and what follows each answer."""

    ask: ReadValue
    answers: "_Branch"


#: Answer -> the next question, or the recording. None: known, and the template must run.
_Branch = dict[Hashable, _Question | Recording | None]
_UNKNOWN: Final = object()


class CacheMiss(NamedTuple):
    """Where in the tree of questions a mail gave an answer that no recording has."""

    branch: _Branch
    answer: Hashable


class Recordings:
    """The recordings of one template, as a tree of questions.

    Several threads may use it: a recording that one thread adds is seen by the others, or added twice.
    """

    def __init__(self) -> None:
        # By the names that a mail has.
        self._first: _Branch = {}
        self._misses: set[tuple[int, Hashable]] = set()
        self._count = 0
        # True: the template runs for every mail.
        self.is_disabled = False

    def look_up(
        self, values: dict[str, Any], state: RenderState
    ) -> tuple[FilledRecording | None, CacheMiss | None]:
        """Return a mail's recording, filled; or None, with the miss when no recording has its answers."""
        if self.is_disabled:
            return None, None
        token = RENDER_STATE.set(state)
        try:
            branch, answer = self._first, frozenset[str](values)
            node: Any = branch.get(answer, _UNKNOWN)
            while type(node) is _Question:
                branch, answer = node.answers, node.ask(values)
                node = branch.get(answer, _UNKNOWN)
            if type(node) is Recording:
                return node.fill(values), None
        except Exception:  # noqa: BLE001 - the run raises the same error and names its place
            return None, None
        finally:
            RENDER_STATE.reset(token)
        return None, CacheMiss(branch, answer) if node is _UNKNOWN else None

    def should_record(self, miss: CacheMiss) -> bool:
        """Tell whether to record this mail: it is the second with this miss, and there is room."""
        if self._count >= RECORDINGS_MAX:
            return False
        key = (id(miss.branch), miss.answer)
        if key in self._misses:
            return True
        if len(self._misses) < _MISSES_MAX:
            self._misses.add(key)
        return False

    def add(
        self, names: frozenset[str], observations: Sequence[tuple[ReadValue, Hashable]], recording: Recording
    ) -> None:
        """Keep a recording under the questions of its run, in their order, and the answers they got."""
        branch, answer = self._first, cast("Hashable", names)
        for ask, reply in observations:
            question = branch.get(answer)
            if not isinstance(question, _Question):
                question = branch[answer] = _Question(ask, {})
            branch, answer = question.answers, reply
        branch[answer] = recording
        self._count += 1

    def exclude(self, miss: CacheMiss) -> None:
        """Let the template run for all mails that give this answer here."""
        miss.branch[miss.answer] = None

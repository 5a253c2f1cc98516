"""The consents of a record of contacts: grants, withdrawals, requests and suppressions, each with its time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from nurture.app.importing.cells import as_text
from nurture.app.importing.plan import CONSENT, OPTOUT, Column, Plan
from nurture.app.importing.row import Row, digest_of, remark
from nurture.app.importing.suppression_words import read_reasons
from nurture.consent.from_files import ImportedConsent
from nurture.consent.record import Suppression
from nurture.contacts.accept import NewEvent
from nurture.domain.cells.words import read_consent, read_yes_no
from nurture.domain.consent.permissions import EVERYTHING, UNDATED
from nurture.domain.consent.suppressions import SuppressionReason
from nurture.domain.event import Identity
from nurture.domain.instant import DAY, Instant
from nurture.inbound.files.table import Record

State = Literal["granted", "withdrawn", "pending"]

#: The event by which a person whose consent comes from a file stands where one stands who confirmed it here.
CONFIRMED: Final = "Topic Confirmed"
_STRICTNESS: Final = {"granted": 0, "pending": 1, "withdrawn": 2}
_STATUS: Final[dict[str, State]] = {
    "subscribed": "granted",
    "unsubscribed": "withdrawn",
    "pending": "pending",
}
_SOURCE_MAX: Final = 200
#: Types of columns about consent.
_ABOUT: Final = ("consent", "optout", "suppress")


@dataclass(slots=True)
class _Words:
    """The words of one record, as they are read."""

    plan: Plan
    record: Record
    row: Row
    values: Mapping[str, Any]
    identities: tuple[Identity, ...]
    now: Instant

    def remark(self, column: str, cell: Any, text: str, *, is_unread: bool) -> None:
        """List a cell."""
        self.row.remarks.append(remark(self.record, column, cell, text, is_unread=is_unread))

    @property
    def address(self) -> str | None:
        """The address that consents and suppressions are about."""
        return next((name.value for name in self.identities if name.kind == "email"), None)

    def time(self, name: str) -> Instant | None:
        """Return a time of the record, now at the latest."""
        at: Instant | None = self.values.get(name)
        if at is not None and at > self.now + DAY:
            self.remark(name, self._cell_of(name), "a time in the future: taken as now", is_unread=False)
        return None if at is None else min(at, self.now)

    def column_of(self, name: str) -> str:
        """Return the column that fills a field."""
        return next((column.name for column in self._columns() if name in dict(column.fields)), name)

    def column_with(self, kind: str) -> str | None:
        """Return the first column of a type."""
        return next((column.name for column in self._columns() if column.type == kind), None)

    def _columns(self) -> list[Column]:
        columns = [self.plan.column_of(header) for header in self.record.cells]
        return columns + [column for column, _ in self.plan.constants.values()]

    def _cell_of(self, name: str) -> Any:
        return self.record.cells.get(self.column_of(name), "")


def read_words(
    plan: Plan,
    record: Record,
    row: Row,
    values: Mapping[str, Any],
    identities: tuple[Identity, ...],
    *,
    now: Instant,
) -> None:
    """Add the consents and suppressions of a record to its row."""
    words = _Words(plan, record, row, values, identities, now)
    reasons = list(_read_suppressions(words))
    states = _read_states(words, reasons)
    if (states or reasons) and words.address is None:
        text = "consent is about an address, and the row has none: not stored"
        column = next(filter(None, map(words.column_with, _ABOUT)), "")
        words.remark(column, next(iter(states.values()), "suppressed"), text, is_unread=False)
        return
    if reasons:
        _add_suppressions(words, reasons)
    if states:
        _add_consents(words, states)


def _read_suppressions(words: _Words) -> list[SuppressionReason]:
    """Return the reasons for which the address is suppressed."""
    reasons: list[SuppressionReason] = ["hard_bounce"] if words.plan.status == "cleaned" else []
    text = words.values.get("suppressed")
    if text is None and words.plan.kind == "suppressions" and not reasons:
        return [words.plan.reason]
    if text is None:
        return reasons
    if (answer := read_yes_no(text)) is not None:
        return [*reasons, words.plan.reason] if answer else reasons
    known, unknown = read_reasons(text)
    if unknown and words.plan.only_known_reasons:
        return [*reasons, *known]
    for word in unknown:
        words.remark(
            words.column_of("suppressed"), word, "an unknown reason: suppressed all the same", is_unread=False
        )
    return [*reasons, *known, *([words.plan.reason] if unknown and not known else [])]


def _read_states(words: _Words, reasons: list[SuppressionReason]) -> dict[str, State]:
    """Return topic -> state; of several cells about one topic the stricter decides. Adds to `reasons`."""
    states: dict[str, State] = {}

    def add(topics: tuple[str, ...], state: State | None) -> None:
        if state is None:
            return
        for topic in topics:
            if topic not in states or _STRICTNESS[state] > _STRICTNESS[states[topic]]:
                states[topic] = state

    plan = words.plan
    if plan.kind == "contacts":
        add(plan.topics, _STATUS.get(plan.status or ""))
    for name, text in words.values.items():
        if name == "consent":
            add(plan.topics, _read_answer(words, name, text, reasons))
        elif name.startswith(CONSENT) and name not in ("consent_at", "consent_source"):
            add((name.removeprefix(CONSENT),), _read_answer(words, name, text, reasons))
        elif name == "optout":
            add((EVERYTHING,), _read_optout(words, name, text))
        elif name.startswith(OPTOUT):
            add((name.removeprefix(OPTOUT),), _read_optout(words, name, text))
    return states


def _read_answer(words: _Words, name: str, text: str, reasons: list[SuppressionReason]) -> State | None:
    """Return what a cell says about a topic; a word such as `cleaned` suppresses the address."""
    meaning = read_consent(text, no=words.plan.no)
    if meaning is None:
        words.remark(words.column_of(name), text, "a word that says neither yes nor no", is_unread=True)
        return None
    if meaning == "suppressed":
        reasons += read_reasons(text)[0] or [words.plan.reason]
        return None
    return None if meaning == "nothing" else meaning


def _read_optout(words: _Words, name: str, text: str) -> State | None:
    """Return a withdrawal where a cell says yes to stopping; a no says nothing."""
    answer, meaning = read_yes_no(text), read_consent(text)
    if answer or meaning == "withdrawn":
        return "withdrawn"
    if answer is None and meaning != "nothing":
        words.remark(words.column_of(name), text, "a word that says neither yes nor no", is_unread=True)
    return None


def _add_suppressions(words: _Words, reasons: list[SuppressionReason]) -> None:
    at = words.time("suppressed_at")
    if at is None:
        at = words.time("consent_at")
    for reason in dict.fromkeys(reasons):
        scope = words.plan.scope if reason != "hard_bounce" else "all"
        words.row.suppressions.append(Suppression(words.address, scope, reason, at=at))


def _add_consents(words: _Words, states: Mapping[str, State]) -> None:
    at = words.time("consent_at")
    source = as_text(words.values.get("consent_source") or words.plan.source)[:_SOURCE_MAX]
    for topic, state in states.items():
        words.row.consents.append(
            ImportedConsent(words.identities, topic, state, UNDATED if at is None else at, source)
        )
        if state == "granted":
            words.row.events.append(_confirmed(words, topic, at))


def _confirmed(words: _Words, topic: str, at: Instant | None) -> NewEvent:
    """Return the event of a confirmed topic: history, so that nobody is welcomed a second time."""
    undated = "undated-" if at is None else ""
    return NewEvent(
        source="import",
        message_id=undated + digest_of(CONFIRMED, words.address, topic, at),
        kind="track",
        name=CONFIRMED,
        occurred_at=words.now if at is None else at,
        received_at=words.now,
        historic=True,
        identities=words.identities,
        properties={"topic": topic},
    )

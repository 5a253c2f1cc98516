"""The consents of a record of contacts: grants, withdrawals, requests and suppressions, each with its time."""

from collections.abc import Mapping, Sequence
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
from nurture.domain.instant import DAY, Instant, to_iso
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
_NEITHER: Final = "a word that says neither yes nor no"


def is_about_consent(name: str) -> bool:
    """Tell whether a field states consent or a suppression: all its cells count, not only the first."""
    is_topic = name.startswith((CONSENT, OPTOUT)) and name not in ("consent_at", "consent_source")
    return is_topic or name in ("consent", "optout", "suppressed")


@dataclass(frozen=True, slots=True)
class Statement:
    """A cell about consent or suppression: the field that it fills, its column and its text."""

    field: str
    column: Column
    text: str


@dataclass(slots=True)
class _Words:
    """The words of one record, as they are read."""

    plan: Plan
    record: Record
    row: Row
    values: Mapping[str, Any]
    statements: Sequence[Statement]
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
            self.remark(name, to_iso(at), "a time in the future: taken as now", is_unread=False)
        return None if at is None else min(at, self.now)


def read_words(
    plan: Plan,
    record: Record,
    row: Row,
    values: Mapping[str, Any],
    statements: Sequence[Statement],
    *,
    identities: tuple[Identity, ...],
    now: Instant,
) -> None:
    """Add the consents and suppressions of a record to its row."""
    words = _Words(plan, record, row, values, statements, identities, now)
    reasons = _read_suppressions(words)
    states = _read_states(words, reasons)
    if plan.kind == "suppressions":
        # A list of suppressions grants nothing.
        states = {topic: state for topic, state in states.items() if state == "withdrawn"}
    if (states or reasons) and words.address is None:
        text = "consent is about an address, and the row has none: not stored"
        column = statements[0].column.name if statements else ""
        words.remark(column, next(iter(states.values()), "suppressed"), text, is_unread=False)
        return
    if reasons:
        _add_suppressions(words, reasons)
    if states:
        _add_consents(words, states)


def _read_suppressions(words: _Words) -> list[SuppressionReason]:
    """Return the reasons for which the address is suppressed."""
    reasons: list[SuppressionReason] = ["hard_bounce"] if words.plan.status == "cleaned" else []
    statements = [statement for statement in words.statements if statement.field == "suppressed"]
    if not statements and words.plan.kind == "suppressions" and not reasons:
        return [words.plan.reason]
    for statement in statements:
        reasons += _reasons_of(words, statement)
    return reasons


def _reasons_of(words: _Words, statement: Statement) -> list[SuppressionReason]:
    usual = statement.column.reason or words.plan.reason
    answer = read_yes_no(statement.text)
    if answer is not None:
        return [usual] if answer else []
    known, unknown = read_reasons(statement.text)
    if words.plan.only_known_reasons or not unknown:
        return known
    text = "an unknown reason: suppressed all the same"
    words.remark(statement.column.name, ", ".join(unknown), text, is_unread=False)
    return known or [usual]


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
    for statement in words.statements:
        name = statement.field
        if name == "consent":
            add(plan.topics, _read_answer(words, statement, reasons))
        elif name.startswith(CONSENT):
            add((name.removeprefix(CONSENT),), _read_answer(words, statement, reasons))
        elif name == "optout":
            add((EVERYTHING,), _read_optout(words, statement))
        elif name.startswith(OPTOUT):
            add((name.removeprefix(OPTOUT),), _read_optout(words, statement))
    return states


def _read_answer(words: _Words, statement: Statement, reasons: list[SuppressionReason]) -> State | None:
    """Return what a cell says about a topic; a word such as `cleaned` suppresses the address."""
    meaning = read_consent(statement.text, no=words.plan.no)
    if meaning is None:
        words.remark(statement.column.name, statement.text, _NEITHER, is_unread=True)
        return None
    if meaning == "suppressed":
        reasons += read_reasons(statement.text)[0] or [words.plan.reason]
        return None
    return None if meaning == "nothing" else meaning


def _read_optout(words: _Words, statement: Statement) -> State | None:
    """Return a withdrawal where a cell says yes to stopping; a no says nothing."""
    answer, meaning = read_yes_no(statement.text), read_consent(statement.text)
    if answer or meaning == "withdrawn":
        return "withdrawn"
    if answer is None and meaning != "nothing":
        words.remark(statement.column.name, statement.text, _NEITHER, is_unread=True)
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

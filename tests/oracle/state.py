"""The oracle's memory of a person: runs, mails, consent, holds, watches."""

import dataclasses
from typing import Any

from .entities import History
from .rules import Event, Events, Hold, Measure, Playbook, Step, Watched
from .values import key_of


@dataclasses.dataclass(slots=True, eq=False)
class Run:
    """One run of a measure."""

    measure: Measure
    key: str
    started: int
    created: int
    event: Event | None
    entity: str
    entity_key: str | None
    index: int = 0
    entered: int = 0
    until: int | None = None
    pending: bool = False
    ended: bool = False
    done: bool = False
    reason: str = ""
    mail: "Mail | None" = None
    let: dict[str, Any] = dataclasses.field(default_factory=dict)
    decided: set[str] = dataclasses.field(default_factory=set)
    heir_of: "Run | None" = None
    request: Event | None = None
    number: int = 1
    # The entity's date that it is about.
    noted: str | int | None = None
    in_holdout: bool = False
    # How steps ended, and why.
    outcomes: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def value(self) -> str:
        """The value that `once` asked for: the key without the number of a further run."""
        return self.key.rpartition("#")[0] if self.number > 1 else self.key

    @property
    def line(self) -> int:
        """The run that a cap counts: itself, or the run of which it is the heir."""
        return self.heir_of.line if self.heir_of else id(self)

    def event_properties(self) -> dict[str, Any]:
        """The properties of the event that started it."""
        return self.event.properties if self.event else {}

    def active(self) -> bool:
        """Whether it stands at a step."""
        return not self.ended and not self.done

    def step(self) -> Step | None:
        """The step at which it stands."""
        return self.measure.steps[self.index] if self.index < len(self.measure.steps) else None


@dataclasses.dataclass(slots=True, eq=False)
class Mail:
    """One decided mail."""

    run: Run
    step: Step
    number: int
    decided: int
    due: int
    valid_until: int
    asked_for: bool = False
    status: str = "waiting"
    reason: str = ""
    at: int = 0

    def waits(self) -> bool:
        """Whether it has not ended."""
        return self.status == "waiting"


@dataclasses.dataclass(slots=True)
class Merged:
    """Another person's part of the history, and the consent that it had when both turned out to be one."""

    at: int
    states: dict[str, str]
    # The events that are this part's, by source and message.
    events: frozenset[tuple[str, str]]


def consent_of(book: Playbook, history: History, topic: str, parts: list[Merged]) -> str:
    """Granted, pending, withdrawn or none, by the newest word of the person; of one instant the stricter.

    From a merge on the stricter of both parts holds; a later word that is older counts in the person's own part.
    """
    others = frozenset(name for part in parts for name in part.events)
    words: list[tuple[int, int, int, str, bool]] = [
        (
            event.occurred,
            1,
            2 if name in WITHDRAWALS else 0 if grants(book, event, topic) else 1,
            name,
            event.hint,
        )
        for name in WORDS
        for event in history.get(name, ())
        if not event.is_dropped
        and speaks_of(book, event, topic)
        and (event.source, event.message) not in others
    ]
    words += [(part.at, 0, 0, part.states.get(topic, "none"), False) for part in parts]
    state = "none"
    for _, is_word, strictness, word, is_hint in sorted(words):
        if not is_word:
            state = max(state, word, key=STRICT.index)
        elif word in WITHDRAWALS:
            state = "withdrawn"
        elif strictness == 0:
            state = "granted"
        elif state != "granted" or not is_hint:
            state = "pending"
    return state


#: The states of a consent, the strictest last; of two people who become one, nothing said is not stricter than a yes.
STRICT = ("none", "granted", "pending", "withdrawn")
WORDS = ("Topic Confirmed", "Consent Given", "Consent Withdrawn", "Unsubscribed")
WITHDRAWALS = frozenset({"Consent Withdrawn", "Unsubscribed"})


def speaks_of(book: Playbook, event: Event, topic: str) -> bool:
    """Whether a word about consent is about a topic; a withdrawal without a known topic is about all."""
    entry = event.properties.get("topic")
    named = entry.strip().casefold() if isinstance(entry, str) else ""
    return named == topic or (event.name in WITHDRAWALS and named not in book.double)


def grants(book: Playbook, event: Event, topic: str) -> bool:
    """Whether a word grants, and does not only ask: a confirmation, or a plain yes without double opt-in."""
    return event.name == "Topic Confirmed" or not (book.double.get(topic, False) or event.hint)


def was_granted(book: Playbook, history: History, topic: str) -> bool:
    """Whether any event granted a topic, whether it counted or not."""
    return any(
        grants(book, event, topic)
        for name in ("Topic Confirmed", "Consent Given")
        for event in history.get(name, ())
        if speaks_of(book, event, topic)
    )


def matching(events: Events, history: History) -> list[Event]:
    """The events of a history that match, by their instants."""
    result = [event for name in events.names for event in history.get(name, ()) if events.match(event)]
    return sorted(result, key=lambda event: event.rank)


def hold_spans(
    hold: Hold, history: History, reversals: list[tuple[int, str | None]]
) -> list[tuple[int, int]]:
    """The spans in which a hold stood or stands; `reversals` put it on besides, each at an instant for a key."""
    ends = matching(hold.end, history) if hold.end else []
    starts = [
        (start.occurred, key_of(start.properties.get(hold.key)) if hold.key else None)
        for start in matching(hold.start, history)
    ]
    spans = []
    for since, key in starts + reversals:
        until = since + hold.at_most
        for end in ends:
            named = key_of(end.properties.get(hold.key)) if hold.key else None
            if end.occurred >= since and named in {None, key}:
                until = min(until, end.occurred)
        spans.append((since, until))
    return spans


def watched_by(
    watched: Watched, history: History, key: str, now: int, woken: dict[tuple[str, str], int]
) -> Event | None:
    """The event by which a person watches an object; what was asked before an end, or before it woke them, is over."""
    starts, ends = (
        [
            event
            for name in names
            for event in history.get(name, ())
            if key_of(event.properties.get(watched.key)) == key
        ]
        for names in (watched.watched_from, watched.watched_until)
    )
    over = max([event.occurred for event in ends] + [woken.get((watched.name, key), -1)])
    asked = [event for event in starts if event.occurred > over]
    if not asked or now - max(event.occurred for event in asked) > watched.watch_for:
        return None
    if not watched.standing:
        woken[watched.name, key] = now
    return max(asked, key=lambda event: (not event.hint, event.rank))


def withdrawn_since(book: Playbook, history: History, topic: str, moment: int) -> bool:
    """Whether a topic was withdrawn after an instant."""
    return any(
        event.occurred > moment and speaks_of(book, event, topic)
        for name in WITHDRAWALS
        for event in history.get(name, ())
    )

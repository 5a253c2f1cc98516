"""The working state of one `advance`: the contact, the decisions so far, and the playbook's index.

Internal to `domain.journey`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nurture.domain.conditions import Condition, Reading, Truth
from nurture.domain.contact import Advance, Cancellation, Contact, NonEntry, Run, RunStatus
from nurture.domain.entities import is_open
from nurture.domain.event_index import Index, PlaceRules, index_of
from nurture.domain.facts import readable, reading, run_names
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.message import PlannedMessage
from nurture.domain.playbook import Playbook

#: Run keys remembered per measure, so that a second run for the same key is refused in the rule already.
_DONE_MAX = 200


def cancelled_by(
    ending: Cancellation, messages: Sequence[PlannedMessage], runs: Mapping[tuple[str, str], Run]
) -> list[PlannedMessage]:
    """Return the planned messages as they are after the cancellation, as a new list."""
    return [
        replace(message, cancelled=ending.reason) if ending.covers(message, runs) else message
        for message in messages
    ]


@dataclass(slots=True)
class Work:
    """One contact being advanced."""

    contact: Contact
    playbook: Playbook
    result: Advance
    index: Index = field(init=False)
    # True: the stored answers of condition triggers and the stage are those of the present facts, place and time.
    is_judged: bool = False
    # The next alarm, None when something changed since: computing it is the most expensive part of an advance.
    alarm: Instant | None = None
    # No timed rule that reads none of `alarm_facts` is due before this instant.
    alarm_bound: Instant = NEVER
    alarm_facts: set[str] = field(default_factory=set)
    # Name of the event that is being applied; "" for an alarm.
    event: str = ""
    # True: a run of a measure that conditions ask for began or ended, and the triggers that ask are not judged yet.
    runs_changed: bool = False
    # Its number (`Event.seq`); 0 for an alarm.
    event_number: int = 0
    # Kind of entity -> its key in that event, and whether a newer event about it is known; filled as measures ask.
    in_event: dict[str, tuple[str, bool]] = field(default_factory=dict)
    # How many events of measures led to that event, one after the other; 0 for an alarm.
    depth: int = 0
    # True while that event is one of an import of history.
    is_historic: bool = False
    # The reading at one instant, and what it reads, until a fact changes.
    _reading: Reading | None = None
    _readable: dict[str, Any] | None = None
    _rules: PlaceRules | None = None
    # Kind of entity -> (key, last touched) of those that are open, until a fact changes.
    _open: dict[str, list[tuple[str, Instant]]] = field(default_factory=dict)
    # Kind of entity -> when the one of them that has been silent the longest was touched; FOREVER for none.
    _silent_since: dict[str, Instant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look up the playbook's index."""
        self.index = index_of(self.playbook)

    @property
    def zone(self) -> str:
        """The contact's zone, or the playbook's."""
        return self.contact.zone or self.playbook.default_zone

    @property
    def rules(self) -> PlaceRules:
        """The rules that judge contacts at the contact's present place."""
        if self._rules is None:
            self._rules = self.index.rules_at(self.contact.track, self.contact.stage)
        return self._rules

    def facts_changed(self) -> None:
        """Discard what is cached of facts, track and stage because they changed."""
        self._reading = self._readable = self._rules = None
        self._open.clear()
        self._silent_since.clear()

    def alarm_may_change(self, facts: Collection[str]) -> None:
        """Discard the alarm because time passed, or runs, entities or these facts changed."""
        self.alarm = None
        self.alarm_facts.update(facts)

    def place_changed(self) -> None:
        """Discard the alarm, and what is known of the instants of all rules."""
        self.alarm, self.alarm_bound = None, NEVER

    def open_entities(self, kind: str) -> Sequence[tuple[str, Instant]]:
        """Return (key, last touched) of the open entities of a kind: several measures ask after each event."""
        if kind not in self._open:
            known, declared = self.contact.memory.entities.get(kind), self.playbook.entities.get(kind)
            self._open[kind] = (
                [(key, entity.touched_at) for key, entity in known.items() if is_open(entity, declared)]
                if known and declared is not None
                else []
            )
        return self._open[kind]

    def silent_since(self, kind: str) -> Instant:
        """Return when the open entity of a kind that has been silent the longest was touched; FOREVER for none."""
        if kind not in self._silent_since:
            instants = [touched_at for _, touched_at in self.open_entities(kind)]
            self._silent_since[kind] = min(instants, default=FOREVER)
        return self._silent_since[kind]

    def reading(self, at: Instant) -> Reading:
        """Return the facts at `at` as conditions read them."""
        if self._reading is None or self._reading.now != at:
            if self._readable is None:
                self._readable = readable(self.contact, self.playbook)
            self._reading = Reading(self._readable, at, self.zone)
        return self._reading

    def reading_of(self, run: Run, at: Instant) -> Reading:
        """Return the facts at `at` with the names that the run adds."""
        extra = run_names(self.contact, run, self.playbook)
        return reading(self.contact, self.playbook, now=at, extra=extra)

    def is_true(self, condition: Condition | None, at: Instant, run: Run | None = None) -> bool:
        """Tell whether the condition is yes (unknown is not); with a run its own names can be read too."""
        return condition is None or self.truth_of(condition, at, run) is Truth.YES

    def truth_of(self, condition: Condition, at: Instant, run: Run | None = None) -> Truth:
        """Return the answer of the condition; with a run its own names can be read too."""
        return condition.truth(self.reading(at) if run is None else self.reading_of(run, at))

    def no_entry(
        self, measure: str, at: Instant, reason: str, detail: str = "", request: str | None = None
    ) -> None:
        """Record the reason why a trigger that fired started no run; request: of the send that it was."""
        self.result.non_entries.append(NonEntry(measure, at, reason, detail, request))

    def note_started(self, run: Run) -> None:
        """Add the run to the contact and store its key and start."""
        done = self.contact.memory.run_starts.setdefault(run.measure, {})
        done[run.key] = run.started_at
        if len(done) > _DONE_MAX:
            del done[min(done, key=lambda key: (done[key], key))]
        self.contact.runs[run.measure, run.key] = run
        self.mark_changed(run)

    def mark_changed(self, run: Run) -> None:
        """Mark the run as changed, so that it is saved."""
        self.alarm = None
        self.result.runs[run.measure, run.key] = run
        if run.measure in self.index.asked_measures.values():
            self.runs_changed = True
            self.facts_changed()
            self.place_changed()

    def end(self, run: Run, status: RunStatus, reason: str, at: Instant) -> None:
        """End an active run; `cancel` ends its queued mail."""
        run.status, run.reason, run.ended_at, run.due_at, run.mailing = status, reason, at, FOREVER, False
        self.contact.runs.pop((run.measure, run.key), None)
        self.mark_changed(run)

    def stop(self, run: Run, reason: str, at: Instant, *, status: RunStatus = "stopped") -> None:
        """End an active run and cancel its queued mail."""
        self.end(run, status, reason, at)
        self.cancel(run.measure, run.key, reason, at)

    def cancel(
        self,
        measure: str,
        run_key: str | None,
        reason: str,
        at: Instant,
        *,
        entity: str = "",
        entity_key: str = "",
        begun_by: str = "",
    ) -> None:
        """Cancel the queued mail of a run, or (None) of all runs of the measure or about the entity, up to `at`.

        begun_by: of the runs about the entity, those alone that an event of this name began; "" for all.
        """
        ending = Cancellation(measure, run_key, reason, at, entity, entity_key, begun_by)
        self.result.cancellations.append(ending)
        self.result.messages = cancelled_by(ending, self.result.messages, self.result.runs)

"""Changes that an event makes to the facts that rules read: only rules that read a changed fact are judged again."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from nurture.domain.contact import Contact
from nurture.domain.event_index import PlaceRules
from nurture.domain.journey.working_state import Work
from nurture.domain.measure import Measure

#: The names of facts that changed; None: every rule is judged again.
Changed = AbstractSet[str] | None

_NOTHING: Final[AbstractSet[str]] = frozenset()
#: No fact has this value.
_ABSENT: Final = object()


@dataclass(slots=True)
class FactsBefore:
    """The contact's facts as they were before an event, and the rules of its place then."""

    rules: PlaceRules
    place: tuple[str | None, ...]
    values: dict[str, Any]

    @classmethod
    def of(cls, work: Work) -> "FactsBefore":
        """Return the present facts."""
        contact, rules = work.contact, work.rules
        return cls(rules, _place(contact), contact.facts.copy())

    def changed(self, contact: Contact) -> Changed:
        """Return which facts are different now; None when the contact's place, zone or locale is."""
        if _place(contact) != self.place:
            return None
        before, now = self.values, contact.facts
        if now == before:
            return _NOTHING
        find = before.get
        # Most values are the very objects that they were.
        touched = [name for name, value in now.items() if find(name, _ABSENT) is not value]
        other = [name for name in touched if find(name, _ABSENT) != now[name]]
        return self.rules.facts.intersection([*other, *(before.keys() - now.keys())])


def note_changes(work: Work, changed: Changed, *, is_about_entities: bool) -> None:
    """Discard what is known of the next alarm, as far as the change may move it."""
    if changed is None:
        work.place_changed()
        return
    moved = changed & work.rules.timed.readers.keys()
    if moved or is_about_entities or (work.index.exit_conditions and work.contact.runs):
        work.alarm_may_change(moved)


def conditions_reading(work: Work, changed: Changed) -> Sequence[Measure]:
    """Return the measures whose condition trigger may have another answer after the change."""
    if changed is None:
        return work.index.conditions
    return work.rules.conditions.reading(changed, work.contact.memory.run_starts)


def _place(contact: Contact) -> tuple[str | None, ...]:
    return contact.track, contact.stage, contact.zone, contact.locale

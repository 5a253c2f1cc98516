"""People who are alike in everything that a send's rules read: they have the same forecast, so one of them is played.

Most people of a large send have no other mail under way and no run. For them the send ends by few values: track,
stage, zone, consent, preferences, arm. `key_of` returns these, or None for everybody else and for every measure whose
rules read more; those people are played one by one.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from nurture.delivery.chunk_scope import ChunkScope
from nurture.domain.consent.permissions import state_for_topic
from nurture.domain.contact import Contact
from nurture.domain.event import Event
from nurture.domain.event_index import Index, index_of
from nurture.domain.event_index.affected_parts import NO_PARTS
from nurture.domain.guard.caps import LedgerEntry, is_covered
from nurture.domain.instant import Instant
from nurture.domain.measure import LetEndOfMonth, LetIn, MailStep, Measure, OnOps
from nurture.domain.playbook import Cap, Playbook
from nurture.domain.sampling import hash_share, pick_variant
from nurture.reports.forecast.play_person import Person, PersonForecast, begin_play, play_out


@dataclass(frozen=True, slots=True)
class _Ending:
    """A forecast, and the instant at which it was certain; no alarm rang before."""

    forecast: PersonForecast
    at: Instant


@dataclass(slots=True)
class AlikePeople:
    """Forecasts of a send by the values that they depend on."""

    measure: Measure
    scope: ChunkScope
    # How many people were played.
    played: int = 0
    _uniform: bool = field(init=False)
    _index: Index = field(init=False)
    _endings: dict[Hashable, _Ending] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look once at what the measure's rules read."""
        self._index = index_of(self.scope.playbook)
        self._uniform = is_uniform(self.measure, self.scope.playbook)

    def forecast(self, person: Person, event: Event) -> PersonForecast:
        """Return the person's forecast: that of somebody alike, or by playing. The person's values are used up."""
        contact = person.family.contact
        key = self.key_of(person) if self._uniform else None
        # As long as no alarm of the person rings before it is certain.
        if key is not None and (known := self._endings.get(key)) and contact.wake_at > known.at:
            return replace(known.forecast, contact=contact.id)
        self.played += 1
        play = begin_play(person, self.scope, str(event.properties["request"]))
        forecast = play_out(play, event)
        if key is not None and not play.has_rung:
            self._endings[key] = _Ending(forecast, play.scope.now)
        return forecast

    def key_of(self, person: Person) -> Hashable | None:
        """Return the values on which the person's forecast depends; None when it depends on more."""
        family, contact, measure = person.family, person.family.contact, self.measure
        if not self._is_at_rest(contact) or not _has_only_settled_mail(person, measure, self.scope.playbook):
            return None
        if family.holds or family.erased or family.suppressions.rows or self.scope.only_to:
            return None
        drawn = measure.draw, contact.memory.drawn_as.get(measure.root, contact.id)
        return (
            contact.track,
            contact.stage,
            contact.zone,
            family.address is None,
            family.is_shared,
            state_for_topic(family.consents, measure.topic) if measure.topic is not None else "",
            family.preferences,
            family.colleagues is not None and family.colleagues.customers > 0,
            measure.holdout > 0 and hash_share("holdout", *drawn) < measure.holdout,
            pick_variant(measure.variants, *drawn),
        )

    def _is_at_rest(self, contact: Contact) -> bool:
        """Tell whether the event of the send changes nothing about the contact but that a run begins."""
        memory, facts = contact.memory, contact.facts
        if not contact.clock or contact.adopted != self.scope.playbook.rules_hash or contact.runs:
            return False
        if memory.has_old_answers or memory.set_aside or memory.run_starts.get(self.measure.root):
            return False
        labels = (fact.name for fact in self._index.labels if isinstance(fact.otherwise, str))
        return all(name in facts for name in (*labels, *(fact.name for fact in self._index.verdicts)))


def _has_only_settled_mail(person: Person, measure: Measure, playbook: Playbook) -> bool:
    """Tell whether the person's other mail takes no part in the guard's verdict on the send."""
    if person.rows or person.runs or person.settled:
        return False
    caps = (*playbook.caps, *person.family.preferences.caps)
    return not any(_takes_part(entry, measure, caps) for entry in person.family.ledger.values())


def _takes_part(entry: LedgerEntry, measure: Measure, caps: tuple[Cap, ...]) -> bool:
    is_own = measure.root in (entry.measure, entry.began_as)
    return is_own or entry.status == "waiting" or any(is_covered(cap, entry) for cap in caps)


def is_uniform(measure: Measure, playbook: Playbook) -> bool:
    """Tell whether the rules of a send of the measure read none but the values of `AlikePeople.key_of`.

    The audience may read anything: the database has answered it before.
    """
    index, first = index_of(playbook), measure.steps[0]
    if not isinstance(measure.trigger, OnOps) or not isinstance(first, MailStep):
        return False
    if first.when is not None or first.send_if is not None:
        return False
    if measure.entity or measure.objects or measure.series or measure.asked_for:
        return False
    if any(rule.when is not None for rule in measure.exits):
        return False
    if not all(isinstance(rule, LetIn | LetEndOfMonth) for rule in measure.let.values()):
        return False
    # Conditions of other measures ask for its runs.
    if measure.root in index.asked_measures.values() or playbook.price_bounds.get(measure.action.kind):
        return False
    return not _is_named("Ops Send", index)


def _is_named(event: str, index: Index) -> bool:
    """Tell whether the playbook has a rule about events of this name."""
    tables = (index.folds, index.signs, index.personas, index.triggers, index.label_evidence)
    if any(event in table for table in tables) or event in index.remembered:
        return True
    return index.affected_by(event) is not NO_PARTS

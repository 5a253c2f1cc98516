"""Labels: one text out of several, by the strongest evidence; of equal strength the newest decides."""

from typing import Final

from nurture.domain.contact import Contact
from nurture.domain.event import OWN_PAGES, Event
from nurture.domain.event_filter import holds_for
from nurture.domain.event_index import Index
from nurture.domain.memory import LabelStamp
from nurture.domain.playbook import LabelFact, Playbook

#: The strength of a person's own word on our page; a playbook gives 1 to 8.
OWN_WORD: Final = 9


def fold_labels(contact: Contact, event: Event, playbook: Playbook, index: Index) -> None:
    """Fold the event into the labels that it is evidence for, in place; a label without evidence takes its `else`."""
    for fact, evidence in index.label_evidence.get(event.name, ()):
        if holds_for(evidence.match, event, playbook):
            _note(contact, event, fact, evidence.text, evidence.strength)
    if event.traits and event.source == OWN_PAGES:
        for fact in index.labels:
            text = event.traits.get(fact.name)
            if isinstance(text, str) and text in fact.texts:
                _note(contact, event, fact, text, OWN_WORD)
    for fact in index.labels:
        if isinstance(fact.otherwise, str) and fact.name not in contact.facts:
            contact.facts[fact.name] = fact.otherwise


def settle_label_defaults(contact: Contact, index: Index) -> None:
    """Set each label without evidence to the text that a table gives for the contact's track, stage or fact."""
    for fact, table in index.labels_by_table:
        if fact.name in contact.memory.labels:
            continue
        place = {"track": contact.track, "stage": contact.stage}
        text = table.value_for(place.get(table.by, contact.facts.get(table.by)))
        if isinstance(text, str):
            contact.facts[fact.name] = text
        else:
            contact.facts.pop(fact.name, None)


def _note(contact: Contact, event: Event, fact: LabelFact, text: str, strength: int) -> None:
    stamps = contact.memory.labels
    stamp: LabelStamp = (strength, event.occurred_at, event.source, event.message_id, text)
    if fact.name not in stamps or stamp > stamps[fact.name]:
        stamps[fact.name] = stamp
        contact.facts[fact.name] = text


def combine_labels(contact: Contact, added: Contact, playbook: Playbook) -> None:
    """Take over each label for which the other contact has the stronger or newer evidence, in place."""
    stamps = contact.memory.labels
    for name, stamp in added.memory.labels.items():
        if name not in stamps or stamp > stamps[name]:
            stamps[name] = stamp
            if isinstance(playbook.facts.get(name), LabelFact):
                contact.facts[name] = stamp[-1]

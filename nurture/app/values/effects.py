"""Tell what a publication does: whose number is news, and which measures begin and end by it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import sqlalchemy as sa

from nurture.app.values.read_file import Number, NumbersFile
from nurture.contacts.queries import load_contacts
from nurture.contacts.value_queries import ContactValue, load_contact_values, resolve_people
from nurture.domain.contact import Contact
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED, Event
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.playbook import Playbook, PublishedValue
from nurture.domain.published_values import band_of, is_news, published_event_body, value_message_id

#: The number of an event that is only tried.
_SEQ: Final = 2**62
_NEVER_SEEN: Final = ContactValue(0, None)


@dataclass(slots=True)
class Effects:
    """The effects of a publication, counted."""

    # `low -> high` -> people; `""` stands for no band.
    moves: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Page:
    """The people of some rows: their rows after the publication, and whose number is news."""

    values: dict[tuple[int, str], ContactValue]
    news: list[int]
    # `BAND -> BAND` -> how many people go from the one to the other.
    moves: Counter[str]


@dataclass(slots=True)
class Planner:
    """Plans one publication of one value page by page; rows of nobody, and second rows of a person, are refused."""

    value: PublishedValue
    version: int
    # Contacts of earlier pages.
    seen: set[int] = field(default_factory=set)

    def plan(self, connection: sa.Connection, numbers: Sequence[Number], file: NumbersFile) -> Page:
        """Return what the publication makes of some rows. The page counts as seen only after `note`."""
        people = resolve_people(connection, [number.key for number in numbers])
        before = load_contact_values(connection, sorted(set(people.values())), [self.value.name])
        page = Page({}, [], Counter())
        for row in numbers:
            contact = people.get(row.key)
            if contact is None:
                file.refuse(row.line, "nobody is known by it", row.key)
            elif contact in self.seen or (contact, self.value.name) in page.values:
                file.refuse(row.line, "given twice", row.key)
            else:
                known = before.get((contact, self.value.name), _NEVER_SEEN)
                page.values[contact, self.value.name] = self._planned(contact, known, row.number, page)
        return page

    def note(self, page: Page) -> None:
        """Note the people of a page that is done."""
        self.seen |= {contact for contact, _ in page.values}

    def _planned(self, contact: int, known: ContactValue, number: int | None, page: Page) -> ContactValue:
        planned = replace(known, version=self.version, number=number)
        if not is_news(self.value, known.announced, known.number, number):
            return planned
        page.news.append(contact)
        page.moves[f"{_band(self.value, known.announced)} -> {_band(self.value, number)}"] += 1
        return replace(planned, announced=number, announced_version=self.version, is_waiting=True)


def _band(value: PublishedValue, number: int | None) -> str:
    return "unknown" if number is None else band_of(value.bands, number)


def add_effects(
    connection: sa.Connection,
    page: Page,
    value: PublishedValue,
    playbook: Playbook,
    effects: Effects,
    *,
    now: Instant,
) -> None:
    """Add which measures begin and end for the people of a page whose number is news."""
    effects.moves += page.moves
    states = load_contacts(connection, page.news, playbook)
    for contact, state in states.items():
        announced = page.values[contact, value.name]
        event = Event(
            seq=_SEQ,
            source=BY_MODEL,
            message_id=value_message_id(value.name, announced.announced_version, contact),
            kind="track",
            name=VALUE_PUBLISHED,
            occurred_at=now,
            received_at=now,
            properties=published_event_body(value.name, announced.announced, announced.announced_version),
        )
        _try(state, event, playbook, effects, now=now)


def _try(state: Contact, event: Event, playbook: Playbook, effects: Effects, *, now: Instant) -> None:
    """Apply the event to a copy, after the alarms that are due without it."""
    waiting = advance(state, (), now=now, playbook=playbook).contact
    after = advance(waiting, (event,), now=now, playbook=playbook)
    begun = {key for key in after.runs if key not in waiting.runs}
    over = set(waiting.runs) - set(after.contact.runs)
    effects.starts.update(_path(key[0], playbook) for key in begun)
    effects.ends.update(_path(key[0], playbook) for key in over)


def _path(root: str, playbook: Playbook) -> str:
    return next((path for path, measure in playbook.measures.items() if measure.root == root), root)

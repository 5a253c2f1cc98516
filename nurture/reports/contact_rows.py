"""Contacts as rows of a list for other tools: names, place, consent per topic, suppressions, chosen facts.

A constant number of statements for each page of contacts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from nurture.consent.load_permissions import Permissions, load_permissions
from nurture.consent.load_suppressions import PersonSuppressions, load_person_suppressions
from nurture.contacts.family_queries import members_of
from nurture.contacts.identity_queries import load_newest_identities
from nurture.database import schema as t
from nurture.database.bulk import any_of
from nurture.domain.cells.shown_facts import show_fact, show_local
from nurture.domain.consent.permissions import EVERYTHING, state_for_topic
from nurture.domain.errors import InputError
from nurture.domain.instant import Instant
from nurture.domain.playbook import FoldFact, Playbook
from nurture.domain.segments import reading_of_row, show_segments
from nurture.domain.timing import load_zone

_PLAIN = (
    "contact",
    "email",
    "user_id",
    "phone",
    "track",
    "stage",
    "stage_since",
    "zone",
    "locale",
    "first_seen_at",
)


@dataclass(frozen=True, slots=True)
class ContactList:
    """The columns of a list of contacts, and their rows."""

    playbook: Playbook
    # Names of facts, in the order of the columns.
    facts: tuple[str, ...]
    suppression_key: bytes
    now: Instant

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: three for each topic."""
        topics = (
            f"consent_{topic}{part}" for topic in self.playbook.topics for part in ("", "_at", "_source")
        )
        return (*_PLAIN, *topics, "suppressed", *self.facts)

    def rows(self, connection: sa.Connection, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield the rows of these living contacts, by id."""
        statement = sa.select(t.contacts).where(any_of(t.contacts.c.id, list(ids), connection))
        contacts = list(connection.execute(statement.order_by(t.contacts.c.id)))
        names = load_newest_identities(connection, ids)
        permissions = load_permissions(connection, ids)
        members: dict[int, list[int]] = {}
        for member, person in members_of(connection, ids).items():
            members.setdefault(person, []).append(member)
        people = {row.id: (row.email, tuple(members[row.id])) for row in contacts}
        suppressions = load_person_suppressions(connection, people, self.suppression_key)
        for row in contacts:
            known = {name.kind: name.value for name in names.get(row.id, ())}
            yield self._row(row, known, permissions[row.id], suppressions[row.id])

    def _row(
        self, row: Any, names: dict[Any, str], permissions: Permissions, suppressions: PersonSuppressions
    ) -> dict[str, Any]:
        zone = load_zone(row.zone or self.playbook.default_zone)
        terms = self.playbook.vocabulary.terms
        held = suppressions.at(row.email, self.suppression_key)
        return {
            "contact": row.id,
            "email": row.email,
            "user_id": names.get("user_id"),
            "phone": names.get("phone"),
            "track": row.track,
            "stage": row.stage,
            "stage_since": show_local(row.stage_since, zone),
            "zone": row.zone,
            "locale": row.locale,
            "first_seen_at": show_local(row.first_seen_at, zone),
            **self._consents(permissions, zone),
            "suppressed": ", ".join(f"{scope}: {reason}" for scope, reason in sorted(held.items())) or None,
            **{
                name: show_fact(
                    name, row.facts.get(name), terms[name], self.playbook, zone=zone, now=self.now
                )
                for name in self.facts
                if name in terms
            },
            **self._segments(row),
        }

    def _segments(self, row: Any) -> dict[str, str | None]:
        """Return the chosen segments as people read them."""
        chosen = [name for name in self.facts if name in self.playbook.segments]
        if not chosen:
            return {}
        reading = reading_of_row(row, self.playbook, now=self.now)
        values = show_segments(reading, self.playbook)
        return {name: values.get(name) for name in chosen}

    def _consents(self, permissions: Permissions, zone: Any) -> dict[str, Any]:
        """Return for each topic its state, and when and where the deciding word was said."""
        cells: dict[str, Any] = {}
        for topic in self.playbook.topics:
            decided_by = topic if topic in permissions.consents else EVERYTHING
            at = permissions.consents_at.get(decided_by)
            cells[f"consent_{topic}"] = state_for_topic(permissions.consents, topic)
            cells[f"consent_{topic}_at"] = show_local(at, zone) if at else None
            cells[f"consent_{topic}_source"] = permissions.consents_from.get(decided_by)
        return cells


def choose_facts(playbook: Playbook, names: Sequence[str]) -> tuple[str, ...]:
    """Return the facts of these names; one that is kept per currency gives a column for each.

    Raises InputError for an unknown name.
    """
    terms = playbook.vocabulary.terms
    chosen: list[str] = []
    for name in names:
        fact = playbook.facts.get(name)
        if isinstance(fact, FoldFact) and fact.money and len(playbook.currencies) > 1:
            chosen += [f"{name}.{currency}" for currency in playbook.currencies]
        elif name in terms or name in playbook.segments:
            chosen.append(name)
        else:
            near = (
                get_close_matches(name, [*terms, *playbook.segments], n=3, cutoff=0.5)
                or sorted(playbook.facts)[:5]
            )
            message = f"--facts {name}: the playbook has no such fact; did you mean {', '.join(near)}?"
            raise InputError(message)
    return tuple(dict.fromkeys(chosen))

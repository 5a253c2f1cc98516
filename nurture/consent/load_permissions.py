"""Load a person's consents and preferences, read over the contact's whole family."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa

from nurture.consent.preference_queries import load_preferences
from nurture.consent.queries import load_consents, load_merges
from nurture.domain.consent.merges import list_families
from nurture.domain.consent.permissions import Consent, ConsentState, find_deciding_rows
from nurture.domain.consent.preferences import Preferences, fold_preferences
from nurture.domain.instant import Instant

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Permissions:
    """The consents of a person by topic, and their preferences for all marketing mail."""

    # Topic -> state; read it with `state_for_topic`.
    consents: Mapping[str, ConsentState] = field(default_factory=dict)
    # Topic -> when the row that decides it was said.
    consents_at: Mapping[str, Instant] = field(default_factory=dict)
    # Topic -> where that row comes from.
    consents_from: Mapping[str, str] = field(default_factory=dict)
    preferences: Preferences = field(default_factory=Preferences)


def load_permissions(connection: sa.Connection, contact_ids: Collection[int]) -> dict[int, Permissions]:
    """Return living contact -> permissions, for each of these contacts; three statements however many there are.

    contact_ids: living contacts. The rows of everything that was merged into them are read too.
    """
    merges = load_merges(connection, list(contact_ids))
    families = list_families(contact_ids, merges)
    members = sorted({member for family in families.values() for member in family})
    consents_of = _group(load_consents(connection, members), by="contact_id")
    preferences_of = _group(load_preferences(connection, members), by="contact_id")
    merges_of = _group(merges, by="survivor")

    def rows_of(family: Sequence[int], groups: Mapping[int, Sequence[Row]]) -> list[Row]:
        return [row for member in family for row in groups.get(member, ())]

    permissions: dict[int, Permissions] = {}
    for contact, family in families.items():
        joined = rows_of(family, merges_of)
        deciding = find_deciding_rows(contact, rows_of(family, consents_of), joined)
        permissions[contact] = Permissions(
            {topic: row.state for topic, row in deciding.items()},
            {topic: row.at for topic, row in deciding.items()},
            {topic: row.source for topic, row in deciding.items()},
            fold_preferences(contact, rows_of(family, preferences_of), joined),
        )
    return permissions


def load_family_consents(connection: sa.Connection, contact_id: int) -> list[Consent]:
    """Return every consent row of a living contact and of everything merged into it."""
    family = list_families([contact_id], load_merges(connection, [contact_id]))[contact_id]
    return load_consents(connection, family)


def _group(rows: Iterable[Row], *, by: str) -> dict[int, list[Row]]:
    """Group rows by one of their attributes."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(getattr(row, by), []).append(row)
    return groups

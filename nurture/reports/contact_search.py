"""Find contacts by an identity, by a part of an address or id, or by a part of a name."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.database import fact_sql
from nurture.database.schema import contacts, identities
from nurture.domain.conditions.nodes import Stored
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.identity import canonical_email
from nurture.domain.instant import Instant
from nurture.domain.playbook import Playbook, TraitFact
from nurture.domain.values import read_row_id

#: A shorter part in Latin script would match nearly everybody; one Chinese character is a surname.
_PART_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class ContactLine:
    """One contact in a list."""

    id: int
    email: str | None
    known_as: str | None
    # The person's own words that the playbook keeps as text facts (first name, company), joined by commas.
    name: str
    track: str
    stage: str
    stage_since: Instant
    first_seen_at: Instant


def find_contacts(
    connection: sa.Connection, query: str, *, playbook: Playbook | None, limit: int = 50
) -> list[ContactLine]:
    """Return the contacts that a text names: first those with this very identity, then those with it as a part.

    A text of `contact:N` or `id:USER_ID` names one contact. Any other is looked up as a whole address or id, and as a
    part of addresses, ids and the traits that the playbook keeps as text. Without a text, the newest contacts. A part
    is sought through all contacts: about a second for a million.
    """
    traits = [] if playbook is None else _text_traits(playbook)
    if not query:
        return _read(connection, sa.true(), traits, limit=limit)
    lines = _read(connection, _has_identity(query), traits, limit=limit)
    is_long = len(query) >= _PART_MIN or not query.isascii()
    if is_long and not query.startswith(("contact:", "id:")) and len(lines) < limit:
        others = contacts.c.id.not_in([line.id for line in lines])
        lines += _read(
            connection, sa.and_(others, _has_part(query, traits)), traits, limit=limit - len(lines)
        )
    return lines


def _read(
    connection: sa.Connection, condition: sa.ColumnElement[bool], traits: list[Stored], *, limit: int
) -> list[ContactLine]:
    rank = sa.case({kind: place for place, kind in enumerate(IDENTITY_KINDS)}, value=identities.c.kind)
    known_as = (
        sa.select(identities.c.value)
        .where(identities.c.contact_id == contacts.c.id)
        .order_by(rank, identities.c.value)
        .limit(1)
        .scalar_subquery()
    )
    c = contacts.c
    rows = connection.execute(
        sa.select(
            c.id,
            c.email,
            known_as,
            c.track,
            c.stage,
            c.stage_since,
            c.first_seen_at,
            *(fact_sql.text(c.facts, trait) for trait in traits),
        )
        .where(c.survivor.is_(None), condition)
        .order_by(c.id.desc())
        .limit(limit)
    )
    return [
        ContactLine(number, email, known, ", ".join(name for name in names if name), *place)
        for number, email, known, *place, names in (
            (*row[:7], [name for name in row[7:] if isinstance(name, str)]) for row in rows
        )
    ]


def _text_traits(playbook: Playbook) -> list[Stored]:
    facts = playbook.facts.items()
    return [
        Stored(name, name, "text")
        for name, fact in facts
        if isinstance(fact, TraitFact) and fact.type == "text"
    ]


def _has_identity(query: str) -> sa.ColumnElement[bool]:
    if query.startswith("contact:"):
        number = read_row_id(query.removeprefix("contact:"))
        return contacts.c.id == number if number is not None else sa.false()
    values = {query.removeprefix("id:"), canonical_email(query) or query}
    named = sa.select(identities.c.contact_id).where(identities.c.value.in_(sorted(values)))
    return contacts.c.id.in_(named)


def _has_part(query: str, traits: list[Stored]) -> sa.ColumnElement[bool]:
    """Return whether a text of the contact has this part, in any case.

    SQLite lowers only ASCII letters, so a name is also sought as it is usually written.
    """
    spellings = sorted({query, query.lower(), query.upper(), query.title()})
    named = sa.select(identities.c.contact_id).where(_contains(identities.c.value, query.lower()))
    names = (
        _contains(fact_sql.text(contacts.c.facts, trait), part) for trait in traits for part in spellings
    )
    return sa.or_(contacts.c.id.in_(named), *names)


def _contains(text: sa.ColumnElement[str], part: str) -> sa.ColumnElement[bool]:
    return text.icontains(part, autoescape=True)

"""Read and write consents and the words consented to; every writer locks the contact before it writes.

Lock order as everywhere: contacts by id, then runs and messages, then switches and lanes.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from nurture.contacts.family_queries import family_statement
from nurture.database.bulk import Row, any_of, any_of_parameter, insert, list_text
from nurture.database.engine import encode
from nurture.database.schema import consents, contacts, identities, merges, wordings
from nurture.domain.consent.merges import ContactMerge
from nurture.domain.consent.permissions import Consent, ConsentState
from nurture.domain.consent.wording import Wording
from nurture.domain.instant import Instant

_CONSENT_COLUMNS = ("contact_id", "topic", "state", "at", "source", "evidence", "wording")


# ---- locking contacts ------------------------------------------------------------------------------------


def lock_living_contact(connection: sa.Connection, contact_id: int) -> int | None:
    """Lock the contact and its survivor, raise the living contact's version, and return its id.

    None when there is no such contact. Because of the raised version the send gate sends mail that the guard
    passed before back to the guard.
    """
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    statement = (
        sa.select(contacts.c.id, contacts.c.survivor)
        .where(sa.or_(contacts.c.id == contact_id, contacts.c.id == survivor))
        .order_by(contacts.c.id)
        .with_for_update()
    )
    survivors = {row.id: row.survivor for row in connection.execute(statement)}
    if contact_id not in survivors:
        return None
    living = survivors[contact_id] or contact_id
    raise_versions(connection, [living])
    return int(living)


def raise_versions(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Raise the version of these contacts, so that mail the guard passed before goes back to the guard."""
    statement = sa.update(contacts).where(any_of(contacts.c.id, ids, connection))
    connection.execute(statement.values(version=contacts.c.version + 1))


def lock_contacts_concerned(
    connection: sa.Connection, addresses: Sequence[str], contact_ids: Sequence[int]
) -> list[int]:
    """Lock whoever is mailed at or owns these addresses, and these contacts; return their ids.

    In id order, with their versions raised; of a merged contact also the one it was merged into.
    """
    owners = sa.select(identities.c.contact_id).where(
        identities.c.kind == "email", any_of(identities.c.value, addresses, connection)
    )
    survivors = sa.select(contacts.c.survivor).where(any_of(contacts.c.id, contact_ids, connection))
    statement = (
        sa.select(contacts.c.id)
        .where(
            sa.or_(
                any_of(contacts.c.email, addresses, connection),
                any_of(contacts.c.id, contact_ids, connection),
                contacts.c.id.in_(owners),
                contacts.c.id.in_(survivors),
            )
        )
        .order_by(contacts.c.id)
        .with_for_update()
    )
    ids = list(connection.execute(statement).scalars())
    raise_versions(connection, ids)
    return ids


def load_family_ids(connection: sa.Connection, contact_id: int) -> list[int]:
    """Return the living contact and every contact merged into it."""
    statement = sa.select(contacts.c.id).where(
        sa.or_(contacts.c.id == contact_id, contacts.c.survivor == contact_id)
    )
    return list(connection.execute(statement.order_by(contacts.c.id)).scalars())


def load_sending_address(connection: sa.Connection, contact_id: int) -> str | None:
    """Return the contact's sending address."""
    statement = sa.select(contacts.c.email).where(contacts.c.id == contact_id)
    return connection.execute(statement).scalar()


# ---- consent ---------------------------------------------------------------------------------------------


def add_consents(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append rows of evidence; a row that exists already stays as it is."""
    key = ("contact_id", "topic", "state", "at", "source")
    rows = [{"wording": "", **row} for row in rows]
    insert(connection, consents, rows, columns=_CONSENT_COLUMNS, conflict=key)


def store_wording(connection: sa.Connection, wording: Wording, *, now: Instant) -> None:
    """Store the words that a person consented to; a version stored already stays as it is."""
    row = {
        "version": wording.version,
        "page": wording.page,
        "language": wording.language,
        "words": encode(list(wording.words)),
        "first_used_at": now,
    }
    insert(connection, wordings, [row], conflict=("version",))


def is_wording_stored(connection: sa.Connection, version: str) -> bool:
    """Tell whether the words of this version were stored before."""
    statement = sa.select(wordings.c.version).where(wordings.c.version == version)
    return connection.execute(statement).first() is not None


def load_consents(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Consent]:
    """Return every row of evidence of these contacts."""
    rows = connection.execute(_consents(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [
        Consent(contact, topic, cast("ConsentState", state), at, number, source)
        for contact, topic, state, at, number, source in rows.all()
    ]


@lru_cache
def _consents(dialect: str) -> sa.Select[Any]:
    c = consents.c
    return sa.select(c.contact_id, c.topic, c.state, c.at, c.id, c.source).where(
        any_of_parameter(c.contact_id, dialect)
    )


def load_merges(connection: sa.Connection, contact_ids: Sequence[int]) -> list[ContactMerge]:
    """Return the merges, not undone, into these living contacts and into the contacts merged into them."""
    rows = connection.execute(_merges(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [ContactMerge(survivor, merged, at) for survivor, merged, at in rows.all()]


@lru_cache
def _merges(dialect: str) -> sa.Select[Any]:
    members = family_statement(dialect)
    return (
        sa.select(merges.c.survivor, merges.c.merged, merges.c.at)
        .join(members, members.c.id == merges.c.survivor)
        .where(merges.c.undone_at.is_(None))
    )

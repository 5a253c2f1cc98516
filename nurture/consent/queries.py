"""Consent, suppression and stop switches as rows; every writer takes the contact's lock before it writes.

Lock order as everywhere: contacts by id, then runs and messages, then switches and lanes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from nurture.contacts.family_queries import family, family_statement
from nurture.database.bulk import Row, any_given, any_of, insert, list_text, relation
from nurture.database.engine import encode
from nurture.database.schema import (
    consents,
    contacts,
    merges,
    messages,
    runs,
    suppressions,
    switches,
    wordings,
)
from nurture.domain.consent.permissions import Consent, Join, State
from nurture.domain.consent.wording import Wording
from nurture.domain.instant import Instant

_CONSENT_COLUMNS = ("contact_id", "topic", "state", "at", "source", "evidence", "wording")


# ---- whose law it is -------------------------------------------------------------------------------------


def lock_person(connection: sa.Connection, contact_id: int) -> int | None:
    """Lock the contact and who it was merged into, raise the living one's version, return its id.

    None when there is no such contact. The raised version sends back what was guarded before.
    """
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    statement = (
        sa.select(contacts.c.id, contacts.c.survivor)
        .where(sa.or_(contacts.c.id == contact_id, contacts.c.id == survivor))
        .order_by(contacts.c.id)
        .with_for_update()
    )
    found = {row.id: row.survivor for row in connection.execute(statement)}
    if contact_id not in found:
        return None
    person = found[contact_id] or contact_id
    raise_versions(connection, [person])
    return int(person)


def raise_versions(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Raise the version of these contacts, so that what was guarded before is guarded again."""
    statement = sa.update(contacts).where(any_of(contacts.c.id, ids, connection))
    connection.execute(statement.values(version=contacts.c.version + 1))


def lock_addressed(connection: sa.Connection, addresses: Sequence[str]) -> list[int]:
    """Lock the contacts mailed at these addresses, in id order, raise their versions and return their ids."""
    statement = (
        sa.select(contacts.c.id)
        .where(any_of(contacts.c.email, addresses, connection))
        .order_by(contacts.c.id)
        .with_for_update()
    )
    ids = list(connection.execute(statement).scalars())
    raise_versions(connection, ids)
    return ids


def address_of(connection: sa.Connection, contact_id: int) -> str | None:
    """Return where the contact's mail goes."""
    statement = sa.select(contacts.c.email).where(contacts.c.id == contact_id)
    return connection.execute(statement).scalar()


# ---- consent ---------------------------------------------------------------------------------------------


def add_consents(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Append rows of evidence; one that is there already is left as it is."""
    key = ("contact_id", "topic", "state", "at", "source")
    rows = [{"wording": "", **row} for row in rows]
    insert(connection, consents, rows, columns=_CONSENT_COLUMNS, conflict=key)


def keep_wording(connection: sa.Connection, wording: Wording, *, now: Instant) -> None:
    """Keep the words that somebody consents to; those kept already are left as they are."""
    row = {
        "version": wording.version,
        "page": wording.page,
        "language": wording.language,
        "words": encode(list(wording.words)),
        "first_used_at": now,
    }
    insert(connection, wordings, [row], conflict=("version",))


def is_wording(connection: sa.Connection, version: str) -> bool:
    """Tell whether these words were shown and kept before."""
    statement = sa.select(wordings.c.version).where(wordings.c.version == version)
    return connection.execute(statement).first() is not None


def consent_rows(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Consent]:
    """Return every row of evidence of these contacts."""
    found = connection.execute(_consents(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [
        Consent(contact, topic, cast("State", state), at, number)
        for contact, topic, state, at, number in found.all()
    ]


@lru_cache
def _consents(dialect: str) -> sa.Select[Any]:
    c = consents.c
    return sa.select(c.contact_id, c.topic, c.state, c.at, c.id).where(any_given(c.contact_id, dialect))


def join_rows(connection: sa.Connection, contact_ids: Sequence[int]) -> list[Join]:
    """Return the merges, not undone, that made these living contacts: into them, and into who was merged into them."""
    found = connection.execute(_joins(connection.dialect.name), {"ids": list_text(contact_ids)})
    return [Join(survivor, merged, at) for survivor, merged, at in found.all()]


@lru_cache
def _joins(dialect: str) -> sa.Select[Any]:
    members = family_statement(dialect)
    return (
        sa.select(merges.c.survivor, merges.c.merged, merges.c.at)
        .join(members, members.c.id == merges.c.survivor)
        .where(merges.c.undone_at.is_(None))
    )


# ---- suppression -----------------------------------------------------------------------------------------


def add_suppressions(connection: sa.Connection, rows: Sequence[Row], *, weakest_first: Sequence[str]) -> None:
    """Suppress; what is suppressed already keeps its reason, unless it is a weaker one."""
    columns = ("address_hash", "scope", "reason", "at", "source")
    given = relation(connection, [suppressions.c[name] for name in columns], rows)
    strength = {reason: place for place, reason in enumerate(weakest_first)}
    weaker = sa.select(given.c.address_hash).where(
        given.c.address_hash == suppressions.c.address_hash,
        given.c.scope == suppressions.c.scope,
        sa.case(strength, value=given.c.reason) > sa.case(strength, value=suppressions.c.reason),
    )
    connection.execute(sa.delete(suppressions).where(weaker.exists()))
    insert(connection, suppressions, rows, columns=columns, conflict=("address_hash", "scope"))


def lift(connection: sa.Connection, address_hash: str, *, scope: str, reason: str, before: Instant) -> int:
    """Remove a suppression of this scope and reason that was put on before an instant; return how many."""
    statement = sa.delete(suppressions).where(
        suppressions.c.address_hash == address_hash,
        suppressions.c.scope == scope,
        suppressions.c.reason == reason,
        suppressions.c.at < before,
    )
    return connection.execute(statement).rowcount


def suppressed(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return address hash -> scope -> reason, for those of these that are suppressed at all."""
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(_suppressed(connection.dialect.name), {"ids": list_text(hashes)}).all()
    for address_hash, scope, reason in rows:
        found.setdefault(address_hash, {})[scope] = reason
    return found


@lru_cache
def _suppressed(dialect: str) -> sa.Select[Any]:
    c = suppressions.c
    return sa.select(c.address_hash, c.scope, c.reason).where(any_given(c.address_hash, dialect))


# ---- switches --------------------------------------------------------------------------------------------


def paused(connection: sa.Connection) -> dict[str, str]:
    """Return the paused switches with their reasons."""
    return {row.name: row.reason for row in connection.execute(_PAUSED).all()}


_PAUSED = sa.select(switches.c.name, switches.c.reason).where(switches.c.paused)


def put_switch(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Set one switch."""
    columns = ("paused", "reason", "actor", "at")
    insert(connection, switches, [dict(row)], conflict=("name",), update=columns)


def revive(connection: sa.Connection, measure: str | None, *, now: Instant, limit: int) -> int:
    """Make waiting messages that a pause had deferred due now, of one measure or (None) of all; return how many.

    At most `limit`, those locked by somebody left out: the rest come up by themselves.
    """
    found = (
        sa.select(messages.c.id)
        .where(
            messages.c.status == sa.literal_column("'waiting'"),
            messages.c.reason == "paused",
            messages.c.due_at > now,
        )
        .order_by(messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if measure is not None:
        found = found.where(messages.c.measure == measure)
    ids = list(connection.execute(found).scalars())
    if ids:
        statement = sa.update(messages).where(any_of(messages.c.id, ids, connection))
        connection.execute(statement.values(due_at=now))
    return len(ids)


def revive_person(connection: sa.Connection, contact_id: int, *, reasons: Sequence[str], now: Instant) -> int:
    """Make the person's waiting messages that were deferred for these reasons due now; return how many.

    The caller holds the contact's lock.
    """
    members = family(connection, [contact_id])
    statement = sa.update(messages).where(
        messages.c.contact_id.in_(sa.select(members.c.id)),
        messages.c.status == sa.literal_column("'waiting'"),
        messages.c.reason.in_(reasons),
        messages.c.due_at > now,
    )
    return connection.execute(statement.values(due_at=now)).rowcount


# ---- cancelling a measure --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What one batch of a cancellation ended."""

    contacts: int
    runs: int
    messages: int


def cancel_batch(
    connection: sa.Connection, measure: str, *, reason: str, now: Instant, limit: int
) -> Cancelled:
    """End the measure's active runs and unsent messages of at most `limit` contacts; none left: contacts is 0."""
    active = sa.and_(runs.c.measure == measure, runs.c.status == sa.literal_column("'active'"))
    unsent = sa.and_(messages.c.measure == measure, messages.c.status.in_(("waiting", "ready")))
    concerned = sa.union(
        sa.select(runs.c.contact_id).where(active), sa.select(messages.c.contact_id).where(unsent)
    ).subquery()
    statement = sa.select(concerned.c.contact_id).order_by(concerned.c.contact_id).limit(limit)
    ids = list(connection.execute(statement).scalars())
    if not ids:
        return Cancelled(0, 0, 0)
    _lock_with_survivors(connection, ids)
    ended = sa.update(runs).where(active, any_of(runs.c.contact_id, ids, connection))
    ended = ended.values(status="cancelled", reason=reason, ended_at=now, mailing=False)
    cancelled = sa.update(messages).where(unsent, any_of(messages.c.contact_id, ids, connection))
    cancelled = cancelled.values(
        status="cancelled", reason=reason, settled_at=now, lease_owner=None, lease_until=None
    )
    return Cancelled(
        contacts=len(ids),
        runs=connection.execute(ended).rowcount,
        messages=connection.execute(cancelled).rowcount,
    )


def _lock_with_survivors(connection: sa.Connection, ids: Sequence[int]) -> None:
    known = sa.select(contacts.c.id, contacts.c.survivor).where(any_of(contacts.c.id, ids, connection))
    everybody = {each for row in connection.execute(known) for each in row if each is not None}
    statement = (
        sa.select(contacts.c.id)
        .where(any_of(contacts.c.id, sorted(everybody), connection))
        .order_by(contacts.c.id)
        .with_for_update()
    )
    raise_versions(connection, list(connection.execute(statement).scalars()))

"""Statements about reports: store them once, match them to messages and contacts, count them for the rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, update
from nurture.database.schema import contacts, feedback, identities, messages
from nurture.domain.event import IDENTITY_KINDS, Identity
from nurture.domain.instant import Instant

_COLUMNS = (
    "provider",
    "event_id",
    "message_id",
    "kind",
    "at",
    "raw",
    "severity",
    "machine",
    "contact_id",
    "address",
    "received_at",
    "applied_at",
    "detail",
)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """A message of the ledger that a report may be about, with the living contact it went to."""

    id: int
    measure: str
    run_key: str
    owner_id: int
    contact: int
    purpose: str
    topic: str | None
    lane: str
    status: str
    header_id: str | None
    erased: bool


def store_reports(connection: sa.Connection, rows: Sequence[Row]) -> set[Key]:
    """Store the reports that were never stored before, and return their keys."""
    stored = insert(
        connection,
        feedback,
        rows,
        columns=_COLUMNS,
        conflict=("provider", "event_id"),
        returning=("provider", "event_id"),
    )
    return {(row.provider, row.event_id) for row in stored}


def load_messages(connection: sa.Connection, ids: Sequence[int]) -> dict[int, ReportedMessage]:
    """Return id -> message, for those of the ids that exist."""
    if not ids:
        return {}
    statement = (
        sa.select(
            messages.c.id,
            messages.c.measure,
            messages.c.run_key,
            messages.c.contact_id.label("owner_id"),
            sa.func.coalesce(contacts.c.survivor, contacts.c.id).label("contact"),
            messages.c.purpose,
            messages.c.topic,
            messages.c.lane,
            messages.c.status,
            messages.c.header_id,
            contacts.c.erased_at.is_not(None).label("erased"),
        )
        .join(contacts, contacts.c.id == messages.c.contact_id)
        .where(any_of(messages.c.id, ids, connection))
    )
    return {row.id: ReportedMessage(**row._asdict()) for row in connection.execute(statement)}


def load_contexts(connection: sa.Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return message id -> its frozen context, for those that have one."""
    if not ids:
        return {}
    statement = sa.select(messages.c.id, messages.c.context).where(
        any_of(messages.c.id, ids, connection), messages.c.context.is_not(None)
    )
    return {row.id: row.context for row in connection.execute(statement)}


def load_owners(connection: sa.Connection, addresses: Sequence[str]) -> dict[str, int]:
    """Return address -> the living contact with this identity."""
    if not addresses:
        return {}
    statement = sa.select(identities.c.value, identities.c.contact_id).where(
        identities.c.kind == "email", any_of(identities.c.value, addresses, connection)
    )
    return {row.value: row.contact_id for row in connection.execute(statement)}


def load_names(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, Identity]:
    """Return contact -> its strongest identity; an erased contact has none."""
    if not contact_ids:
        return {}
    rank = sa.case({kind: place for place, kind in enumerate(IDENTITY_KINDS)}, value=identities.c.kind)
    statement = (
        sa.select(identities.c.contact_id, identities.c.kind, identities.c.value)
        .where(any_of(identities.c.contact_id, contact_ids, connection))
        .order_by(rank.desc(), identities.c.since.desc(), identities.c.value.desc())
    )
    # The last row of each contact is its strongest identity.
    return {row.contact_id: Identity(row.kind, row.value) for row in connection.execute(statement)}


def load_addresses(connection: sa.Connection, contact_ids: Sequence[int]) -> dict[int, str]:
    """Return contact -> its present sending address."""
    if not contact_ids:
        return {}
    statement = sa.select(contacts.c.id, contacts.c.email).where(
        any_of(contacts.c.id, contact_ids, connection), contacts.c.email.is_not(None)
    )
    return {row.id: row.email for row in connection.execute(statement)}


def lock_contacts(connection: sa.Connection, contact_ids: Sequence[int], addresses: Sequence[str]) -> None:
    """Lock these contacts and all that are mailed at or own one of these addresses, in id order."""
    owners = sa.select(identities.c.contact_id).where(
        identities.c.kind == "email", any_of(identities.c.value, addresses, connection)
    )
    statement = (
        sa.select(contacts.c.id)
        .where(
            sa.or_(
                any_of(contacts.c.id, contact_ids, connection),
                any_of(contacts.c.email, addresses, connection),
                contacts.c.id.in_(owners),
            )
        )
        .order_by(contacts.c.id)
        .with_for_update()
    )
    connection.execute(statement)


def load_signs(connection: sa.Connection, addresses: Sequence[str], *, since: Instant) -> list[sa.Row[Any]]:
    """Return address, kind, severity, machine and instant of each report about these addresses since then."""
    if not addresses:
        return []
    statement = sa.select(
        feedback.c.address, feedback.c.kind, feedback.c.severity, feedback.c.machine, feedback.c.at
    ).where(any_of(feedback.c.address, addresses, connection), feedback.c.at > since)
    return list(connection.execute(statement))


def count_refusals(connection: sa.Connection, lanes: Sequence[str], *, since: Instant) -> list[sa.Row[Any]]:
    """Return lane, `reported` and `refused`: addresses with any report since then, and with a refusal of us."""
    if not lanes:
        return []
    refused = sa.case((feedback.c.severity == "policy", feedback.c.address))
    statement = (
        sa.select(
            messages.c.lane,
            sa.func.count(feedback.c.address.distinct()).label("reported"),
            sa.func.count(refused.distinct()).label("refused"),
        )
        .join(messages, messages.c.id == feedback.c.message_id)
        .where(
            feedback.c.kind.in_((sa.literal_column("'bounce'"), sa.literal_column("'delivered'"))),
            feedback.c.received_at > since,
            messages.c.lane.in_(lanes),
        )
        .group_by(messages.c.lane)
    )
    return list(connection.execute(statement))


def lock_matchable(connection: sa.Connection, *, since: Instant, limit: int) -> list[sa.Row[Any]]:
    """Lock and return waiting reports received since then whose contact has become known."""
    by_name = (
        sa.select(identities.c.value)
        .where(identities.c.kind == "email", identities.c.value == feedback.c.address)
        .exists()
    )
    by_message = sa.select(messages.c.id).where(messages.c.id == feedback.c.message_id).exists()
    statement = (
        sa.select(feedback)
        .where(feedback.c.applied_at.is_(None), feedback.c.received_at > since, sa.or_(by_name, by_message))
        .order_by(feedback.c.received_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(statement))


def mark_applied(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write message, contact and instant at which the reports were matched."""
    key = ("provider", "event_id")
    update(connection, feedback, rows, key=key, columns=("message_id", "contact_id", "applied_at"))


def load_reported_doubts(
    connection: sa.Connection, *, kinds: Sequence[str], since: Instant, limit: int
) -> list[sa.Row[Any]]:
    """Return the id of messages in doubt that have a report, and `failed`: whether it is a hard bounce."""
    hard = sa.and_(feedback.c.kind == "bounce", feedback.c.severity == "hard")
    # Message by message: joined and grouped, SQLite reads the whole ledger or every report.
    failed = sa.select(sa.func.max(sa.case((hard, 1), else_=0))).where(
        feedback.c.message_id == messages.c.id,
        sa.or_(feedback.c.kind.in_(kinds), feedback.c.kind == "bounce"),
    )
    doubted = (
        sa.select(messages.c.id, failed.scalar_subquery().label("failed"))
        .where(
            messages.c.status == sa.literal_column("'in_doubt'"),
            sa.or_(messages.c.settled_at.is_(None), messages.c.settled_at > since),
        )
        .subquery()
    )
    statement = sa.select(doubted).where(doubted.c.failed.is_not(None)).limit(limit)
    return list(connection.execute(statement))

"""Rows that the public pages read: the living contact of a token, its identity, and the mail with the link."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.state_codec import decode_run_data
from nurture.database.bulk import any_of
from nurture.database.engine import decode
from nurture.database.schema import consents, contacts, identities, messages, runs
from nurture.domain.event import IDENTITY_KINDS
from nurture.domain.instant import Instant


def load_living_contact(connection: sa.Connection, contact_id: int) -> Any:
    """Return the row of the contact, or of the contact it was merged into; None when there is none."""
    survivor = sa.select(contacts.c.survivor).where(contacts.c.id == contact_id).scalar_subquery()
    return connection.execute(
        sa.select(
            contacts.c.id, contacts.c.email, contacts.c.locale, contacts.c.zone, contacts.c.erased_at
        ).where(contacts.c.id == sa.func.coalesce(survivor, contact_id))
    ).one_or_none()


def load_strongest_identity(connection: sa.Connection, contact_id: int) -> Any:
    """Return (kind, value) of the contact's strongest identity, the oldest of its kind; None without one."""
    rank = sa.case({kind: place for place, kind in enumerate(IDENTITY_KINDS)}, value=identities.c.kind)
    return connection.execute(
        sa.select(identities.c.kind, identities.c.value)
        .where(identities.c.contact_id == contact_id)
        .order_by(rank, identities.c.since, identities.c.value)
        .limit(1)
    ).one_or_none()


def load_measure(connection: sa.Connection, message: int | None) -> str | None:
    """Return the path of a message's measure, None for an unknown message."""
    path = connection.scalar(sa.select(messages.c.measure).where(messages.c.id == message))
    return str(path) if path else None


def load_mailed_contact(connection: sa.Connection, message: int | None, person: int) -> int:
    """Return the contact that a mail was decided for, if it was merged into the person; else the person."""
    statement = (
        sa.select(contacts.c.id)
        .join(messages, messages.c.contact_id == contacts.c.id)
        .where(messages.c.id == message, contacts.c.survivor == person)
    )
    return int(connection.scalar(statement) or person) if message is not None else person


def load_run_data(connection: sa.Connection, message: int | None) -> str | None:
    """Return the stored data of the run that a message belongs to, as JSON text; None without a run."""
    same_run = sa.and_(
        messages.c.contact_id == runs.c.contact_id,
        messages.c.measure == runs.c.measure,
        messages.c.run_key == runs.c.key,
    )
    data = connection.scalar(sa.select(runs.c.data).join(messages, same_run).where(messages.c.id == message))
    return str(data) if data else None


def load_request_instant(connection: sa.Connection, message: int | None) -> Instant | None:
    """Return when the event occurred that a confirmation mail answers; None for an unknown mail."""
    data = load_run_data(connection, message)
    asked_at = decode_run_data(data).origin.occurred_at if data else 0
    if asked_at:
        return asked_at
    decided_at = connection.scalar(sa.select(messages.c.decided_at).where(messages.c.id == message))
    return None if decided_at is None else int(decided_at)


def load_first_grant(
    connection: sa.Connection, contact_ids: Sequence[int], topic: str, message: int | None
) -> Instant | None:
    """Return when the topic was first granted by the link of this mail, by the evidence; None without such a row."""
    rows = connection.execute(
        sa.select(consents.c.at, consents.c.evidence).where(
            any_of(consents.c.contact_id, contact_ids, connection),
            consents.c.topic == topic,
            consents.c.state == "granted",
        )
    )
    return min(
        (row.at for row in rows if message and decode(row.evidence).get("message") == message), default=None
    )

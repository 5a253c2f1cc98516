"""Statements for the sunset rule: a slice of contacts, the mails they were sent, and their last sign of life."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import family
from nurture.database.schema import contacts, events, feedback, messages
from nurture.domain.feedback import EVENTS
from nurture.domain.instant import Instant
from nurture.domain.measure import MARKETING

#: Events that are no act of the person.
_NO_SIGNS = (EVENTS["bounce"], EVENTS["complaint"], "Sunset Reached")


def load_slice(connection: sa.Connection, cursor: int, *, limit: int) -> list[sa.Row[Any]]:
    """Return id and address of the next living contacts that have one."""
    statement = (
        sa.select(contacts.c.id, contacts.c.email)
        .where(
            contacts.c.id > cursor,
            contacts.c.survivor.is_(None),
            contacts.c.erased_at.is_(None),
            contacts.c.email.is_not(None),
        )
        .order_by(contacts.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement))


def find_marketed(
    connection: sa.Connection, people: Sequence[int], *, since: Instant, least: int
) -> list[int]:
    """Return those of these people who got at least so many marketing mails since then."""
    members = family(connection, people)
    statement = (
        sa.select(members.c.person)
        .join(messages, messages.c.contact_id == members.c.id)
        .where(
            messages.c.status == sa.literal_column("'sent'"),
            messages.c.purpose.in_(sorted(MARKETING)),
            messages.c.sent_at > since,
        )
        .group_by(members.c.person)
        .having(sa.func.count() >= least)
    )
    return list(connection.execute(statement).scalars())


def load_mails(connection: sa.Connection, people: Sequence[int], *, since: Instant) -> list[sa.Row[Any]]:
    """Return person, sent_at and `counted` (whether opens were counted) of each marketing mail since then."""
    members = family(connection, people)
    # The frozen links hold the picture where opens are counted.
    counted = sa.func.coalesce(messages.c.context, "").contains('"open":"')
    statement = (
        sa.select(members.c.person, messages.c.sent_at, counted.label("counted"))
        .join(messages, messages.c.contact_id == members.c.id)
        .where(
            messages.c.status == sa.literal_column("'sent'"),
            messages.c.purpose.in_(sorted(MARKETING)),
            messages.c.sent_at > since,
        )
    )
    return list(connection.execute(statement))


def load_signs(connection: sa.Connection, people: Sequence[int]) -> dict[int, Instant]:
    """Return person -> instant of their newest own act."""
    if not people:
        return {}
    members = family(connection, people)
    statement = (
        sa.select(members.c.person, sa.func.max(events.c.occurred_at).label("at"))
        .join(events, events.c.contact_id == members.c.id)
        .where(events.c.name.not_in(_NO_SIGNS))
        .group_by(members.c.person)
    )
    return {row.person: row.at for row in connection.execute(statement)}


def find_machine_opened(connection: sa.Connection, people: Sequence[int], *, since: Instant) -> set[int]:
    """Return those of these people whose mails programs opened."""
    if not people:
        return set()
    members = family(connection, people)
    statement = (
        sa.select(members.c.person)
        .join(messages, messages.c.contact_id == members.c.id)
        .join(feedback, feedback.c.message_id == messages.c.id)
        .where(feedback.c.machine, feedback.c.kind == "open", messages.c.sent_at > since)
        .distinct()
    )
    return set(connection.execute(statement).scalars())

"""Read what leads did, as it was known at an instant."""

from collections.abc import Collection

import sqlalchemy as sa

from nurture.database.schema import contacts, events, transitions
from nurture.domain.event import VALUE_PUBLISHED
from nurture.domain.instant import DAY, Instant
from nurture.learning.rows import RECENT_DAYS, ActivityColumns

_PERSON = sa.func.coalesce(contacts.c.survivor, contacts.c.id)
#: Kinds of events that a person causes.
_KINDS = ("track", "page", "screen")


def first_event(connection: sa.Connection) -> Instant | None:
    """Return when the first event of a person occurred."""
    first: Instant | None = connection.scalar(
        sa.select(sa.func.min(events.c.occurred_at)).where(events.c.kind.in_(_KINDS))
    )
    return first


def load_activity(
    connection: sa.Connection, *, at: Instant, left_out: Collection[str] = ()
) -> ActivityColumns:
    """Return the events of people that were known at an instant, by person and name.

    An event counts once it was received, or imported as history, and when it occurred before the instant.
    left_out: names of events that make a customer; a lead has none that stands, so they say nothing.
    """
    e = events.c
    was_known = sa.or_(e.historic, e.received_at < at)
    recent = [
        sa.func.sum(sa.case((e.occurred_at >= at - days * DAY, 1), else_=0)).label(f"recent_{days}")
        for days in RECENT_DAYS
    ]
    statement = (
        sa.select(
            _PERSON.label("person"),
            e.name,
            sa.func.count().label("number"),
            sa.func.min(e.occurred_at).label("first"),
            sa.func.max(e.occurred_at).label("last"),
            *recent,
        )
        .join(contacts, contacts.c.id == e.contact_id)
        .where(
            e.kind.in_(_KINDS),
            e.name.not_in([VALUE_PUBLISHED, *sorted(left_out)]),
            e.occurred_at < at,
            was_known,
            contacts.c.erased_at.is_(None),
        )
        .group_by(_PERSON, e.name)
    )
    rows = connection.execute(statement).all()
    return ActivityColumns(
        at=at,
        person=[row.person for row in rows],
        name=[row.name for row in rows],
        number=[row.number for row in rows],
        first=[row.first for row in rows],
        last=[row.last for row in rows],
        recent=[[getattr(row, f"recent_{days}") for row in rows] for days in RECENT_DAYS],
    )


def load_first_conversions(connection: sa.Connection) -> dict[int, Instant]:
    """Return person -> when they first became a customer."""
    t = transitions.c
    statement = (
        sa.select(_PERSON.label("person"), sa.func.min(t.at).label("at"))
        .join(contacts, contacts.c.id == t.contact_id)
        .where(t.kind == "track", t.after == "customer")
        .group_by(_PERSON)
    )
    return {row.person: row.at for row in connection.execute(statement)}


def load_leads(connection: sa.Connection) -> frozenset[int]:
    """Return the living people who are leads now."""
    c = contacts.c
    wanted = c.track == "lead", c.survivor.is_(None), c.erased_at.is_(None)
    return frozenset(connection.execute(sa.select(c.id).where(*wanted)).scalars())

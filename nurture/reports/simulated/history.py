"""Read the history of a database for a simulation: the events that came from outside, and each word about a topic."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.contacts.accept import NewEvent
from nurture.contacts.event_queries import event_of
from nurture.database import schema as t
from nurture.domain.event import BY_COLLEAGUE, BY_MEASURE, IDENTITY_KINDS, Identity
from nurture.domain.feedback import EVENTS
from nurture.domain.instant import Instant

#: Kinds of events that people and applications hand in; sends, alarms and wakes are decided anew.
_KINDS: Final = ("track", "identify", "page", "screen", "group")
#: Measures and accounts hand these events in again by themselves. Reports about old mail do not come again.
_OWN_SOURCES: Final = (BY_MEASURE, BY_COLLEAGUE)
_OF_OLD_MAIL: Final = (EVENTS["bounce"], EVENTS["complaint"], EVENTS["open"], EVENTS["click"])


@dataclass(frozen=True, slots=True)
class RecordedConsent:
    """A word of a person about a topic, and its instant."""

    # As WHO is written.
    who: str
    topic: str
    # pending | granted | withdrawn
    state: str
    at: Instant


def load_events(connection: sa.Connection) -> Iterator[NewEvent]:
    """Yield the events in order of application, with the identities of their people as they are now."""
    names = _load_identities(connection)
    e = t.events.c
    statement = (
        sa.select(t.events)
        .where(e.kind.in_(_KINDS), e.source.not_in(_OWN_SOURCES), e.name.not_in(_OF_OLD_MAIL))
        .order_by(e.id)
    )
    for row in connection.execution_options(yield_per=2_000).execute(statement):
        identities = names.get(row.contact_id, ()) if row.contact_id is not None else ()
        if row.contact_id is not None and not identities:
            # The person was erased.
            continue
        event = event_of(row, seq=row.id)
        yield NewEvent(
            source=event.source,
            message_id=event.message_id,
            kind=event.kind,
            name=event.name,
            occurred_at=event.occurred_at,
            received_at=event.received_at,
            historic=event.historic,
            identities=identities,
            properties=event.properties,
            traits=event.traits,
            context=event.context,
            hint=event.hint,
        )


def load_consents(connection: sa.Connection) -> list[RecordedConsent]:
    """Return each word about a topic, the oldest first."""
    names = _load_identities(connection)
    statement = sa.select(t.consents).order_by(t.consents.c.at, t.consents.c.id)
    return [
        RecordedConsent(_who(names[row.contact_id]), row.topic, row.state, row.at)
        for row in connection.execute(statement)
        if names.get(row.contact_id)
    ]


def _who(identities: tuple[Identity, ...]) -> str:
    strongest = identities[0]
    return f"id:{strongest.value}" if strongest.kind == "user_id" else strongest.value


def _load_identities(connection: sa.Connection) -> dict[int, tuple[Identity, ...]]:
    """Return contact -> the oldest identity of each kind, the strongest first, also for merged contacts."""
    found: dict[int, dict[str, Identity]] = {}
    i = t.identities.c
    for row in connection.execute(sa.select(i.contact_id, i.kind, i.value).order_by(i.since, i.value)):
        found.setdefault(row.contact_id, {}).setdefault(row.kind, Identity(row.kind, row.value))
    names = {
        contact: tuple(kinds[kind] for kind in IDENTITY_KINDS if kind in kinds)
        for contact, kinds in found.items()
    }
    merged = sa.select(t.contacts.c.id, t.contacts.c.survivor).where(t.contacts.c.survivor.is_not(None))
    for contact, survivor in connection.execute(merged):
        if survivor in names:
            names[contact] = names[survivor]
    return names

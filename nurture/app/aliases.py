"""Refuse the aliases that a browser key may not send: those that rename a known person or join two."""

import sqlalchemy as sa

from nurture.app.ingest import Intake
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, reject_event
from nurture.contacts.identity_queries import load_index_by_identities
from nurture.domain.identity import IdentityClaims, earlier_identities, find_event_owner

#: The answer to such a call.
REFUSAL = (
    "previousId: a browser key neither renames a known person nor joins two; "
    "send the alias from your server with a server key"
)


def refuse_aliases(services: Services, intake: Intake) -> None:
    """Move the aliases of browser keys that concern known people from the events to the rejected items.

    Reads the database only for a body that has such an alias. The drain decides by the same rule, so a person who
    becomes known in between is safe too.
    """
    aliases = [event for event in intake.events if event.hint and event.previous_id is not None]
    if not aliases:
        return
    with services.database.read() as connection:
        refused = [event for event in aliases if _concerns_known_people(connection, event)]
    intake.events = [event for event in intake.events if event not in refused]
    intake.rejected += [reject_event(event, "shape", REFUSAL) for event in refused]


def _concerns_known_people(connection: sa.Connection, event: NewEvent) -> bool:
    earlier = earlier_identities(event.previous_id or "")
    known = load_index_by_identities(connection, [*event.identities, *earlier])
    owner = find_event_owner(
        IdentityClaims(event.identities, earlier, word="hint", at=event.occurred_at), known
    )
    return bool(owner.conflicts)

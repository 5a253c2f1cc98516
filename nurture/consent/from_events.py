"""What people said about their consent elsewhere, told to us as events: a box ticked, a word at the till.

`Consent Given` and `Consent Withdrawn` carry the property `topic` (`*` for everything), `Unsubscribed` means a
withdrawal too. Written in the transaction that applies the event; until then the guard holds the person's mail
back, because an accepted event waits. A topic with double opt-in is only pending until its link is followed;
a withdrawal always counts at once, and no grant in a file takes one back. Our own pages write consent
themselves, before they answer.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from nurture.consent.queries import add_consents, consent_rows, join_rows
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.domain.consent.permissions import EVERYTHING
from nurture.domain.event import Event
from nurture.domain.feedback import SOURCE
from nurture.domain.playbook import Playbook

GIVEN = "Consent Given"
WITHDRAWN = frozenset({"Consent Withdrawn", "Unsubscribed"})
#: The source of what `nurture import` brings.
_FILES = "import"
#: Sources that wrote the consent in the transaction that accepted the event.
_WROTE_IT = frozenset({"web", SOURCE})


def note_consents(
    connection: sa.Connection, events: Sequence[Event], owners: Mapping[int, int], playbook: Playbook
) -> int:
    """Write down the consents among these events and return how many.

    owners: event seq -> contact, locked by the caller and saved with a raised version.
    """
    rows: list[Row] = []
    brought: list[Row] = []
    for event in events:
        row = _row(event, owners.get(event.seq), playbook)
        if row is not None:
            told = event.source == _FILES and row["state"] == "granted"
            (brought if told else rows).append(row)
    if brought:
        rows += _not_withdrawn(connection, brought)
    if rows:
        add_consents(connection, rows)
    return len(rows)


def _not_withdrawn(connection: sa.Connection, brought: Sequence[Row]) -> list[Row]:
    """Leave out grants of a file about what was ever withdrawn: files add evidence and never resurrect."""
    ids = sorted({row["contact_id"] for row in brought})
    joins = join_rows(connection, ids)
    head = {join.merged: join.survivor for join in joins}
    withdrawn = {
        (head.get(row.contact_id, row.contact_id), row.topic)
        for row in consent_rows(connection, [*ids, *head])
        if row.state == "withdrawn"
    }
    return [
        row
        for row in brought
        if not {(row["contact_id"], row["topic"]), (row["contact_id"], EVERYTHING)} & withdrawn
    ]


def _row(event: Event, contact: int | None, playbook: Playbook) -> Row | None:
    if contact is None or event.source in _WROTE_IT:
        return None
    if event.name != GIVEN and event.name not in WITHDRAWN:
        return None
    topic = event.properties.get("topic")
    if event.name in WITHDRAWN:
        known = isinstance(topic, str) and topic in playbook.topics
        return _said(event, contact, str(topic) if known else EVERYTHING, "withdrawn")
    if not isinstance(topic, str) or topic not in playbook.topics:
        return None
    state = "pending" if playbook.topics[topic].double_opt_in else "granted"
    return _said(event, contact, topic, state)


def _said(event: Event, contact: int, topic: str, state: str) -> Row:
    return {
        "contact_id": contact,
        "topic": topic,
        "state": state,
        "at": event.occurred_at,
        "source": f"event:{event.source}"[:200],
        "evidence": encode({"event": event.seq, "name": event.name}),
    }

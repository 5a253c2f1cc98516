"""Consents that other systems report as events: a ticked box in a shop, a signature at the till.

`Consent Given` and `Consent Withdrawn` carry the property `topic` (`*` for everything); `Unsubscribed` is a
withdrawal too. The rows are written in the transaction that applies the event. Until then the guard defers the
person's mail, because an accepted event is pending. A topic with double opt-in is only `pending` until its link
is followed; a withdrawal counts at once. The public pages, the feedback and the operators' command write consent
themselves, in the transaction that accepts the event.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.consent.file_grants import drop_grants_after_withdrawal
from nurture.consent.queries import add_consents
from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.domain.consent.events import CONFIRMED, read_consent
from nurture.domain.event import BY_COMMAND, IMPORTED, JOIN_PAGE, OWN_PAGES, Event
from nurture.domain.feedback import SOURCE
from nurture.domain.playbook import Playbook

#: Sources that wrote the consent in the transaction that accepted the event.
_ALREADY_WRITTEN = frozenset({OWN_PAGES, SOURCE, BY_COMMAND})


def record_event_consents(
    connection: sa.Connection,
    events: Sequence[Event],
    owners: Mapping[int, int],
    playbook: Playbook,
    *,
    hints: Collection[int] = (),
) -> int:
    """Write the consents that these events report, and return how many were written.

    owners: event seq -> contact, locked by the caller and saved with a raised version. hints: seqs of events that only
    a browser key tells; a consent among them is pending until the person confirms it, a withdrawal counts at once.
    """
    rows: list[Row] = []
    imported: list[Row] = []
    for event in events:
        row = _build_row(event, owners.get(event.seq), playbook)
        if row is not None and row["state"] == "granted" and event.seq in hints:
            row["state"] = "pending"
        if row is not None:
            (imported if event.source == IMPORTED else rows).append(row)
    rows += drop_grants_after_withdrawal(connection, imported)
    if rows:
        add_consents(connection, rows)
    return len(rows)


def _build_row(event: Event, contact: int | None, playbook: Playbook) -> Row | None:
    """Return the consent row that an event means, None when it means none."""
    if contact is None or event.source in _ALREADY_WRITTEN:
        return None
    consent = read_consent(event, playbook)
    if consent is None or (event.source, event.name) == (IMPORTED, CONFIRMED):
        # A file's consents are written from its own rows (`consent.from_files`).
        return None
    topic, state = consent
    evidence: dict[str, Any] = {"event": event.seq, "name": event.name}
    wording = ""
    if event.source == JOIN_PAGE:
        # The page has written what it showed into the event.
        evidence |= {name: event.properties.get(name) for name in ("page", "language")}
        wording = str(event.properties.get("wording", ""))
    return {
        "contact_id": contact,
        "topic": topic,
        "state": state,
        "at": event.occurred_at,
        "source": f"event:{event.source}"[:200],
        "evidence": encode(evidence),
        "wording": wording,
    }

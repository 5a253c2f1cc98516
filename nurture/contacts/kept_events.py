"""Events kept as JSON in the quarantine or in a conflict, until an operator hands them in again."""

from collections.abc import Mapping
from typing import Any

from nurture.contacts.accept import NewEvent
from nurture.contacts.inbox_queries import InboxRow
from nurture.database.engine import decode
from nurture.domain.event import Identity
from nurture.domain.instant import Instant


def row_document(row: InboxRow) -> dict[str, Any]:
    """Return a row of the inbox as the JSON object from which `read_event` reads it."""
    return {
        "kind": row.kind,
        "name": row.name,
        "occurred_at": row.occurred_at,
        "historic": row.historic,
        "identities": {name.kind: name.value for name in row.named},
        "previous_id": row.previous_id,
        "body": row.body,
    }


def read_event(
    document: Mapping[str, Any], *, source: str, message_id: str, received_at: Instant, hint: bool = False
) -> NewEvent:
    """Return the event of a document of `row_document` or `accept.event_document`.

    received_at: when the event came first. hint: a browser key told it.
    """
    body = decode(document["body"])
    return NewEvent(
        source=source,
        message_id=message_id,
        kind=document["kind"],
        name=document["name"],
        occurred_at=document["occurred_at"],
        received_at=max(received_at, document["occurred_at"]),
        historic=bool(document.get("historic")),
        identities=tuple(Identity(kind, value) for kind, value in document["identities"].items()),
        previous_id=document.get("previous_id"),
        properties=body.get("properties", {}),
        traits=body.get("traits", {}),
        context=body.get("context", {}),
        hint=hint,
    )

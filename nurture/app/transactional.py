"""Read an application's request for one transactional mail to one person.

The result is an ops send of a measure with the purpose `transactional`, which passes the same inbox, guard and ledger
as every mail. In its templates, `message_data` takes the place of an event's properties.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.contacts.accept import NewEvent
from nurture.database.engine import encode
from nurture.database.schema import contacts, identities
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.event import Identity
from nurture.domain.identity import canonical_email, canonical_user_id
from nurture.domain.instant import DAY, SECOND, Instant
from nurture.domain.journey.triggers import single_request_id
from nurture.domain.playbook import Playbook

#: How far in the future `send_at` may be.
AHEAD_MAX = 90 * DAY
DATA_BYTES_MAX = 32 * 1024
#: Customer.io's fields for the mail's content. They are refused, because the content comes from the playbook.
_REFUSED_FIELDS = (
    *("attachments", "bcc", "body", "body_amp", "body_plain", "cc", "fake_bcc", "from", "headers"),
    *("preheader", "reply_to", "subject"),
)
#: Names in `message_data` that the ops send sets itself.
_RESERVED_NAMES = ("measure", "request", "send_at", "occasion", "again")


def read_request(
    services: Services, body: Mapping[str, Any], *, source: str, request: str, now: Instant
) -> list[NewEvent]:
    """Return the events that make the send. Raises InputError or NotFoundError that name the field to change.

    source: the key's source, for the event that identifies a new person. request: the request id.
    """
    for name in _REFUSED_FIELDS:
        if body.get(name):
            raise InputError(
                f"{name}: the mail's content comes from the playbook; put values into message_data"
            )
    if body.get("queue_draft"):
        raise InputError("queue_draft: drafts are not supported; `nurture preview` shows the mail")
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        path = _find_measure(playbook, body.get("transactional_message_id"))
        names, new_address = _read_recipient(connection, body)
    properties: dict[str, Any] = {
        **_read_message_data(body.get("message_data")),
        "measure": path,
        "request": request,
    }
    if body.get("send_at") is not None:
        properties["send_at"] = _read_send_at(body["send_at"], now)
    common: dict[str, Any] = {"occurred_at": now, "received_at": now, "identities": names}
    send = NewEvent(
        source="ops",
        message_id=single_request_id(request),
        kind="ops",
        name="Ops Send",
        properties=properties,
        **common,
    )
    if not new_address:
        return [send]
    # An ops send does not set an address, so a person without this address is identified first.
    identify = NewEvent(
        source=source,
        message_id=f"{request}:who",
        kind="identify",
        name="Identified",
        traits={"email": new_address},
        **common,
    )
    return [identify, send]


def _find_measure(playbook: Playbook, name: Any) -> str:
    """Return the path of the transactional measure with this path or name. Raises NotFoundError."""
    paths = sorted(path for path, measure in playbook.measures.items() if measure.purpose == "transactional")
    matches = [path for path in paths if name in (path, path.rpartition("/")[2])]
    if len(matches) != 1:
        problem = "names several measures; write the path" if matches else "is not a transactional measure"
        raise NotFoundError(
            f"transactional_message_id: {name!r:.80} {problem}: {', '.join(matches or paths)}"
        )
    return matches[0]


def _read_recipient(connection: sa.Connection, body: Mapping[str, Any]) -> tuple[tuple[Identity, ...], str]:
    """Return the recipient's identities, and the address if the recipient does not have it yet (else empty)."""
    value = body.get("identifiers")
    identifiers = value if isinstance(value, dict) else {}
    to = canonical_email(body["to"]) if isinstance(body.get("to"), str) else None
    if to is None:
        raise InputError("to: give one e-mail address")
    if "email" in identifiers:
        if canonical_email(str(identifiers["email"])) != to:
            raise InputError("identifiers: email is another address than `to`")
        return (Identity("email", to),), ("" if _contact_of(connection, Identity("email", to)) else to)
    user_id = (
        canonical_user_id(str(identifiers["id"])) if isinstance(identifiers.get("id"), str | int) else None
    )
    if user_id is None:
        raise InputError("identifiers: give id or email")
    owner = _contact_of(connection, Identity("user_id", user_id))
    address = connection.scalar(sa.select(contacts.c.email).where(contacts.c.id == owner)) if owner else None
    if address not in (None, to):
        raise InputError(
            "to: this is not the person's address; identify the person with the new address first"
        )
    names = (Identity("user_id", user_id), Identity("email", to))
    return names, ("" if address else to)


def _contact_of(connection: sa.Connection, name: Identity) -> int | None:
    """Return the id of the contact that owns an identity."""
    statement = sa.select(identities.c.contact_id).where(
        identities.c.kind == name.kind, identities.c.value == name.value
    )
    return connection.scalar(statement)


def _read_message_data(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError("message_data: give an object")
    if len(encode(value)) > DATA_BYTES_MAX:
        raise InputError(f"message_data: at most {DATA_BYTES_MAX} bytes")
    if reserved := [name for name in _RESERVED_NAMES if name in value]:
        raise InputError(f"message_data: {reserved[0]} is a reserved name; use another")
    return value


def _read_send_at(value: Any, now: Instant) -> Instant:
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not now - DAY <= value * SECOND <= now + AHEAD_MAX
    ):
        raise InputError("send_at: give seconds since 1970, at most 90 days ahead")
    return value * SECOND

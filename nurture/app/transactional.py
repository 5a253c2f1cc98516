"""One transactional mail to one person, asked for by an application: what is asked is checked, then handed in.

It is an ops send of a measure with the purpose `transactional`, through the same inbox, guard and ledger as all
else; what `message_data` holds is to the mail what an event's properties are.
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
from nurture.domain.playbook import Playbook

#: How far ahead a mail may be asked for.
AHEAD_MAX = 90 * DAY
DATA_BYTES_MAX = 32 * 1024
#: What the mail itself says stands in the playbook, and cannot be brought along.
_REFUSED_FIELDS = (
    *("attachments", "bcc", "body", "body_amp", "body_plain", "cc", "fake_bcc", "from", "headers"),
    *("preheader", "reply_to", "subject"),
)
#: What the ops send says itself.
_RESERVED_NAMES = ("measure", "request", "send_at")


def read_request(
    services: Services, said: Mapping[str, Any], *, source: str, request: str, now: Instant
) -> list[NewEvent]:
    """Return the events that hand the mail in. Raises InputError or NotFoundError that say what to change."""
    for name in _REFUSED_FIELDS:
        if said.get(name):
            raise InputError(f"{name}: the mail stands in the playbook; values for it go into message_data")
    if said.get("queue_draft"):
        raise InputError("queue_draft: there are no drafts here; `nurture preview` shows the mail")
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        path = _find_measure(playbook, said.get("transactional_message_id"))
        names, told = _read_recipient(connection, said)
    properties: dict[str, Any] = {
        **_read_message_data(said.get("message_data")),
        "measure": path,
        "request": request,
    }
    if said.get("send_at") is not None:
        properties["send_at"] = _read_send_at(said["send_at"], now)
    given: dict[str, Any] = {"occurred_at": now, "received_at": now, "identities": names}
    asked = NewEvent(
        source="ops", message_id=f"{request}:api", kind="ops", name="Ops Send", properties=properties, **given
    )
    if not told:
        return [asked]
    # Who is not known by this address yet is identified first: an ops send names, it does not tell.
    known = NewEvent(
        source=source,
        message_id=f"{request}:who",
        kind="identify",
        name="Identified",
        traits={"email": told},
        **given,
    )
    return [known, asked]


def _find_measure(playbook: Playbook, said: Any) -> str:
    """Return the path of the transactional measure of this path or name."""
    ours = sorted(path for path, measure in playbook.measures.items() if measure.purpose == "transactional")
    found = [path for path in ours if said in (path, path.rpartition("/")[2])]
    if len(found) != 1:
        what = "is several measures; write its path" if found else "is no transactional measure"
        raise NotFoundError(f"transactional_message_id: {said!r:.80} {what}: {', '.join(found or ours)}")
    return found[0]


def _read_recipient(connection: sa.Connection, said: Mapping[str, Any]) -> tuple[tuple[Identity, ...], str]:
    """Return who is meant, and the address where we have to be told it."""
    given = said.get("identifiers")
    by = given if isinstance(given, dict) else {}
    to = canonical_email(said["to"]) if isinstance(said.get("to"), str) else None
    if to is None:
        raise InputError("to: give one e-mail address")
    if "email" in by:
        if canonical_email(str(by["email"])) != to:
            raise InputError("identifiers: email is another address than `to`")
        return (Identity("email", to),), ("" if _contact_of(connection, Identity("email", to)) else to)
    user_id = canonical_user_id(str(by["id"])) if isinstance(by.get("id"), str | int) else None
    if user_id is None:
        raise InputError("identifiers: give id or email")
    owner = _contact_of(connection, Identity("user_id", user_id))
    address = connection.scalar(sa.select(contacts.c.email).where(contacts.c.id == owner)) if owner else None
    if address not in (None, to):
        raise InputError(
            "to: is not the address this person is known by; identify them with the new one first"
        )
    names = (Identity("user_id", user_id), Identity("email", to))
    return names, ("" if address else to)


def _contact_of(connection: sa.Connection, name: Identity) -> int | None:
    found = sa.select(identities.c.contact_id).where(
        identities.c.kind == name.kind, identities.c.value == name.value
    )
    return connection.scalar(found)


def _read_message_data(said: Any) -> dict[str, Any]:
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise InputError("message_data: give an object")
    if len(encode(said)) > DATA_BYTES_MAX:
        raise InputError(f"message_data: at most {DATA_BYTES_MAX} bytes")
    if ours := [name for name in _RESERVED_NAMES if name in said]:
        raise InputError(f"message_data: {ours[0]} is a name of our own; take another")
    return said


def _read_send_at(said: Any, now: Instant) -> Instant:
    if (
        not isinstance(said, int)
        or isinstance(said, bool)
        or not now - DAY <= said * SECOND <= now + AHEAD_MAX
    ):
        raise InputError("send_at: give seconds since 1970, at most 90 days ahead")
    return said * SECOND

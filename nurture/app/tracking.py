"""Record one event for a person, from the command line."""

import json
from hashlib import blake2b
from typing import Any

from nurture.app.referral_codes import name_referrers
from nurture.app.services import Services
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.identity_queries import load_newest_identities
from nurture.contacts.queries import resolve_contact
from nurture.database.audit import record
from nurture.domain.errors import InputError
from nurture.domain.event import OPERATOR, Identity
from nurture.domain.hints import RESERVED
from nurture.domain.identity import canonical_email, canonical_user_id
from nurture.domain.instant import Instant, to_iso


def read_properties(pairs: list[str]) -> dict[str, Any]:
    """Return the properties of `key=value` pairs; a value that is JSON (a number, true, a list) is parsed.

    Raises InputError.
    """
    properties: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            message = f"-p {pair}: write key=value, for example -p revenue=19.90"
            raise InputError(message)
        try:
            properties[name] = json.loads(text)
        except ValueError:
            properties[name] = text
    return properties


def track(
    services: Services, who: str, event: str, *, properties: dict[str, Any], at: Instant | None, actor: str
) -> dict[str, Any]:
    """Put one event into the inbox. An unknown address or user id becomes a new contact.

    at: when it occurred; None: now. Raises InputError for a WHO that is none and for a time ahead, NotFoundError.
    """
    if event in RESERVED:
        raise InputError(
            f"{event} is told by the confirmation page and by imports only; use: nurture contact consent"
        )
    now = services.clock.now()
    occurred_at = now if at is None else at
    if occurred_at > now:
        raise InputError(
            f"--at {to_iso(occurred_at)} is ahead: now is {to_iso(now)}; an event has happened already"
        )
    text = json.dumps([who, event, properties, occurred_at, now], sort_keys=True, default=str)
    message_id = blake2b(text.encode(), digest_size=16).hexdigest()

    def work(connection: Any) -> None:
        identities = _identities_of(connection, who)
        new_event = NewEvent(
            source=OPERATOR,
            message_id=message_id,
            kind="track",
            name=event,
            occurred_at=occurred_at,
            received_at=now,
            identities=identities,
            properties=properties,
            context={"actor": actor},
        )
        accept(connection, name_referrers(services.keys, [new_event]))
        record(connection, at=now, actor=actor, action="track", detail={"message_id": message_id})

    services.database.run(work)
    return {"event": event, "who": who, "occurred_at": to_iso(occurred_at), "message_id": message_id}


def _identities_of(connection: Any, who: str) -> tuple[Identity, ...]:
    """Return the identities that WHO names, known or not."""
    if who.startswith("contact:"):
        contact_id = resolve_contact(connection, who)
        # The strongest alone: an event by hand does not prove that the contact's identities belong together.
        return load_newest_identities(connection, [contact_id])[contact_id][:1]
    if who.startswith("id:"):
        user_id = canonical_user_id(who.removeprefix("id:"))
        if user_id is not None:
            return (Identity("user_id", user_id),)
    email = canonical_email(who)
    if email is None:
        message = f"{who!r}: write an e-mail address, id:USER_ID or contact:N"
        raise InputError(message)
    return (Identity("email", email),)

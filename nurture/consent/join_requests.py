"""Requests for a topic from the page on which anybody may ask for one (`/join/TOPIC`).

Nobody has proved anything there, so a request is a hint, like what a browser key tells: it is pending until the owner
of the address confirms it by mail, the address is asked once a day at most (`consent.hinted_requests`), and it changes
nothing else that we know of the person.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import sqlalchemy as sa

from nurture.consent.hinted_requests import REQUESTED
from nurture.contacts.accept import NewEvent, accept
from nurture.domain.consent.events import GIVEN
from nurture.domain.event import JOIN_PAGE, Identity
from nurture.domain.instant import Instant
from nurture.domain.measure import OnEvent
from nurture.domain.playbook import Playbook

PAGE: Final = "join"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """One submitted form."""

    topic: str
    # Canonical.
    address: str
    # BCP 47; the language of the page.
    language: str
    # Version of the words that the page showed; "" for a form of the shop's own.
    wording: str = ""


def has_confirmation(playbook: Playbook, topic: str) -> bool:
    """Tell whether the topic exists and a measure of the programme asks people to confirm what they request."""
    triggers = (
        measure.trigger for measure in playbook.measures.values() if measure.purpose == "transactional"
    )
    names = {name for trigger in triggers if isinstance(trigger, OnEvent) for name in trigger.names}
    return topic in playbook.topics and names.issuperset((GIVEN, REQUESTED))


def ask_to_confirm(connection: sa.Connection, request: JoinRequest, *, now: Instant) -> None:
    """Hand the request in as an event of the person; the caller commits."""
    digest = blake2b(request.address.encode("utf-8", "replace"), digest_size=12).hexdigest()
    properties = {"topic": request.topic, "page": PAGE, "language": request.language}
    if request.wording:
        properties["wording"] = request.wording
    event = NewEvent(
        source=JOIN_PAGE,
        message_id=f"join:{request.topic}:{digest}:{now}",
        kind="track",
        name=GIVEN,
        occurred_at=now,
        received_at=now,
        identities=(Identity("email", request.address),),
        properties=properties,
        # The weakest word about the language: a choice and a statement of an application go before it.
        context={"locale": request.language},
        hint=True,
    )
    accept(connection, [event])

"""Requests for a topic that a browser key tells: one confirmation mail for each address and day, and nothing else.

Anybody can hand in events with a browser key, for any address. A grant that only a hint tells is therefore pending on
every topic, also where the topic asks no double opt-in of trusted sources, and its owner is asked by mail. The bound
goes by the address and by the instant of receipt, because contacts and the instants of events are the sender's choice.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from nurture.consent.load_permissions import load_permissions
from nurture.consent.request_queries import load_asked_addresses
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.inbox_queries import InboxRow, mark_historic
from nurture.database.engine import decode
from nurture.domain.consent.events import GIVEN, topic_in
from nurture.domain.consent.permissions import state_for_topic
from nurture.domain.event import OWN_PAGES, Event, Identity
from nurture.domain.identity import strongest_first
from nurture.domain.instant import DAY, Duration, Instant
from nurture.domain.playbook import Playbook

#: Event that asks the person to confirm a topic.
REQUESTED: Final = "Topic Requested"
_NAMES: Final = (GIVEN, REQUESTED)
#: An address gets one confirmation mail within this time because of hints.
_WINDOW: Final[Duration] = DAY


def bound_requests(
    connection: sa.Connection,
    rows: Sequence[tuple[InboxRow, int]],
    addresses: Mapping[int, str | None],
    *,
    now: Instant,
) -> set[int]:
    """Mark the requests among these rows that may start no mail as `historic`: they are facts only.

    rows: (row, its contact). A request starts none when the address was asked within the day, or when the contact has
    granted the topic; returns the ids of the latter, because a hint takes no grant back. addresses: of the contacts. No
    request of a hint, no statement.
    """
    asking = [(row, contact) for row, contact in rows if row.hint and row.name in _NAMES and not row.historic]
    granted: set[int] = set()
    muted: list[int] = []
    if not asking:
        return granted
    address_of = {row.id: addresses.get(contact) or row.email for row, contact in asking}
    known = sorted({contact for _, contact in asking if contact > 0})
    permissions = load_permissions(connection, known)
    wanted = sorted({address for address in address_of.values() if address})
    asked = load_asked_addresses(connection, wanted, _NAMES, since=now - _WINDOW)
    for row, contact in sorted(asking, key=lambda pair: pair[0].id):
        topic, address = topic_in(decode(row.body).get("properties", {})), address_of[row.id]
        held = permissions.get(contact)
        if held is not None and state_for_topic(held.consents, topic) == "granted":
            granted.add(row.id)
        if row.id in granted or address in asked:
            row.historic = True
            muted.append(row.id)
        elif address is not None:
            asked.add(address)
    mark_historic(connection, muted)
    return granted


def request_confirmations(
    connection: sa.Connection,
    given: Sequence[Event],
    owners: Mapping[int, int],
    names: Mapping[int, Collection[Identity]],
    playbook: Playbook,
    *,
    hints: Collection[int],
    now: Instant,
) -> int:
    """Ask people to confirm the topics that these hints grant and that ask no double opt-in of trusted sources.

    The event `Topic Requested` with the property `hint` starts the mail; returns how many are stored. A topic with
    double opt-in needs none: the grant itself starts its mail.
    """
    requests: list[NewEvent] = []
    for event in given:
        contact, known = owners.get(event.seq), playbook.topics.get(topic_in(event.properties))
        if event.seq not in hints or event.name != GIVEN or event.historic:
            continue
        if contact is None or known is None or known.double_opt_in or not names.get(contact):
            continue
        requests.append(
            NewEvent(
                source=OWN_PAGES,
                message_id=f"hinted:{event.seq}",
                kind="track",
                name=REQUESTED,
                occurred_at=now,
                received_at=now,
                identities=(strongest_first(names[contact])[0],),
                properties={"topic": known.name, "hint": True},
            )
        )
    if requests:
        accept(connection, requests)
    return len(requests)

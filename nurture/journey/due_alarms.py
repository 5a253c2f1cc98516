"""Ringing the alarms of contacts before they are merged.

A merge puts both under one clock, the later one. An alarm that was due before that would be lost with its mail, so it
rings first, on the state before the merge.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from nurture.contacts import queries as people
from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.event_queries import load_events
from nurture.contacts.save_queries import mark_outcomes_applied
from nurture.delivery.claim_queries import load_pending_since
from nurture.domain.contact import Advance, Contact
from nurture.domain.errors import Poison
from nurture.domain.instant import Instant
from nurture.domain.journey.advance import advance
from nurture.domain.journey.refold import followed_by
from nurture.domain.message import Settled
from nurture.domain.playbook import Playbook
from nurture.journey.carry_out import save_and_carry_out
from nurture.journey.replay import definitions, refold


def ring_due_alarms(
    connection: sa.Connection, ids: Sequence[int], *, now: Instant, playbook: Playbook
) -> None:
    """Ring the due alarms of these locked contacts, up to the first event of any of them that is not applied yet."""
    until = min([now, *load_pending_since(connection, ids).values()])
    states = people.load_contacts(connection, ids, playbook)
    due = {contact: state for contact, state in states.items() if state.clock and state.wake_at <= until}
    if not due:
        return
    settled = people.load_settled_messages(connection, list(due))
    advances: list[Advance] = []
    outcomes: list[int] = []
    for contact, state in due.items():
        ended = [message for message in settled.get(contact, ()) if message.at <= until]
        advanced = _ring(connection, state, ended, until=until, playbook=playbook)
        if advanced is not None:
            advances.append(advanced)
            outcomes += [message.message_id for message in ended]
    save_and_carry_out(connection, advances, playbook)
    mark_outcomes_applied(connection, outcomes)


def _ring(
    connection: sa.Connection,
    state: Contact,
    ended: Sequence[Settled],
    *,
    until: Instant,
    playbook: Playbook,
) -> Advance | None:
    """Return the advance of one contact; None when its alarms do not come to rest, which a merge does not mend."""
    refolded: Advance | None = None
    if state.memory.definitions != definitions(playbook):
        events, kept = load_events(connection, [state.id]), load_baselines(connection, [state.id])
        refolded = refold(state, events[state.id], kept[state.id], at=state.clock, playbook=playbook)
    try:
        advanced = advance(state, ended, now=until, playbook=playbook, in_place=True)
    except Poison:
        return None
    return advanced if refolded is None else followed_by(refolded, advanced)

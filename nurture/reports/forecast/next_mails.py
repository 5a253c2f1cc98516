"""The mails that a person will get next, if nothing new happens: the same rules and guard, played ahead."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from nurture.delivery.chunk_scope import ChunkScope
from nurture.domain.instant import Duration, Instant
from nurture.reports.forecast.forecast_people import load_people
from nurture.reports.forecast.play_person import (
    Play,
    advance_settled,
    begin_play,
    judge_due,
    next_instant,
    ring_at,
    settle,
)

#: Instants that are played at most.
_STEPS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class NextMail:
    """A mail that will leave, or end for a reason, at an instant."""

    at: Instant
    # The identity of its measure.
    measure: str
    step: str
    # sent, skipped, expired or cancelled.
    ending: str
    reason: str = ""


def load_next_mails(
    connection: sa.Connection, contact_id: int, scope: ChunkScope, *, span: Duration
) -> list[NextMail]:
    """Return what becomes of the person's mails within a span from `scope.now`, in order; nothing is written."""
    person = load_people(connection, [contact_id], scope).get(contact_id)
    if person is None or not person.family.contact.clock:
        return []
    since, mails = scope.now, list[NextMail]()
    play = begin_play(person, scope)
    advance_settled(play, person.settled)
    for _ in range(_STEPS_MAX):
        at = next_instant(play)
        if at > since + span:
            break
        if not ring_at(play, at):
            mails += _leave(play, since=since)
    return mails


def _leave(play: Play, *, since: Instant) -> list[NextMail]:
    """Guard the mails that are due; return those that ended."""
    mails, settled = list[NextMail](), []
    for item, verdict in judge_due(play, since=since):
        row = play.waiting[item.due.id]
        ending, endings = settle(play, item, verdict)
        settled += endings
        if ending is not None:
            reason = "" if ending == "sent" else verdict.reason
            mails.append(NextMail(play.scope.now, row.measure, row.step, ending, reason))
    advance_settled(play, settled)
    return mails

"""What the feedback room does in the background: match what came early, mind dialogues, pass answers on."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from nurture.app.inbound import desk_of
from nurture.app.services import Services
from nurture.domain.counts import Counts
from nurture.domain.errors import UserError
from nurture.domain.instant import HOUR, Duration, Instant
from nurture.feedback.record import Recorded, match_late
from nurture.feedback.replies import mind, send_notices
from nurture.feedback.reply_queries import unsent_since
from nurture.transports.registry import Transport

#: What nobody took up for so long shows that no worker runs.
_STUCK: Duration = HOUR


def process_feedback(services: Services, transport: Transport) -> Counts:
    """Do one bounded batch of each; returns the counts, `more` when there is more to do at once.

    transport: for mail to our own people; it keeps no journal, for a notice may come twice.
    """
    counts = Counts()
    for step in (_match_late_reports, _check_reply_times):
        now = services.clock.now()
        done = services.database.run(step(services, now))
        counts.add(done.counts)
        for shard in done.shards:
            services.bells.ring("inbox", str(shard))
    counts.add(send_notices(services.database, transport, clock=services.clock))
    return counts


def _match_late_reports(_services: Services, now: Instant) -> Callable[[sa.Connection], Recorded]:
    return lambda connection: match_late(connection, now=now)


def _check_reply_times(services: Services, now: Instant) -> Callable[[sa.Connection], Recorded]:
    def step(connection: sa.Connection) -> Recorded:
        try:
            loaded = services.playbooks.active(connection)
        except UserError:
            # Nothing was ever published, so nobody was mailed and nobody answered.
            return Recorded()
        return mind(connection, desk_of(services, loaded), now=now)

    return step


def find_unsent_notices(services: Services) -> Iterator[str]:
    """Yield the mails to our own people that do not leave, and what the server last said."""
    with services.database.read() as connection:
        for row in unsent_since(connection, before=services.clock.now() - _STUCK):
            case = f" of case R-{row.dialogue_id}" if row.dialogue_id else ""
            said = row.reply or "no worker sees to it"
            yield f"notice {row.id}{case} has not left after {row.attempts} attempts: {said}"

"""Background work of the feedback room: match early reports, watch reply times, send notices to our own staff."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from nurture.app.inbound import build_reply_settings
from nurture.app.services import Services
from nurture.app.webhooks.outgoing import send_hooks
from nurture.app.webhooks.shops import expire_waiting
from nurture.contacts.action_queries import count_untold
from nurture.domain.counts import Counts
from nurture.domain.errors import UserError
from nurture.domain.instant import HOUR, Duration, Instant
from nurture.feedback.answers import tell_staff
from nurture.feedback.legal_cases import escalate_legal_cases
from nurture.feedback.notices import send_notices
from nurture.feedback.owner_mails import tell_owners
from nurture.feedback.record import match_late
from nurture.feedback.replies import check_cases
from nurture.feedback.reply_queries import unsent_since
from nurture.transports.registry import Transport

#: A notice that is unsent for this long shows that no worker runs.
_STUCK: Duration = HOUR


def process_feedback(services: Services, transport: Transport) -> Counts:
    """Process one bounded batch of each kind; returns the counts, with `more` when there is more to do at once.

    transport: for mail to our own staff. It keeps no journal, so a notice may be sent twice.
    """
    counts = Counts()
    for step in (_match_late_reports, _check_reply_times, _expire_shop_events):
        now = services.clock.now()
        counts.add(services.database.run(step(services, now)))
    counts.add(send_notices(services.database, transport, clock=services.clock))
    counts.add(send_hooks(services))
    return counts


def _match_late_reports(_services: Services, now: Instant) -> Callable[[sa.Connection], Counts]:
    return lambda connection: match_late(connection, now=now)


def _check_reply_times(services: Services, now: Instant) -> Callable[[sa.Connection], Counts]:
    def step(connection: sa.Connection) -> Counts:
        try:
            loaded = services.playbooks.active(connection)
        except UserError:
            # Without a published playbook no mail was sent, so there is no reply either.
            return Counts()
        settings = build_reply_settings(services, loaded)
        counts = check_cases(connection, settings, now=now)
        counts["answers"] = tell_staff(connection, settings, now=now)
        counts.add(tell_owners(connection, settings, loaded.templates, now=now))
        counts.add(escalate_legal_cases(connection, settings, now=now))
        return counts

    return step


def _expire_shop_events(_services: Services, now: Instant) -> Callable[[sa.Connection], Counts]:
    return lambda connection: expire_waiting(connection, now=now)


def find_unsent_notices(services: Services) -> Iterator[str]:
    """Yield a line for each notice to our own staff that is unsent for an hour, with the server's last reply."""
    before = services.clock.now() - _STUCK
    with services.database.read() as connection:
        if untold := count_untold(connection, before=before):
            yield f"{untold} mails of measures to people of the house are not made after an hour: no worker runs"
        for row in unsent_since(connection, before=before):
            case = f" of case R-{row.case}" if row.case else ""
            reply = row.reply or "no worker has tried it"
            yield f"notice {row.id}{case} has not left after {row.attempts} attempts: {reply}"

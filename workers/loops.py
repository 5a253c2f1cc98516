"""Loops: a room's batches one after another, for a bounded time; then its queue is notified again if more is left.

Tasks and poll threads run the same loops. The rooms themselves are in `journey`, `delivery` and `feedback`; this
file only decides how often they are called and what is counted.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from nurture.app import ingest
from nurture.app.event_body import split_body
from nurture.app.experiments import judge_daily
from nurture.app.feedback import process_feedback as work_feedback
from nurture.app.figures.brief import send_weekly
from nurture.app.models.weekly import learn_weekly
from nurture.app.referral_codes import name_referrers
from nurture.app.sends.hand_in import continue_sends
from nurture.app.services import Services
from nurture.contacts.accept import accept, quarantine
from nurture.contacts.inbox_queries import LIVE, has_rows
from nurture.database.engine import encode
from nurture.database.notifications import ADVANCE, ALL, DELIVER, FEEDBACK, INBOX, MEASUREMENT, Queue
from nurture.delivery.claim_queries import has_due
from nurture.delivery.deliver import deliver, recover_by_journal
from nurture.delivery.deliver import recover as take_back
from nurture.domain.counts import Counts
from nurture.domain.errors import InputError
from nurture.domain.pace.work_classes import SERVICE, URGENT, is_turn_of_bulk_alarms
from nurture.feedback.clicks import judge_clicks
from nurture.journey.accounts import hand_out_shared_events
from nurture.journey.drain import adopt, drain, drain_shards, ring
from nurture.journey.objects import wake_watchers
from nurture.journey.published_values import announce_values
from nurture.reports.metrics import count, timed
from nurture.runtime.clock import is_off, monotonic
from nurture.runtime.log import get_logger
from nurture.transports.registry import Transport

from .application import DRAIN_SECONDS
from .context import Context

_log = get_logger("loops")

#: For how long the thread for urgent work does one kind of it, in seconds, and how many mails it claims together.
URGENT_SECONDS = 1.0
URGENT_MAILS = 20
#: How often a process looks for journals that others left, at most.
LOOK_SECONDS = 0.5


def apply(context: Context, shard: int | None = None) -> Counts:
    """Apply the pending events of a shard (None: of any)."""
    services = context.services

    def batch() -> Counts:
        counts = drain(services.database, shard=shard, clock=services.clock, playbooks=services.playbooks)
        # A drain speaks of its own shard; when any will do, there may be more until one finds nothing.
        counts.more = counts.more or (shard is None and counts.total() > 0)
        return counts

    done = _repeat(context, INBOX, batch)
    if done.more:
        _notify(context, INBOX, ALL if shard is None else str(shard))
    return done


def wake(context: Context) -> Counts:
    """Hand in the rest of sends; then wake watchers, contacts with a due alarm, and those without the new playbook."""
    services = context.services
    database, clock, playbooks = services.database, services.clock, services.playbooks
    done = _repeat(context, ADVANCE, lambda: continue_sends(services))
    done.add(_repeat(context, ADVANCE, lambda: wake_watchers(database, clock=clock, playbooks=playbooks)))
    done.add(_repeat(context, ADVANCE, lambda: hand_out_shared_events(database, clock=clock)))
    done.add(_repeat(context, ADVANCE, lambda: announce_values(database, clock=clock)))
    full_batches = 0

    def batch() -> Counts:
        """Ring due alarms; after a publish, set those of the next contacts when few are due, or bulk has its turn."""
        nonlocal full_batches
        counts = ring(database, clock=clock, playbooks=playbooks)
        full_batches = full_batches + 1 if counts.more else 0
        if is_turn_of_bulk_alarms(full_batches):
            counts.add(adopt(database, clock=clock, playbooks=playbooks))
            # The alarms that it has set are due now.
            counts.more = counts.more or counts["woken"] > 0
        return counts

    done.add(_repeat(context, ADVANCE, batch, key_for_help=""))
    if done.more:
        _notify(context, ADVANCE, "")
    return done


def send(context: Context, name: str) -> Counts:
    """Deliver due mail on a lane (ALL: on each); nothing where this process sends already, or has no such lane."""
    if name == ALL:
        total = Counts()
        for lane_name in context.lanes:
            total.add(send(context, lane_name))
        return total
    lane = context.lanes.get(name)
    if lane is None:
        return Counts()
    with lane.taken() as free:
        if not free:
            return Counts()
        done = _repeat(
            context,
            DELIVER,
            lambda: deliver(context.services.database, context.delivery, lane=name, transport=lane.transport),
            key_for_help=name,
        )
    if done.more:
        _notify(context, DELIVER, name)
    return done


def apply_urgent(context: Context) -> Counts:
    """Apply live events beside what else this process does."""
    services = context.services
    database = services.database
    with database.look() as connection:
        if not has_rows(connection, LIVE):
            return Counts()
    return _repeat(
        context,
        INBOX,
        lambda: drain_shards(database, shards=LIVE, clock=services.clock, playbooks=services.playbooks),
        seconds=URGENT_SECONDS,
        is_urgent=True,
    )


def send_urgent(context: Context) -> Counts:
    """Deliver transactional and service mail that is due, on connections kept for it, beside other mail of the process.

    Transactional mail until none is due or a second has passed, then one claim of service mail: a service mail to many
    people so delays no receipt by more than one claim.
    """
    total = Counts()
    for name, transport in context.urgent.transports.items():
        for mail_class, seconds in ((URGENT, URGENT_SECONDS), (SERVICE, 0.0)):
            if _has_mail_of(context, name, mail_class):
                recover_now_and_then(context)
                total.add(_send_class(context, name, transport, mail_class, seconds=seconds))
    return total


def _has_mail_of(context: Context, lane: str, mail_class: int) -> bool:
    services = context.services
    with services.database.look() as connection:
        return has_due(connection, lane, now=services.clock.now(), only=mail_class)


def _send_class(
    context: Context, lane: str, transport: Transport, mail_class: int, *, seconds: float
) -> Counts:
    return _repeat(
        context,
        DELIVER,
        lambda: deliver(
            context.services.database,
            context.urgent.opened(),
            lane=lane,
            transport=transport,
            limit=URGENT_MAILS,
            only=mail_class,
        ),
        seconds=seconds,
        is_urgent=True,
    )


def recover_now_and_then(context: Context) -> Counts:
    """Do `recover`, unless this process has done so just now: it takes longer than sending one mail.

    Where looking at the journals fails, it is done again before anything is sent.
    """
    if monotonic() - context.journal_progress.looked_at <= LOOK_SECONDS:
        return Counts()
    return recover(context)


def recover(context: Context) -> Counts:
    """Release the messages that lost workers had claimed."""
    services = context.services
    # Before a process first sends, and then as often as it polls; tasks come a hundred times a second.
    if monotonic() - context.journal_progress.looked_at > LOOK_SECONDS:
        with timed("journal"):
            found = recover_by_journal(services.database, context.delivery, context.journal_progress)
        # Only now: where looking fails, nothing is sent before it was done again.
        context.journal_progress.looked_at = monotonic()
        count("journal", found)
    return _repeat(context, DELIVER, lambda: take_back(services.database, clock=services.clock))


def judge(context: Context) -> Counts:
    """Judge the clicks of a minute ago and accept events for those that may be a person's."""
    services = context.services
    key = services.settings.suppression_secret

    def batch() -> Counts:
        return services.database.run(
            lambda connection: judge_clicks(connection, now=services.clock.now(), suppression_key=key)
        )

    done = _repeat(context, FEEDBACK, batch)
    if done.more:
        _notify(context, FEEDBACK, "")
    return done


def feedback(context: Context) -> Counts:
    """Match early reports, check reply times and forward replies; nothing while this process does so already."""
    with context.notices.taken() as free:
        if not free:
            return Counts()
        done = _repeat(context, FEEDBACK, lambda: work_feedback(context.services, context.notices.transport))
    if done.more:
        _notify(context, FEEDBACK, "")
    return done


def measure(context: Context) -> Counts:
    """Judge all measures, unless a process did so today, learn the models of this week, and mail the Monday brief."""
    with timed(MEASUREMENT):
        done = judge_daily(context.services)
        done.add(learn_weekly(context.services))
        done.add(send_weekly(context.services))
    count(MEASUREMENT, done)
    return done


def hand_in(context: Context, items: Any, source: str) -> Counts:
    """Accept events that another Celery application hands in, in the item shape of Segment's API.

    items: a list, or a single item. An item that cannot be read is quarantined with the reason.
    """
    services = context.services
    raw = encode(items).encode()
    with services.database.read() as connection:
        # The database's time: nobody can be told to come again later, and this host's clock may have jumped.
        now = services.clock.lease_now(connection)
    try:
        intake = ingest.read_items(split_body(raw), source=source, received_at=now)
    except InputError as error:
        intake = ingest.Intake(rejected=[ingest.reject(raw, str(error), source=source, received_at=now)])

    def work(connection: Any) -> int:
        accepted = accept(connection, name_referrers(services.keys, intake.events))
        quarantine(connection, intake.rejected)
        return accepted

    accepted = services.database.run(work)
    done = Counts(accepted=accepted, rejected=len(intake.rejected))
    count(INBOX, done)
    return done


def _repeat(
    context: Context,
    room: Queue,
    batch: Callable[[], Counts],
    *,
    key_for_help: str | None = None,
    seconds: float = DRAIN_SECONDS,
    is_urgent: bool = False,
) -> Counts:
    """Call a room until nothing is left or the time is up; `more` tells which.

    Does nothing while this host's clock is off. key_for_help: when the first batch was full, the queue is notified
    once with this key, so that an idle worker helps. The inbox does without: each of its shards is notified by
    itself, and two workers that drain the events of one send make smaller batches. is_urgent: the loop runs beside
    the others, so it does not keep the process busy.
    """
    if _is_off(context.services):
        return Counts()
    until = monotonic() + seconds
    total = Counts()
    with nullcontext() if is_urgent else context.activity.begun():
        while True:
            with timed(room):
                counts = batch()
            count(room, counts)
            total.update(counts)
            if counts.more and key_for_help is not None:
                _notify(context, room, key_for_help)
                key_for_help = None
            if not counts.more or monotonic() >= until:
                total.more = counts.more
                return total


def _is_off(services: Services) -> bool:
    with services.database.look() as connection:
        off = is_off(services.clock, connection)
    if off:
        _log.error(
            "this host's clock is minutes away from the database's; it works on nothing until both agree"
        )
    return off


def _notify(context: Context, queue: Queue, key: str) -> None:
    context.notifier.notify([(queue, key)])

"""Rounds: a room's batches one after another, for a bounded time; then its bell is rung again if more is left.

Tasks and poll threads run the same rounds. The rooms themselves are in `journey` and `delivery`; here only is decided
how often they are called, what is counted and who is rung next.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nurture.app import ingest
from nurture.app.event_body import split_body
from nurture.app.feedback import process_feedback as work_feedback
from nurture.app.services import Services
from nurture.contacts.accept import accept, quarantine, shard_for
from nurture.database.engine import encode
from nurture.delivery.deliver import deliver, recover_by_journal
from nurture.delivery.deliver import recover as take_back
from nurture.domain.counts import Counts
from nurture.domain.errors import InputError
from nurture.feedback.clicks import judge_touches
from nurture.journey.drain import adopt, drain, ring
from nurture.journey.objects import wake_watchers
from nurture.reports.metrics import count, timed
from nurture.runtime.clock import is_off, monotonic
from nurture.runtime.failpoints import failpoint
from nurture.runtime.log import get_logger
from workers.application import DRAIN_SECONDS
from workers.context import Context
from workers.queues import ADVANCE, ALL, DELIVER, FEEDBACK, INBOX

_log = get_logger("rounds")

#: How often a process looks for journals that others left, at most.
LOOK_SECONDS = 0.5


def apply(context: Context, shard: int | None = None) -> Counts:
    """Apply what is pending in a shard (None: in any)."""
    services = context.services

    def batch() -> Counts:
        counts = drain(services.database, shard=shard, clock=services.clock, playbooks=services.playbooks)
        # A drain speaks of its own shard; when any will do, there may be more until one finds nothing.
        counts.more = counts.more or (shard is None and counts.total() > 0)
        # At once: another process may send while this one goes on.
        _announce(context, counts)
        return counts

    done = _repeat(context, INBOX, batch)
    if done.more:
        context.bells.ring(INBOX, ALL if shard is None else str(shard))
    return done


def wake(context: Context) -> Counts:
    """Let every alarm that is due ring, wake who waits for an object, and who has not met a new playbook."""
    services = context.services
    database, clock, playbooks = services.database, services.clock, services.playbooks
    done = _repeat(context, ADVANCE, lambda: wake_watchers(database, clock=clock, playbooks=playbooks))
    done.add(_repeat(context, ADVANCE, lambda: adopt(database, clock=clock, playbooks=playbooks)))
    ringing = _repeat(context, ADVANCE, lambda: ring(database, clock=clock, playbooks=playbooks), company="")
    done.add(ringing)
    if done.more:
        context.bells.ring(ADVANCE, "")
    _announce(context, done)
    return done


def send(context: Context, name: str) -> Counts:
    """Deliver what is due on a lane (ALL: on each); nothing where this process speaks already, or has no lane."""
    if name == ALL:
        total = Counts()
        for each in context.lanes:
            total.add(send(context, each))
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
            company=name,
        )
    if done.more:
        context.bells.ring(DELIVER, name)
    return done


def recover_now_and_then(context: Context) -> Counts:
    """Do `recover`, unless this process has done so just now: it takes longer than sending one mail.

    Where looking at the journals fails, it is done again before anything is sent.
    """
    if monotonic() - context.watch.looked_at <= LOOK_SECONDS:
        return Counts()
    return recover(context)


def recover(context: Context) -> Counts:
    """Take back what workers that are gone had claimed."""
    services = context.services
    # Before a process first sends, and then as often as it polls; bells come a hundred times a second.
    if monotonic() - context.watch.looked_at > LOOK_SECONDS:
        with timed("journal"):
            found = recover_by_journal(services.database, context.delivery, context.watch)
        # Only now: where looking fails, nothing is sent before it was done again.
        context.watch.looked_at = monotonic()
        count("journal", found)
    return _repeat(context, DELIVER, lambda: take_back(services.database, clock=services.clock))


def judge(context: Context) -> Counts:
    """Judge who followed the links of mails a minute ago, and hand in what may have been people."""
    services = context.services
    key = services.settings.suppression_secret
    shards: set[int] = set()

    def batch() -> Counts:
        done = services.database.run(
            lambda connection: judge_touches(connection, now=services.clock.now(), suppression_key=key)
        )
        shards.update(done.shards)
        return done.counts

    done = _repeat(context, FEEDBACK, batch)
    for shard in shards:
        context.bells.ring(INBOX, str(shard))
    if done.more:
        context.bells.ring(FEEDBACK, "")
    return done


def feedback(context: Context) -> Counts:
    """Match early reports, mind dialogues and pass answers on; nothing when this process is at it already."""
    with context.notices.taken() as free:
        if not free:
            return Counts()
        services = replace(context.services, bells=context.bells)
        done = _repeat(context, FEEDBACK, lambda: work_feedback(services, context.notices.transport))
    if done.more:
        context.bells.ring(FEEDBACK, "")
    return done


def hand_in(context: Context, items: Any, source: str) -> Counts:
    """Accept events that another Celery application hands in, in the item shape of Segment's API.

    items: a list, or a single item. What cannot be read is quarantined with its reason.
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
        accepted = accept(connection, intake.events)
        quarantine(connection, intake.rejected)
        return accepted

    accepted = services.database.run(work)
    for shard in {shard_for(event) for event in intake.events}:
        context.bells.ring(INBOX, str(shard))
    done = Counts(accepted=accepted, rejected=len(intake.rejected))
    count(INBOX, done)
    return done


def _repeat(
    context: Context, room: str, batch: Callable[[], Counts], *, company: str | None = None
) -> Counts:
    """Call a room until nothing is left or the time is up; `more` tells which.

    Does nothing while this host's clock is off. company: the key to ring once for one more worker when there is
    more than fits the first batch; so a bell rung once for much work brings in whoever has nothing to do. The inbox
    does without: its shards have bells of their own, and two who drain one send's events make smaller batches.
    """
    if _is_off(context.services):
        return Counts()
    until = monotonic() + DRAIN_SECONDS
    total = Counts()
    while True:
        with timed(room):
            counts = batch()
        count(room, counts)
        total.update(counts)
        if counts.more and company is not None:
            context.bells.ring(room, company)
            company = None
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


def _announce(context: Context, done: Counts) -> None:
    """Ring for the mails that a state's change has just decided."""
    if done["messages"]:
        failpoint("bells.before")
        for lane in context.lanes:
            context.bells.ring(DELIVER, lane)

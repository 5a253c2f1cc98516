"""The invariants that must hold at every moment, each checked by a query over the whole database.

docs/reliability.md explains each. A finding says which row violates it. Reads only.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nurture.consent.record import address_hash
from nurture.contacts.action_queries import count_actions
from nurture.database import schema as t
from nurture.database.audit import find_tampering
from nurture.delivery.claim_queries import conservation
from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.domain.message import COUNTING
from nurture.domain.playbook import Cap, Playbook
from nurture.reports.day_table_faults import find_faults

#: Work that is due for longer than this shows that no worker processes it.
_OVERDUE: Duration = 15 * MINUTE
#: Lapsed leases and mails in doubt are processed at the next poll; this is many polls.
_LAPSED: Duration = 5 * MINUTE
#: Clocks of two hosts, and requests that waited for each other's commit, may differ by this much.
_SKEW: Duration = MINUTE
#: A change committed this long before a mail was sent was visible when the mail passed the send gate.
_AT_ONCE: Duration = 5 * SECOND
#: How many of the newest mails are checked one by one.
_RECENT = 50_000
#: How many of the newest events are checked for their order.
_EVENTS = 500_000


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The arguments of every check."""

    playbook: Playbook
    playbook_id: int
    now: Instant
    suppression_key: bytes


Check = Callable[[sa.Connection, CheckContext], Iterator[str]]


def _conservation(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """Every planned mail is in the ledger, one to one, and every action that runs decided is stored."""
    for row in conservation(connection):
        settled = sum(row[name] for name in ("sent", "skipped", "cancelled", "expired", "failed", "in_doubt"))
        if row["planned"] != settled + row["waiting"]:
            yield f"{row['measure']}: planned {row['planned']}, in the ledger {settled + row['waiting']}"
    for measure, counts in sorted(count_actions(connection).items()):
        planned, stored = counts["planned"], sum(counts.values()) - counts["planned"]
        if planned != stored:
            yield f"{measure}: {planned} actions decided, {stored} stored"


def _track_law(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No mail was sent while its contact was on the other track, at that instant and a minute before it.

    The minute allows for the time between the send gate and the server's reply.
    """
    statement = sa.text(_OTHER_TRACK)
    for row in connection.execute(statement):
        yield f"message {row.id} went to the other track"


#: Mails for a track that the contact was not on, neither when they were sent nor a minute before.
_OTHER_TRACK = """
SELECT m.id FROM messages m JOIN contacts c ON c.id = m.contact_id
WHERE m.status IN ('sent', 'on_wire', 'in_doubt') AND m.track <> 'any'
AND m.track <> coalesce((
    SELECT tr.after FROM transitions tr WHERE tr.contact_id IN (m.contact_id, c.survivor)
    AND tr.kind = 'track' AND tr.noticed_at <= coalesce(m.sent_at, m.due_at)
    ORDER BY tr.noticed_at DESC, tr.id DESC LIMIT 1), 'lead')
AND m.track <> coalesce((
    SELECT tr.after FROM transitions tr WHERE tr.contact_id IN (m.contact_id, c.survivor)
    AND tr.kind = 'track' AND tr.noticed_at <= coalesce(m.sent_at, m.due_at) - 60000000
    ORDER BY tr.noticed_at DESC, tr.id DESC LIMIT 1), 'lead')
"""


def _orphans(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """Every row belongs to a contact, every message to a run, and no survivor was merged itself."""
    other = t.contacts.alias()
    chained = sa.select(t.contacts.c.id).join(other, t.contacts.c.survivor == other.c.id)
    for row in connection.execute(chained.where(other.c.survivor.is_not(None))):
        yield f"contact:{row.id} was merged into a contact that was merged itself"
    for table in (t.identities, t.runs, t.messages, t.contact_state):
        missing = sa.select(sa.func.count()).select_from(
            table.outerjoin(t.contacts, table.c.contact_id == t.contacts.c.id)
        )
        count = connection.scalar(missing.where(t.contacts.c.id.is_(None)))
        if count:
            yield f"{count} rows of {table.name} belong to no contact"
    lost = (
        sa.select(sa.func.count())
        .select_from(t.messages)
        .where(
            ~sa.exists().where(
                t.runs.c.contact_id == t.messages.c.contact_id,
                t.runs.c.measure == t.messages.c.measure,
                t.runs.c.key == t.messages.c.run_key,
            )
        )
    )
    if count := connection.scalar(lost):
        yield f"{count} messages belong to no run"


def _overdue(connection: sa.Connection, context: CheckContext) -> Iterator[str]:
    """No due work waits longer than a worker needs to take it. Paused work is not due."""
    m = t.messages.c
    paused = set(connection.scalars(sa.select(t.switches.c.name).where(t.switches.c.paused)))
    flows = sa.and_(m.lane.not_in(paused), m.measure.not_in(paused)) if "all" not in paused else sa.false()
    unsettled = sa.and_(m.status == "in_doubt", m.settled_at.is_(None))
    oldest = {
        "inbox": (sa.select(sa.func.min(t.inbox.c.received_at)), _OVERDUE),
        "alarms": (
            sa.select(sa.func.min(t.contacts.c.wake_at)).where(t.contacts.c.survivor.is_(None)),
            _OVERDUE,
        ),
        "objects": (sa.select(sa.func.min(t.object_wakes.c.occurred_at)), _OVERDUE),
        "messages": (sa.select(sa.func.min(m.due_at)).where(m.status == "waiting", flows), _OVERDUE),
        "leases": (sa.select(sa.func.min(m.lease_until)).where(m.status.in_(("ready", "on_wire"))), _LAPSED),
        "doubts": (sa.select(sa.func.min(m.due_at)).where(unsettled), _LAPSED),
    }
    for name, (statement, bound) in oldest.items():
        at = connection.scalar(statement)
        if at is not None and at < context.now - bound:
            minutes = (context.now - at) // MINUTE
            yield f"{name}: the oldest is {minutes} minutes overdue; is a worker running?"


def _sequence(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No later step of a run was sent before an earlier one."""
    statement = sa.text(
        "SELECT a.id AS first, b.id AS second FROM messages a JOIN messages b ON a.contact_id = b.contact_id "
        "AND a.measure = b.measure AND a.run_key = b.run_key AND a.decided_at < b.decided_at "
        "WHERE a.sent_at IS NOT NULL AND b.sent_at IS NOT NULL AND a.sent_at > b.sent_at"
    )
    for row in connection.execute(statement):
        yield f"message {row.second} left before message {row.first}"


def _unsubscribed(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No marketing mail was sent after the withdrawal of its topic was committed."""
    statement = sa.text(
        "SELECT m.id FROM messages m JOIN consents c ON c.contact_id = m.contact_id AND c.state = 'withdrawn' "
        "AND (c.topic = m.topic OR c.topic = '*') "
        "WHERE m.topic IS NOT NULL AND m.sent_at IS NOT NULL AND c.source <> 'import' AND m.sent_at > c.at + 5000000 "
        "AND NOT EXISTS (SELECT 1 FROM consents g WHERE g.contact_id = m.contact_id AND g.topic = m.topic "
        "AND g.state = 'granted' AND g.at >= c.at AND g.at <= m.sent_at)"
    )
    for row in connection.execute(statement):
        yield f"message {row.id} left after its topic was withdrawn"


def _audit(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """The hash chain of the audit log is intact."""
    violation = find_tampering(connection)
    if violation is not None:
        yield violation


def _set_aside(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No event is in the quarantine because the rules could not apply it."""
    statement = sa.select(t.quarantine.c.stage, sa.func.count().label("count")).group_by(t.quarantine.c.stage)
    for row in connection.execute(statement.where(t.quarantine.c.stage.in_(("rule", "crash")))):
        yield f"{row.count} events in quarantine ({row.stage})"


def _once(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No marketing mail has a second attempt after one that was sent or is in doubt."""
    a, m = t.attempts.c, t.messages.c
    statement = (
        sa.select(a.message_id, sa.func.count(a.attempt.distinct()))
        .join(t.messages, m.id == a.message_id)
        .where(a.outcome.in_(("sent", "in_doubt")), m.purpose != "transactional")
        .group_by(a.message_id)
        .having(sa.func.count(a.attempt.distinct()) > 1)
    )
    for message, times in connection.execute(statement):
        yield f"message {message} is marketing and was on the wire {times} times"


def _order(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """A contact's events of one source were applied in the order in which they were accepted."""
    e = t.events.c
    # For each event, the latest received_at of the events applied before it.
    window = sa.func.max(e.received_at).over(
        partition_by=(e.contact_id, e.source), order_by=e.id, rows=(None, -1)
    )
    newest = sa.select(sa.func.coalesce(sa.func.max(e.id), 0)).scalar_subquery()
    inner = sa.select(e.id, e.contact_id, e.received_at, window.label("before")).where(
        e.contact_id.is_not(None), e.historic == sa.false(), e.id > newest - _EVENTS
    )
    applied = inner.subquery()
    late = sa.select(applied.c.id, applied.c.contact_id).where(
        applied.c.received_at < applied.c.before - _SKEW
    )
    for row in connection.execute(late):
        yield f"event {row.id} of contact:{row.contact_id} was applied after later ones"


def _applied_or_set_aside(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No event is both applied and in the quarantine."""
    e, q = t.events.c, t.quarantine.c
    same = sa.and_(e.source == q.source, e.message_id == q.message_id)
    # The same event sent again later may be applied: the rule may have been corrected since.
    once = sa.and_(q.stage.in_(("rule", "crash")), e.received_at <= q.received_at)
    statement = sa.select(e.id).join(t.quarantine, same).where(once)
    for row in connection.execute(statement):
        yield f"event {row.id} was applied and set aside"


def _suppressed(connection: sa.Connection, context: CheckContext) -> Iterator[str]:
    """No mail was sent to an address or a person after a suppression."""
    s, m, c = t.suppression_reasons.c, t.messages.c, t.contacts.c
    rows = connection.execute(
        sa.select(s.address_hash, s.contact_id, s.scope, sa.func.min(s.at).label("at")).group_by(
            s.address_hash, s.contact_id, s.scope
        )
    ).all()
    if not rows:
        return
    since: dict[tuple[str | int, str], int] = {
        (row.contact_id or row.address_hash, row.scope): row.at for row in rows
    }
    left = (
        sa.select(m.id, m.contact_id, m.purpose, m.sent_at, c.email)
        .join(t.contacts, c.id == m.contact_id)
        .where(m.sent_at > min(since.values()) + _AT_ONCE, c.email.is_not(None))
        .order_by(m.id.desc())
        .limit(_RECENT)
    )
    for row in connection.execute(left):
        hashed = address_hash(row.email, context.suppression_key)
        scopes = ("all",) if row.purpose == "transactional" else ("all", "marketing")
        subjects = [(subject, scope) for subject in (hashed, row.contact_id) for scope in scopes]
        if any(since.get(subject, row.sent_at) + _AT_ONCE < row.sent_at for subject in subjects):
            yield f"message {row.id} left after its address or its person was suppressed"


def _tracks(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """No contact has an active run of the other track."""
    r, c = t.runs.c, t.contacts.c
    statement = (
        sa.select(r.id, r.measure, c.track)
        .join(t.contacts, c.id == r.contact_id)
        .where(r.status == "active", c.survivor.is_(None), r.track != "any", r.track != c.track)
    )
    for row in connection.execute(statement):
        yield f"run {row.id} of {row.measure} goes on for a {row.track}"


def _caps(connection: sa.Connection, context: CheckContext) -> Iterator[str]:
    """No cap was exceeded in any window, among the mails decided under the present playbook."""
    for cap in context.playbook.caps:
        for person, mails in _mails_near_cap(connection, cap, context.playbook_id).items():
            merged_at = _merge_instants(connection, person)
            for index, mail in enumerate(mails):
                # A merge adds mails of another contact that were not counted together when they were sent.
                earlier = [other for other in mails[:index] if _was_same_person(other, mail, merged_at)]
                used = {_slot(cap, other) for other in earlier if other.sent_at > mail.sent_at - cap.within}
                others = [other for other in earlier if _slot(cap, other) != _slot(cap, mail)]
                if _slot(cap, mail) not in used and len(used) >= cap.at_most:
                    yield f"message {mail.id}: {len(used)} of {cap.at_most} of cap {cap.name} had been used"
                elif cap.gap and others and others[-1].sent_at > mail.sent_at - cap.gap:
                    yield f"message {mail.id} left inside the gap of cap {cap.name}"


def _slot(cap: Cap, mail: Any) -> object:
    """Return what takes a slot of the cap: the mail's run, or the mail."""
    return mail.id if cap.count == "mails" else (mail.began_as or mail.measure, mail.run_key)


def _mails_near_cap(connection: sa.Connection, cap: Cap, playbook_id: int) -> dict[int, list[Any]]:
    """Return living contact -> the mails that count for the cap, earliest first, where they could exceed it."""
    m, c = t.messages.c, t.contacts.c
    person = sa.func.coalesce(c.survivor, c.id)
    counts = sa.and_(
        m.purpose.in_(sorted(cap.purposes)),
        m.status.in_(COUNTING),
        m.playbook_id == playbook_id,
        sa.not_(m.asked_for),
        m.has_code if cap.codes_only else sa.true(),
    )
    counted = sa.select(person).select_from(t.messages.join(t.contacts, c.id == m.contact_id)).where(counts)
    crowded = counted.group_by(person).having(sa.func.count() > min(cap.at_most, 1))
    statement = (
        sa.select(
            *(m[name] for name in ("id", "contact_id", "measure", "run_key", "began_as", "sent_at")),
            person.label("person"),
        )
        .select_from(t.messages.join(t.contacts, c.id == m.contact_id))
        .where(counts, person.in_(crowded))
        .order_by(m.sent_at, m.id)
        .limit(_RECENT)
    )
    mails: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(statement):
        mails[row.person].append(row)
    return mails


def _merge_instants(connection: sa.Connection, person: int) -> Sequence[Any]:
    members = sa.select(t.contacts.c.id).where(
        sa.or_(t.contacts.c.id == person, t.contacts.c.survivor == person)
    )
    statement = sa.select(t.merges.c.at).where(t.merges.c.merged.in_(members))
    return connection.execute(statement).scalars().all()


def _was_same_person(earlier: Any, later: Any, merged_at: Sequence[Instant]) -> bool:
    """Tell whether both mails certainly went to one contact: the same one, or the later one after every merge."""
    return earlier.contact_id == later.contact_id or all(at < later.sent_at for at in merged_at)


def _enrolled(connection: sa.Connection, _: CheckContext) -> Iterator[str]:
    """People who began a measure since it is an experiment have entered it, and those who entered began it."""
    person = sa.func.coalesce(t.contacts.c.survivor, t.contacts.c.id)
    since = (
        sa.select(t.experiments.c.measure, sa.func.min(t.experiments.c.since).label("since"))
        .group_by(t.experiments.c.measure)
        .subquery()
    )
    begun = (
        sa.select(t.runs.c.measure, person.label("person"))
        .join(t.contacts, t.contacts.c.id == t.runs.c.contact_id)
        .join(since, sa.and_(since.c.measure == t.runs.c.measure, t.runs.c.started_at >= since.c.since))
        .where(t.runs.c.began_as == t.runs.c.measure)
    )
    entered = (
        sa.select(t.experiments.c.measure, person.label("person"))
        .join(t.enrolments, t.enrolments.c.experiment == t.experiments.c.id)
        .join(t.contacts, t.contacts.c.id == t.enrolments.c.contact_id)
    )
    both = (
        ("began and have not entered", begun, entered),
        ("entered and never began", entered, begun),
    )
    for words, these, others in both:
        missing = these.except_(others).subquery()
        statement = sa.select(missing.c.measure, sa.func.count()).group_by(missing.c.measure)
        for measure, count in connection.execute(statement):
            yield f"{measure}: {count} people {words}"


def _outcomes(connection: sa.Connection, context: CheckContext) -> Iterator[str]:
    """Each entity of a person counts once or not at all, and what is taken back is never more than it was worth."""
    person = sa.func.coalesce(t.contacts.c.survivor, t.contacts.c.id)
    number, amount = sa.func.sum(t.outcomes.c.number), sa.func.sum(t.outcomes.c.value_minor)
    statement = (
        sa.select(t.outcomes.c.name, t.outcomes.c.entity_key, person.label("person"), number.label("number"))
        .join(t.contacts, t.contacts.c.id == t.outcomes.c.contact_id)
        .where(t.outcomes.c.name.in_(list(context.playbook.entities)))
        .group_by(t.outcomes.c.name, t.outcomes.c.entity_key, person)
        .having(sa.or_(number.not_in((0, 1)), amount < 0, sa.and_(number == 0, amount != 0)))
        .limit(20)
    )
    for row in connection.execute(statement):
        counted = f"{row.name} {row.entity_key} counts {row.number} times"
        yield f"contact:{row.person}: {counted}, or its amounts do not add up"


def _day_table(connection: sa.Connection, context: CheckContext) -> Iterator[str]:
    """The day table adds up to the ledger and to the people at each stage, also day by day of the last month."""
    yield from find_faults(connection, zone=context.playbook.default_zone, now=context.now)


CHECKS: dict[str, Check] = {
    "day table": _day_table,
    "enrolments": _enrolled,
    "outcomes": _outcomes,
    "conservation": _conservation,
    "track law": _track_law,
    "runs of one track": _tracks,
    "order of events": _order,
    "applied or set aside": _applied_or_set_aside,
    "order of steps": _sequence,
    "once on the wire": _once,
    "withdrawn consent": _unsubscribed,
    "suppressed address": _suppressed,
    "caps": _caps,
    "orphans": _orphans,
    "overdue work": _overdue,
    "quarantine": _set_aside,
    "audit log": _audit,
}

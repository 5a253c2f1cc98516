"""The doctor: the invariants that must hold at every moment, checked on the whole database.

Each check is one law of docs/flow.md; a finding names what breaks it. Reads only. The same checks run after
every fault scenario of the test suite.
"""

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.domain.instant import MINUTE, Instant
from nurture.domain.playbook import Playbook
from nurture.flow.replay import verify_replay
from nurture.store import tables as t
from nurture.store.audit import broken_link
from nurture.store.outbox import conservation

Check = Callable[[sa.Connection, Playbook, Instant], Iterator[str]]

#: Work due for longer than this and in nobody's hands means that no worker runs.
_OVERDUE = 15 * MINUTE
#: Contacts whose state is compared with a replay of their events; the newest ones.
_REPLAYED = 500
#: Findings shown of one check.
_SHOWN = 5


def examine(services: Services, *, replayed: int = _REPLAYED) -> list[dict[str, Any]]:
    """Run every check; each answers with ok and, when not, what it found."""
    findings = []
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        now = services.clock.now()
        for name, check in CHECKS.items():
            found = list(check(connection, playbook, now))
            findings.append(_finding(name, found))
        ids = [
            int(row.id)
            for row in connection.execute(
                sa.select(t.contacts.c.id)
                .where(t.contacts.c.survivor.is_(None), t.contacts.c.erased_at.is_(None))
                .order_by(t.contacts.c.id.desc())
                .limit(replayed)
            )
        ]
    differing = [
        f"contact:{contact}: {what}"
        for contact in ids
        for what in verify_replay(services.database, contact, playbook)
    ]
    findings.append(_finding("replay", differing))
    return findings


def _finding(name: str, found: list[str]) -> dict[str, Any]:
    shown = "; ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return {"check": name, "ok": not found, "detail": shown}


def _conservation(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """Everything planned is in the ledger, one to one."""
    for row in conservation(connection):
        settled = sum(row[name] for name in ("sent", "skipped", "cancelled", "expired", "failed", "in_doubt"))
        if row["planned"] != settled + row["waiting"]:
            yield f"{row['measure']}: planned {row['planned']}, in the ledger {settled + row['waiting']}"


def _track_law(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """No mail left while its contact was on the other track, now or a minute before (the wire takes time)."""
    statement = sa.text(_OTHER_TRACK)
    for row in connection.execute(statement):
        yield f"message {row.id} went to the other track"


#: What left for a track that the contact was not on, neither then nor a minute before.
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


def _orphans(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """Everything belongs to somebody, and every survivor is alive."""
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


def _overdue(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """Nothing due lies about un-owned."""
    oldest = {
        "inbox": sa.select(sa.func.min(t.inbox.c.received_at)),
        "alarms": sa.select(sa.func.min(t.contacts.c.wake_at)).where(t.contacts.c.survivor.is_(None)),
        "messages": sa.select(sa.func.min(t.messages.c.due_at)).where(t.messages.c.status == "waiting"),
        "leases": sa.select(sa.func.min(t.messages.c.lease_until)).where(
            t.messages.c.status.in_(("ready", "on_wire"))
        ),
    }
    for name, statement in oldest.items():
        at = connection.scalar(statement)
        if at is not None and at < now - _OVERDUE:
            minutes = (now - at) // MINUTE
            yield f"{name}: the oldest is {minutes} minutes overdue; is a worker running, is something paused?"


def _sequence(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """A later step of a run never left before an earlier one."""
    statement = sa.text(
        "SELECT a.id AS first, b.id AS second FROM messages a JOIN messages b ON a.contact_id = b.contact_id "
        "AND a.measure = b.measure AND a.run_key = b.run_key AND a.decided_at < b.decided_at "
        "WHERE a.sent_at IS NOT NULL AND b.sent_at IS NOT NULL AND a.sent_at > b.sent_at"
    )
    for row in connection.execute(statement):
        yield f"message {row.second} left before message {row.first}"


def _unsubscribed(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """Nothing marketing left after a withdrawal was committed."""
    statement = sa.text(
        "SELECT m.id FROM messages m JOIN consents c ON c.contact_id = m.contact_id AND c.state = 'withdrawn' "
        "AND (c.topic = m.topic OR c.topic = '*') "
        "WHERE m.topic IS NOT NULL AND m.sent_at IS NOT NULL AND c.source <> 'import' AND m.sent_at > c.at + 5000000 "
        "AND NOT EXISTS (SELECT 1 FROM consents g WHERE g.contact_id = m.contact_id AND g.topic = m.topic "
        "AND g.state = 'granted' AND g.at >= c.at AND g.at <= m.sent_at)"
    )
    for row in connection.execute(statement):
        yield f"message {row.id} left after its topic was withdrawn"


def _audit(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """The audit log is unbroken."""
    broken = broken_link(connection)
    if broken is not None:
        yield f"audit row {broken} does not follow from the one before it"


def _set_aside(connection: sa.Connection, playbook: Playbook, now: Instant) -> Iterator[str]:  # noqa: ARG001
    """Events that could not be applied by the rules wait for somebody."""
    statement = sa.select(t.quarantine.c.stage, sa.func.count().label("count")).group_by(t.quarantine.c.stage)
    for row in connection.execute(statement.where(t.quarantine.c.stage.in_(("rule", "crash")))):
        yield f"{row.count} events in quarantine ({row.stage})"


CHECKS: dict[str, Check] = {
    "conservation": _conservation,
    "track law": _track_law,
    "order of steps": _sequence,
    "withdrawn consent": _unsubscribed,
    "orphans": _orphans,
    "overdue work": _overdue,
    "quarantine": _set_aside,
    "audit log": _audit,
}

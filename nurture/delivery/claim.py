"""The chunk gate: due messages are claimed, guarded on the newest state, and the passed ones frozen and leased.

Enters: waiting messages of one lane, in due order. Leaves: a `Chunk` of ready messages with a lease; all other
messages looked at have their verdict written: deferred, skipped, expired or cancelled. One transaction with a
constant number of statements. Next: `delivery.deliver`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from nurture.consent.record import set_switch
from nurture.consent.switch_queries import load_paused_switches
from nurture.contacts.queries import wake_contacts
from nurture.database.bulk import Row
from nurture.database.engine import Database, encode
from nurture.delivery import claim_queries, lanes
from nurture.delivery.compose import freeze_contexts
from nurture.delivery.load_guard_input import ChunkScope, GuardItem, build_guard_input, load
from nurture.delivery.types import CLAIM_LEASE, Chunk, Delivery, ReadyMessage
from nurture.delivery.verdicts import encode_verdict
from nurture.domain.guard.checks import PAUSE_RECHECK_AFTER
from nurture.domain.guard.decide import decide
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.instant import Instant
from nurture.domain.message import Check, Status, Verdict
from nurture.playbook import LoadedPlaybook
from nurture.rendering.errors import MissingValue, TemplateFault
from nurture.runtime.failpoints import failpoint

#: What a verdict that does not send makes of the message.
_ENDS: dict[str, Status] = {"skip": "skipped", "expire": "expired", "cancel": "cancelled"}


def claim(database: Database, delivery: Delivery, *, lane: str, limit: int = 200) -> Chunk:
    """Claim, guard, freeze and lease up to `limit` due messages of the lane, in one transaction.

    Contacts that somebody else works on are passed over. counts: `claimed`, `ready`, and per verdict
    `deferred`, `skipped`, `expired`, `cancelled`. An empty chunk when nothing is due, the lane is paused or rests.
    """
    with database.read() as connection:
        # An idle lane takes no lock: on SQLite a writing transaction would make all others wait.
        if not claim_queries.is_due(connection, lane, now=delivery.clock.now()):
            return Chunk(lane)
    return database.run(
        lambda connection: _claim(connection, delivery, lane=lane, limit=limit), by_index=True
    )


def _claim(connection: sa.Connection, delivery: Delivery, *, lane: str, limit: int) -> Chunk:
    now = delivery.clock.now()
    chunk = Chunk(lane)
    switches = load_paused_switches(connection)
    if not {ALL_SWITCH, RESTORED_SWITCH, lane}.isdisjoint(switches):
        return chunk
    available = lanes.lane_state(connection, lane).available(now)
    if available is not None and available <= 0:
        return chunk
    limit = limit if available is None else min(limit, available)
    found = claim_queries.lock_due(connection, lane, now=now, limit=limit)
    if not found:
        return chunk
    loaded = delivery.playbooks.active(connection)
    given = ChunkScope(
        playbook=loaded.playbook,
        now=now,
        switches=switches,
        only_to=frozenset(entry.lower().lstrip("@") for entry in delivery.only_to),
        suppression_key=delivery.suppression_key,
    )
    survivors = {row.survivor for row in found if row.survivor is not None}
    heads = {row.contact_id for row in found if row.survivor is None}
    heads |= claim_queries.lock_survivors(connection, sorted(survivors - heads))
    items = load(connection, sorted(heads), [row.id for row in found], given)
    chunk.counts["claimed"] = len(items)
    chunk.counts.more = len(found) >= limit
    _judge_and_write(connection, delivery, chunk, items, given=given, loaded=loaded)
    failpoint("claim.judged")
    return chunk


def _judge_and_write(
    connection: sa.Connection,
    delivery: Delivery,
    chunk: Chunk,
    items: Sequence[GuardItem],
    *,
    given: ChunkScope,
    loaded: LoadedPlaybook,
) -> None:
    verdicts = judge(items, given)
    passed = [item for item, verdict in verdicts if verdict.action == "send"]
    contexts = freeze_contexts(connection, passed, delivery=delivery, loaded=loaded, given=given)
    until = delivery.clock.lease_now(connection) + CLAIM_LEASE
    rows: list[Row] = []
    ended: list[GuardItem] = []
    faults: dict[str, TemplateFault] = {}
    for item, guarded in verdicts:
        verdict, context = guarded, contexts.get(item.due.id)
        if isinstance(context, TemplateFault):
            verdict = verdict_for_render_error(guarded, context, now=given.now)
            if verdict.action == "defer":
                faults.setdefault(item.due.measure, context)
        if isinstance(context, dict):
            leased = {
                "status": "ready",
                "reason": "",
                "attempt": item.due.attempt + 1,
                "lease_owner": delivery.worker,
                "lease_until": until,
                "contact_version": item.person.version,
                "playbook_id": loaded.id,
                "context": encode(context),
                "header_id": context["header_id"],
                "verdict": encode_verdict(verdict, at=given.now),
            }
            rows.append({**_unchanged(item), **leased})
            chunk.ready.append(_ready(item, verdict, context, loaded))
        else:
            rows.append(row_not_sent(item, verdict, given.now))
            chunk.counts[_ENDS.get(verdict.action, "deferred")] += 1
            if verdict.action in _ENDS and _is_awaited(item):
                ended.append(item)
    chunk.counts["ready"] += len(chunk.ready)
    claim_queries.write_verdicts(connection, rows)
    if ended:
        wake_contacts(connection, sorted({item.person.contact.id for item in ended}), at=given.now)
    for measure, fault in faults.items():
        pause_broken_measure(connection, measure, fault, now=given.now)


def verdict_for_render_error(guarded: Verdict, fault: TemplateFault, *, now: Instant) -> Verdict:
    """Return the verdict on a mail that passed the guard and cannot be made.

    A value missing in this mail skips it: unknown means do not send. A broken template makes it wait, with the
    reason by which resuming its measure finds it.
    """
    checks = (*guarded.checks, Check("template", passed=False, detail=str(fault)))
    if isinstance(fault, MissingValue):
        return Verdict("skip", "template_value", checks)
    return Verdict("defer", "paused", checks, until=now + PAUSE_RECHECK_AFTER)


def pause_broken_measure(
    connection: sa.Connection, measure: str, fault: TemplateFault, *, now: Instant
) -> None:
    """Pause the measure of a broken template; its lane goes on."""
    reason = f"template_broken: {fault}"[:500]
    set_switch(connection, measure, paused=True, reason=reason, actor="deliver", now=now)


def judge(items: Sequence[GuardItem], given: ChunkScope) -> list[tuple[GuardItem, Verdict]]:
    """Guard the messages so that those of one contact see each other; the first to be served first.

    Within a contact the higher priority goes first, then due order; each verdict changes the ledger that the
    next message of the contact is judged by.
    """
    order = sorted(items, key=lambda item: (-item.due.priority, item.due.due_at, item.due.id))
    judged: list[tuple[GuardItem, Verdict]] = []
    for item in order:
        verdict = decide(build_guard_input(item, given), now=given.now, playbook=given.playbook)
        judged.append((item, verdict))
        entries = item.person.entries
        entry = entries.get(item.due.id, item.due.as_ledger_entry())
        if verdict.action == "send":
            entries[item.due.id] = replace(entry, status="ready", counted_at=given.now)
        elif verdict.action == "defer":
            entries[item.due.id] = replace(entry, due_at=verdict.until or given.now)
        else:
            entries.pop(item.due.id, None)
    return judged


def _unchanged(item: GuardItem) -> Row:
    row = item.row
    return {
        "id": row.id,
        "status": row.status,
        "reason": row.reason,
        "due_at": row.due_at,
        "valid_until": row.valid_until,
        "settled_at": None,
        "attempt": row.attempt,
        "lease_owner": None,
        "lease_until": None,
        "contact_version": None,
        "playbook_id": row.playbook_id,
        "context": row.context,
        "header_id": row.header_id,
        "told": False,
    }


def row_not_sent(item: GuardItem, verdict: Verdict, now: Instant) -> Row:
    row = {**_unchanged(item), "reason": verdict.reason, "verdict": encode_verdict(verdict, at=now)}
    if verdict.action == "defer":
        row["due_at"] = verdict.until
        row["valid_until"] = verdict.data.get("valid_until", item.due.valid_until)
    else:
        row["status"] = _ENDS[verdict.action]
        row["settled_at"] = now
        row["told"] = not _is_awaited(item)
    return row


def _ready(
    item: GuardItem, verdict: Verdict, context: dict[str, Any], loaded: LoadedPlaybook
) -> ReadyMessage:
    return ReadyMessage(
        loaded=loaded,
        awaited=_is_awaited(item),
        verdict=verdict,
        due_at=item.due.due_at,
        valid_until=item.due.valid_until,
        id=item.due.id,
        attempt=item.due.attempt + 1,
        contact_id=item.person.contact.id,
        owner_id=item.due.contact_id,
        measure=item.due.measure,
        run_key=item.due.run_key,
        step=item.due.step,
        decided_at=item.row.decided_at,
        purpose=item.due.purpose,
        address=item.address or "",
        context=context,
    )


def _is_awaited(item: GuardItem) -> bool:
    return item.run is not None and item.run.status == "active" and item.run.mailing

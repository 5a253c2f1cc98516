"""Claiming: due messages of a lane are guarded on the newest state, and those that may be sent are frozen and leased.

`claim` takes waiting messages of one lane in due order and returns a `Chunk` of ready messages under a lease. Every
other message it looked at has its verdict written: deferred, skipped, expired or cancelled. One transaction with a
constant number of statements. `delivery.deliver` goes on from there.
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
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.compose import freeze_contexts
from nurture.delivery.exposure_queries import record_exposures
from nurture.delivery.load_guard_input import GuardItem, build_guard_input, load
from nurture.delivery.send_limit_queries import save_taken_places
from nurture.delivery.types import CLAIM_LEASE, Chunk, Delivery, ReadyMessage
from nurture.delivery.verdicts import encode_verdict
from nurture.delivery.warm_up import hold_back
from nurture.domain.guard.checks import PAUSE_RECHECK_AFTER
from nurture.domain.guard.decide import decide
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.guard.sends import RATE_REASON
from nurture.domain.instant import Instant
from nurture.domain.message import Check, Status, Verdict
from nurture.domain.pace.work_classes import OUTBOX, URGENT, divide
from nurture.playbook import LoadedPlaybook
from nurture.rendering.errors import MissingValue, PromisePassed, TemplateFault
from nurture.runtime.failpoints import failpoint

#: The status of a message after a verdict that ends it.
_END_STATUS: dict[str, Status] = {"skip": "skipped", "expire": "expired", "cancel": "cancelled"}


def claim(
    database: Database, delivery: Delivery, *, lane: str, limit: int = 200, only: int | None = None
) -> Chunk:
    """Claim, guard, freeze and lease up to `limit` due messages of the lane, in one transaction.

    Each class of mail (`domain.pace.work_classes.OUTBOX`) has its share of them. only: the one class to claim.
    Contacts that another transaction has locked are skipped. counts: `claimed`, `ready`, and for each other verdict
    `deferred`, `skipped`, `expired`, `cancelled`. The chunk is empty when no message is due, or the lane is paused or
    rests.
    """
    with database.read() as connection:
        # An idle lane takes no lock: on SQLite a writing transaction would make all others wait.
        if not claim_queries.has_due(connection, lane, now=delivery.clock.now(), only=only):
            return Chunk(lane)
    return database.run(
        lambda connection: _claim(connection, delivery, lane=lane, limit=limit, only=only), by_index=True
    )


def _claim(
    connection: sa.Connection, delivery: Delivery, *, lane: str, limit: int, only: int | None = None
) -> Chunk:
    now = delivery.clock.now()
    chunk = Chunk(lane, is_urgent=only == URGENT)
    switches = load_paused_switches(connection)
    if not {ALL_SWITCH, RESTORED_SWITCH, lane}.isdisjoint(switches):
        return chunk
    available = lanes.lane_state(connection, lane).available(now, is_urgent=chunk.is_urgent)
    if available is not None and available <= 0:
        return chunk
    limit = limit if available is None else min(limit, available)
    due = _lock_due(connection, delivery, lane, now=now, limit=limit, only=only)
    if not due:
        return chunk
    loaded = delivery.playbooks.active(connection)
    scope = ChunkScope(
        playbook=loaded.playbook,
        now=now,
        switches=switches,
        only_to=frozenset(entry.lower().lstrip("@") for entry in delivery.only_to),
        suppression_key=delivery.suppression_key,
        domain_rests=lanes.load_domain_rests(connection, lane),
    )
    survivors = {row.survivor for row in due if row.survivor is not None}
    living_ids = {row.contact_id for row in due if row.survivor is None}
    living_ids |= claim_queries.lock_survivors(connection, sorted(survivors - living_ids))
    items = load(connection, sorted(living_ids), [row.id for row in due], scope)
    chunk.counts["claimed"] = len(items)
    chunk.counts.more = len(due) >= limit
    _guard_and_write(connection, delivery, chunk, items, scope=scope, loaded=loaded)
    failpoint("claim.judged")
    return chunk


def _lock_due(
    connection: sa.Connection, delivery: Delivery, lane: str, *, now: Instant, limit: int, only: int | None
) -> list[Any]:
    """Lock the contacts of due messages and return the messages' rows, the most urgent class first."""
    parts = {only: limit} if only is not None else {}
    if only is None:
        waiting = claim_queries.count_due(connection, lane, now=now, most=limit)
        shares = divide(OUTBOX, limit, waiting, first=delivery.places[lane])
        parts = dict(enumerate(shares))
        delivery.places[lane] += limit
    return [
        row
        for number, part in parts.items()
        if part
        for row in claim_queries.lock_due_messages(connection, lane, now=now, limit=part, of_class=number)
    ]


def _guard_and_write(
    connection: sa.Connection,
    delivery: Delivery,
    chunk: Chunk,
    items: Sequence[GuardItem],
    *,
    scope: ChunkScope,
    loaded: LoadedPlaybook,
) -> None:
    """Guard the messages, write every verdict, and add the messages that may be sent to the chunk."""
    verdicts = hold_back(connection, delivery, guard_messages(items, scope), lane=chunk.lane, now=scope.now)
    passed = [item for item, verdict in verdicts if verdict.action == "send"]
    contexts = freeze_contexts(connection, passed, delivery=delivery, loaded=loaded, scope=scope)
    lease_until = delivery.clock.lease_now(connection) + CLAIM_LEASE
    rows: list[Row] = []
    ended: list[GuardItem] = []
    errors: dict[str, TemplateFault] = {}
    for item, guard_verdict in verdicts:
        context = contexts.get(item.due.id)
        if isinstance(context, dict):
            ready = _build_ready_message(item, guard_verdict, context, loaded)
            rows.append(
                _row_of_ready(item, ready, worker=delivery.worker, lease_until=lease_until, now=scope.now)
            )
            chunk.ready.append(ready)
        else:
            verdict = guard_verdict
            if context is not None:
                verdict = verdict_for_render_error(guard_verdict, context, now=scope.now)
                if verdict.action == "defer":
                    errors.setdefault(item.due.measure, context)
            rows.append(_row_not_sent(item, verdict, scope.now))
            chunk.counts[_END_STATUS.get(verdict.action, "deferred")] += 1
            if verdict.action in _END_STATUS and item.has_waiting_run:
                ended.append(item)
    chunk.counts["ready"] += len(chunk.ready)
    claim_queries.write_verdicts(connection, rows)
    record_exposures(connection, verdicts, scope.playbook, now=scope.now)
    save_taken_places(connection, scope.sends)
    if ended:
        wake_contacts(connection, sorted({item.family.contact.id for item in ended}), at=scope.now)
    for measure, error in errors.items():
        pause_broken_measure(connection, measure, error, now=scope.now)


def verdict_for_render_error(verdict: Verdict, error: TemplateFault, *, now: Instant) -> Verdict:
    """Return the verdict on a mail that passed the guard and cannot be rendered.

    A value missing in this mail skips it: unknown means do not send. A broken template defers the mail, with the
    reason by which resuming its measure makes it due again.
    """
    checks = (*verdict.checks, Check("template", passed=False, detail=str(error)))
    if isinstance(error, PromisePassed):
        return Verdict("expire", "too_late", checks)
    if isinstance(error, MissingValue):
        return Verdict("skip", "template_value", checks)
    return Verdict("defer", "paused", checks, until=now + PAUSE_RECHECK_AFTER)


def pause_broken_measure(
    connection: sa.Connection, measure: str, error: TemplateFault, *, now: Instant
) -> None:
    """Pause the measure of a broken template; its lane goes on."""
    reason = f"template_broken: {error}"[:500]
    set_switch(connection, measure, paused=True, reason=reason, actor="deliver", now=now)


def guard_messages(items: Sequence[GuardItem], scope: ChunkScope) -> list[tuple[GuardItem, Verdict]]:
    """Return the guard's verdict on each message; messages of one contact see each other's verdicts.

    Within a contact the higher priority goes first, then due order. Each verdict changes the ledger that the contact's
    next message is judged by.
    """
    order = sorted(items, key=lambda item: (-item.due.priority, item.due.due_at, item.due.id))
    verdicts: list[tuple[GuardItem, Verdict]] = []
    for item in order:
        verdict = decide(build_guard_input(item, scope), now=scope.now, playbook=scope.playbook)
        verdicts.append((item, verdict))
        _take_place(item, verdict, scope)
        ledger = item.family.ledger
        entry = ledger.get(item.due.id, item.due.as_ledger_entry())
        if verdict.action == "send":
            ledger[item.due.id] = replace(entry, status="ready", counted_at=scope.now)
        elif verdict.action == "defer":
            ledger[item.due.id] = replace(entry, due_at=verdict.until or scope.now)
        else:
            ledger.pop(item.due.id, None)
    return verdicts


def _take_place(item: GuardItem, verdict: Verdict, scope: ChunkScope) -> None:
    """Take a place in the row of a rated send for a mail that leaves now, or is deferred to its place."""
    request = item.due.request
    limits = scope.sends.get(request) if request else None
    if request is None or limits is None or not limits.rate:
        return
    if verdict.action == "send":
        if not limits.has_place(due_at=item.due.due_at, reason=item.due.reason, now=scope.now):
            scope.sends[request] = limits.with_taken(scope.now)
    elif verdict.reason == RATE_REASON and verdict.until is not None:
        scope.sends[request] = limits.with_taken(verdict.until)


# ---- rows ------------------------------------------------------------------------------------------------


def _row_of_waiting(item: GuardItem) -> Row:
    """Return the message's row as it is, without a lease."""
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
        "account_version": None,
        "playbook_id": row.playbook_id,
        "context": row.context,
        "header_id": row.header_id,
        "told": False,
    }


def _row_of_ready(
    item: GuardItem, ready: ReadyMessage, *, worker: str, lease_until: Instant, now: Instant
) -> Row:
    leased = {
        "status": "ready",
        "reason": "",
        "attempt": ready.attempt,
        "lease_owner": worker,
        "lease_until": lease_until,
        "contact_version": item.family.version,
        "account_version": item.family.colleagues.version if item.family.colleagues is not None else None,
        "playbook_id": ready.loaded.id,
        "context": encode(ready.context),
        "header_id": ready.context["header_id"],
        "verdict": encode_verdict(ready.verdict, at=now),
    }
    return {**_row_of_waiting(item), **leased}


def _row_not_sent(item: GuardItem, verdict: Verdict, now: Instant) -> Row:
    """Return the row of a message that is deferred or ended by its verdict."""
    row = {**_row_of_waiting(item), "reason": verdict.reason, "verdict": encode_verdict(verdict, at=now)}
    if verdict.action == "defer":
        row["due_at"] = verdict.until
        row["valid_until"] = verdict.data.get("valid_until", item.due.valid_until)
    else:
        row["status"] = _END_STATUS[verdict.action]
        row["settled_at"] = now
        row["told"] = not item.has_waiting_run
    return row


def _build_ready_message(
    item: GuardItem, verdict: Verdict, context: dict[str, Any], loaded: LoadedPlaybook
) -> ReadyMessage:
    return ReadyMessage(
        loaded=loaded,
        has_waiting_run=item.has_waiting_run,
        verdict=verdict,
        due_at=item.due.due_at,
        valid_until=item.due.valid_until,
        id=item.due.id,
        attempt=item.due.attempt + 1,
        contact_id=item.family.contact.id,
        owner_id=item.due.contact_id,
        measure=item.due.measure,
        run_key=item.due.run_key,
        step=item.due.step,
        decided_at=item.row.decided_at,
        purpose=item.due.purpose,
        address=item.address or "",
        context=context,
    )

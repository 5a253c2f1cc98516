"""Write what `advance` decided for a batch of contacts, in a constant number of statements for any size.

The caller has locked the contacts. A repetition cannot create a second message: (contact, measure, run key, step) is
unique, and a message belongs to the contact that its run began with.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from nurture.contacts.family_queries import family, members_of
from nurture.contacts.stage_counts import count_moves
from nurture.contacts.state_codec import encode_memory, encode_run_data
from nurture.contacts.watch_queries import end_watches, renew_watches, set_watches
from nurture.database.bulk import (
    Row,
    any_of,
    insert,
    insert_statement,
    list_text,
    relation_of_parameter,
    update,
)
from nurture.database.day_counts import COUNTED, NEW, count_mails
from nurture.database.engine import encode
from nurture.database.notifications import DELIVER, note
from nurture.database.schema import (
    contact_state,
    contacts,
    messages,
    milestones,
    non_entries,
    runs,
    set_aside_measures,
    transitions,
)
from nurture.domain.contact import Advance, Contact, Run, WatchChange
from nurture.domain.counts import Counts
from nurture.domain.instant import FOREVER, Instant

_CLOCK = ("clock", "wake_at", "version", "adopted")
_CONTACT = (
    *("track", "stage", "track_since", "stage_since", "first_seen_at", "zone", "locale", "facts"),
    *_CLOCK,
)
_RUN_STAYS = ("measure", "key", "track", "started_at", "holdout", "variant", "began_as")
_RUN_MOVES = (
    *("status", "reason", "ended_at", "step", "step_since", "due_at", "mailing", "rules_hash"),
    *("entity", "entity_key", "actions"),
)
_RUN_TEXTS = ("decided", "let", "data")
_NON_ENTRY = ("measure", "at", "reason", "detail", "request")
_TRANSITION = ("kind", "before", "after", "at", "noticed_at", "evidence")
# Fields that a planned message and its row share.
_PLANNED = (
    *("measure", "run_key", "step", "mail", "track", "purpose", "topic", "lane", "priority", "holdout"),
    *("began_as", "asked_for", "has_code", "request", "decided_at", "due_at", "valid_until"),
)
_MESSAGE = (*_PLANNED, "status", "reason", "settled_at", "told", "variant")
_contact_values = attrgetter(*_CONTACT)
_clock_values = attrgetter(*_CLOCK)
_run_stays = attrgetter(*_RUN_STAYS)
_run_moves = attrgetter(*_RUN_MOVES)
_non_entry_values = attrgetter(*_NON_ENTRY)
_transition_values = attrgetter(*_TRANSITION)
_set_aside_values = attrgetter("measure", "at", "reason", "event")
_planned_values = attrgetter(*_PLANNED)
_RUN_ID: sa.Column[Any] = sa.Column("run_id", sa.BigInteger)


def save(
    connection: sa.Connection, advances: Sequence[Advance], *, new: Mapping[int, str | None] | None = None
) -> Counts:
    """Write the advances, at most one for each contact, in at most fifteen statements.

    new: contacts without a row -> the address their mail goes to; `contacts.queries.reserve_ids` made their ids.
    Counts `runs` (begun), `messages` (decided), `cancelled`, `transitions` and `milestones`.
    """
    _save_contacts(connection, advances, new or {})
    counts = Counts(runs=_save_runs(connection, advances))
    # Before new messages are inserted, because a cancellation covers only messages decided before this batch.
    counts["cancelled"] = _cancel(connection, advances)
    counts["messages"] = _save_messages(connection, advances)
    counts["transitions"] = _save_transitions(connection, advances)
    counts["milestones"] = _save_milestones(connection, advances)
    _save_watches(connection, advances)
    _save_non_entries(connection, advances)
    _save_set_aside(connection, advances)
    return counts


def cancel_runs(connection: sa.Connection, run_ids: Sequence[int], *, reason: str, at: Instant) -> None:
    """Cancel these active runs and their unsent messages; messages of other runs stay."""
    if not run_ids:
        return
    mine = any_of(runs.c.id, run_ids, connection)
    unsent = messages.c.status.in_([sa.literal_column("'waiting'"), sa.literal_column("'ready'")])
    cancelled = connection.execute(
        sa.update(messages)
        .where(
            mine,
            messages.c.contact_id == runs.c.contact_id,
            messages.c.measure == runs.c.measure,
            messages.c.run_key == runs.c.key,
            unsent,
        )
        .values(
            status="cancelled",
            reason=reason,
            settled_at=at,
            told=sa.true(),
            lease_owner=None,
            lease_until=None,
        )
        .returning(*COUNTED)
    )
    count_mails(connection, cancelled, before="waiting")
    ended = {"status": "cancelled", "reason": reason, "ended_at": at, "due_at": FOREVER, "mailing": False}
    connection.execute(sa.update(runs).where(mine).values(**ended))


def cancel_duplicate_messages(connection: sa.Connection, survivor: int, merged: int, *, at: Instant) -> None:
    """Before a merge, cancel unsent messages of one side that the other side has sent or has waiting too.

    The same message has the same measure, run key and step; of two that wait, the survivor's stays.
    """
    people = family(connection, [survivor, merged])
    ids: dict[int, list[int]] = {survivor: [], merged: []}
    for row in connection.execute(sa.select(people.c.id, people.c.person)):
        ids[row.person].append(row.id)
    left = ("on_wire", "sent", "in_doubt")
    for mine, theirs, states in ((survivor, merged, left), (merged, survivor, (*left, "waiting", "ready"))):
        double = messages.alias("double")
        has_it = sa.exists().where(
            any_of(double.c.contact_id, ids[theirs], connection),
            *(double.c[name] == messages.c[name] for name in ("measure", "run_key", "step")),
            double.c.status.in_(states),
        )
        statement = sa.update(messages).where(
            any_of(messages.c.contact_id, ids[mine], connection),
            messages.c.status.in_(("waiting", "ready")),
            has_it,
        )
        ended = {"status": "cancelled", "reason": "merged", "settled_at": at}
        cancelled = statement.values(**ended, lease_owner=None, lease_until=None).returning(*COUNTED)
        count_mails(connection, connection.execute(cancelled), before="waiting")


def mark_outcomes_applied(connection: sa.Connection, message_ids: Sequence[int]) -> None:
    """Mark the outcome of these messages as applied to their runs."""
    if message_ids:
        statement = sa.update(messages).where(any_of(messages.c.id, message_ids, connection))
        connection.execute(statement.values(told=sa.true()))


def _save_contacts(
    connection: sa.Connection, advances: Sequence[Advance], new: Mapping[int, str | None]
) -> None:
    begun, moved, unchanged = [], [], []
    for advance in advances:
        contact = advance.contact
        if contact.id in new:
            begun.append((contact.id, *_contact_values(contact), new[contact.id]))
        elif not advance.events_applied:
            unchanged.append((contact.id, *_clock_values(contact)))
        else:
            moved.append((contact.id, *_contact_values(contact)))
    insert(connection, contacts, begun, columns=("id", *_CONTACT, "email"))
    update(connection, contacts, moved, key=["id"], columns=_CONTACT)
    update(connection, contacts, unchanged, key=["id"], columns=_CLOCK)
    count_moves(connection, advances, new)
    _save_memories(connection, [advance.contact for advance in advances])


def _save_memories(connection: sa.Connection, states: Sequence[Contact]) -> None:
    changed: list[tuple[int, str]] = []
    for contact in states:
        now = (contact.id, encode_memory(contact.memory, contact.unknown_memory))
        if now != contact.stored:
            changed.append(now)
            contact.stored = now
    columns = ("contact_id", "memory")
    insert(connection, contact_state, changed, columns=columns, conflict=["contact_id"], update=["memory"])


def _run_texts(run: Run) -> tuple[str, str, str]:
    return encode(run.decided), encode(run.let), encode_run_data(run)


def _save_runs(connection: sa.Connection, advances: Sequence[Advance]) -> int:
    stepped = [(advance.contact.id, run) for advance in advances for run in advance.runs.values()]
    begun = [
        (contact, *_run_stays(run), *_run_moves(run), *_run_texts(run))
        for contact, run in stepped
        if not run.id
    ]
    moved = [(run.id, *_run_moves(run), *_run_texts(run)) for _, run in stepped if run.id]
    columns = ("contact_id", *_RUN_STAYS, *_RUN_MOVES, *_RUN_TEXTS)
    insert(connection, runs, begun, columns=columns, conflict=["contact_id", "measure", "key"])
    update(connection, runs, moved, key=["id"], columns=(*_RUN_MOVES, *_RUN_TEXTS))
    return len(begun)


def _cancel(connection: sa.Connection, advances: Sequence[Advance]) -> int:
    """Cancel the unsent messages of ended runs, for every contact of the family they were decided for."""
    wanted: dict[tuple[Any, ...], tuple[str, Instant]] = {}
    for advance in advances:
        for ending in advance.cancellations:
            target = (ending.measure, ending.run_key, ending.entity, ending.entity_key, ending.begun_by)
            # The first reason is kept, as if the cancellations were applied one by one.
            wanted.setdefault((advance.contact.id, *target), (ending.reason, ending.at))
    if not wanted:
        return 0
    members: dict[int, list[int]] = {}
    for member, person in members_of(connection, {person for person, *_ in wanted}).items():
        members.setdefault(person, []).append(member)
    cancelled: list[sa.Row[Any]] = []
    for about_entities in (False, True):
        rows = [
            (member, *target, *values)
            for (person, *target), values in wanted.items()
            if bool(target[2]) == about_entities
            for member in members[person]
        ]
        if rows:
            statement = _cancellation(connection.dialect.name, about_entities)
            cancelled += connection.execute(statement, {"rows": list_text(rows)})
    count_mails(connection, cancelled, before="waiting")
    return len(cancelled)


@lru_cache
def _cancellation(dialect: str, about_entities: bool) -> sa.Update:
    """Return the statement that cancels by run, or by the entity of the run."""
    columns = (
        *(messages.c[name] for name in ("contact_id", "measure", "run_key")),
        *(runs.c[name] for name in ("entity", "entity_key")),
        sa.Column("begun_by", sa.Text),
        *(messages.c[name] for name in ("reason", "settled_at")),
    )
    cancelled = relation_of_parameter(dialect, columns)
    is_meant = sa.or_(cancelled.c.run_key.is_(None), cancelled.c.run_key == messages.c.run_key)
    if about_entities:
        begun_by = (
            sa.cast(runs.c.data, JSONB).op("->>", return_type=sa.Text())(sa.literal("event", sa.Text()))
            if dialect == "postgresql"
            else sa.func.json_extract(runs.c.data, "$.event", type_=sa.Text())
        )
        is_meant = sa.exists().where(
            runs.c.contact_id == messages.c.contact_id,
            runs.c.measure == messages.c.measure,
            runs.c.key == messages.c.run_key,
            *(runs.c[name] == cancelled.c[name] for name in ("entity", "entity_key")),
            sa.or_(cancelled.c.begun_by == "", cancelled.c.begun_by == begun_by),
        )
    return (
        sa.update(messages)
        .where(
            messages.c.contact_id == cancelled.c.contact_id,
            messages.c.measure == cancelled.c.measure,
            is_meant,
            messages.c.status.in_([sa.literal_column("'waiting'"), sa.literal_column("'ready'")]),
        )
        .values(
            status="cancelled",
            reason=cancelled.c.reason,
            settled_at=cancelled.c.settled_at,
            told=sa.true(),
            lease_owner=None,
            lease_until=None,
        )
        .returning(*COUNTED)
    )


def _save_messages(connection: sa.Connection, advances: Sequence[Advance]) -> int:
    rows = []
    for advance in advances:
        for message in advance.messages:
            run = advance.runs.get((message.measure, message.run_key))
            ended = bool(message.cancelled)
            rows.append(
                (
                    advance.contact.id,
                    run.id if run is not None else 0,
                    *_planned_values(message),
                    "cancelled" if ended else "waiting",
                    message.cancelled,
                    message.decided_at if ended else None,
                    ended,
                    (run.variant or None) if run is not None else None,
                )
            )
    if rows:
        decided = connection.execute(_decision(connection.dialect.name), {"rows": list_text(rows)})
        count_mails(connection, decided, before=NEW)
        lanes = {message.lane for advance in advances for message in advance.messages}
        note(connection, DELIVER, *sorted(lanes))
    return len(rows)


@lru_cache
def _decision(dialect: str) -> Any:
    """Return the statement that inserts decided messages for the contacts that their runs began with."""
    decided = relation_of_parameter(
        dialect, [messages.c.contact_id, _RUN_ID, *(messages.c[name] for name in _MESSAGE)]
    )
    owner = sa.func.coalesce(runs.c.contact_id, decided.c.contact_id).label("contact_id")
    source = (
        sa.select(owner, *(decided.c[name] for name in _MESSAGE))
        .select_from(decided.outerjoin(runs, runs.c.id == decided.c.run_id))
        .where(sa.true())
        .order_by(decided.c.place_)
    )
    key = ["contact_id", "measure", "run_key", "step"]
    returning = [column.name for column in COUNTED]
    return insert_statement(
        dialect, messages, ["contact_id", *_MESSAGE], source, conflict=key, returning=returning
    )


def _save_transitions(connection: sa.Connection, advances: Sequence[Advance]) -> int:
    rows = [
        (advance.contact.id, *_transition_values(change))
        for advance in advances
        for change in advance.transitions
    ]
    insert(connection, transitions, rows, columns=("contact_id", *_TRANSITION))
    return len(rows)


def _save_milestones(connection: sa.Connection, advances: Sequence[Advance]) -> int:
    rows = [
        (advance.contact.id, milestone.name, milestone.key, milestone.at)
        for advance in advances
        for milestone in advance.milestones
    ]
    columns = ("contact_id", "name", "key", "at")
    insert(connection, milestones, rows, columns=columns, conflict=columns[:3])
    return len(rows)


def _save_watches(connection: sa.Connection, advances: Sequence[Advance]) -> None:
    newest: dict[tuple[str, str, int], WatchChange] = {}
    for advance in advances:
        for change in advance.watches:
            watch = (change.kind, change.key, advance.contact.id)
            if watch not in newest or change.at >= newest[watch].at:
                newest[watch] = change
    begun: list[Row] = []
    ended: list[Row] = []
    for (kind, key, contact), change in newest.items():
        row = {"kind": kind, "key": key, "contact_id": contact, "since": change.at}
        (begun if change.is_start else ended).append(row)
    renew_watches(connection, begun)
    end_watches(connection, ended)
    set_watches(
        connection,
        {
            (lines.kind, advance.contact.id): lines.since
            for advance in advances
            for lines in advance.watched_lines
        },
    )


def _save_non_entries(connection: sa.Connection, advances: Sequence[Advance]) -> None:
    newest = {
        (advance.contact.id, refusal.measure): refusal
        for advance in advances
        for refusal in advance.non_entries
    }
    rows = [(contact, *_non_entry_values(refusal)) for (contact, _), refusal in newest.items()]
    columns = ("contact_id", *_NON_ENTRY)
    insert(connection, non_entries, rows, columns=columns, conflict=columns[:2], update=columns[2:])


def _save_set_aside(connection: sa.Connection, advances: Sequence[Advance]) -> None:
    """Write the measures set aside, after removing those that are tried again."""
    retried = {advance.contact.id for advance in advances if advance.retried}
    if retried:
        mine = any_of(set_aside_measures.c.contact_id, list(members_of(connection, retried)), connection)
        connection.execute(sa.delete(set_aside_measures).where(mine))
    rows = [
        (advance.contact.id, *_set_aside_values(failed), advance.contact.adopted)
        for advance in advances
        for failed in advance.set_aside
    ]
    key = ["contact_id", "measure"]
    columns = (*key, "at", "reason", "event", "rules_hash")
    insert(connection, set_aside_measures, rows, columns=columns, conflict=key, update=list(columns[2:]))

"""Retention: delete rows that are older than their time, in bounded batches, and keep what they add up to.

Events are deleted in the order in which they were applied, so the rest of a contact's history is always its later
part; the facts of the deleted part are folded into a baseline (`contacts.baseline_queries`), from which every replay
begins. `events_kept_from` in a contact's memory is the instant before which events were deleted: an event that
occurred earlier and arrives now is refused as too old, since nobody could tell whether it was counted already. The
scheduler runs it; it may run any number of times, one at a time.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts import queries as people
from nurture.contacts.account_queries import delete_old_events
from nurture.contacts.baseline_queries import load_own_baselines, save_baselines
from nurture.contacts.event_queries import event_of
from nurture.contacts.state_codec import decode_memory, encode_memory
from nurture.database import meta
from nurture.database import schema as t
from nurture.database.bulk import any_of, update
from nurture.delivery import claim_queries
from nurture.domain.counts import Counts
from nurture.domain.event import Event
from nurture.domain.instant import Duration, Instant
from nurture.domain.playbook import Playbook
from nurture.feedback.hook_queries import delete_settled
from nurture.journey.replay import replay_events
from nurture.playbook.value_queries import delete_superseded

#: Rows of each kind looked at in one call.
BATCH: Final = 2_000
_CURSOR: Final = "retention:"


def retain(
    connection: sa.Connection,
    *,
    now: Instant,
    keep: Mapping[str, Duration],
    playbook: Playbook,
    limit: int = BATCH,
) -> Counts:
    """Remove the oldest of every kind, at most `limit` rows of each, in the caller's transaction.

    keep: `domain.retention.kept`. Counts what was removed by kind; `more`: there may be more at once.
    """
    before = {name: now - duration for name, duration in keep.items()}
    counts = Counts(
        events=_events(connection, before["events"], playbook=playbook, limit=limit),
        contents=_contents(connection, before["contents"], limit=limit),
        reports=_reports(connection, before["reports"], limit=limit),
        quarantine=_oldest(connection, t.quarantine, t.quarantine.c.received_at, before["quarantine"], limit),
        imports=_imports(connection, before["imports"]),
        hook_posts=delete_settled(connection, before=before["reports"], limit=limit),
        account_events=delete_old_events(connection, before=before["events"], limit=limit),
        shop_things=_shop_things(connection, before["events"], limit=limit),
        shown_objects=_shown_objects(connection, before["events"], limit=limit),
        value_numbers=delete_superseded(
            connection, before=before["events"], kept=playbook.intervals_read, limit=limit
        ),
    )
    counts.add(_people(connection, before, limit=limit))
    bounded = (
        "events",
        "contents",
        "reports",
        "quarantine",
        "shop_things",
        "account_events",
        "shown_objects",
        "value_numbers",
    )
    counts.more = any(counts[name] >= limit for name in bounded)
    return counts


# ---- events ----------------------------------------------------------------------------------------------


def _events(connection: sa.Connection, before: Instant, *, playbook: Playbook, limit: int) -> int:
    oldest = sa.select(t.events.c.id, t.events.c.contact_id, t.events.c.received_at)
    rows = connection.execute(oldest.order_by(t.events.c.id).limit(limit)).all()
    old = list(takewhile(lambda row: row.received_at < before, rows))
    if not old:
        return 0
    living_ids = _lock(connection, sorted({row.contact_id for row in old if row.contact_id is not None}))
    ids = [row.id for row in old if row.contact_id is None or row.contact_id in living_ids]
    _fold(connection, ids, living_ids, before=before, playbook=playbook)
    connection.execute(sa.delete(t.events).where(any_of(t.events.c.id, ids, connection)))
    return len(ids)


def _lock(connection: sa.Connection, contacts: Sequence[int]) -> dict[int, int | None]:
    """Lock those contacts that nobody else holds, each with the one it was merged into.

    Returns contact -> the living one, or None for a contact that was erased or does not exist any more.
    """
    known = sa.select(t.contacts.c.id, t.contacts.c.survivor)
    found = {
        row.id: row.survivor
        for row in connection.execute(known.where(any_of(t.contacts.c.id, contacts, connection)))
    }
    wanted = {*found, *(survivor for survivor in found.values() if survivor is not None)}
    locked = people.lock_contacts(connection, wanted, skip_locked=True)
    living_ids: dict[int, int | None] = {contact: None for contact in contacts if contact not in found}
    for contact, row in locked.items():
        living_id = row.survivor or contact
        if contact in found and living_id in locked:
            living_ids[contact] = None if row.erased_at is not None else living_id
    return living_ids


def _fold(
    connection: sa.Connection,
    ids: Sequence[int],
    living_ids: Mapping[int, int | None],
    *,
    before: Instant,
    playbook: Playbook,
) -> None:
    """Fold these events into the baselines of their contacts, and set `events_kept_from` in their memory."""
    theirs: dict[int, list[Event]] = {}
    statement = sa.select(t.events).where(any_of(t.events.c.id, ids, connection)).order_by(t.events.c.id)
    for row in connection.execute(statement):
        if row.contact_id is not None and living_ids.get(row.contact_id) is not None:
            theirs.setdefault(row.contact_id, []).append(event_of(row, seq=row.id))
    if not theirs:
        return
    known = load_own_baselines(connection, sorted(theirs))
    states = {
        contact: replay_events(contact, events, playbook, [known[contact]] if contact in known else [])
        for contact, events in theirs.items()
    }
    for state in states.values():
        state.memory.events_kept_from = before
    save_baselines(connection, states, until=before)
    living = sorted({living_id for contact in theirs if (living_id := living_ids[contact]) is not None})
    memories = sa.select(t.contact_state).where(any_of(t.contact_state.c.contact_id, living, connection))
    update(
        connection,
        t.contact_state,
        [
            {"contact_id": row.contact_id, "memory": _with_kept_from(row.memory, before)}
            for row in connection.execute(memories)
        ],
        key=["contact_id"],
        columns=["memory"],
    )


def _with_kept_from(text: str, before: Instant) -> str:
    memory, unknown = decode_memory(text)
    memory.events_kept_from = before
    return encode_memory(memory, unknown)


# ---- by their own age ------------------------------------------------------------------------------------


def _contents(connection: sa.Connection, before: Instant, *, limit: int) -> int:
    """Blank the values from which settled mails were rendered; the ledger's rows stay."""
    after = int(meta.get(connection, f"{_CURSOR}contents") or 0)
    page = sa.select(t.messages.c.id, t.messages.c.decided_at).where(t.messages.c.id > after)
    rows = connection.execute(page.order_by(t.messages.c.id).limit(limit)).all()
    old = [row.id for row in takewhile(lambda row: row.decided_at < before, rows)]
    if not old:
        return 0
    settled = sa.and_(any_of(t.messages.c.id, old, connection), t.messages.c.settled_at.is_not(None))
    connection.execute(sa.update(t.messages).where(settled).values(context=None, verdict=None))
    tried = any_of(t.attempts.c.message_id, old, connection)
    connection.execute(sa.update(t.attempts).where(tried).values(reply=""))
    meta.put(connection, f"{_CURSOR}contents", str(old[-1]))
    return len(old)


def _reports(connection: sa.Connection, before: Instant, *, limit: int) -> int:
    key = (t.feedback.c.provider, t.feedback.c.event_id)
    old = sa.and_(t.feedback.c.raw != sa.literal_column("''"), t.feedback.c.received_at < before)
    found = sa.select(*key).where(old).order_by(t.feedback.c.received_at).limit(limit)
    blank = sa.update(t.feedback).where(sa.tuple_(*key).in_(found))
    return connection.execute(blank.values(raw="", detail="{}", address=None)).rowcount


def _oldest(
    connection: sa.Connection, table: sa.Table, age: sa.Column[Any], before: Instant, limit: int
) -> int:
    """Delete the first rows by id, as far as they are old."""
    rows = connection.execute(sa.select(table.c.id, age).order_by(table.c.id).limit(limit)).all()
    old = [row[0] for row in takewhile(lambda row: row[1] < before, rows)]
    return connection.execute(sa.delete(table).where(any_of(table.c.id, old, connection))).rowcount


def _shop_things(connection: sa.Connection, before: Instant, *, limit: int) -> int:
    """Delete things of shops that are silent for as long as events are kept (their events are, too)."""
    things = t.shop_things
    oldest = sa.select(things.c.source, things.c.thing).where(things.c.changed_at < before)
    old = oldest.order_by(things.c.changed_at).limit(limit)
    key = sa.tuple_(things.c.source, things.c.thing)
    return connection.execute(sa.delete(things).where(key.in_(old))).rowcount


def _shown_objects(connection: sa.Connection, before: Instant, *, limit: int) -> int:
    """Delete what mails showed that were decided as long ago as events are kept."""
    shown = t.shown_objects
    both = shown.outerjoin(t.messages, t.messages.c.id == shown.c.message_id)
    first = sa.select(shown.c.message_id, t.messages.c.decided_at).select_from(both)
    rows = connection.execute(first.order_by(shown.c.message_id).limit(limit)).all()
    old = [row.message_id for row in takewhile(lambda row: (row.decided_at or 0) < before, rows)]
    return connection.execute(
        sa.delete(shown).where(any_of(shown.c.message_id, sorted(set(old)), connection))
    ).rowcount


def _imports(connection: sa.Connection, before: Instant) -> int:
    statement = sa.delete(t.imports).where(t.imports.c.at < before, t.imports.c.done)
    return connection.execute(statement).rowcount


# ---- by contacts, round and round ------------------------------------------------------------------------


def _people(connection: sa.Connection, before: Mapping[str, Instant], *, limit: int) -> Counts:
    """Look at the next contacts by id, and begin again after the last: refusals, and who was never known."""
    after = int(meta.get(connection, f"{_CURSOR}contacts") or 0)
    page = sa.select(t.contacts.c.id).where(t.contacts.c.id > after).order_by(t.contacts.c.id).limit(limit)
    ids = list(connection.execute(page).scalars())
    meta.put(connection, f"{_CURSOR}contacts", str(ids[-1] if len(ids) == limit else 0))
    if not ids:
        return Counts()
    old = sa.and_(
        any_of(t.non_entries.c.contact_id, ids, connection), t.non_entries.c.at < before["refusals"]
    )
    refusals = connection.execute(sa.delete(t.non_entries).where(old)).rowcount
    return Counts(refusals=refusals, anonymous=_anonymous(connection, ids, before["anonymous"]))


#: A contact with a row in _TIES stays; rows of _GONE are deleted with their contact.
_TIES: Final = (t.messages, t.runs, t.consents, t.coupons, t.wishes)
_GONE: Final = (
    *(t.contact_state, t.identities, t.events, t.baselines, t.transitions, t.milestones, t.non_entries),
    t.set_aside_measures,
    t.watches,
    t.contact_values,
)


def _anonymous(connection: sa.Connection, ids: Sequence[int], before: Instant) -> int:
    """Delete contacts of the page that only a browser names and that have been silent too long."""
    mine = t.contacts.c.id
    named = sa.exists().where(t.identities.c.contact_id == mine, t.identities.c.kind != "anonymous_id")
    joined = sa.exists().where(sa.or_(t.merges.c.survivor == mine, t.merges.c.merged == mine))
    statement = sa.select(mine).where(
        any_of(mine, ids, connection),
        t.contacts.c.email.is_(None),
        t.contacts.c.survivor.is_(None),
        t.contacts.c.erased_at.is_(None),
        t.contacts.c.clock < before,
        ~named,
        ~joined,
        *(~sa.exists().where(table.c.contact_id == mine) for table in _TIES),
    )
    silent = list(connection.execute(statement).scalars())
    if not silent:
        return 0
    free = set(people.lock_contacts(connection, silent, skip_locked=True))
    # Looked at again under the locks: it may have become somebody, or be about to.
    still = set(connection.execute(statement).scalars()) & free
    gone = sorted(still - claim_queries.load_pending_since(connection, sorted(still)).keys())
    for table in _GONE:
        connection.execute(sa.delete(table).where(any_of(table.c.contact_id, gone, connection)))
    connection.execute(sa.delete(t.contacts).where(any_of(mine, gone, connection)))
    return len(gone)


# ---- how far it is ---------------------------------------------------------------------------------------


def lags(connection: sa.Connection, *, now: Instant, keep: Mapping[str, Duration]) -> dict[str, Duration]:
    """Return by how much the oldest row of each kind has outlived its time; kinds in time are left out."""
    last = int(meta.get(connection, f"{_CURSOR}contents") or 0)
    first = {
        "events": sa.select(t.events.c.received_at).order_by(t.events.c.id),
        "quarantine": sa.select(t.quarantine.c.received_at).order_by(t.quarantine.c.id),
        "contents": sa.select(t.messages.c.decided_at)
        .where(t.messages.c.id > last)
        .order_by(t.messages.c.id),
        "reports": sa.select(t.feedback.c.received_at)
        .where(t.feedback.c.raw != sa.literal_column("''"))
        .order_by(t.feedback.c.received_at),
    }
    found: dict[str, Duration] = {}
    for name, statement in first.items():
        at = connection.execute(statement.limit(1)).scalar()
        if at is not None and at < now - keep[name]:
            found[name] = now - keep[name] - at
    return found

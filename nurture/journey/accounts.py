"""Accounts: members' rows kept as the contacts are, and shared events handed to every colleague.

Input: contacts just advanced, and the events applied to them. Output: rows of members and accounts in the same
transaction; later, a bounded number at a time, one event per colleague, which takes the way of every event: inbox,
identity, advance. There it folds into what the account shares and into nothing else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts import account_queries as store
from nurture.contacts.accept import NewEvent, accept
from nurture.contacts.account_queries import Member
from nurture.contacts.event_queries import load_events
from nurture.contacts.identity_queries import load_newest_identities
from nurture.database.bulk import Row
from nurture.database.engine import Database, decode, encode
from nurture.domain.accounts import ACCOUNT_CHANGED, account_of, held_since
from nurture.domain.contact import Contact
from nurture.domain.counts import Counts
from nurture.domain.event import BY_COLLEAGUE, Event
from nurture.domain.event_index import index_of
from nurture.domain.instant import Instant
from nurture.domain.playbook import AccountRules, Playbook
from nurture.runtime.clock import Clock

#: Accounts, and members of them, that one transaction hands events to.
_ACCOUNTS: Final = 20
_MEMBERS: Final = 50


def update_accounts(
    connection: sa.Connection,
    states: Sequence[Contact],
    events: Iterable[tuple[Event, int | None]],
    playbook: Playbook,
    *,
    now: Instant,
    gone: Sequence[int] = (),
) -> int:
    """Bring the rows of accounts up to these contacts, whose locks the caller holds; return the events shared.

    states: contacts after their advance. events: applied with the contact of each. gone: contacts that live no more.
    A constant number of statements, none in a playbook without accounts.
    """
    rules = playbook.accounts
    if rules is None or not (states or gone):
        return 0
    before = store.load_members(connection, [*(state.id for state in states), *gone])
    after = {state.id: member for state in states if (member := _member(state, rules)) is not None}
    moves = _Moves.of(before, after)
    names = _shared_names(playbook, rules)
    shared = [
        (event, contact, after[contact].account)
        for event, contact in events
        if contact in after and event.name in names and event.source != BY_COLLEAGUE and not event.hint
    ]
    if not (moves.changed or moves.left or shared):
        return 0
    shared += _shared_earlier(connection, moves.joined, after, names)
    # Accounts before members, as where events are handed out.
    locked = store.lock_accounts(connection, [*moves.accounts, *(account for _, _, account in shared)])
    store.save_members(connection, moves.changed, joined=moves.joined)
    store.delete_members(connection, moves.left)
    return _save_accounts(connection, locked, moves.accounts, shared, now=now)


def leave_accounts(connection: sa.Connection, ids: Sequence[int], *, now: Instant) -> None:
    """Take these contacts, whose locks the caller holds, out of their accounts; one without members is deleted."""
    before = store.load_members(connection, ids)
    if before:
        touched = {member.account for member in before.values()}
        locked = store.lock_accounts(connection, list(touched))
        store.delete_members(connection, sorted(before))
        _save_accounts(connection, locked, touched, [], now=now)
        store.delete_empty_accounts(connection, sorted(touched))


def hand_out_shared_events(database: Database, *, clock: Clock, limit: int = 200) -> Counts:
    """Hand the next members the events that their accounts share and that a colleague told; count `shared`.

    One transaction; `counts.more` while members are left.
    """
    with database.look() as connection:
        if not store.has_unread(connection):
            return Counts()
    now = clock.now()

    def work(connection: sa.Connection) -> Counts:
        locked = store.lock_unread(connection, limit=_ACCOUNTS)
        behind = store.load_behind(connection, list(locked), limit=_MEMBERS) if locked else []
        members = [row.contact_id for row in behind]
        rows = store.load_unread(connection, members, limit=limit) if members else []
        news = _for_colleagues(connection, rows, now=now)
        accept(connection, news, bulk=True)
        is_all = len(rows) < limit
        newest = {row.contact_id: locked[row.account] for row in behind}
        store.mark_handed(connection, _handed(newest, rows, is_all=is_all))
        if len(behind) < _MEMBERS and is_all:
            store.mark_read(connection, list(locked))
        counts = Counts(shared=len(news))
        counts.more = bool(locked)
        return counts

    return database.run(work)


# ---- members ---------------------------------------------------------------------------------------------


def _member(state: Contact, rules: AccountRules) -> Member | None:
    account = account_of(state)
    if account is None:
        return None
    holds = {hold: since for hold in sorted(rules.holds) if (since := held_since(state, hold)) is not None}
    return Member(account, state.track == "customer", holds)


@dataclass(frozen=True, slots=True)
class _Moves:
    """The changes of members' rows."""

    changed: Mapping[int, Member]
    joined: Sequence[int]
    left: Sequence[int]
    # Of which somebody's row changes.
    accounts: Collection[str]

    @classmethod
    def of(cls, before: Mapping[int, Member], after: Mapping[int, Member]) -> "_Moves":
        """Return the changes between two states of the same contacts."""
        changed = {contact: member for contact, member in after.items() if before.get(contact) != member}
        left = sorted(before.keys() - after.keys())
        joined = [
            contact
            for contact, member in changed.items()
            if contact not in before or before[contact].account != member.account
        ]
        rows = [rows[contact] for contact in (*changed, *left) for rows in (before, after) if contact in rows]
        return cls(changed, joined, left, {member.account for member in rows})


def _for_colleagues(connection: sa.Connection, rows: Sequence[Any], *, now: Instant) -> list[NewEvent]:
    """Return the events for members who did not tell them first, under the newest names of each."""
    names = load_newest_identities(connection, sorted({row.member for row in rows if not row.is_own}))
    return [
        NewEvent(
            source=BY_COLLEAGUE,
            message_id=f"{row.id}:{row.member}",
            kind="track",
            name=row.name,
            occurred_at=row.occurred_at,
            received_at=max(now, row.occurred_at),
            historic=bool(row.historic),
            identities=names[row.member],
            properties=decode(row.body),
            hint=bool(row.hint),
        )
        for row in rows
        if not row.is_own and row.member in names
    ]


def _handed(newest: Mapping[int, int], rows: Sequence[Any], *, is_all: bool) -> list[Row]:
    """Return how far each member has got. newest: member -> the newest event of its account.

    Of rows that a limit cut off, the last member is not at the end, and those after it have got nothing.
    """
    last = None if is_all else rows[-1]
    if last is None:
        return [{"contact_id": member, "handed": number} for member, number in newest.items()]
    ended = [{"contact_id": member, "handed": newest[member]} for member in newest if member < last.member]
    return [*ended, {"contact_id": last.member, "handed": last.id}]


# ---- shared events ---------------------------------------------------------------------------------------


def _shared_names(playbook: Playbook, rules: AccountRules) -> frozenset[str]:
    """Return the names of the events that touch a shared entity or reach a shared milestone."""
    index = index_of(playbook)
    entities = {
        name
        for name, effects in index.effects.items()
        for effect in effects
        if effect.kind.name in rules.entities
    }
    milestones = {
        name
        for name, reached in index.milestones.items()
        for milestone in reached
        if milestone.name in rules.milestones
    }
    over = {
        kind
        for kind, reached in index.entity_milestones.items()
        for m in reached
        if m.name in rules.milestones
    }
    counted = {
        name for name, effects in index.effects.items() for effect in effects if effect.kind.name in over
    }
    return frozenset(entities | milestones | counted)


def _shared_earlier(
    connection: sa.Connection, joined: Sequence[int], after: Mapping[int, Member], names: frozenset[str]
) -> list[tuple[Event, int, str]]:
    """Return the shared events of contacts from before they joined: colleagues learn of them now."""
    if not joined or not names:
        return []
    return [
        (event, contact, after[contact].account)
        for contact, events in load_events(connection, list(joined)).items()
        for event in events
        if event.name in names and event.source != BY_COLLEAGUE and not event.hint
    ]


def _save_accounts(
    connection: sa.Connection,
    locked: Mapping[str, Any],
    touched: Collection[str],
    shared: Sequence[tuple[Event, int, str]],
    *,
    now: Instant,
) -> int:
    """Raise the versions of the touched accounts, store what is shared, and tell members of another count."""
    customers = store.count_customers(connection, list(locked))
    rows: list[Row] = [_row(event, contact, account) for event, contact, account in shared]
    saved: dict[str, Row] = {}
    for key, row in locked.items():
        version = row.version + (key in touched)
        saved[key] = {"key": key, "version": version, "customers": customers.get(key, 0)}
        if customers.get(key, 0) != row.customers:
            rows.append(_change(key, customers.get(key, 0), version, now))
    newest = store.add_events(connection, rows)
    store.save_accounts(
        connection, [{**row, **_unread(locked[key], newest.get(key, 0))} for key, row in saved.items()]
    )
    return len(rows)


def _unread(account: Any, newest: int) -> Row:
    """Return the newest event of an account; somebody has not got it, or has just joined."""
    last = max(account.last_event, newest)
    return {"last_event": last, "is_unread": last > 0}


def _row(event: Event, contact: int, account: str) -> Row:
    return {
        "account": account,
        "contact_id": contact,
        "event_id": event.seq,
        "name": event.name,
        "occurred_at": event.occurred_at,
        "historic": event.historic,
        "hint": event.hint,
        "body": encode(dict(event.properties)),
    }


def _change(key: str, customers: int, version: int, now: Instant) -> Row:
    return {
        "account": key,
        "contact_id": None,
        "event_id": None,
        "name": ACCOUNT_CHANGED,
        "occurred_at": now,
        "historic": False,
        "hint": False,
        "body": encode({"group_id": key, "customers": customers, "version": version}),
    }

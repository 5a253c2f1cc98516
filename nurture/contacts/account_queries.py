"""Rows of accounts: who belongs to which, what colleagues' mail depends on, and the events that members share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import Row, any_of, insert, update
from nurture.database.engine import decode, encode
from nurture.database.schema import account_events, account_members, accounts, contacts
from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class Member:
    """A contact's row: its account and what its colleagues' mail depends on."""

    account: str
    is_customer: bool
    # Shared hold -> since when it is open.
    holds: Mapping[str, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Colleagues:
    """The other members of a contact's account, at one moment."""

    account: str
    version: int
    customers: int = 0
    # Shared hold -> since when it is open for one of them, the newest.
    holds: Mapping[str, Instant] = field(default_factory=dict)


# ---- members ---------------------------------------------------------------------------------------------


def load_members(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Member]:
    """Return contact -> its row, for those that belong to an account."""
    statement = sa.select(account_members).where(any_of(account_members.c.contact_id, ids, connection))
    return {
        row.contact_id: Member(row.account, bool(row.is_customer), decode(row.holds))
        for row in connection.execute(statement)
    }


def save_members(connection: sa.Connection, members: Mapping[int, Member], *, joined: Sequence[int]) -> None:
    """Write these rows; a contact among `joined` is handed its account's events from the first one on."""
    rows: list[Row] = [
        {
            "contact_id": contact,
            "account": member.account,
            "is_customer": member.is_customer,
            "holds": encode(dict(member.holds)),
            "handed": 0,
        }
        for contact, member in sorted(members.items())
    ]
    news = set(joined)
    kept = ("account", "is_customer", "holds")
    first = [row for row in rows if row["contact_id"] in news]
    insert(connection, account_members, first, conflict=["contact_id"], update=(*kept, "handed"))
    rest = [row for row in rows if row["contact_id"] not in news]
    update(connection, account_members, rest, key=["contact_id"], columns=list(kept))


def delete_members(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Delete the rows of contacts that belong to no account any more."""
    if ids:
        mine = any_of(account_members.c.contact_id, ids, connection)
        connection.execute(sa.delete(account_members).where(mine))


def load_colleagues(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Colleagues]:
    """Return contact -> the others of its account, for those that belong to one; in one statement."""
    other = account_members.alias("other")
    telling = sa.or_(other.c.is_customer, other.c.holds != sa.literal_column("'{}'"))
    statement = (
        sa.select(
            account_members.c.contact_id,
            accounts.c.key,
            accounts.c.version,
            other.c.is_customer,
            other.c.holds,
        )
        .join(accounts, accounts.c.key == account_members.c.account)
        .outerjoin(
            other,
            sa.and_(
                other.c.account == account_members.c.account,
                other.c.contact_id != account_members.c.contact_id,
                telling,
            ),
        )
        .where(any_of(account_members.c.contact_id, ids, connection))
    )
    known: dict[int, Colleagues] = {}
    for row in connection.execute(statement):
        before = known.get(row.contact_id) or Colleagues(row.key, row.version)
        holds = dict(before.holds)
        for hold, since in decode(row.holds or "{}").items():
            holds[hold] = max(since, holds.get(hold, since))
        known[row.contact_id] = Colleagues(
            row.key, row.version, before.customers + bool(row.is_customer), holds
        )
    return known


# ---- accounts --------------------------------------------------------------------------------------------


def lock_accounts(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Any]:
    """Lock these accounts in order, new ones made first; return key -> row."""
    ordered = sorted(set(keys))
    insert(connection, accounts, [{"key": key} for key in ordered], conflict=["key"])
    statement = (
        sa.select(accounts)
        .where(any_of(accounts.c.key, ordered, connection))
        .order_by(accounts.c.key)
        .with_for_update()
    )
    return {row.key: row for row in connection.execute(statement)}


def count_customers(connection: sa.Connection, keys: Sequence[str]) -> dict[str, int]:
    """Return account -> how many of its members are customers, without accounts that have none."""
    statement = (
        sa.select(account_members.c.account, sa.func.count())
        .where(any_of(account_members.c.account, keys, connection), account_members.c.is_customer)
        .group_by(account_members.c.account)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def save_accounts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write what changed of locked accounts. rows: all columns."""
    update(
        connection, accounts, rows, key=["key"], columns=["version", "customers", "last_event", "is_unread"]
    )


def delete_empty_accounts(connection: sa.Connection, keys: Sequence[str]) -> None:
    """Delete those of these locked accounts that have no member, with everything that they shared."""
    mine = any_of(accounts.c.key, keys, connection)
    member = sa.exists().where(account_members.c.account == accounts.c.key)
    empty = list(connection.execute(sa.select(accounts.c.key).where(mine, ~member)).scalars())
    for table, column in ((account_events, account_events.c.account), (accounts, accounts.c.key)):
        connection.execute(sa.delete(table).where(any_of(column, empty, connection)))


# ---- shared events ---------------------------------------------------------------------------------------


def add_events(connection: sa.Connection, rows: Sequence[Row]) -> dict[str, int]:
    """Store events that accounts share, each once; return account -> the number of the newest stored now.

    The accounts are locked, so the numbers of one account grow in the order of commit.
    """
    stored = insert(
        connection,
        account_events,
        rows,
        conflict=["account", "event_id"],
        returning=("account", "id"),
    )
    newest: dict[str, int] = {}
    for row in stored:
        newest[row.account] = max(row.id, newest.get(row.account, 0))
    return newest


def has_unread(connection: sa.Connection) -> bool:
    """Tell whether a member may not have been handed everything that its account shares."""
    return (
        connection.execute(sa.select(accounts.c.key).where(accounts.c.is_unread).limit(1)).first() is not None
    )


def lock_unread(connection: sa.Connection, *, limit: int) -> dict[str, int]:
    """Lock the next accounts with something to hand out that nobody else is working on: key -> newest event."""
    statement = (
        sa.select(accounts.c.key, accounts.c.last_event)
        .where(accounts.c.is_unread)
        .order_by(accounts.c.key)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {row.key: row.last_event for row in connection.execute(statement)}


def mark_read(connection: sa.Connection, keys: Sequence[str]) -> None:
    """Note that every member of these locked accounts was handed everything."""
    if keys:
        statement = sa.update(accounts).where(any_of(accounts.c.key, keys, connection))
        connection.execute(statement.values(is_unread=False))


def load_behind(connection: sa.Connection, keys: Sequence[str], *, limit: int) -> Sequence[Any]:
    """Return the next members of locked accounts with events still to be handed: contact_id, account."""
    statement = (
        sa.select(account_members.c.contact_id, account_members.c.account)
        .join(accounts, accounts.c.key == account_members.c.account)
        .where(
            any_of(account_members.c.account, keys, connection),
            account_members.c.handed < accounts.c.last_event,
        )
        .order_by(account_members.c.contact_id)
        .limit(limit)
    )
    return connection.execute(statement).all()


def load_unread(connection: sa.Connection, ids: Sequence[int], *, limit: int) -> Sequence[Any]:
    """Return the next shared events of these members, `member` beside each, in order of member and number.

    `is_own` is true for what the member, or a contact merged into it, told first.
    """
    told_by = sa.func.coalesce(contacts.c.survivor, contacts.c.id)
    statement = (
        sa.select(
            account_members.c.contact_id.label("member"),
            account_events,
            sa.func.coalesce(told_by == account_members.c.contact_id, sa.false()).label("is_own"),
        )
        .join(
            account_events,
            sa.and_(
                account_events.c.account == account_members.c.account,
                account_events.c.id > account_members.c.handed,
            ),
        )
        .outerjoin(contacts, contacts.c.id == account_events.c.contact_id)
        .where(any_of(account_members.c.contact_id, ids, connection))
        .order_by(account_members.c.contact_id, account_events.c.id)
        .limit(limit)
    )
    return connection.execute(statement).all()


def mark_handed(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Remember the newest event that each member was handed. rows: `contact_id`, `handed`."""
    update(connection, account_members, rows, key=["contact_id"], columns=["handed"])


def delete_old_events(connection: sa.Connection, *, before: Instant, limit: int) -> int:
    """Delete the oldest shared events from before an instant; return how many.

    The account's own changes stay, so that people who join learn its number of customers.
    """
    old = (
        sa.select(account_events.c.id)
        .where(account_events.c.event_id.is_not(None), account_events.c.occurred_at < before)
        .order_by(account_events.c.id)
        .limit(limit)
    )
    ids = list(connection.execute(old).scalars())
    if ids:
        connection.execute(sa.delete(account_events).where(any_of(account_events.c.id, ids, connection)))
    return len(ids)

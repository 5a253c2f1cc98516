"""Read and write `identities` and `merges`. The rules are in `domain.identity`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nurture.database.bulk import any_of, insert, list_text, relation_of_parameter
from nurture.database.day_counts import count_people
from nurture.database.engine import encode
from nurture.database.schema import contacts, identities, merges
from nurture.domain.event import IDENTITY_KINDS, Identity
from nurture.domain.instant import FOREVER, Instant


@dataclass(slots=True)
class IdentityIndex:
    """Some identities by owner, their owners by identity, and since when each is known."""

    owners: dict[Identity, int] = field(default_factory=dict)
    names: dict[int, set[Identity]] = field(default_factory=dict)
    since: dict[Identity, Instant] = field(default_factory=dict)
    # Those that only a hint tied to their contact.
    hints: set[Identity] = field(default_factory=set)

    def add(self, identity: Identity, contact: int, since: Instant, *, hint: bool = False) -> None:
        """Record that the identity belongs to this contact, and to no other."""
        before = self.owners.get(identity)
        if before is not None and before != contact and before in self.names:
            self.names[before].discard(identity)
        self.owners[identity] = contact
        self.names.setdefault(contact, set()).add(identity)
        self.since[identity] = since
        if hint:
            self.hints.add(identity)
        else:
            self.hints.discard(identity)


def load_index_by_identities(connection: sa.Connection, named: Sequence[Identity]) -> IdentityIndex:
    """Return all identities of every contact that owns one of these."""
    if not named:
        return IdentityIndex()
    rows = list_text([name.kind, name.value] for name in named)
    return _index_of(connection.execute(_by_identities(connection.dialect.name), {"rows": rows}).all())


_NAMES = sa.select(
    identities.c.kind, identities.c.value, identities.c.contact_id, identities.c.since, identities.c.told
)


@lru_cache
def _by_identities(dialect: str) -> sa.Select[Any]:
    wanted = relation_of_parameter(dialect, [identities.c.kind, identities.c.value])
    owners = identities.alias("owners")
    is_wanted = sa.and_(owners.c.kind == wanted.c.kind, owners.c.value == wanted.c.value)
    owner = sa.select(owners.c.contact_id).join(wanted, is_wanted)
    return _NAMES.where(identities.c.contact_id.in_(owner))


def load_index_by_contacts(connection: sa.Connection, ids: Sequence[int]) -> IdentityIndex:
    """Return all identities of these contacts."""
    return _index_of(connection.execute(_NAMES.where(any_of(identities.c.contact_id, ids, connection))).all())


def _index_of(rows: Iterable[Any]) -> IdentityIndex:
    index = IdentityIndex()
    for kind, value, contact, since, told in rows:
        index.add(Identity(kind, value), contact, since, hint=told == "hint")
    return index


def load_newest_identities(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[Identity, ...]]:
    """Return contact -> its newest identity of each kind, strongest first, for events that nurture itself emits."""
    known = load_index_by_contacts(connection, ids)
    newest_of: dict[int, tuple[Identity, ...]] = {}
    for contact, names in known.names.items():
        newest = {name.kind: name for name in sorted(names, key=lambda name: (known.since[name], name))}
        newest_of[contact] = tuple(newest[kind] for kind in IDENTITY_KINDS if kind in newest)
    return newest_of


def claim_identities(
    connection: sa.Connection,
    wanted: Mapping[Identity, tuple[int, Instant, str]],
    *,
    hints: Collection[Identity] = (),
) -> bool:
    """Insert identities without an owner: identity -> (contact, since, source); return whether all were still free.

    hints: those that only a hint ties to their contact. They are inserted in sorted order, so two drains that claim
    the same identities cannot deadlock.
    """
    rows = [
        {
            "kind": name.kind,
            "value": name.value,
            "contact_id": contact,
            "since": since,
            "source": source,
            "learnt_for": contact,
            "told": "hint" if name in hints else "trusted",
        }
        for name, (contact, since, source) in sorted(wanted.items())
    ]
    inserted = insert(connection, identities, rows, conflict=["kind", "value"], returning=["kind"])
    return len(inserted) == len(rows)


def take_identities(
    connection: sa.Connection,
    taken: Mapping[Identity, tuple[int, Instant, bool]],
    held: Mapping[Identity, tuple[int, Instant]],
) -> bool:
    """Give identities to another contact: identity -> (contact, since, whether only a hint ties it).

    held: the owner, and since when, of each identity as it was read. Returns whether all of them still stood so;
    otherwise another transaction took or renewed one meanwhile, and the caller rolls back.
    """
    rows = [
        [*name, *held[name], contact, since, "hint" if hint else "trusted"]
        for name, (contact, since, hint) in sorted(taken.items())
    ]
    return _change_held(connection, rows, is_taken=True)


def renew_identities(
    connection: sa.Connection,
    renewed: Mapping[Identity, tuple[Instant, bool]],
    held: Mapping[Identity, tuple[int, Instant]],
) -> bool:
    """Set when identities were last told, and how: identity -> (since, whether only a hint ties it).

    held, and the result: as of `take_identities`.
    """
    rows = [
        [*name, *held[name], held[name][0], since, "hint" if hint else "trusted"]
        for name, (since, hint) in sorted(renewed.items())
    ]
    return _change_held(connection, rows, is_taken=False)


def _change_held(connection: sa.Connection, rows: Sequence[list[Any]], *, is_taken: bool) -> bool:
    if not rows:
        return True
    statement = _change_of_held(connection.dialect.name, is_taken)
    return len(connection.execute(statement, {"rows": list_text(rows)}).all()) == len(rows)


@lru_cache
def _change_of_held(dialect: str, is_taken: bool) -> Any:
    columns = identities.c
    read = [sa.Column("read_owner", columns.contact_id.type), sa.Column("read_since", columns.since.type)]
    changed = [columns.contact_id, columns.since, columns.told]
    given = relation_of_parameter(dialect, [columns.kind, columns.value, *read, *changed])
    values: dict[str, Any] = {column.name: given.c[column.name] for column in changed}
    if is_taken:
        values["learnt_for"] = given.c.contact_id
    # The row is locked before the condition is judged on its newest version: of two changes at once one fails.
    as_read = (
        columns.kind == given.c.kind,
        columns.value == given.c.value,
        columns.contact_id == given.c.read_owner,
        columns.since == given.c.read_since,
    )
    return sa.update(identities).where(*as_read).values(values).returning(columns.kind)


def confirm_address(connection: sa.Connection, contact: int, address: str) -> None:
    """Mark the address as confirmed by the person, where it is this contact's."""
    mine = sa.and_(
        identities.c.kind == "email", identities.c.value == address, identities.c.contact_id == contact
    )
    connection.execute(sa.update(identities).where(mine).values(told="confirmed"))


def renew_identity(connection: sa.Connection, name: Identity, *, since: Instant) -> None:
    """Set when the identity was last given; mail goes to the newest of several addresses."""
    same = sa.and_(identities.c.kind == name.kind, identities.c.value == name.value)
    connection.execute(sa.update(identities).where(same).values(since=since))


def move_identities(connection: sa.Connection, merged: int, survivor: int) -> int:
    """Move every identity of `merged` to `survivor` and return how many."""
    learnt_for = sa.func.coalesce(identities.c.learnt_for, identities.c.contact_id)
    statement = sa.update(identities).where(identities.c.contact_id == merged)
    return connection.execute(statement.values(contact_id=survivor, learnt_for=learnt_for)).rowcount


def record_merge(
    connection: sa.Connection, *, survivor: int, merged: int, at: Instant, evidence: Mapping[str, Any]
) -> None:
    """Insert the merge with its evidence and point `merged`, and all that was merged into it, at the survivor."""
    connection.execute(
        sa.insert(merges).values(survivor=survivor, merged=merged, at=at, evidence=encode(dict(evidence)))
    )
    joined = connection.execute(
        sa.update(contacts)
        .where(sa.or_(contacts.c.id == merged, contacts.c.survivor == merged))
        .values(survivor=survivor, wake_at=FOREVER, version=contacts.c.version + 1)
        .returning(contacts.c.id, contacts.c.track, contacts.c.stage)
    )
    # Those that had been merged into it before stood at no stage of their own.
    count_people(connection, [(at, row.track, row.stage, -1) for row in joined if row.id == merged])


def undo_merge(connection: sa.Connection, merged: int, survivor: int, *, at: Instant) -> int:
    """Undo a merge: make `merged` a living contact again and return how many identities go back to it.

    Those are the identities learnt for it and for every contact merged into it before. Events, messages and consents
    had kept their contacts, so they stay as they are.
    """
    members = {merged}
    statement = sa.select(merges.c.merged, merges.c.survivor).where(merges.c.undone_at.is_(None))
    while (
        more := {
            row.merged
            for row in connection.execute(
                statement.where(any_of(merges.c.survivor, sorted(members), connection))
            )
        }
        - members
    ):
        members |= more
    of_members = any_of(identities.c.learnt_for, sorted(members), connection)
    names = connection.execute(
        sa.update(identities).where(identities.c.contact_id == survivor, of_members).values(contact_id=merged)
    ).rowcount
    is_member = any_of(contacts.c.id, sorted(members), connection)
    parted = connection.execute(
        sa.update(contacts)
        .where(is_member)
        .values(
            survivor=sa.case((contacts.c.id == merged, sa.null()), else_=merged),
            version=contacts.c.version + 1,
        )
        .returning(contacts.c.id, contacts.c.track, contacts.c.stage)
    )
    count_people(connection, [(at, row.track, row.stage, 1) for row in parted if row.id == merged])
    undone = sa.update(merges).where(merges.c.merged == merged, merges.c.undone_at.is_(None))
    connection.execute(undone.values(undone_at=at))
    return names


def set_newest_email(connection: sa.Connection, contact: int) -> None:
    """Set the contact's address to its newest one."""
    newest = (
        sa.select(identities.c.value)
        .where(identities.c.contact_id == contact, identities.c.kind == "email")
        .order_by(identities.c.since.desc(), identities.c.value)
        .limit(1)
    )
    connection.execute(
        sa.update(contacts).where(contacts.c.id == contact).values(email=newest.scalar_subquery())
    )


def load_addresses(
    connection: sa.Connection, contact: int, also: Collection[str]
) -> dict[str, tuple[int, Instant, str]]:
    """Return address -> (owner, since, how it was told), for the addresses of the contact and those named."""
    i = identities.c
    is_wanted = sa.or_(i.contact_id == contact, any_of(i.value, sorted(also), connection))
    statement = sa.select(i.value, i.contact_id, i.since, i.told).where(i.kind == "email", is_wanted)
    return {row.value: (row.contact_id, row.since, row.told) for row in connection.execute(statement)}

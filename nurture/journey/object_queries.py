"""Things without a person: rows of `objects`, who watches them, and changes whose watchers are being woken."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nurture.contacts.watch_queries import renew_watches
from nurture.database.bulk import Row, any_of, insert, relation
from nurture.database.condition_sql import three_valued
from nurture.database.engine import decode, encode
from nurture.database.schema import contacts, events, inbox, object_wakes, objects, watches
from nurture.domain.conditions.nodes import reads_local_time
from nurture.domain.instant import FOREVER, NEVER, Instant
from nurture.domain.measure import Measure
from nurture.domain.playbook import Playbook

#: (kind, key) of an object.
Thing = tuple[str, str]

#: `cursor_since` of a change whose watchers have been woken, and whose audiences are being handed it.
TO_AUDIENCE: Final = FOREVER
_IS_FOR_AUDIENCE = object_wakes.c.cursor_since == TO_AUDIENCE


def lock_objects(connection: sa.Connection, things: Sequence[Thing]) -> dict[Thing, dict[str, Any]]:
    """Lock these objects in order, new ones made first, and return their facts: {"values": ..., "at": ...}."""
    ordered = sorted(set(things))
    rows: list[Row] = [
        {
            "kind": kind,
            "key": key,
            "facts": encode({"values": {}, "at": {}}),
            "version": 0,
            "changed_at": NEVER,
            "first_at": FOREVER,
        }
        for kind, key in ordered
    ]
    insert(connection, objects, rows, conflict=["kind", "key"])
    given = relation(connection, [objects.c.kind, objects.c.key], rows)
    statement = (
        sa.select(objects.c.kind, objects.c.key, objects.c.facts)
        .join(given, sa.and_(objects.c.kind == given.c.kind, objects.c.key == given.c.key))
        .order_by(objects.c.kind, objects.c.key)
        .with_for_update(of=objects)
    )
    return {(row.kind, row.key): decode(row.facts) for row in connection.execute(statement)}


def save_objects(
    connection: sa.Connection, changed: dict[Thing, tuple[dict[str, Any], Instant, Instant]]
) -> None:
    """Write the facts of locked objects, with the instants of their newest and first event; raise their versions."""
    rows: list[Row] = [
        {"kind": kind, "key": key, "facts": encode(facts), "changed_at": newest, "first_at": first}
        for (kind, key), (facts, newest, first) in sorted(changed.items())
    ]
    names = ("kind", "key", "facts", "changed_at", "first_at")
    given = relation(connection, [objects.c[name] for name in names], rows)
    newer = given.c.changed_at > objects.c.changed_at
    earlier = given.c.first_at < objects.c.first_at
    connection.execute(
        sa.update(objects)
        .where(objects.c.kind == given.c.kind, objects.c.key == given.c.key)
        .values(
            facts=given.c.facts,
            version=objects.c.version + 1,
            changed_at=sa.case((newer, given.c.changed_at), else_=objects.c.changed_at),
            first_at=sa.case((earlier, given.c.first_at), else_=objects.c.first_at),
        )
    )


def add_wakes(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Store events whose objects' watchers must be woken."""
    start = {"cursor_since": NEVER, "cursor_contact": 0}
    insert(connection, object_wakes, [{**row, **start} for row in rows])


def lock_wake(connection: sa.Connection) -> sa.Row[Any] | None:
    """Lock and return the oldest change that nobody else is working on, one that watchers wait for first."""
    # An audience may be everybody: it waits until nobody else does.
    order = (sa.case((_IS_FOR_AUDIENCE, 1), else_=0), object_wakes.c.id)
    statement = sa.select(object_wakes).order_by(*order).limit(1).with_for_update(skip_locked=True)
    return connection.execute(statement).one_or_none()


def has_wakes(connection: sa.Connection) -> bool:
    """Tell whether any change has watchers to wake."""
    return connection.execute(sa.select(object_wakes.c.id).limit(1)).first() is not None


def is_early(connection: sa.Connection, wake: sa.Row[Any], *, own: str) -> bool:
    """Tell whether something accepted before the change is not applied yet: somebody may ask to be told of it.

    own: the source of what watchers are woken by.
    """
    first = sa.select(inbox.c.received_at).where(inbox.c.source != own).order_by(inbox.c.id).limit(1)
    oldest = first.scalar_subquery()
    change = sa.select(events.c.received_at).where(events.c.id == wake.event_id).scalar_subquery()
    return bool(connection.scalar(sa.select(oldest <= change)))


def watchers(
    connection: sa.Connection, wake: sa.Row[Any], lists: Sequence[str], *, limit: int
) -> Sequence[Any]:
    """Return (since, contact_id) of the next watchers of the change's object on these lists, in order of waiting.

    Somebody on several of them waits since the first.
    """
    after = sa.tuple_(sa.literal(wake.cursor_since), sa.literal(wake.cursor_contact))
    here = sa.and_(watches.c.kind.in_(sorted(lists)), watches.c.key == wake.key)
    if len(lists) == 1:
        statement = sa.select(watches.c.since, watches.c.contact_id).where(
            here, sa.tuple_(watches.c.since, watches.c.contact_id) > after
        )
        order: tuple[Any, ...] = (watches.c.since, watches.c.contact_id)
    else:
        first = sa.func.min(watches.c.since)
        statement = (
            sa.select(first.label("since"), watches.c.contact_id)
            .where(here)
            .group_by(watches.c.contact_id)
            .having(sa.tuple_(first, watches.c.contact_id) > after)
        )
        order = (first, watches.c.contact_id)
    return connection.execute(statement.order_by(*order).limit(limit)).all()


def lists_of_watchers(
    connection: sa.Connection, key: str, lists: Sequence[str], contact_ids: Sequence[int]
) -> dict[int, dict[str, Instant]]:
    """Return contact -> list -> since, of those of these lists on which each watches an object."""
    statement = sa.select(watches.c.contact_id, watches.c.kind, watches.c.since).where(
        watches.c.kind.in_(sorted(lists)),
        watches.c.key == key,
        any_of(watches.c.contact_id, contact_ids, connection),
    )
    found: dict[int, dict[str, Instant]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.contact_id, {})[row.kind] = row.since
    return found


def audience_after(
    connection: sa.Connection,
    measures: Sequence[Measure],
    playbook: Playbook,
    *,
    after: int,
    now: Instant,
    limit: int,
) -> list[int]:
    """Return the next living contacts, by id, who stand where one of the measures is and are in its audience."""
    statement = (
        sa.select(contacts.c.id)
        .where(
            contacts.c.id > after,
            contacts.c.survivor.is_(None),
            contacts.c.erased_at.is_(None),
            sa.or_(*_audiences(connection, measures, playbook, now)),
        )
        .order_by(contacts.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def _audiences(
    connection: sa.Connection, measures: Sequence[Measure], playbook: Playbook, now: Instant
) -> list[sa.ColumnElement[bool]]:
    zones = [playbook.default_zone]
    if any(reads_local_time(measure.audience.root) for measure in measures):
        named = sa.select(contacts.c.zone).distinct().where(contacts.c.zone.is_not(None))
        zones += sorted(set(connection.execute(named).scalars()) - {playbook.default_zone})
    audiences = []
    for measure in measures:
        parts = [three_valued(measure.audience, now=now, zones=zones)]
        if measure.track != "any":
            parts.append(contacts.c.track == measure.track)
        if measure.stage != "any":
            parts.append(contacts.c.stage.in_(sorted({measure.stage, *measure.later_stages})))
        audiences.append(sa.and_(*parts))
    return audiences


def move_cursor(connection: sa.Connection, wake_id: int, *, since: Instant, contact: int) -> None:
    """Remember the last watcher woken."""
    statement = sa.update(object_wakes).where(object_wakes.c.id == wake_id)
    connection.execute(statement.values(cursor_since=since, cursor_contact=contact))


def end_wake(connection: sa.Connection, wake_id: int) -> None:
    """Forget a change whose watchers have all been woken."""
    connection.execute(sa.delete(object_wakes).where(object_wakes.c.id == wake_id))


def forget_watches(connection: sa.Connection, thing: Thing, contact_ids: Sequence[int]) -> None:
    """End the watching of people who waited too long."""
    kind, key = thing
    connection.execute(
        sa.delete(watches).where(
            watches.c.kind == kind,
            watches.c.key == key,
            any_of(watches.c.contact_id, contact_ids, connection),
        )
    )


def hand_watches(connection: sa.Connection, merged: int, survivor: int) -> None:
    """Pass the watches of the merged contact to the survivor, with their instants."""
    mine = sa.select(watches.c.kind, watches.c.key, sa.literal(survivor).label("contact_id"), watches.c.since)
    rows = [row._asdict() for row in connection.execute(mine.where(watches.c.contact_id == merged))]
    renew_watches(connection, rows)
    connection.execute(sa.delete(watches).where(watches.c.contact_id == merged))


def return_watches(
    connection: sa.Connection,
    parted: int,
    survivor: int,
    *,
    of_parted: Collection[Thing],
    shared: Collection[Thing],
) -> None:
    """After an un-merge, give back what `parted` watches by its own events; what both watch stays with both."""
    mine = sa.select(watches.c.kind, watches.c.key, watches.c.since).where(watches.c.contact_id == survivor)
    rows = [row for row in connection.execute(mine) if (row.kind, row.key) in of_parted]
    insert(
        connection,
        watches,
        [{**row._asdict(), "contact_id": parted} for row in rows],
        conflict=["kind", "key", "contact_id"],
    )
    for row in rows:
        if (row.kind, row.key) not in shared:
            forget_watches(connection, (row.kind, row.key), [survivor])

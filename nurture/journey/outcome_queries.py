"""Record outcomes: what people did that measures are judged by, from entities as they stand and from single events.

Rows are only added. The rows of one key add up to what stands: whether it counts, and its net amount. So what is told
twice adds nothing, and a refund, a merge or a change of definitions adds the difference.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from nurture.database.bulk import any_of, any_of_parameter, insert, list_text
from nurture.database.schema import contacts as contacts_table
from nurture.database.schema import coupons, outcomes
from nurture.domain.accounts import is_from_colleague
from nurture.domain.contact import Contact
from nurture.domain.entities import counted_at, entity_key, mark_of, net_amount
from nurture.domain.entities.net_facts import currency_of, is_standing
from nurture.domain.event import Event
from nurture.domain.experiment.epochs import Outcome, outcomes_of
from nurture.domain.experiment.incentives import codes_of, given_away, incentive_of, incentives_of
from nurture.domain.instant import Instant
from nurture.domain.playbook import EntityKind, Playbook

_COLUMNS: Final = tuple(column.name for column in outcomes.c)
_KEY: Final = tuple(column.name for column in outcomes.primary_key)

_Row = tuple[Any, ...]
#: (contact, name of the entity, its key).
_Place = tuple[int, str, str]


def record_outcomes(
    connection: sa.Connection,
    states: Sequence[Contact],
    events: Iterable[tuple[Event, int | None]],
    playbook: Playbook,
    *,
    now: Instant,
    refolded: Collection[int] = (),
) -> int:
    """Add the outcomes of these contacts, whose states are those after the events; return how many rows.

    refolded: contacts whose entities may have changed without an event of theirs, as by a merge. At most two
    statements run, and one more where an order used a coupon; none when nothing concerns an outcome.
    """
    wanted = _wanted(playbook)
    by_id = {state.id: state for state in states}
    changed, single = set(refolded) & by_id.keys(), []
    for event, contact in events:
        if contact is None or contact not in by_id or event.kind == "object" or is_from_colleague(event):
            continue
        if event.name in wanted.entity_events:
            changed.add(contact)
        if (outcome := wanted.by_event.get(event.name)) is not None:
            single.append(_row_of_event(event, contact, outcome))
    rows = [
        *single,
        *_differences(connection, [by_id[contact] for contact in sorted(changed)], playbook, now),
    ]
    insert(connection, outcomes, rows, columns=_COLUMNS, conflict=_KEY)
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The outcomes of a playbook, by what concerns them."""

    kinds: tuple[Outcome, ...]
    by_event: Mapping[str, Outcome]
    # Names of events after which an entity may count, stand or be worth something else.
    entity_events: frozenset[str]
    # Name of the outcomes for what a measure's coupons gave away -> (its identity, the kind of entities).
    incentives: Mapping[str, tuple[str, str]]


@lru_cache(maxsize=8)
def _wanted(playbook: Playbook) -> _Wanted:
    found = outcomes_of(playbook).values()
    kinds = tuple(outcome for outcome in found if outcome.is_entity)
    names: set[str] = set()
    for outcome in kinds:
        kind = outcome.kind
        while kind is not None:
            names.update(kind.closed_by)
            for match in (*kind.of, *kind.counts_from, *kind.restored_by):
                names.update(match.names)
            for reversal in kind.reversed_by:
                names.update(reversal.match.names)
            kind = playbook.entities.get(kind.within)
    by_event = {outcome.name: outcome for outcome in found if not outcome.is_entity}
    incentives = {
        incentive_of(root): (root, kind) for kind, roots in incentives_of(playbook).items() for root in roots
    }
    return _Wanted(kinds, by_event, frozenset(names), incentives)


def _row_of_event(event: Event, contact: int, outcome: Outcome) -> _Row:
    key = None if outcome.kind is None else entity_key(event, outcome.kind)
    return (
        contact,
        outcome.name,
        key if key is not None else f"{event.source}:{event.message_id}",
        *("counted", event.occurred_at, 1, 0, ""),
    )


# ---- entities --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stored:
    """The rows of one key so far."""

    number: int = 0
    value: int = 0
    counted: set[Instant] = field(default_factory=set)
    newest: Instant = 0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class _Standing:
    """An entity that counts now."""

    at: Instant
    value: int
    currency: str


def _differences(
    connection: sa.Connection, states: Sequence[Contact], playbook: Playbook, now: Instant
) -> list[_Row]:
    """Return the rows after which those of each entity add up to what stands."""
    if not states:
        return []
    wanted = _wanted(playbook)
    names = [*(kind.name for kind in wanted.kinds), *wanted.incentives]
    stored = _load(connection, [state.id for state in states], names)
    rows: list[_Row] = list(_incentive_rows(connection, states, stored, playbook, now))
    for state in states:
        for outcome in wanted.kinds:
            standing = _standing(state, outcome, playbook)
            mine = stored.get((state.id, outcome.name), {})
            for key in sorted(mine.keys() | standing.keys()):
                stands = standing.get(key) or _buried(state, outcome, key, playbook)
                rows += _rows((state.id, outcome.name, key), mine.get(key, _Stored()), stands, now)
    return rows


def _incentive_rows(
    connection: sa.Connection,
    states: Sequence[Contact],
    stored: Mapping[tuple[int, str], Mapping[str, _Stored]],
    playbook: Playbook,
    now: Instant,
) -> Iterator[_Row]:
    """Yield the rows after which what coupons gave away adds up, an order at a time."""
    wanted = _wanted(playbook).incentives
    if not wanted:
        return
    offers = _load_offers(connection, states, {kind for _, kind in wanted.values()})
    for state in states:
        for name, (measure, kind) in wanted.items():
            entities, mine = state.memory.entities.get(kind, {}), stored.get((state.id, name), {})
            # Rows about an order that was dropped since stay: its codes are known no more.
            for key in sorted(entities.keys() | {key for key in mine if not _is_buried(state, kind, key)}):
                codes = codes_of(entities[key]) if key in entities else frozenset()
                used = [offers[code][1] for code in codes if code in offers and offers[code][0] == measure]
                stands = _given(entities[key], playbook.entities[kind], used, playbook) if used else None
                yield from _rows((state.id, name, key), mine.get(key, _Stored()), stands, now)


def _is_buried(state: Contact, kind: str, key: str) -> bool:
    return mark_of(key) in state.memory.buried.get(kind, {})


def _given(entity: Any, kind: EntityKind, offers: Collection[str], playbook: Playbook) -> _Standing | None:
    at, currency = counted_at(entity), currency_of(entity, playbook)
    if at is None or not is_standing(entity) or currency is None:
        return None
    return _Standing(at, given_away(entity, kind, offers, playbook), currency)


def _load_offers(
    connection: sa.Connection, states: Iterable[Contact], kinds: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return code -> (the measure that gave it, its offer) of the codes that orders of these contacts name."""
    codes = {
        code
        for state in states
        for kind in kinds
        for entity in state.memory.entities.get(kind, {}).values()
        for code in codes_of(entity)
    }
    if not codes:
        return {}
    c = coupons.c
    statement = sa.select(c.code, c.measure, c.offer).where(any_of(c.code, sorted(codes), connection))
    return {row.code: (row.measure, row.offer) for row in connection.execute(statement)}


def _load(
    connection: sa.Connection, contacts: Sequence[int], names: Sequence[str]
) -> dict[tuple[int, str], dict[str, _Stored]]:
    """Return (contact, name) -> key -> its rows so far, of the contacts and of all that were merged into them."""
    values = {"ids": list_text(contacts), "names": names}
    found: dict[tuple[int, str], dict[str, _Stored]] = {}
    for row in connection.execute(_stored_statement(connection.dialect.name), values):
        of_name = found.setdefault((row.person, row.name), {})
        stored = of_name.setdefault(row.entity_key, _Stored())
        stored.number += row.number
        stored.value += row.value_minor
        stored.newest = max(stored.newest, row.at)
        stored.currency = stored.currency or row.currency
        if row.kind == "counted":
            stored.counted.add(row.at)
    return found


@lru_cache
def _stored_statement(dialect: str) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    merged = contacts_table.c
    is_wanted = outcomes.c.name.in_(sa.bindparam("names", expanding=True))
    own = sa.select(outcomes, outcomes.c.contact_id.label("person"))
    theirs = sa.select(outcomes, merged.survivor).join(contacts_table, merged.id == outcomes.c.contact_id)
    return sa.union_all(
        own.where(any_of_parameter(outcomes.c.contact_id, dialect), is_wanted),
        theirs.where(any_of_parameter(merged.survivor, dialect), is_wanted),
    )


def _standing(state: Contact, outcome: Outcome, playbook: Playbook) -> dict[str, _Standing]:
    found = {}
    for key, entity in state.memory.entities.get(outcome.name, {}).items():
        stands = _read(entity, outcome, playbook)
        if stands is not None:
            found[key] = stands
    return found


def _buried(state: Contact, outcome: Outcome, key: str, playbook: Playbook) -> _Standing | None:
    """Return what stands of an entity that was dropped beyond `keep`; only a mark of its key is known."""
    entity = state.memory.buried.get(outcome.name, {}).get(mark_of(key))
    return None if entity is None else _read(entity, outcome, playbook)


def _read(entity: Any, outcome: Outcome, playbook: Playbook) -> _Standing | None:
    at = counted_at(entity)
    if at is None or not is_standing(entity) or outcome.kind is None:
        return None
    currency = currency_of(entity, playbook)
    # An amount in a currency that the brand does not name is never added.
    value = 0 if currency is None else net_amount(entity, outcome.kind, playbook) or 0
    return _Standing(at, value, currency or "")


def _rows(place: _Place, stored: _Stored, stands: _Standing | None, now: Instant) -> Iterator[_Row]:
    """Yield what is missing: at most one row that counts and one that takes back or adjusts."""
    later = max(now, stored.newest + 1)
    if stands is None:
        if stored.number or stored.value:
            yield (*place, "reversed", later, -stored.number, -stored.value, stored.currency)
        return
    number, value = 1 - stored.number, stands.value - stored.value
    is_earliest = not stored.counted or stands.at < min(stored.counted)
    if is_earliest:
        # It is dated by its earliest event, which may come later than others.
        is_first = not stored.counted
        yield (
            *(*place, "counted", stands.at),
            *((number, value) if is_first else (0, 0)),
            stands.currency,
        )
        if is_first:
            return
    if number or value:
        yield (*place, "adjusted", later, number, value, stands.currency)

"""Load and save baselines: the state that a contact's removed events had produced, kept under that contact."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nurture.contacts.family_queries import family
from nurture.contacts.state_codec import decode_memory, memory_document
from nurture.database.bulk import Row, any_of, insert
from nurture.database.engine import decode, encode
from nurture.database.schema import baselines
from nurture.domain.contact import Contact
from nurture.domain.instant import Instant

_KEPT = (
    *("track", "stage", "track_since", "stage_since", "first_seen_at", "zone", "locale", "facts"),
    *("clock", "adopted"),
)


def load_baselines(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Contact]]:
    """Return the baselines of these people and of the contacts merged into them; few people have one."""
    people = family(connection, ids)
    statement = (
        sa.select(people.c.person, baselines.c.contact_id, baselines.c.state)
        .join(baselines, baselines.c.contact_id == people.c.id)
        .order_by(baselines.c.contact_id)
    )
    states: dict[int, list[Contact]] = {contact: [] for contact in ids}
    for row in connection.execute(statement):
        states[row.person].append(_build_state(row))
    return states


def load_own_baselines(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Contact]:
    """Return each contact's own baseline, also of one that was merged into another."""
    statement = sa.select(baselines).where(any_of(baselines.c.contact_id, ids, connection))
    return {row.contact_id: _build_state(row) for row in connection.execute(statement)}


def _build_state(row: Any) -> Contact:
    values: dict[str, Any] = decode(row.state)
    memory, unknown = decode_memory(encode(values.pop("memory", {})))
    return Contact(id=row.contact_id, memory=memory, unknown_memory=unknown, **values)


def save_baselines(connection: sa.Connection, states: Mapping[int, Contact], *, until: Instant) -> None:
    """Save the state that each contact's removed events produced; all were received before `until`."""
    rows: list[Row] = [
        {
            "contact_id": contact,
            "until": until,
            "state": encode(
                {name: getattr(state, name) for name in _KEPT}
                | {"memory": memory_document(state.memory, state.unknown_memory)}
            ),
        }
        for contact, state in sorted(states.items())
    ]
    insert(connection, baselines, rows, conflict=["contact_id"], update=["until", "state"])

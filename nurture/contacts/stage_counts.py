"""Count people at their stages, as `advance` moves them (`database.day_counts`)."""

from collections.abc import Container, Iterator, Sequence

import sqlalchemy as sa

from nurture.database.day_counts import count_people
from nurture.domain.contact import Advance
from nurture.domain.instant import Instant


def count_moves(connection: sa.Connection, advances: Sequence[Advance], new: Container[int]) -> None:
    """Count the contacts that came to another stage. new: ids of those that had no row before."""
    count_people(connection, _moves(advances, new))


def _moves(advances: Sequence[Advance], new: Container[int]) -> Iterator[tuple[Instant, str, str, int]]:
    for advance in advances:
        contact = advance.contact
        if contact.id in new:
            yield contact.clock, contact.track, contact.stage, 1
        elif advance.transitions:
            # The first transition of each kind knows where the contact stood before.
            before = {change.kind: change.before for change in reversed(advance.transitions)}
            at = advance.transitions[-1].noticed_at
            yield at, before.get("track", contact.track), before.get("stage", contact.stage), -1
            yield at, contact.track, contact.stage, 1

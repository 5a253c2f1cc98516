"""Cancellations of one entity: since when it is reversed follows from all of them and its newest restoration."""

from collections.abc import Iterable
from typing import Final

from nurture.domain.instant import Instant
from nurture.domain.memory import Entity

#: So many are kept between the earliest and the newest.
_BETWEEN_MAX: Final = 20


def cancellations(entity: Entity) -> list[Instant]:
    """Return the instants of the cancellations that are kept."""
    if entity.cancelled_at is None:
        return []
    return [entity.cancelled_at, *entity.cancellations, max(entity.cancelled_again_at, entity.cancelled_at)]


def note_cancellations(entity: Entity, instants: Iterable[Instant]) -> None:
    """Add cancellations; the same result in any order of arrival."""
    known = sorted({*cancellations(entity), *instants})
    if known:
        entity.cancelled_at, entity.cancelled_again_at = known[0], known[-1]
        entity.cancellations = known[1:-1][-_BETWEEN_MAX:]


def standing_cancellation(entity: Entity) -> Instant | None:
    """Return the earliest cancellation that no restoration takes back, None for none."""
    return min((at for at in cancellations(entity) if at >= entity.restored_at), default=None)

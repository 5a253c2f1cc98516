"""The parts of a playbook that an event of one name can touch, so that the others are not asked about it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False, slots=True)
class AffectedParts:
    """The parts of a playbook that name an event; False: no rule of the part does."""

    # Entities, and with them the facts, milestones and conversions that follow from them.
    entities: bool
    # Conversions by events, and what reverses a conversion.
    conversions: bool
    holds: bool
    milestones: bool
    # Objects whose watch it starts or ends.
    watches: bool
    # Keys of exits and waits.
    keys: bool
    # Exits, waits, and measures in which a new run replaces an earlier one.
    run_ends: bool

    @property
    def track(self) -> bool:
        """True when it may change the track."""
        return self.entities or self.conversions


#: Those of an event that no rule names.
NO_PARTS: Final = AffectedParts(*(False,) * 7)


def parts_by_event(parts: Mapping[str, Collection[Mapping[str, object]]]) -> dict[str, AffectedParts]:
    """Return the affected parts by event. parts: field of `AffectedParts` -> tables by the event's name."""
    names = {name for tables in parts.values() for table in tables for name in table}
    return {
        name: AffectedParts(
            **{part: any(name in table for table in tables) for part, tables in parts.items()}
        )
        for name in names
    }

"""The choices of a simulation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nurture.domain.instant import Instant

#: Keys of the private database. They are the same for each simulation, so that the same seed gives the same bytes.
SECRET_KEY: Final = "the-key-of-a-simulation-which-mails-nobody"  # noqa: S105 - it guards nothing
SUPPRESSION_KEY: Final = "the-suppression-key-of-a-simulation-which-keeps-no-address"


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The people, or recorded history, the number of days, and the programme."""

    people: int = 1_000
    days: int = 90
    seed: int = 7
    # A file of recorded events.
    events: Path | None = None
    # True: the events and consents of the installation's database.
    from_database: bool = False
    contacts: Path | None = None
    # A file of events about things, such as products.
    objects: Path | None = None
    playbook: Path | None = None
    # The day on which made-up people begin; None: today.
    start: Instant | None = None
    # A file of rates by which made-up people react; None: those that ship.
    reactions: Path | None = None

    @property
    def is_history(self) -> bool:
        """True where events were recorded, so nobody is made up."""
        return self.events is not None or self.from_database

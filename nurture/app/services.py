"""The wiring: settings in, an opened database, clock, keys, playbook source and lanes out."""

from dataclasses import dataclass, field

from nurture.database.engine import Database
from nurture.domain.signing import Keys
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.runtime.notifications import Bells, NoBells
from nurture.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an action may need; made once by whoever starts the process."""

    database: Database
    settings: Settings
    clock: Clock
    keys: Keys
    playbooks: PlaybookSource
    bells: Bells = field(default_factory=NoBells)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

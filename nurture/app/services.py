"""The wiring: settings in, an opened database, clock, keys, playbook source and lanes out."""

from dataclasses import dataclass, field

from nurture.app.bells import Bells, NoBells
from nurture.clock import Clock
from nurture.domain.token import Keys
from nurture.playbook import PlaybookSource
from nurture.settings import Settings
from nurture.store.database import Database


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

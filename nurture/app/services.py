"""`Services`: the opened installation that every action of `nurture.app` takes as its first argument."""

from dataclasses import dataclass, field

from nurture.database.engine import Database
from nurture.domain.signing import Keys
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.runtime.notifications import Bells, NoBells
from nurture.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The opened database, the settings, the clock, the signing keys and the playbooks; created once a process."""

    database: Database
    settings: Settings
    clock: Clock
    keys: Keys
    playbooks: PlaybookSource
    bells: Bells = field(default_factory=NoBells)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

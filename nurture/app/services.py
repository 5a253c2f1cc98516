"""`Services`: the opened installation that every action of `nurture.app` takes as its first argument."""

from dataclasses import dataclass, replace
from typing import Self

from nurture.database.engine import Database
from nurture.database.notifications import Notifier
from nurture.domain.signing import SigningKeys
from nurture.playbook import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The opened database, the settings, the clock, the signing keys and the playbooks; created once a process."""

    database: Database
    settings: Settings
    clock: Clock
    keys: SigningKeys
    playbooks: PlaybookSource

    def notifying(self, notifier: Notifier) -> Self:
        """Return the same services, whose transactions notify workers through `notifier`."""
        if self.database.notifier is notifier:
            return self
        return replace(self, database=replace(self.database, notifier=notifier))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

"""Apply accepted events in this process, where no other process of the installation would."""

from collections.abc import Callable
from typing import Literal

from nurture.app.process_lock import hold_installation_lock
from nurture.app.services import Services
from nurture.domain.errors import SettingsError
from nurture.journey.drain import drain

#: applied: here, before the answer. running: `nurture up` does it. elsewhere: workers of the installation do it.
Applied = Literal["applied", "running", "elsewhere"]


def apply_here(services: Services, progress: Callable[[int], None] | None = None) -> Applied:
    """Apply every waiting event when the installation is one SQLite file and nothing else runs on it.

    No mail leaves: what the events decide waits for `nurture up`. progress: called with the number of events applied.
    """
    settings = services.settings
    if not settings.embedded or not settings.broker_url.startswith("memory:"):
        return "elsewhere"
    try:
        with hold_installation_lock(settings):
            applied, database, playbooks = 0, services.database, services.playbooks
            while (counts := drain(database, shard=None, clock=services.clock, playbooks=playbooks)).total():
                applied += counts["applied"]
                if progress is not None:
                    progress(applied)
    except SettingsError:
        return "running"
    return "applied"

"""Apply accepted events in this process, where no other process of the installation would."""

from typing import Literal

from nurture.app.process_lock import hold_installation_lock
from nurture.app.services import Services
from nurture.domain.errors import SettingsError
from nurture.journey.drain import drain

#: applied: here, before the answer. running: `nurture up` does it. elsewhere: workers of the installation do it.
Applied = Literal["applied", "running", "elsewhere"]


def apply_here(services: Services) -> Applied:
    """Apply every waiting event when the installation is one SQLite file and nothing else runs on it.

    No mail leaves: what the events decide waits for `nurture up`.
    """
    settings = services.settings
    if not settings.embedded or not settings.broker_url.startswith("memory:"):
        return "elsewhere"
    try:
        with hold_installation_lock(settings):
            while drain(
                services.database, shard=None, clock=services.clock, playbooks=services.playbooks
            ).total():
                continue
    except SettingsError:
        return "running"
    return "applied"

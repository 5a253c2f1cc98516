"""The kinds of data with a retention period: their names, days kept and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nurture.domain.instant import DAY, Duration


@dataclass(frozen=True, slots=True)
class DataKind:
    """A kind of data with a retention period: the default and the least number of days."""

    days: int
    at_least: int
    # The data that is removed, for docs and for `nurture doctor`.
    what: str


#: The names of NURTURE_RETENTION. Data of no kind listed here is kept as long as its contact.
KINDS: Final[Mapping[str, DataKind]] = {
    "events": DataKind(
        761, 31, "events; what they made of the contact stays (25 months, counted from receipt)"
    ),
    "contents": DataKind(395, 31, "what mails were made from, the guard's findings and the servers' words"),
    "reports": DataKind(120, 91, "what providers reported, word for word"),
    "quarantine": DataKind(90, 7, "items that could not be used"),
    "refusals": DataKind(395, 31, "why a measure was not entered"),
    "anonymous": DataKind(395, 31, "contacts that only a browser names, silent as long, without mail or run"),
    "imports": DataKind(761, 31, "fingerprints of imported files"),
}


def compute_retention(settings: Mapping[str, int]) -> dict[str, Duration]:
    """Return how long each kind is kept. settings: days by name, in place of the defaults."""
    return {name: settings.get(name, kind.days) * DAY for name, kind in KINDS.items()}


def find_faults(settings: Mapping[str, int]) -> list[str]:
    """Return the faults in days by name, each with what to write instead."""
    unknown = [
        f"{name}: no such kind; there are {', '.join(KINDS)}" for name in settings if name not in KINDS
    ]
    short = [
        f"{name}={days}: keep at least {KINDS[name].at_least} days"
        for name, days in settings.items()
        if name in KINDS and days < KINDS[name].at_least
    ]
    return [*unknown, *short]

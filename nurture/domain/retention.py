"""How long each kind of data is kept. Pure: names, days, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nurture.domain.instant import DAY, Duration


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of data with a time to live: days kept unless the setting says otherwise, and at least."""

    days: int
    at_least: int
    # What is removed, for docs and for `nurture doctor`.
    what: str


#: The names of NURTURE_RETENTION. What stands in none of them is kept as long as its contact.
KINDS: Final[Mapping[str, Kind]] = {
    "events": Kind(761, 31, "events; what they made of the contact stays (25 months, counted from receipt)"),
    "contents": Kind(395, 31, "what mails were made from, the guard's findings and the servers' words"),
    "reports": Kind(120, 91, "what providers reported, word for word"),
    "quarantine": Kind(90, 7, "items that could not be used"),
    "refusals": Kind(395, 31, "why a measure was not entered"),
    "anonymous": Kind(395, 31, "contacts that only a browser names, silent as long, without mail or run"),
    "imports": Kind(761, 31, "fingerprints of imported files"),
}


def kept(given: Mapping[str, int]) -> dict[str, Duration]:
    """Return how long each kind is kept. given: days by name, over the defaults."""
    return {name: given.get(name, kind.days) * DAY for name, kind in KINDS.items()}


def faults(given: Mapping[str, int]) -> list[str]:
    """Return what is wrong with days given by name, and what to write instead."""
    unknown = [f"{name}: no such kind; there are {', '.join(KINDS)}" for name in given if name not in KINDS]
    short = [
        f"{name}={days}: keep at least {KINDS[name].at_least} days"
        for name, days in given.items()
        if name in KINDS and days < KINDS[name].at_least
    ]
    return [*unknown, *short]

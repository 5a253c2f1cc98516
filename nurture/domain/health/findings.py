"""The value that the health rules return: one trouble, how urgent it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import DAY, HOUR, MINUTE, SECOND, Duration, Instant

#: problem  needs a person: `nurture status` exits with 1     notice  worth knowing
Severity = Literal["problem", "notice"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble."""

    # relay, broker, worker ...; with `about` it names the trouble, so that it is logged once when it begins.
    part: str
    about: str
    severity: Severity
    words: str
    remedy: str = ""
    # Since when, where the signs tell.
    since: Instant | None = None

    @property
    def key(self) -> str:
        """Its name, the same for as long as the trouble lasts."""
        return f"{self.part}:{self.about}" if self.about else self.part


def format_age(age: Duration) -> str:
    """Return how long ago something was, in the unit that fits."""
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if age >= 2 * length:
            return f"{age // length} {unit}"
    return f"{max(0, age) // SECOND} s"


def format_share(part: int, whole: int) -> str:
    """Return a share as a percentage, with the numbers that it comes from."""
    return f"{part / whole:.2%} ({part} of {whole})" if whole else f"{part} of 0"

"""Classes of work: what is urgent goes first, and each class has a guaranteed share, so that no class starves.

The inbox has two classes (live events, and bulk such as an import or a send to many), the outbox three (transactional,
service and marketing mail). A claim takes up to `limit` rows, and `divide` says how many of each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nurture.domain.measure import MARKETING, Purpose


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a queue, the most urgent first."""

    names: tuple[str, ...]
    # The class to which each place of a claim is guaranteed. A longer claim repeats the places.
    places: tuple[int, ...]

    def share(self, name: str) -> float:
        """Return the part of all places that the class is guaranteed."""
        return self.places.count(self.names.index(name)) / len(self.places)


#: One place in five for bulk, the others for live events.
INBOX: Final = Classes(("live", "bulk"), (0, 0, 1, 0, 0))
#: Two places in ten for service mail, one for marketing, the others for transactional mail.
OUTBOX: Final = Classes(("transactional", "service", "marketing"), (0, 0, 1, 0, 0, 2, 0, 1, 0, 0))
#: The class of mail that goes before all others.
URGENT: Final = OUTBOX.names.index("transactional")
#: The class of mail that a busy process also sends beside bulk, after urgent mail.
SERVICE: Final = OUTBOX.names.index("service")
#: Of so many batches of alarms one is for those that a publish sets, while others are due.
_ALARM_TURNS: Final = 5


def class_of(purpose: Purpose) -> int:
    """Return the outbox class of a mail's purpose, as an index into `OUTBOX.names`."""
    return OUTBOX.names.index("marketing" if purpose in MARKETING else purpose)


def divide(classes: Classes, limit: int, waiting: Sequence[int], *, first: int = 0) -> list[int]:
    """Return for each class how many of its waiting rows a claim of `limit` rows takes.

    Each class gets its own places as far as it has rows. Places that a class leaves free go to the others, the most
    urgent first. first: the number of places that earlier claims had; short claims so keep the shares in the long run.
    """
    own = [0] * len(classes.names)
    rounds, rest = divmod(limit, len(classes.places))
    for place, owner in enumerate(classes.places):
        in_rest = (place - first) % len(classes.places) < rest
        own[owner] += rounds + in_rest
    taken = [min(count, places) for count, places in zip(waiting, own, strict=True)]
    free = limit - sum(taken)
    for number, count in enumerate(waiting):
        more = min(free, count - taken[number])
        taken[number] += more
        free -= more
    return taken


def is_turn_of_bulk_alarms(full_batches: int) -> bool:
    """Return whether a publish may set the alarms of its next contacts.

    full_batches: how many batches of due alarms were rung one after the other; 0 when no further alarm is due.
    """
    return full_batches == 0 or full_batches % _ALARM_TURNS == _ALARM_TURNS - 1

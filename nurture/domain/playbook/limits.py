"""Topics, holds, caps, quiet hours and offers: what mail may leave, and when."""

from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import Duration
from nurture.domain.measure import Metric, Purpose
from nurture.domain.playbook.facts import EventMatch


@dataclass(frozen=True, slots=True)
class Hold:
    """A named reason to withhold mail of some purposes, with an end and an owner."""

    name: str
    stops: frozenset[Purpose]
    owner: str
    at_most: Duration
    starts: tuple[EventMatch, ...] = ()
    ends: tuple[EventMatch, ...] = ()
    # The property that ties an end to its start (case_id); None: any end ends all.
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A subject of mail that a person may consent to; the playbook's strings name it in each locale."""

    name: str
    # True: counts only after the person confirmed by the link.
    double_opt_in: bool = True


@dataclass(frozen=True, slots=True)
class Cap:
    """The largest number of runs that write within a sliding window, and the least time between two (`gap`)."""

    name: str
    purposes: frozenset[Purpose]
    at_most: int
    within: Duration
    gap: Duration = 0
    # `runs`: a run takes one slot, which lasts `within` from its last mail. `mails`: each mail takes one.
    count: Literal["runs", "mails"] = "runs"
    # Only mails that carry a coupon code.
    codes_only: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A named offer under which coupon codes are created."""

    name: str
    percent: int
    prefix: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local minutes of the day between which only mail of the exempt purposes leaves; may span midnight."""

    start: int = 21 * 60
    end: int = 8 * 60
    exempt: frozenset[Purpose] = frozenset({"transactional"})


@dataclass(frozen=True, slots=True)
class ProgrammeHoldout:
    """The share of people who get no marketing at all, to show what the whole programme brings."""

    # In hundredths of a percent.
    share: int
    # The compared outcome; None: the one that makes a customer.
    metric: Metric | None = None

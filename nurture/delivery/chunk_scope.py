"""The values that the guard reads for every message of a chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nurture.domain.guard.sends import SendLimits
from nurture.domain.instant import Instant
from nurture.domain.pace.domain_rests import DomainRest
from nurture.domain.playbook import Playbook


@dataclass(frozen=True, slots=True)
class ChunkScope:
    """The values that are the same for every message of a chunk."""

    playbook: Playbook
    now: Instant
    # Switches that are off, with their reasons.
    switches: Mapping[str, str]
    only_to: frozenset[str]
    suppression_key: bytes
    # Request id -> the limits of that send; each verdict may take a place in its row.
    sends: dict[str, SendLimits] = field(default_factory=dict)
    # Domain -> its newest rest on the lane.
    domain_rests: Mapping[str, DomainRest] = field(default_factory=dict)

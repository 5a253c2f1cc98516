"""What every delivery needs besides the database, and what the gates hand to each other."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from nurture.delivery.journal.writer import Journal
from nurture.delivery.load_guard_input import ChunkScope, GuardItem
from nurture.domain.counts import Counts
from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.domain.measure import Purpose
from nurture.domain.message import Verdict
from nurture.domain.signing import Keys
from nurture.playbook import LoadedPlaybook
from nurture.playbook.published import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.transports.types import OutgoingMail

#: How long a claimed message is the worker's before it is on the wire.
CLAIM_LEASE: Duration = 2 * MINUTE
#: How long a message on the wire is the worker's: the ten minutes that SMTP gives a final reply, and some.
WIRE_LEASE: Duration = 12 * MINUTE
#: Mails that pass the wire gate together, and how long after it the last of them may begin.
WINDOW_MAILS = 100
WINDOW_SECONDS = 1.0
#: How long transactional mail in doubt waits for evidence before it is sent again, and how often at most.
EVIDENCE_WAIT: Duration = 10 * MINUTE
DOUBTS_MAX = 3
#: How long a lane rests when the other side asks us to slow down, and when it cannot be reached.
SLOW_REST: Duration = 60 * SECOND
UNREACHED_REST: Duration = 15 * SECOND


@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """One message that passed the chunk gate: leased to the worker, its values frozen."""

    id: int
    attempt: int
    # The living contact that the guard saw; `owner_id` is the one it was decided for.
    contact_id: int
    owner_id: int
    measure: str
    run_key: str
    step: str
    decided_at: Instant
    purpose: Purpose
    address: str
    due_at: Instant
    valid_until: Instant
    # Whether its run waits to hear what became of it.
    awaited: bool
    verdict: Verdict
    # What it was guarded by, and what its templates come from.
    loaded: LoadedPlaybook
    # What its bytes are made from (`nurture.rendering.render`), as kept in messages.context.
    context: dict[str, Any]


@dataclass(slots=True)
class Chunk:
    """What one pass of the chunk gate gave."""

    lane: str
    counts: Counts = field(default_factory=Counts)
    ready: list[ReadyMessage] = field(default_factory=list)


class Composer(Protocol):
    """Freezes mails at the chunk gate and makes their letters afterwards."""

    def freeze(
        self, item: GuardItem, *, delivery: "Delivery", loaded: LoadedPlaybook, given: ChunkScope
    ) -> dict[str, Any]:
        """Return the context of a mail: plain JSON, with at least `header_id` (its Message-ID) and `to`."""
        ...

    def letter(self, ready: ReadyMessage) -> OutgoingMail:
        """Make the letter of a frozen mail; the same context always gives the same bytes.

        Raises MissingValue when a value the template needs is missing, TemplateFault when the template fails.
        """
        ...

    def sealed(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Return the letter of a mail whose bytes an earlier attempt has kept."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivering process has; made once."""

    clock: Clock
    playbooks: PlaybookSource
    # Signs the links.
    keys: Keys = field(repr=False)
    # Hashes the addresses that are suppressed.
    suppression_key: bytes = field(repr=False)
    # Where the public pages are, without a slash at the end.
    base_url: str
    # This process, unique among all that deliver.
    worker: str
    # Addresses and domains that may be mailed at all; empty: everybody.
    only_to: frozenset[str] = frozenset()
    # Where bounces come back to, a tag of each message added; empty: to the visible sender.
    bounce_address: str = ""
    # False: no mail of anybody counts opens or clicks.
    tracking: bool = True
    # Where this process writes down how far each mail got; None: nowhere, as in a simulation.
    journal: Journal | None = None
    # Mails that pass the wire gate together, and whose outcomes are written together.
    window: int = WINDOW_MAILS
    # What makes the mails; None: the playbook's templates.
    composer: Composer | None = None

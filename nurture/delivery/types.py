"""The shared objects of a delivering process, and the values that one step of a delivery hands to the next."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nurture.database.bulk import Row
from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.journal.writer import Journal
from nurture.delivery.load_guard_input import GuardItem
from nurture.domain.counts import Counts
from nurture.domain.health.warm_up import WarmUpPlan
from nurture.domain.instant import MINUTE, SECOND, Duration, Instant
from nurture.domain.measure import Purpose
from nurture.domain.message import Verdict
from nurture.domain.signing import SigningKeys
from nurture.health.lane_log import LaneLog
from nurture.playbook import LoadedPlaybook
from nurture.playbook.publishing import PlaybookSource
from nurture.runtime.clock import Clock
from nurture.transports.types import OutgoingMail

#: How long a claimed message belongs to its worker before it passes the send gate.
CLAIM_LEASE: Duration = 2 * MINUTE
#: How long a message on the wire belongs to its worker: the ten minutes that RFC 5321 (4.5.3.2.6) gives the reply to
#: the final dot, and two more.
WIRE_LEASE: Duration = 12 * MINUTE
#: How many mails pass the send gate together, and how many seconds later the last of them may begin.
WINDOW_MAILS = 100
WINDOW_SECONDS = 1.0
#: How long transactional mail in doubt waits for evidence before it is sent again, and how often at most.
EVIDENCE_WAIT: Duration = 10 * MINUTE
DOUBTS_MAX = 3
#: How long a lane rests when the server asks for fewer mails, and when it cannot be reached.
SLOW_REST: Duration = 60 * SECOND
UNREACHED_REST: Duration = 15 * SECOND


@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """One message that the guard let pass: leased to the worker, its values frozen."""

    id: int
    attempt: int
    # The living contact that the guard saw; `owner_id` is the contact the message was decided for.
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
    # True while its run waits for the end of this message.
    has_waiting_run: bool
    verdict: Verdict
    # The playbook that it was guarded by and whose templates it uses.
    loaded: LoadedPlaybook
    # The frozen values its bytes are made from (`nurture.rendering.render`), as kept in messages.context.
    context: dict[str, Any]

    @property
    def attempt_row(self) -> Row:
        """The columns that name this attempt of the message."""
        return {"id": self.id, "attempt": self.attempt}

    @property
    def run_row(self) -> Row:
        """The columns that name the message's run."""
        return {"contact_id": self.owner_id, "measure": self.measure, "run_key": self.run_key}


@dataclass(slots=True)
class Chunk:
    """The result of one claim: the messages that are ready, and counts by verdict."""

    lane: str
    # True: of urgent mail alone, which may use up the lane's rate.
    is_urgent: bool = False
    counts: Counts = field(default_factory=Counts)
    ready: list[ReadyMessage] = field(default_factory=list)


class Composer(Protocol):
    """Freezes the values of mails when they are claimed, and makes their bytes later."""

    def freeze(
        self, item: GuardItem, *, delivery: "Delivery", loaded: LoadedPlaybook, scope: ChunkScope
    ) -> dict[str, Any]:
        """Return the context of a mail: plain JSON, with at least `header_id` (its Message-ID) and `to`."""
        ...

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Return the mail of a frozen context; the same context always gives the same bytes.

        Raises MissingValue when a value the template needs is missing, TemplateFault when the template fails.
        """
        ...

    def address(self, ready: ReadyMessage, data: bytes) -> OutgoingMail:
        """Return a mail with these bytes, which an earlier attempt has kept."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """The objects and settings of a delivering process; made once."""

    clock: Clock
    playbooks: PlaybookSource
    # Signs the links.
    keys: SigningKeys = field(repr=False)
    # Hashes the addresses that are suppressed.
    suppression_key: bytes = field(repr=False)
    # The URL of the public pages, without a slash at the end.
    base_url: str
    # The name of this process, unique among all that deliver.
    worker: str
    # Addresses and domains that may be mailed at all; empty: every address.
    only_to: frozenset[str] = frozenset()
    # The address bounces go to, with a tag for each message added; empty: they go to the visible sender.
    bounce_address: str = ""
    # False: no mail counts opens or clicks.
    tracking: bool = True
    # The file in which this process records how far each mail got; None: none, as in a simulation.
    journal: Journal | None = None
    # Lane -> the plan by which it warms up; provider -> mails of a lane that may go there on a day.
    warm_up: Mapping[str, WarmUpPlan] = field(default_factory=dict)
    provider_limits: Mapping[str, int] = field(default_factory=dict)
    # Where this process notes what became of mails, for `nurture status`; None: nowhere, as in a simulation.
    lane_log: LaneLog | None = None
    # How many mails pass the send gate together, and how many outcomes are written together.
    window: int = WINDOW_MAILS
    # Makes the mails; None: from the playbook's templates.
    composer: Composer | None = None
    # Lane -> how many places earlier claims of this process had (`domain.pace.work_classes.divide`).
    places: Counter[str] = field(default_factory=Counter)

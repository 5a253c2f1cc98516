"""The signs that processes, lanes and tables give of how an installation does; `judge` finds trouble in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nurture.domain.instant import SECOND, Duration, Instant

#: A process writes its row this often. One that has not done so for `LOST_AFTER` no longer runs.
BEAT_EVERY: Duration = 5 * SECOND
LOST_AFTER: Duration = 15 * SECOND
#: The kinds of processes. `up` does the work of api, worker and scheduler.
KINDS = ("up", "api", "worker", "scheduler", "inbound")
#: The rooms whose work waits in rows.
QUEUES = ("inbox", "advance", "deliver")


@dataclass(frozen=True, slots=True)
class ProcessSign:
    """The row that a process last wrote about itself."""

    kind: str
    host: str
    pid: int
    version: str
    started_at: Instant
    beat_at: Instant
    # In words: its queues, or the address that it listens on.
    doing: str = ""
    # When it last reached the broker, None for never; and the error since then, "" for none.
    broker_at: Instant | None = None
    broker_error: str = ""
    # Setting -> fingerprint of its value (`shared_settings`).
    settings: Mapping[str, str] = field(default_factory=dict)

    def is_alive(self, now: Instant) -> bool:
        """Tell whether it has written its row lately."""
        return now - self.beat_at <= LOST_AFTER

    @property
    def place(self) -> str:
        """Its host and process number, as a person names it."""
        return f"{self.host}:{self.pid}"


@dataclass(frozen=True, slots=True)
class LaneSign:
    """The last success and the last failure of a lane's server, as all processes saw them."""

    name: str
    # When the server last accepted a mail, None for never.
    success_at: Instant | None = None
    # When it last answered a check without a mail.
    answered_at: Instant | None = None
    # The newest failure since then: when, since when without a success between, how far the session got, and in the
    # server's words.
    failure_at: Instant | None = None
    failing_since: Instant | None = None
    stage: str = ""
    words: str = ""
    # Decided mails that wait, and since when the oldest of them is due.
    waiting: int = 0
    due_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class BacklogSign:
    """The due work of one queue."""

    queue: str
    due_since: Instant | None = None
    # Due rows now, and a few minutes ago; None where nobody counted.
    rows: int | None = None
    rows_before: int | None = None


@dataclass(frozen=True, slots=True)
class PauseSign:
    """A stop switch that is on."""

    name: str
    reason: str
    since: Instant
    by: str


@dataclass(frozen=True, slots=True)
class SenderSign:
    """The newest result of a check of the sender's DNS records or of a certificate."""

    name: str
    # ok | warning | failed | not_checked
    state: str
    words: str
    remedy: str
    at: Instant


@dataclass(frozen=True, slots=True)
class RateSign:
    """Numbers of mails of a lane, or to one receiving domain, in a stretch of time."""

    # The lane or the domain.
    about: str
    # Accepted, less those that bounced afterwards.
    sent: int = 0
    hard_bounces: int = 0
    deferred: int = 0
    complaints: int = 0


@dataclass(frozen=True, slots=True)
class WarmUpSign:
    """The mails of today of a lane that is warming up, or to a provider with a daily limit."""

    lane: str
    # "*": the whole lane; "": providers that are not named.
    domain: str
    mails: int
    ceiling: int | None


@dataclass(frozen=True, slots=True)
class Signs:
    """Everything that `judge` looks at, at one instant."""

    now: Instant
    processes: Sequence[ProcessSign] = ()
    lanes: Sequence[LaneSign] = ()
    backlog: Sequence[BacklogSign] = ()
    pauses: Sequence[PauseSign] = ()
    sender: Sequence[SenderSign] = ()
    lane_rates: Sequence[RateSign] = ()
    domain_rates: Sequence[RateSign] = ()
    warm_up: Sequence[WarmUpSign] = ()
    # True: the database is a file, and `nurture up` does all the work.
    embedded: bool = False
    # True: inbound mail is configured, so a process should receive it.
    takes_mail: bool = False
    # Stage -> number of events in the quarantine, and when the newest came.
    quarantine: Mapping[str, int] = field(default_factory=dict)
    quarantine_at: Instant | None = None
    # Measure -> for how many contacts its rules failed, and when that first happened.
    set_aside: Mapping[str, int] = field(default_factory=dict)
    set_aside_at: Instant | None = None
    conflicts: int = 0
    open_cases: int = 0
    overdue_cases: int = 0
    # When the oldest overdue case should have been answered.
    overdue_since: Instant | None = None
    # Sends that wait for a second operator.
    approvals: int = 0

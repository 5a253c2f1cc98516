"""The input of the guard for one due message, and the refusal that a single check may answer with.

`delivery.load_guard_input` builds a `GuardInput` in the sending transaction from the newest state: the contact
with everything ever merged into it, the run, the ledger, consents, suppressions, switches, holds and the
objects that the mail names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nurture.domain.cells.measure_names import MeasureNames
from nurture.domain.conditions import Reading
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.consent.preferences import Preferences
from nurture.domain.contact import Contact, PersonRequest, Run
from nurture.domain.guard.caps import LedgerEntry
from nurture.domain.guard.sends import SendLimits
from nurture.domain.instant import Instant
from nurture.domain.journey.position import ActiveHold
from nurture.domain.measure import MailStep, Measure, MessageTrack, Purpose
from nurture.domain.pace.domain_rests import DomainRest
from nurture.domain.playbook import Playbook

#: Switches that stop every lane: `all` by ops, `restored` when the database is older than its journals.
ALL_SWITCH = "all"
RESTORED_SWITCH = "restored"


@dataclass(frozen=True, slots=True)
class DueMessage:
    """The due message itself: a row of the ledger."""

    id: int
    # The contact it was decided for; `GuardInput.contact` is the living contact of that person.
    contact_id: int
    measure: str
    run_key: str
    step: str
    mail: str
    track: MessageTrack
    purpose: Purpose
    topic: str | None
    lane: str
    priority: int
    due_at: Instant
    valid_until: Instant
    holdout: bool = False
    # How it counts toward caps (`LedgerEntry`).
    began_as: str = ""
    asked_for: bool = False
    has_code: bool = False
    # Number of attempts made so far.
    attempt: int = 0
    # The reason of its last deferral; "" when it was never deferred.
    reason: str = ""
    # The request id of the send by which an operator asked for it; None: no send.
    request: str | None = None

    def as_ledger_entry(self) -> LedgerEntry:
        """Return the message in the form in which caps and arbitration compare messages."""
        return LedgerEntry(
            id=self.id,
            measure=self.measure,
            run_key=self.run_key,
            step=self.step,
            purpose=self.purpose,
            lane=self.lane,
            priority=self.priority,
            status="waiting",
            due_at=self.due_at,
            holdout=self.holdout,
            began_as=self.began_as,
            asked_for=self.asked_for,
            has_code=self.has_code,
        )


@dataclass(frozen=True, slots=True)
class GuardInput:
    """Everything the guard reads about one message. A value left out is unknown, and unknown does not send."""

    message: DueMessage
    # None: the contact no longer exists.
    contact: Contact | None
    # The recipient address; None: no address is known.
    address: str | None = None
    erased: bool = False
    # True: the address is another contact's, and this person has not confirmed anything there.
    is_shared_address: bool = False
    # The run that decided the message, active or ended.
    run: Run | None = None
    # Scope (`all`, `marketing`) -> reason of the suppression.
    suppressions: Mapping[str, str] = field(default_factory=dict)
    # Name of a paused switch -> reason of the pause.
    switches: Mapping[str, str] = field(default_factory=dict)
    # When the oldest event not yet applied was accepted; None: every accepted event is applied.
    pending_since: Instant | None = None
    # Topic -> state of the consent (`domain.consent.permissions.fold_consents`).
    consents: Mapping[str, ConsentState] = field(default_factory=dict)
    # Topic -> when the row that decides it was said.
    consents_at: Mapping[str, Instant] = field(default_factory=dict)
    # The person's own limits for all marketing mail.
    preferences: Preferences = field(default_factory=Preferences)
    # Its own, and those that colleagues of its account share.
    holds: Sequence[ActiveHold] = ()
    # How many other members of its account are customers.
    customers_beside: int = 0
    # Every other message of the person that waits, is being sent or counts toward a cap.
    other_messages: Sequence[LedgerEntry] = ()
    # The values that conditions read; None: all of them are unknown.
    reading: Reading | None = None
    # Name -> the object, or the list of objects, that the mail names, as read in this transaction.
    objects: Mapping[str, Any] = field(default_factory=dict)
    # Addresses and domains that may be mailed at all; empty: no such limit.
    only_to: frozenset[str] = frozenset()
    # The send by which an operator asked for it; None: no send.
    send: SendLimits | None = None
    # The rest under way of the receiving domain, which asked for fewer mails; None: none.
    domain_rest: DomainRest | None = None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The values every check reads: the guard's input, the playbook's parts for this message, and the time."""

    input: GuardInput
    now: Instant
    playbook: Playbook
    measure: Measure | None
    step: MailStep | None
    # The person's time zone, or the playbook's default.
    zone: str
    # The message in the form in which caps and arbitration compare messages.
    entry: LedgerEntry

    def shown(self, path: str) -> str:
        """Return the present path of a measure, as people read it."""
        return MeasureNames(self.playbook.measures).shown(path)

    @property
    def request(self) -> PersonRequest | None:
        """The person's request for this very mail; None when nobody asked for it."""
        return self.input.run.origin.asked if self.input.message.asked_for and self.input.run else None

    @property
    def is_later_of_holdout(self) -> bool:
        """True for each mail of a run in the holdout after its first: nothing defers it any more.

        The first one is judged like any other mail, so that both arms are counted from the same instant on.
        """
        run, message = self.input.run, self.input.message
        return message.holdout and run is not None and (bool(run.passed) or run.decided[:1] != [message.step])

    @property
    def asks_for_topic(self) -> bool:
        """True when the mail asks the person to confirm a topic; its event says which one."""
        if self.measure is None or self.measure.action.kind != "confirm" or self.input.run is None:
            return False
        return isinstance(self.input.run.origin.properties.get("topic"), str)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A check that failed: the action for the message, the reason (in REASONS) and the value that was checked."""

    action: Literal["defer", "skip", "expire", "cancel"]
    reason: str
    detail: str
    # For `defer`: when the message is checked again.
    until: Instant | None = None
    # For `defer`: the mail's own schedule moved, so its validity is counted from `until` on.
    renews: bool = False
    # The checks after this one cannot be answered.
    final: bool = False

"""What the guard is shown about one due message, and what a single check may answer.

A `Case` is made in the sending transaction from the newest state: the contact with everything ever merged into
it, the run, the ledger, consent, suppression, switches, holds and the objects the mail speaks of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nurture.domain.conditions import Reading
from nurture.domain.consent.permissions import State
from nurture.domain.consent.preferences import Wishes
from nurture.domain.contact import Contact, Run
from nurture.domain.guard.caps import Entry
from nurture.domain.instant import Instant
from nurture.domain.journey.position import ActiveHold
from nurture.domain.measure import MailStep, Measure, MessageTrack, Purpose
from nurture.domain.playbook import Playbook

#: Switches that stop every lane: `all` by ops, `restored` when the database went back behind its journals.
ALL_SWITCH = "all"
RESTORED_SWITCH = "restored"


@dataclass(frozen=True, slots=True)
class Due:
    """The due message itself: a row of the ledger."""

    id: int
    # The contact it was decided for; `Case.contact` is who that person is now.
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
    # Number of attempts made so far.
    attempt: int = 0
    # Why it was deferred the last time; "" for one never looked at.
    reason: str = ""

    def entry(self) -> Entry:
        """Return the message as its neighbours see it."""
        return Entry(
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
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the guard may look at for one message; what is left out counts as unknown, so as no."""

    message: Due
    # None: there is no such contact any more.
    contact: Contact | None
    # Where the mail would go; None: no address known.
    address: str | None = None
    erased: bool = False
    # The run that decided the message, active or ended.
    run: Run | None = None
    # Scope (`all`, `marketing`) -> why the address is suppressed.
    suppressions: Mapping[str, str] = field(default_factory=dict)
    # Name of a paused switch -> why it was paused.
    switches: Mapping[str, str] = field(default_factory=dict)
    # When the oldest event was accepted that is not applied yet; None: nothing is pending.
    pending_since: Instant | None = None
    # Topic -> what the person said (`domain.consent.permissions.states`).
    consents: Mapping[str, State] = field(default_factory=dict)
    # What the person asked of all marketing mail.
    wishes: Wishes = field(default_factory=Wishes)
    holds: Sequence[ActiveHold] = ()
    # Every other message of the person that waits, is under way or counts toward a cap.
    others: Sequence[Entry] = ()
    # What conditions read; None: they are all unknown.
    reading: Reading | None = None
    # Addresses and domains that may be mailed at all; empty: no such limit.
    only_to: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """A case with what every check needs beside it."""

    case: Case
    now: Instant
    playbook: Playbook
    measure: Measure | None
    step: MailStep | None
    # The person's zone, or the playbook's default.
    zone: str


@dataclass(frozen=True, slots=True)
class No:
    """A check that does not let the mail through: what becomes of it, the reason (in REASONS) and the value."""

    action: Literal["defer", "skip", "expire", "cancel"]
    reason: str
    detail: str
    # For `defer`: when to look again.
    until: Instant | None = None
    # For `defer`: the mail's own schedule moved, so its validity is counted from `until` on.
    renews: bool = False
    # Nothing after this check can be judged.
    final: bool = False

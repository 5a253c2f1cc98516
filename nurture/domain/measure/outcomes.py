"""How a step ended, as conditions of later steps read it: `steps.ID.outcome` and `steps.ID.reason`."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from nurture.domain.measure.steps import MailStep, Step, Wait, WaitUntilEvent

#: Outcome of a mail -> what it means. `cancelled` is the end of a mail whose run goes on all the same.
MAIL_OUTCOMES: Final[Mapping[str, str]] = {
    "sent": "it left",
    "skipped": "a check said no, or the `when` of the step was not yes",
    "expired": "it was too late for its `valid_for`",
    "failed": "the receiving side refused it for good",
    "in_doubt": "whether it left is not known",
    "cancelled": "a merge ended it, because the other person had the same mail",
}
#: Outcome of a wait -> what it means.
WAIT_OUTCOMES: Final[Mapping[str, str]] = {
    "event": "the event came",
    "timeout": "the time was over",
    "skipped": "the `when` of the step was not yes",
}
#: The reason of a step whose `when` was not yes.
WHEN: Final = "when"


class StepOutcome(NamedTuple):
    """How a step of a run ended, and why; "" for no reason."""

    name: str
    reason: str = ""


def outcomes_of(step: Step) -> frozenset[str]:
    """Return the outcomes that a step may have; none for steps that are over at once."""
    if isinstance(step, MailStep):
        return frozenset(MAIL_OUTCOMES)
    if isinstance(step, WaitUntilEvent):
        return frozenset(WAIT_OUTCOMES)
    return frozenset(WAIT_OUTCOMES) - {"event"} if isinstance(step, Wait) else frozenset()

"""The last checks of the guard: people who are kept without a mail, or without any marketing, to compare.

They come last, so that only mail that would leave now is held back and both arms are counted from the same instant.
"""

from nurture.domain.experiment.programme import is_kept_out
from nurture.domain.guard.checks import CheckResult
from nurture.domain.guard.input import CheckContext, Refusal
from nurture.domain.measure import MARKETING


def check_programme_holdout(context: CheckContext) -> CheckResult:
    """Skip marketing for people who get none at all, to show what it brings; what a person asks for goes on."""
    message, person = context.input.message, context.input.contact
    if message.purpose not in MARKETING or message.asked_for or person is None:
        return "not for this mail"
    if is_kept_out(person, context.playbook):
        return Refusal("skip", "programme_holdout", "gets no marketing, to show what all of it brings")
    return "gets marketing"


def check_holdout(context: CheckContext) -> CheckResult:
    """Skip a mail of a run in the holdout; it comes last, so only mail that would leave now is held back."""
    if context.input.message.holdout:
        return Refusal("skip", "holdout", "in the holdout")
    return "not in the holdout"

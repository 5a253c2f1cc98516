"""The holdout of the whole programme: people who get no marketing at all, to show what all measures together bring.

A sum over measures would not tell: most people are in several of them. A hash of the person decides. Mail that people
need or ask for goes on, and whoever gets no marketing is in no measure's comparison.
"""

from typing import Final

from nurture.domain.contact import Contact
from nurture.domain.experiment.epochs import HELD_BACK, MAILED, Arm, Design, outcome_of_metric
from nurture.domain.instant import DAY, Duration
from nurture.domain.measure import MARKETING, Measure, Metric
from nurture.domain.playbook import Playbook
from nurture.domain.sampling import SHARES, hash_share

#: The name of the comparison, where those of measures have their identity; no measure's path is one word.
PROGRAMME: Final = "programme"
#: The outcomes within so long a time after the first marketing mail was due are compared, unless the playbook says.
_USUAL_WINDOW: Final[Duration] = 90 * DAY


def is_kept_out(contact: Contact, playbook: Playbook) -> bool:
    """Tell whether the person gets no marketing."""
    holdout = playbook.holdout
    if holdout is None:
        return False
    drawn = contact.memory.drawn_as.get(PROGRAMME, contact.id)
    return hash_share("holdout", PROGRAMME, drawn) < holdout.share


def concerns_programme(measure: Measure, playbook: Playbook, *, is_asked_for: bool) -> bool:
    """Tell whether a run of the measure is marketing that the programme's holdout is about."""
    return playbook.holdout is not None and measure.purpose in MARKETING and not is_asked_for


def note_entry(
    contact: Contact, playbook: Playbook, measure: Measure, *, is_asked_for: bool, at: int
) -> None:
    """Store when the person first was due for marketing, so that a merge goes on with the arm of the earlier one."""
    if concerns_programme(measure, playbook, is_asked_for=is_asked_for):
        contact.memory.run_starts.setdefault(PROGRAMME, {}).setdefault(str(contact.id), at)


def design_of_programme(playbook: Playbook) -> Design | None:
    """Return the comparison of people with and without marketing; None for a playbook that mails everybody."""
    if playbook.holdout is None:
        return None
    share = playbook.holdout.share / SHARES
    metric = playbook.holdout.metric or _usual_metric(playbook)
    return Design(
        (Arm(HELD_BACK, share), Arm(MAILED, 1 - share)),
        outcome_of_metric(metric, playbook),
        metric.expect,
        metric.within,
        is_amount=metric.is_sum,
        main_currency=next(iter(playbook.currencies), ""),
    )


def _usual_metric(playbook: Playbook) -> Metric:
    """Return money per person where the first thing that makes a customer has an amount, else people who convert."""
    conversion = playbook.conversion
    if not conversion.over:
        return Metric(conversion.by[0].names[0], _USUAL_WINDOW, "")
    kind = conversion.over[0].kind
    is_sum = bool(playbook.currencies) and playbook.entities[kind].amount is not None
    return Metric("", _USUAL_WINDOW, "", entity=kind, is_sum=is_sum)

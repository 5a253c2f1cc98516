"""Epochs: what a measure compares, and when a change of it begins anew.

Each measure with a metric is an experiment. A person enters its epoch with their first run in it, in the arm that a
hash of the person decided; the outcome is what they do within the metric's time. An epoch ends when shares, arms,
rules, metric or words change. Epochs of one trial multiply their evidence; a new trial draws the arms anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nurture.domain.errors import InputError
from nurture.domain.experiment.expect import Expectation, parse_expect
from nurture.domain.experiment.incentives import incentive_of
from nurture.domain.instant import DAY, Duration
from nurture.domain.measure import Measure, Metric
from nurture.domain.playbook import EntityKind, Playbook
from nurture.domain.sampling import variant_shares

#: Name of the arm that gets no mail; it is the first of every epoch.
HELD_BACK: Final = "held back"
#: Name of the only other arm of a measure without variants.
MAILED: Final = "mailed"
#: A person's outcomes are complete this long after their window: events may be late (the usual `horizon`).
GRACE: Final[Duration] = 3 * DAY
#: Spending before entry is counted over 13 weeks.
BEFORE: Final[Duration] = 91 * DAY


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm and the share of people whom the hash puts into it."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counted outcome: entities of a kind once they count and while they stand, or events of a name."""

    # The name of an entity or of an event; an entity's name never is an event's.
    name: str
    # The kind whose key keeps the same event from counting twice; None: source and message id do.
    kind: EntityKind | None
    # True: the entity itself counts, net of its reversal. False: the event does.
    is_entity: bool


@dataclass(frozen=True, slots=True)
class Design:
    """The comparison that a measure makes now."""

    arms: tuple[Arm, ...]
    outcome: Outcome
    expect: str
    within: Duration
    # True: the sum of amounts is compared, else how many people have the outcome.
    is_amount: bool = False
    # The brand's first currency.
    main_currency: str = ""
    # The name of the outcomes whose amounts are taken off; "": none are.
    incentive: str = ""

    @property
    def currency(self) -> str:
        """Return the currency of the amounts that are added: the promise's, else the brand's first one."""
        if not self.is_amount:
            return ""
        promised = self.expectation
        return (promised.currency if promised is not None else None) or self.main_currency

    @property
    def expectation(self) -> Expectation | None:
        """Return what the measure promises; None where a published playbook says it in free words."""
        try:
            return parse_expect(self.expect)
        except InputError:
            return None


def design_of(measure: Measure, playbook: Playbook) -> Design | None:
    """Return what the measure compares; None for one without a metric."""
    metric = measure.metric
    if metric is None:
        return None
    outcome = outcome_of_metric(metric, playbook)
    return Design(
        *(arms_of(measure), outcome, metric.expect, metric.within),
        is_amount=metric.is_sum,
        main_currency=next(iter(playbook.currencies), ""),
        incentive=incentive_of(measure.root) if metric.is_net_of_incentive else "",
    )


def arms_of(measure: Measure) -> tuple[Arm, ...]:
    """Return the arms of a measure and their shares, the held-back one first, whatever its share."""
    held = measure.holdout / 10_000
    if not measure.variants:
        return Arm(HELD_BACK, held), Arm(MAILED, 1 - held)
    rest = tuple(Arm(name, (1 - held) * share) for name, share in variant_shares(measure.variants).items())
    return Arm(HELD_BACK, held), *rest


def arm_index(arms: Sequence[Arm], *, in_holdout: bool, variant: str) -> int | None:
    """Return the place of a run's arm; None for a variant that the epoch does not have."""
    if in_holdout:
        return 0
    name = variant or MAILED
    return next((place for place, arm in enumerate(arms) if place and arm.name == name), None)


def outcome_of_metric(metric: Metric, playbook: Playbook) -> Outcome:
    """Return what a metric counts: the entities that it names, or what its event stands for."""
    if metric.entity:
        return Outcome(metric.entity, playbook.entities.get(metric.entity), is_entity=True)
    return outcome_of(metric.event, playbook)


def outcome_of(event: str, playbook: Playbook) -> Outcome:
    """Return what a metric about this event counts.

    The event by which an entity counts stands for the entity: once for its key however often it is told, and not at
    all once it is reversed. Another event about an entity counts once for the entity's key.
    """
    concerned = [kind for kind in playbook.entities.values() if _names(kind, event)]
    for kind in concerned:
        counting = kind.counts_from or kind.of
        if any(event in match.names and match.where is None for match in counting):
            return Outcome(kind.name, kind, is_entity=True)
    kind_of_key = next((kind for kind in concerned if not kind.within), None)
    return Outcome(event, kind_of_key, is_entity=False)


def outcomes_of(playbook: Playbook) -> Mapping[str, Outcome]:
    """Return every outcome that is kept: of the metrics of measures, and the entities that make a customer."""
    metrics = [measure.metric for measure in playbook.measures.values() if measure.metric is not None]
    if playbook.holdout is not None and playbook.holdout.metric is not None:
        metrics.append(playbook.holdout.metric)
    found = {
        outcome.name: outcome for metric in metrics for outcome in (outcome_of_metric(metric, playbook),)
    }
    for kind in playbook.entities.values():
        if kind.amount is not None and not kind.lines_of:
            found.setdefault(kind.name, Outcome(kind.name, kind, is_entity=True))
    return found


def _names(kind: EntityKind, event: str) -> bool:
    return any(event in match.names for match in (*kind.of, *kind.counts_from)) or event in kind.closed_by

"""Results of a model: a number of each person, the reasons, and how its forecasts of before came true."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import Instant

ModelName = Literal["churn", "value", "score"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is learnt: too little is known yet (`needs`), or the figures are too good to be true (`leak`)."""

    code: Literal["needs", "leak"]
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """A feature that moves a person's number from that of the average person."""

    feature: str
    # By how much it moves the logit; 0 in a model without one.
    effect: float
    # The person's value and the usual one, as people read them.
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class Group:
    """A tenth of the people by what was forecast: the forecast, and what came, on average."""

    people: int
    forecast: float
    came: float
    # Of amounts: what came of nine in ten was more, and less.
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well people were ordered, by the model and by how long ago their last act was.

    `area` is the probability that of two people with different ends the right one is ahead. The tenths are shares of
    people with the end that is forecast: of those with the highest forecast, and of those with the lowest.
    """

    people: int
    share: float
    area: float | None
    area_recency: float | None
    highest_tenth: float
    highest_tenth_recency: float
    lowest_tenth: float
    lowest_tenth_recency: float


@dataclass(frozen=True, slots=True)
class BackTest:
    """A forecast of before beside what came: of ends (`rankings`), or of amounts (`amounts`)."""

    # The period that was forecast, and the days of the period before it by which the model was fitted.
    since: Instant
    until: Instant
    fitted_days: float
    rankings: Mapping[str, Ranking]
    amounts: "Amounts | None"
    groups: Sequence[Group]
    # By how much the forecast of a tenth is off on average; None where the model was fitted to a shorter period.
    calibration_error: float | None
    # True: the model orders people better than recency does.
    is_better: bool


@dataclass(frozen=True, slots=True)
class Amounts:
    """The amounts that were forecast and that came, and the share of these that the best tenth of each rule spent."""

    people: int
    forecast: float
    came: float
    mean_error: float
    top_tenth: float
    top_tenth_by_spent: float
    top_tenth_by_orders: float
    top_tenth_recency: float

    @property
    def ratio(self) -> float:
        """Return the forecast as a share of what came."""
        return self.forecast / self.came if self.came else 0.0


@dataclass(frozen=True, slots=True)
class Weight:
    """The weight of a feature, for one standard deviation."""

    feature: str
    weight: float
    mean: float


@dataclass(frozen=True, slots=True)
class LearntModel:
    """A model that is ready to publish."""

    name: ModelName
    # recency: the model was no better, so numbers go by the time since the last act alone.
    rule: Literal["model", "recency"]
    numbers: Mapping[int, float]
    reasons: Callable[[int], Sequence[Reason]]
    weights: Sequence[Weight]
    back_test: BackTest
    currency: str = ""

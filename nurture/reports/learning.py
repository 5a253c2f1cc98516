"""Reports on models: their forecasts of before beside what came, and the people with the highest numbers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nurture.domain.instant import DAY, Duration, Instant, to_iso
from nurture.learning.results import Amounts, BackTest, LearntModel, Refusal
from nurture.learning.words import LANGUAGES, in_words


def model_report(
    model: LearntModel | Refusal, *, name: str, now: Instant, horizon: Duration, people: Sequence[int]
) -> dict[str, Any]:
    """Return the report as plain values. people: contacts to show with their numbers and reasons."""
    asked = {"model": name, "until": to_iso(now), "horizon_days": horizon / DAY}
    if isinstance(model, Refusal):
        return {**asked, "learnt": False, "refused": model.code, "reason": model.text, "people": 0}
    return {
        **asked,
        "learnt": True,
        "rule": model.rule,
        "people": len(model.numbers),
        "currency": model.currency,
        "total": sum(model.numbers.values()),
        "back_test": back_test_values(model.back_test),
        "weights": weight_values(model),
        "contacts": [_contact(model, contact) for contact in people],
    }


def highest(model: LearntModel | Refusal, most: int) -> list[int]:
    """Return the contacts with the highest numbers."""
    if isinstance(model, Refusal):
        return []
    numbers = model.numbers
    return sorted(numbers, key=lambda contact: (-numbers[contact], contact))[:most]


def _contact(model: LearntModel, contact: int) -> dict[str, Any]:
    reasons = model.reasons(contact)
    return {
        "contact": contact,
        "number": model.numbers.get(contact),
        "reasons": {language: [in_words(reason, language) for reason in reasons] for language in LANGUAGES},
        "effects": [
            {"feature": reason.feature, "effect": reason.effect, "value": reason.value} for reason in reasons
        ],
    }


def weight_values(model: LearntModel) -> list[dict[str, Any]]:
    """Return the weights as plain values."""
    return [asdict(weight) for weight in model.weights]


def back_test_values(back_test: BackTest) -> dict[str, Any]:
    """Return a forecast of before and what came as plain values."""
    values: dict[str, Any] = {
        "since": to_iso(back_test.since),
        "until": to_iso(back_test.until),
        "fitted_days": round(back_test.fitted_days, 1),
        "better_than_recency": back_test.is_better,
        "calibration_error": back_test.calibration_error,
        "calibration": [asdict(group) for group in back_test.groups],
    }
    if back_test.rankings:
        values |= {part: asdict(ranking) for part, ranking in back_test.rankings.items()}
    if back_test.amounts is not None:
        values |= _amounts(back_test.amounts)
    return values


def _amounts(amounts: Amounts) -> dict[str, Any]:
    return {**asdict(amounts), "ratio": amounts.ratio}

"""Verdicts: the words for what one experiment shows so far.

`harms` and `works` answer whether there is a difference, `misses` and `reaches` whether it is the promised one. Each is
false with probability alpha at most: `harms` and `works` without an effect, `misses` at the promised one, `reaches`
below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final, Literal

VerdictWord = Literal["harms", "works", "misses", "reaches", "undecided"]

ALPHA: Final = 0.05
#: Bounds for guards, as a share of the mails sent.
GUARD_BOUNDS: Final[Mapping[str, float]] = {"unsubscribed": 0.005, "complained": 0.001, "angry_reply": 0.003}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers that verdicts are read from; log e-values against no difference."""

    difference: float
    # Two-sided, and for harm alone.
    log_e: float
    log_e_harm: float
    # The confidence sequence of the difference, in the unit of `expected`.
    low: float
    high: float
    # The promised difference, None when nothing is promised.
    expected: float | None = None
    # True when less of the metric is better.
    should_fall: bool = False
    # Log e-values of the guards, by name.
    guards: Mapping[str, float] | None = None


def verdicts(evidence: Evidence, *, alpha: float = ALPHA) -> tuple[VerdictWord, ...]:
    """Return every verdict that holds, the most pressing first; `undecided` alone when none does.

    Harm gets half of alpha one-sided, and the guards share the other half.
    """
    found: list[VerdictWord] = []
    good = -evidence.difference if evidence.should_fall else evidence.difference
    guards = evidence.guards or {}
    guard_bound = log(2 * len(guards) / alpha) if guards else 0.0
    if evidence.log_e_harm >= log(2 / alpha) or any(value >= guard_bound for value in guards.values()):
        found.append("harms")
    elif evidence.log_e >= log(1 / alpha):
        found.append("works" if good > 0 else "harms")
    if evidence.expected is not None:
        low, high, expected = evidence.low, evidence.high, evidence.expected
        if evidence.should_fall:
            low, high, expected = -high, -low, -expected
        if high < expected:
            found.append("misses")
        elif low >= expected:
            found.append("reaches")
    return tuple(found) or ("undecided",)


def e_bh(log_e_values: Mapping[str, float], *, rate: float = 0.1) -> frozenset[str]:
    """Return the names whose discovery holds together: the false ones among them are at most `rate` on average.

    The e-Benjamini-Hochberg procedure of Wang and Ramdas (2022), for any dependence between the experiments.
    """
    ordered = sorted(log_e_values, key=lambda name: (-log_e_values[name], name))
    n, kept = len(ordered), 0
    for place, name in enumerate(ordered, start=1):
        if log_e_values[name] >= log(n / (rate * place)):
            kept = place
    return frozenset(ordered[:kept])

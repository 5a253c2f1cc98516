"""The minimum of a function of few variables, by the simplex method of Nelder and Mead."""

from collections.abc import Callable
from typing import Final

import numpy as np

from nurture.learning.arrays import Floats

_ROUNDS_MAX: Final = 2_000
_TOLERANCE: Final = 1e-9
_FIRST_STEP: Final = 0.3


def minimise(function: Callable[[Floats], float], start: Floats) -> Floats:
    """Return where the function is smallest near the start."""
    points = [start, *(start + _FIRST_STEP * row for row in np.eye(len(start)))]
    simplex = sorted(((function(point), point) for point in points), key=lambda pair: pair[0])
    for _ in range(_ROUNDS_MAX):
        spread = float(np.abs(simplex[-1][1] - simplex[0][1]).max())
        if simplex[-1][0] - simplex[0][0] < _TOLERANCE and spread < _TOLERANCE**0.5:
            break
        simplex = _improved(function, simplex)
    return simplex[0][1]


_Corner = tuple[float, Floats]


def _improved(function: Callable[[Floats], float], simplex: list[_Corner]) -> list[_Corner]:
    """Return the simplex with its worst corner replaced, or drawn towards its best one."""
    best, worst = simplex[0], simplex[-1]
    centre = np.mean([point for _, point in simplex[:-1]], axis=0)

    def at(factor: float) -> _Corner:
        point = centre + factor * (worst[1] - centre)
        return function(point), point

    corner = at(-1.0)
    if corner[0] < best[0]:
        corner = min(corner, at(-2.0), key=lambda pair: pair[0])
    elif corner[0] >= simplex[-2][0]:
        corner = at(-0.5) if corner[0] < worst[0] else at(0.5)
        if corner[0] >= min(worst[0], function(centre + (centre - worst[1]))):
            drawn = [(best[1] + point) / 2 for _, point in simplex[1:]]
            return sorted([best, *((function(point), point) for point in drawn)], key=lambda pair: pair[0])
    return sorted([*simplex[:-1], corner], key=lambda pair: pair[0])

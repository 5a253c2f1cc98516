"""How fast this machine is just now: a fixed loop of plain Python.

A machine that shares its cores with others goes at half its speed for minutes without any load of its own.
Figures in units a second follow it, ratios to a floor hardly.
"""

import statistics
import time

_TURNS = 40_000
_LOOPS = 9


def pace_ms() -> float:
    """Return milliseconds of processor time for the loop, the median of a few."""
    return statistics.median(_once() for _ in range(_LOOPS))


def _once() -> float:
    began = time.process_time()
    total = 0
    for turn in range(_TURNS):
        total += turn * turn % 7
    return 1000 * (time.process_time() - began)

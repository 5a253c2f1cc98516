"""Share the work of laws: `make test` tries each law with a third of its examples, `make laws` with all.

Hypothesis draws other examples in every run, so the runs of a week try more than one long run.
"""

import os
from typing import Final

#: Set by `make laws`.
_ALL: Final = os.environ.get("NURTURE_TEST_EXAMPLES") == "all"
#: Set by `make experiments`: a thousand drawn histories of each kind in place of a few.
ALL_HISTORIES: Final = os.environ.get("NURTURE_TEST_HISTORIES") == "all"
_SHARE: Final = 3
_EXAMPLES_MIN: Final = 10


def examples(number: int) -> int:
    """Return how many of `number` examples this run tries."""
    return number if _ALL else min(number, max(number // _SHARE, _EXAMPLES_MIN))

"""Print every function that radon grades D or worse (cyclomatic complexity above 20), and fail when there is one.

Run it as `python -m tests.architecture.complexity`.
"""

import sys

from radon.complexity import cc_visit

from tests.architecture.sources import name, python_files

#: Above this radon grades D: no reader keeps so many paths in mind.
COMPLEXITY_MAX = 20
#: Functions that were above it when the check was written. Take one out once it is taken apart; add none.
KNOWN: frozenset[str] = frozenset(
    {
        "nurture/domain/event_index.py:_add_facts",
        "nurture/domain/event_index.py:_add_measures",
        "nurture/feedback/record.py:_act",
        "nurture/journey/apply_batch.py:_advance",
    }
)


def complex_functions(file: str, text: str) -> list[str]:
    """Return `file:line: function: complexity` of each function above the bound that is not known."""
    return [
        f"{file}:{block.lineno}: {block.name}: complexity {block.complexity}, at most {COMPLEXITY_MAX}"
        for block in cc_visit(text)
        if block.complexity > COMPLEXITY_MAX and f"{file}:{block.name}" not in KNOWN
    ]


def main() -> int:
    """Print the functions above the bound and return 1 when there are any."""
    lines = [
        line
        for path in python_files("nurture", "workers")
        for line in complex_functions(name(path), path.read_text(encoding="utf-8"))
    ]
    for line in lines:
        print(line)  # noqa: T201
    return min(len(lines), 1)


if __name__ == "__main__":
    sys.exit(main())

"""Print every function that radon grades D or worse (cyclomatic complexity above 20), and fail when there is one.

It fails, too, when KNOWN names a function that is no longer above the bound.
Run it as `python -m tests.architecture.complexity`.
"""

import sys
from collections.abc import Mapping

from radon.complexity import cc_visit

from tests.architecture.sources import name, python_files

#: Above this radon grades D: no reader keeps so many paths in mind.
COMPLEXITY_MAX = 20
#: Functions that were above it when the check was written. Take one out once it is taken apart; add none.
KNOWN: frozenset[str] = frozenset()


def complex_functions(file: str, text: str) -> list[str]:
    """Return `file:line: function: complexity` of each function above the bound that is not known."""
    return [
        f"{file}:{block.lineno}: {block.name}: complexity {block.complexity}, at most {COMPLEXITY_MAX}"
        for block in cc_visit(text)
        if block.complexity > COMPLEXITY_MAX and f"{file}:{block.name}" not in KNOWN
    ]


def unneeded(known: frozenset[str], texts: Mapping[str, str]) -> list[str]:
    """Return a line for each known function that is gone or no longer above the bound; `texts` is file -> text."""
    complex_ones = {
        f"{file}:{block.name}"
        for file, text in texts.items()
        for block in cc_visit(text)
        if block.complexity > COMPLEXITY_MAX
    }
    return [
        f"{function}: take it out of KNOWN, it is below the bound"
        for function in sorted(known - complex_ones)
    ]


def main() -> int:
    """Print the functions above the bound and the entries of KNOWN without one; return 1 when there are any."""
    texts = {name(path): path.read_text(encoding="utf-8") for path in python_files("nurture", "workers")}
    lines = [line for file, text in texts.items() for line in complex_functions(file, text)]
    lines += unneeded(KNOWN, texts)
    for line in lines:
        print(line)  # noqa: T201
    return min(len(lines), 1)


if __name__ == "__main__":
    sys.exit(main())

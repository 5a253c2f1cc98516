"""docs/guard.md says what the code does: the checks in their order, every reason with its meaning."""

import re
from pathlib import Path

from nurture.domain.guard.decide import CHECKS, REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "guard.md").read_text()


def table(heading: str) -> dict[str, str]:
    """Return the first table below a heading: name -> second column."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", section, re.MULTILINE))


def test_the_checks_stand_in_their_order() -> None:
    assert list(table("The checks")) == [name for name, _ in CHECKS]


def test_every_reason_stands_there_with_its_meaning() -> None:
    assert table("Reasons") == dict(REASONS)


def test_a_reason_leads_to_one_of_the_ends() -> None:
    ends = {meaning.partition(":")[0] for meaning in REASONS.values()}
    assert ends == {"deferred", "skipped", "expired", "cancelled", "failed", "in doubt"}

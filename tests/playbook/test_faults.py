"""Each way to break a playbook gives exactly its faults, at exactly its line.

`faults/*.txt` holds the cases: a title, the file, the lines taken out (-) and put in (+) of the small playbook of
`builder`, and the faults that must come of it (=), all of them and no other.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import a_playbook, changed


@dataclass(frozen=True, slots=True)
class MeasureCheck:
    title: str
    path: str
    old: str
    new: str
    faults: tuple[str, ...]


def _case(block: str) -> MeasureCheck:
    lines = block.split("\n")

    def after(mark: str) -> list[str]:
        return [line[2:] for line in lines[2:] if line[:2].rstrip() == mark]

    old, new = "\n".join(after("-")), "\n".join(after("+"))
    # Lines taken out without any put in go with their line end.
    return MeasureCheck(lines[0][2:], lines[1], old if after("+") else old + "\n", new, tuple(after("=")))


def _cases() -> list[MeasureCheck]:
    folder = Path(__file__).parent / "faults"
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))]
    return [_case(block) for text in texts for block in text.strip().split("\n\n")]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.title.replace(" ", "-"))
def test_a_broken_playbook_gives_its_faults_at_their_lines(case: MeasureCheck) -> None:
    assert case.faults
    assert [
        str(fault) for fault in find_faults(changed(case.path, case.old, case.new), render=False)
    ] == list(case.faults)


def test_a_sound_playbook_has_no_faults() -> None:
    assert find_faults(a_playbook()) == []


def test_all_faults_come_at_once_in_order_of_file_and_line() -> None:
    files = changed("lead/aware/guide/measure.yaml", "form: guide", "form: gude")
    files = changed("lead/aware/guide/measure.yaml", "views >= 1", "visits >= 1", files)
    files = changed("lead/aware/guide/measure.yaml", "goal: readers who find what they need\n", "", files)
    files = changed("any/confirm/measure.yaml", "kind: service", "kind: serviced", files)
    files = changed("playbook.yaml", "hold: after_return}", "hold: after_returns}", files)
    places = [(fault.path, fault.line) for fault in find_faults(files, render=False)]
    guide = "lead/aware/guide/measure.yaml"
    expected = [("playbook.yaml", 9), ("any/confirm/measure.yaml", 5), (guide, 1), (guide, 1), (guide, 2)]
    assert places == expected

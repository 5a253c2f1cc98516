"""Each way to break a playbook gives exactly its faults, at exactly its line.

`faults/*.txt` holds the broken playbooks: a title, the file, the lines removed (-) from and added (+) to the small
playbook of `builder`, and exactly the faults that it has (=).
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import a_playbook, changed


@dataclass(frozen=True, slots=True)
class BrokenPlaybook:
    title: str
    path: str
    old: str
    new: str
    faults: tuple[str, ...]


def _parse(block: str) -> BrokenPlaybook:
    lines = block.split("\n")

    def after(mark: str) -> list[str]:
        return [line[2:] for line in lines[2:] if line[:2].rstrip() == mark]

    old, new = "\n".join(after("-")), "\n".join(after("+"))
    # Lines taken out without any put in go with their line end.
    return BrokenPlaybook(lines[0][2:], lines[1], old if after("+") else old + "\n", new, tuple(after("=")))


def _broken_playbooks() -> list[BrokenPlaybook]:
    folder = Path(__file__).parent / "faults"
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))]
    return [_parse(block) for text in texts for block in text.strip().split("\n\n")]


@pytest.mark.parametrize("broken", _broken_playbooks(), ids=lambda broken: broken.title.replace(" ", "-"))
def test_a_broken_playbook_gives_its_faults_at_their_lines(broken: BrokenPlaybook) -> None:
    assert broken.faults
    assert [
        str(fault) for fault in find_faults(changed(broken.path, broken.old, broken.new), render=False)
    ] == list(broken.faults)


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

"""The word list of plain_english.toml: each kind of place is read, and questions and code are left alone."""

from pathlib import Path

import pytest

from tests.architecture.plain_english import check_file, main, read_words
from tests.architecture.sources import ROOT

WORDS = read_words()


def found_in(text: str, file: str = "nurture/domain/example.py") -> list[str]:
    return [str(finding) for finding in check_file(file, text, WORDS)]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("def ring_bells() -> None: ...\n", 1, "bells"),
        ("class NoBells:\n    pass\n", 1, "bells"),
        ("count = 0\nsaid = count\n", 2, "said"),
        ("for each in range(3):\n    print(each)\n", 1, "each"),
        ("numbers = [one for one in range(3)]\n", 1, "one"),
        ('"""Return the rows. What is left waits."""\n', 1, "What"),
        ('"""Return the rows.\n\n    Whoever locks first\n    goes on.\n"""\n', 3, "Whoever"),
        ("# Who asks twice\n# is answered once.\n", 1, "Who"),
        ("count = 0  # a doorbell, no queue\n", 1, "doorbell"),
        ('help = "Who may: people and keys."\n', 1, "Who"),
        ("def test_what_is_late_expires() -> None: ...\n", 1, "test_what"),
    ],
)
def test_a_planted_word_is_named_with_its_place(text: str, line: int, word: str) -> None:
    [finding] = found_in(text)
    assert finding.startswith(f"nurture/domain/example.py:{line}: {word}: write ")


def test_a_planted_word_in_a_page_is_named() -> None:
    page = "# What this is\n\n- One item.\n- What is left waits\n\n```\nbell\n```\n\nThe `bell` of a\nbell.\n"
    places = [finding.split(": write")[0] for finding in found_in(page, "docs/example.md")]
    assert places == ["docs/example.md:4: What", "docs/example.md:11: bell"]


def test_questions_and_code_are_left_alone() -> None:
    assert found_in('"""Answer a question. What does `bell` mean?"""\n') == []
    assert found_in("one = 1\nfound = one\n") == []


def test_exceptions_name_files_that_exist() -> None:
    assert [path for path, _ in WORDS.allowed if not (ROOT / path).exists()] == []


def test_main_fails_on_a_file_with_a_planted_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted = tmp_path / "example.py"
    planted.write_text("bell = 1\n", encoding="utf-8")
    assert main([str(planted)]) == 1
    assert "example.py:1: bell: write notification" in capsys.readouterr().out

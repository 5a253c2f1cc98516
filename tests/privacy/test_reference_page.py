"""The reference, and an export, say of every table and every kind of data what the program does."""

from nurture.app.personal_export import ABOUT
from nurture.domain.retention import KINDS
from nurture.journey.personal_data import IMPERSONAL, PERSONAL
from tests.architecture.sources import ROOT


def test_every_table_and_kind_stands_on_the_page() -> None:
    page = (ROOT / "docs/reference/privacy.md").read_text(encoding="utf-8")
    tables = {name: f"{kind.erasure} |" for name, kind in PERSONAL.items()} | {
        name: f"| {why} |" for name, why in IMPERSONAL.items()
    }
    assert [name for name, words in tables.items() if not has_row(page, name, words)] == []
    days = {name: f"| {kind.days} | {kind.at_least} |" for name, kind in KINDS.items()}
    assert [name for name, words in days.items() if not has_row(page, name, words)] == []


def has_row(page: str, name: str, words: str) -> bool:
    return any(words in line for line in page.splitlines() if line.startswith(f"| `{name}` "))


def test_an_export_says_what_each_section_holds() -> None:
    assert set(ABOUT) == set(PERSONAL)

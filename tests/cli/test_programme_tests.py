"""`nurture test` runs timelines and pytest files of a folder, writes golden mails and says what failed."""

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.scenarios.language.shop import a_shop

MEASURE = """\
goal: an answer
audience: "True"
form: notice
call_to_action: {kind: use, link: "https://tea.example/me"}
kind: service
purpose: transactional
trigger: {event: Tea Ordered}
once: per event
steps:
  - mail: thanks
"""
PARTS = """\
entities: {order: {key: order_id, of: [Order Completed]}}
facts: {orders: {count: order}}
"""
TIMELINES = """\
timelines:
  - name: tea is thanked for
    happens: [{at: day 1 11:00, event: Tea Ordered}]
    expect: [{mail: any/thanks, at: day 1 11:00, golden: thanks}]
"""
PYTEST = """\
def test_thanks(programme):
    anna = programme.person("anna@example.com").does("Tea Ordered")
    programme.advance("1 hour")
    [mail] = anna.mailbox
    assert mail.name == "any/thanks/thanks"
    programme.check_golden(mail, "thanks")


def test_another_start(start_programme):
    assert start_programme(start="2027-01-01 12:00").mails() == []
"""


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """Give a folder with one measure, a timeline and a pytest file."""
    folder = tmp_path / "tea"
    files = dict(a_shop(PARTS, {"any/thanks": (MEASURE, {})}, thanks="Thank you.").files)
    files |= {"tests/thanks.yaml": TIMELINES, "tests/test_thanks.py": PYTEST}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def test_timelines_and_pytest_files_pass_once_the_golden_mail_is_written(
    nurture: Shell, programme: Path
) -> None:
    first = nurture("test", str(programme), "--only", "tea")
    assert first.code == 1
    assert "there is no such file; look at the mail, then: nurture test --update" in first.out
    assert first.err == "nurture: 0 of 1 timelines passed\n"

    written = nurture("test", str(programme), "--only", "tea", "--update")
    golden = programme / "tests" / "golden" / "thanks.txt"
    assert written.code == 0
    assert f"written: {golden}" in written.err.replace("\n", "")
    assert golden.read_text("utf-8").startswith("Subject: ")

    done = nurture("test", str(programme), "--json")
    assert done.code == 0, done.out
    document = done.document
    assert (document["passed"], document["failed"]) == (1, 0)
    assert document["pytest"]["files"] == 1
    assert "2 passed" in document["pytest"]["output"]

    golden.write_text(golden.read_text("utf-8").replace("Thank you.", "Thanks."), "utf-8")
    changed = nurture("test", str(programme), "--only", "tea")
    assert changed.code == 1
    assert "-Thanks." in changed.out
    assert "+Thank you." in changed.out


def test_a_folder_without_tests_says_where_they_are_described(nurture: Shell, programme: Path) -> None:
    for path in (programme / "tests").iterdir():
        path.unlink()
    assert "no tests in" in nurture("test", str(programme)).out

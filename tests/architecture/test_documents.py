"""The pages speak of what is there: every table, queue and task; no link leads nowhere."""

import re
import shlex
import subprocess
import sys
from typing import Any

import typer

from nurture.cli.root import app as command_line
from nurture.database.schema import metadata
from nurture.domain.message import STATES
from tests.architecture.sources import ROOT, name, tracked
from workers.application import app
from workers.queues import NAMES

_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_ANCHOR = re.compile(r"\]\(([\w./-]*\.md|)#([^)\s]+)\)")


def test_every_table_stands_in_its_room() -> None:
    page = (ROOT / "docs/flow.md").read_text()
    assert {table for table in metadata.tables if f"`{table}`" not in page} == set()


def test_every_queue_and_task_stands_in_the_map() -> None:
    page = (ROOT / "docs/flow.md").read_text()
    app.loader.import_default_modules()
    tasks = {task for task in app.tasks if task.startswith("nurture.")}
    assert {word for word in tasks | set(NAMES) if f"`{word}`" not in page} == set()
    rooms = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= rooms


def test_every_room_has_a_folder_a_queue_and_a_counter() -> None:
    page = (ROOT / "docs/flow.md").read_text()
    (table,) = re.findall(r"^\| room \| folder \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.strip().splitlines()[2:]
    ]
    assert [re.findall(r"\w+", row[0])[0] for row in rows] == re.findall(r"^## ([a-z]+)$", page, re.MULTILINE)
    assert {row[1] for row in rows if not (ROOT / row[1].strip("`") / "__init__.py").exists()} == set()
    queues = {queue for row in rows for queue in re.findall(r"`(\w+)`", row[2])}
    counters = {word for row in rows for word in re.findall(r"`(\w+)`", row[3].partition("(")[0])}
    assert queues == set(NAMES)
    assert counters <= set(NAMES)


def test_readme_names_every_setting_that_compose_requires() -> None:
    required = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text())
    page = (ROOT / "README.md").read_text()
    assert {setting for setting in required if setting not in page} == set()


def test_ledger_words_are_those_of_the_states() -> None:
    page = (ROOT / "docs/flow.md").read_text()
    shown = {"sent", "skipped", "cancelled", "expired", "failed", "in doubt", "waiting"}
    assert shown <= {state.replace("_", " ") for state in STATES}
    assert all(word in page for word in shown)


def test_readme_shows_commands_that_exist() -> None:
    page = (ROOT / "README.md").read_text()
    shown = set(re.findall(r"(?:^ +|`)(nurture [a-z][^`#\n]*)", page, re.MULTILINE))
    assert len(shown) >= 8
    for line in shown:
        command: Any = typer.main.get_command(command_line)
        words = shlex.split(line)[1:]
        while words and not words[0].startswith("-") and hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, line


def test_makefile_lists_what_readme_promises() -> None:
    listed = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    promised = set(re.findall(r"\bmake ([a-z]+)\b(?=[ `]|$)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test", "up"} <= promised & listed


def test_reference_is_as_the_program_is() -> None:
    done = subprocess.run(
        [sys.executable, "docs/write.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_link_leads_nowhere() -> None:
    broken = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target, _ in _LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{name(path)}: {target}")
    assert broken == []


def test_no_link_leads_to_a_heading_that_does_not_exist() -> None:
    broken = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target, anchor in _ANCHOR.findall(path.read_text(encoding="utf-8")):
            page = path.parent / target if target else path
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            if anchor not in slugs:
                broken.append(f"{name(path)}: {target}#{anchor}")
    assert broken == []


def test_every_path_that_a_page_names_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages += sorted((ROOT / "docs/howto").glob("*.md"))
    path = re.compile(
        r"`((?:nurture|workers|tests|bench|docs|email_templates)/[\w./@-]*)(?:::\w+(?:\[[^`]*\])?)?`"
    )
    missing = [
        f"{name(page)}: {link}"
        for page in pages
        for link in path.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / link).exists() and "NAME" not in link
    ]
    assert missing == []


def test_a_moved_file_is_at_its_new_path() -> None:
    page = (ROOT / "docs/adr/moved-files.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    missing = [path for _, new in rows for path in re.findall(r"`(\S+)`", new) if not (ROOT / path).exists()]
    assert missing == []


def test_readme_maps_every_folder_and_leads_from_the_fields_words() -> None:
    page = (ROOT / "README.md").read_text()
    folders = {path.name for path in (ROOT / "nurture").iterdir() if (path / "__init__.py").exists()}
    assert {folder for folder in folders if f"`nurture/{folder}/`" not in page} == set()
    words = (
        "deduplicate",
        "rate limit",
        "dead letter",
        "state machine",
        "frequency cap",
        "coupon",
        "handshake",
        "unsubscribe",
        "bounce",
        "merge",
        "last gate",
        "alarm index",
        "preference page",
        "cache of rendered HTML",
    )
    (index,) = re.findall(r"^\| if you look for .*?\n\n", page, re.MULTILINE | re.DOTALL)
    assert [word for word in words if word not in index] == []

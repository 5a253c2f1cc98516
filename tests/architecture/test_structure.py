"""The plan of the house: who may import whom, how long a file may be, what a task may do."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.architecture.sources import ROOT, name, parsed, python_files, tracked

#: A test file is a list of cases, and may be longer.
LINES_MAX = {"nurture": 400, "workers": 400, "tests": 600}
#: Files that are one list; splitting them would hide it.
LONG_LISTS = {
    "nurture/database/schema.py": "every table",
    "nurture/database/migrations/versions/0001_first.py": "every table, as first built",
}
#: Modules in one folder, `__init__` not counted: more than these nobody overlooks. `app` has one per noun.
MODULES_MAX = 25
# Each change of the tables is a file of its own, and none is ever taken away.
MODULES_MAX_OF = {"nurture/app": 40, "nurture/database/migrations/versions": 100}


def test_imports_go_down_only() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


#: Module of the domain -> what else it may import (docs/adr/0011-memory-in-structures.md).
ALSO_NEEDED = {"nurture/domain/memory.py": {"msgspec"}}


def test_domain_needs_only_the_standard_library() -> None:
    foreign = set()
    for path in python_files("nurture/domain"):
        for node in ast.walk(parsed(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for imported in names:
                own = imported == "nurture.domain" or imported.startswith("nurture.domain.")
                allowed = sys.stdlib_module_names | ALSO_NEEDED.get(name(path), set())
                if not own and imported.partition(".")[0] not in allowed:
                    foreign.add(f"{name(path)} imports {imported}")
    assert foreign == set()


@pytest.mark.parametrize("folder", LINES_MAX)
def test_no_file_grows_past_its_bound(folder: str) -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in python_files(folder)}
    long = {file for file, lines in lengths.items() if lines > LINES_MAX[folder]}
    assert long - set(LONG_LISTS) == set()


def test_no_folder_holds_more_modules_than_its_bound() -> None:
    folders = Counter(name(path.parent) for path in python_files("nurture") if path.stem != "__init__")
    crowded = {
        folder: count for folder, count in folders.items() if count > MODULES_MAX_OF.get(folder, MODULES_MAX)
    }
    assert crowded == {}


def test_task_is_thin_and_carries_ids() -> None:
    for node in parsed(ROOT / "workers/tasks.py").body:
        if not isinstance(node, ast.FunctionDef):
            continue
        body = [part for part in node.body if not isinstance(part, ast.Expr | ast.Assign | ast.Return)]
        assert body == [], f"{node.name} does more than call"
        assert len(node.body) <= 6, f"{node.name} is long"
        carried = {ast.unparse(argument.annotation) for argument in node.args.args if argument.annotation}
        if node.name != "hand_in":
            assert carried <= {"str", "int"}, f"{node.name} carries {carried}"


def test_no_message_waits_in_the_broker_for_its_time() -> None:
    waiting = re.compile(r"\b(eta|countdown)\s*=|\.retry\(|autoretry_for|\.(delay|apply_async)\(")
    files = python_files("nurture", "workers")
    assert [name(path) for path in files if waiting.search(path.read_text(encoding="utf-8"))] == []


def test_nobody_asks_the_database_for_the_time() -> None:
    clocks = re.compile(r"\bcurrent_timestamp\b|\bclock_timestamp\b|\bnow\(\)|datetime\('now'", re.IGNORECASE)
    asking = set()
    for path in python_files("nurture", "workers"):
        if name(path) == "nurture/runtime/clock.py":
            continue
        nodes = list(ast.walk(parsed(path)))
        texts = {
            node.lineno
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and clocks.search(node.value)
        }
        asking |= {f"{name(path)}:{line}" for line in texts - _docstrings(nodes)}
    assert asking == set()


def _docstrings(nodes: list[ast.AST]) -> set[int]:
    """Return the lines of docstrings: they may speak of what code may not do."""
    return {
        node.body[0].lineno
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    }


@pytest.mark.parametrize(
    "forbidden",
    [
        "import time\n\ntime.time()\n",
        "import time\n\ntime.sleep(1)\n",
        "from datetime import UTC, datetime\n\ndatetime.now(UTC)\n",
        "from datetime import date\n\ndate.today()\n",
        "import random\n\nrandom.random()\n",
        "import uuid\n\nuuid.uuid4()\n",
        "import os\n\nos.environ['HOME']\n",
        "import sqlalchemy as sa\n\nsa.func.now()\n",
        "from unittest import mock\n\nmock.patch('x')\n",
    ],
    ids=lambda code: code.split("\n")[2],
)
def test_lint_refuses(forbidden: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename"]
    done = subprocess.run(
        [*command, "nurture/domain/example.py", "-"],
        cwd=ROOT,
        input=forbidden,
        text=True,
        capture_output=True,
        check=False,
    )
    assert "TID251" in done.stdout


def test_no_test_is_skipped() -> None:
    skip = re.compile(r"pytest\.(mark\.)?skip|importorskip|unittest\.skip")
    skipping = [name(path) for path in python_files("tests") if skip.search(path.read_text(encoding="utf-8"))]
    assert skipping == [name(Path(__file__))]


def test_no_tracked_file_names_this_machine_or_a_package_index() -> None:
    machine = re.compile(
        r"(?<![\w.~-])/(?:work|root)/|pythonhosted\.org|pypi\.org/simple|registry\.npmjs|index-url\s*=?\s*http"
    )
    telling = []
    for path in tracked():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
            if machine.search(line):
                telling.append(f"{name(path)}:{number}: {line.strip()[:80]}")
    assert telling == []

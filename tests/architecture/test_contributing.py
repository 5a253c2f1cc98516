"""Files for contributors: the workflow runs what the README promises, hooks call the tools of the lock file."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bench.__main__ import ROWS
from tests.architecture.sources import ROOT


def _yaml(file: str) -> Any:
    return json.loads(json.dumps(YAML(typ="safe").load((ROOT / file).read_text())))


def test_workflow_tests_every_python_from_the_oldest_that_is_supported() -> None:
    job = _yaml(".github/workflows/test.yml")["jobs"]["test"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == ">=3.11"
    assert any(step.get("run", "").startswith("make test") for step in job["steps"])


def test_a_workflow_without_a_timeout_is_refused(tmp_path: Path) -> None:
    command = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if "workflows-require-timeout" in line
    )
    schema = shlex.split(command)[shlex.split(command).index("--builtin-schema") + 1]
    text = (ROOT / ".github/workflows/test.yml").read_text()
    for content, code in ((text, 0), (text.replace("    timeout-minutes: 60\n", ""), 1)):
        workflow = tmp_path / "test.yml"
        workflow.write_text(content)
        done = subprocess.run(
            [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", schema, workflow],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr


def test_hooks_call_the_tools_of_the_lock_file() -> None:
    (repository,) = _yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        program = Path(hook["entry"].split()[0])
        assert program.parts[:2] == (".venv", "bin")
        assert (Path(sys.executable).parent / program.name).exists(), hook["entry"]


def test_contributing_names_targets_and_rows_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", page, re.MULTILINE))
    assert named
    assert named <= targets
    assert set(re.findall(r"ROW=(\w+)", page)) <= set(ROWS)
    assert {file for file in re.findall(r"`([\w/]+\.py)`", page) if not (ROOT / file).exists()} == set()

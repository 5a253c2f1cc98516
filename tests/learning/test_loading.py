"""numpy is an extra: no process loads it before a model is asked for, and where it is missing an error says so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nurture.domain.errors import SettingsError
from nurture.learning.loading import load
from nurture.learning.words import _WORDS

ROOT = Path(__file__).parent.parent.parent


def test_only_the_room_of_learning_imports_numpy() -> None:
    imports = re.compile(r"^\s*(import|from) numpy\b", re.MULTILINE)
    files = [path for folder in ("nurture", "workers") for path in (ROOT / folder).rglob("*.py")]
    found = [path for path in files if imports.search(path.read_text(encoding="utf-8"))]
    assert {path.parent.relative_to(ROOT).as_posix() for path in found} == {"nurture/learning"}


def test_a_worker_and_the_server_import_no_numpy() -> None:
    code = (
        "import sys, workers.tasks, workers.loops, workers.scheduler, nurture.web.application,"
        " nurture.app.models.weekly, nurture.cli.root; sys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_missing_numpy_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("nurture.learning.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(SettingsError, match=r"pip install 'nurture\[learn\]'"):
        load("churn")


def test_both_languages_have_words_for_the_same_features() -> None:
    assert _WORDS["en"].keys() == _WORDS["zh-CN"].keys()

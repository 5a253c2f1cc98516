"""Every failpoint is in the list and in the code once, and every one has a test that kills a process there."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from nurture.domain.errors import SettingsError
from nurture.runtime import failpoints
from tests.architecture.sources import ROOT, name, parsed, python_files
from tests.faults import test_kill


def _called() -> Counter[str]:
    """Return what the product passes to `failpoint`, which must be plain text for this to be known."""
    names: Counter[str] = Counter()
    for path in python_files("nurture", "workers"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                given = node.args[0]
                assert isinstance(given, ast.Constant), f"{name(path)}:{node.lineno}: write the name out"
                names[str(given.value)] += 1
    return names


def test_every_place_is_passed_once_in_the_code_and_listed() -> None:
    assert _called() == Counter(dict.fromkeys(failpoints.PLACES, 1))


def test_at_every_place_a_process_is_killed() -> None:
    tree = parsed(ROOT / "tests/faults/test_kill.py")
    written = {
        node.value.partition("=")[0]
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert written & set(failpoints.PLACES) >= test_kill.ELSEWHERE
    assert set(test_kill.WORKERS) == set(failpoints.PLACES) - test_kill.ELSEWHERE


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_an_armed_place_acts_at_its_pass_and_no_other(disarmed: None) -> None:
    failpoints.arm("drain.taken=raise@2 wire.passed=raise")
    failpoints.failpoint("drain.taken")
    failpoints.failpoint("drain.applied")
    with pytest.raises(failpoints.Broken):
        failpoints.failpoint("drain.taken")
    failpoints.failpoint("drain.taken")
    for _ in range(2):
        with pytest.raises(failpoints.Broken):
            failpoints.failpoint("wire.passed")
    failpoints.arm("")
    failpoints.failpoint("wire.passed")


@pytest.mark.parametrize(
    "text", ["drain.token=kill", "drain.taken", "drain.taken=burn", "drain.taken=kill@x"]
)
def test_an_unknown_failpoint_is_refused_with_the_names(disarmed: None, text: str) -> None:
    with pytest.raises(SettingsError, match=r"drain\.taken"):
        failpoints.arm(text)

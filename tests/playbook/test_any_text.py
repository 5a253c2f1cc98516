"""For any text in a file the check returns faults with a place and never raises."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nurture.playbook import find_faults
from tests.playbook.builder import a_playbook
from tests.rig.examples import examples

FILES = a_playbook()
#: Where most of the language is.
PATHS = [
    "playbook.yaml",
    *(path for path in FILES if path.endswith(("measure.yaml", "en.mjml", "sample.json"))),
]
TOKENS = [
    "yes", "null", "[]", "{}", "''", "\n- x", "{{", "}}", "{%", "{#", ": ", "*a", "&a ", "!!x ", "1e999", "0x1f", "|",
    "> ", "\t", "#", "%", "@", "`", "é", "\u2028", "any", "7d", "True", " not ", " and ", "(", ")", "<<: {}", "\x01",
    "9" * 25, "-1", "3.5", "'", '"', "\n", "",
]  # fmt: skip

edits = st.lists(
    st.tuples(st.sampled_from(PATHS), st.floats(0, 1), st.integers(0, 12), st.sampled_from(TOKENS)),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=examples(40), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(edits)
def test_any_edit_gives_faults_with_a_place(changes: list[tuple[str, float, int, str]]) -> None:
    files = dict(FILES)
    for path, share, length, token in changes:
        at = int(share * len(files[path]))
        files[path] = files[path][:at] + token + files[path][at + length :]
    for fault in find_faults(files, render=False):
        assert 1 <= fault.line <= files.get(fault.path, "").count("\n") + 1
        assert "standin" not in str(fault)
        assert fault.what
        assert fault.change


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("goal: " + "[" * 50_000, "not YAML (nested too deeply): rewrite this place"),
        ("- " * 50_000, "not YAML (nested too deeply): rewrite this place"),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\n",
            "an anchor used again (`*name`): write the value out where it is needed",
        ),
        ("goal: \x00", "not YAML (a character YAML does not allow): rewrite this place"),
        ("just words", "no keys in this file: write `key: value` lines"),
        ("", "no keys in this file: write `key: value` lines"),
    ],
    ids=["brackets", "dashes", "bomb", "nul", "words", "nothing"],
)
def test_a_hostile_file_is_one_fault(text: str, fault: str) -> None:
    path = "lead/aware/guide/measure.yaml"
    faults = [str(fault_) for fault_ in find_faults({**FILES, path: text}, render=False)]
    assert len(faults) == 1
    assert faults[0].startswith(f"{path}:")
    assert faults[0].endswith(fault)

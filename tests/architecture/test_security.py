"""docs/security.md is true: every threat has its row, every test it names exists, nothing else connects."""

import ast
import re

from tests.architecture.sources import ROOT, functions, name, parsed, python_files

_PAGE = ROOT / "docs/security.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[[^]`]*\])?`")
_ROWS = 43
#: Calls that open connections, and the files that may use them.
_CONNECTING = {
    "smtplib",
    "http.client",
    "urllib.request",
    "httpx",
    "requests",
    "aiohttp",
    "ftplib",
    "imaplib",
}
_OPENING = {"socket.create_connection", "socket.socket"}
_MAY_CONNECT = {
    "nurture/transports/smtp/socket.py": "the relay",
    "nurture/transports/check.py": "the relay, whether it is there",
    "nurture/transports/lookups.py": "the certificates of the relay and of our own pages",
    "nurture/inbound/fetch.py": "Amazon's certificate",
    "nurture/transports/http.py": "Amazon's certificate, and the addresses of EVENT_HOOKS",
}


def rows() -> dict[str, str]:
    """Return number -> line of the table."""
    return dict(re.findall(r"^\| (\d+) (\|.*)$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_threat_has_its_row_and_every_row_a_test_or_a_reason() -> None:
    assert list(rows()) == [str(number) for number in range(1, _ROWS + 1)]
    assert [
        number for number, line in rows().items() if not _TEST.search(line) and "cannot arise: " not in line
    ] == []


def test_every_test_named_exists() -> None:
    named = set(_TEST.findall(_PAGE.read_text(encoding="utf-8")))
    missing = [f"{file}::{function}" for file, function in named if function not in functions(ROOT / file)]
    assert missing == []


def test_nothing_else_opens_a_connection() -> None:
    last = {name.rpartition(".")[2] for name in _OPENING}
    connecting = set()
    for path in python_files("nurture", "workers"):
        for node in ast.walk(parsed(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            opens = isinstance(node, ast.Attribute) and node.attr in last and ast.unparse(node) in _OPENING
            if opens or _CONNECTING & set(names):
                connecting.add(name(path))
    assert connecting == set(_MAY_CONNECT)

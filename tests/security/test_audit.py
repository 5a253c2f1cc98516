"""The audit log: every act of an operator is in it, and every change of the log is detected."""

import csv
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
import typer

from nurture.app.installation import open_existing
from nurture.app.invariants import CHECKS, CheckContext
from nurture.cli.root import app as command_line
from nurture.database.audit import find_tampering, record
from nurture.database.engine import Database
from nurture.database.schema import audit
from nurture.runtime.clock import ManualClock
from tests.cli.shell import Shell
from tests.security.people import PASSWORD
from tests.web.live import NOW, a_playbook

MEASURE = "customer/any/order_confirmation"
ADA = "ada@example.com"
#: Every command: what it does in the log, or nothing because it only looks, or makes what was not there.
LOOKS = ""
ACTS: dict[str, str] = {
    "demo": LOOKS,
    "simulate": LOOKS,
    "up": LOOKS,
    "init": LOOKS,
    "api": LOOKS,
    "scheduler": LOOKS,
    "worker": LOOKS,
    "inbound": LOOKS,
    "doctor": LOOKS,
    "status": LOOKS,
    "audience": LOOKS,
    "preview": LOOKS,
    "test": LOOKS,
    "messages": LOOKS,
    "messages show": LOOKS,
    "quarantine list": LOOKS,
    "quarantine show": LOOKS,
    "quarantine retry": "quarantine.retry",
    "quarantine drop": "quarantine.drop",
    "migrate": "playbook.publish",
    "import": "import",
    "export": "export",
    "track": "track",
    "values show": LOOKS,
    "values publish": "values.publish",
    "send": "send",
    "sends list": LOOKS,
    "sends show": LOOKS,
    "sends approve": "send.approve",
    "sends reject": "send.reject",
    "sends pause": "send.pause",
    "sends resume": "send.resume",
    "sends cancel": "send.cancel",
    "sends rate": "send.rate",
    "pause": "pause",
    "resume": "resume",
    "cancel": "cancel",
    "playbook check": LOOKS,
    "playbook show": LOOKS,
    "playbook schema": LOOKS,
    "playbook diff": LOOKS,
    "playbook coverage": LOOKS,
    "playbook upgrade": LOOKS,
    "playbook publish": "playbook.publish",
    "playbook rollback": "playbook.rollback",
    "contact show": LOOKS,
    "contact search": LOOKS,
    "contact timeline": LOOKS,
    "contact why": LOOKS,
    "contact next": LOOKS,
    "contact merge": "contact.merge",
    "contact unmerge": "contact.unmerge",
    "contact consent": "contact.consent",
    "contact export": "contact.export",
    "contact erase": "contact.erase",
    "suppression show": LOOKS,
    "suppression lift": "suppression lift",
    "suppression add": "suppression add",
    "suppression import": "suppression import",
    "suppression export": "export",
    "config show": LOOKS,
    "cases list": LOOKS,
    "cases show": LOOKS,
    "cases assign": "case.assign",
    "cases close": "case.close",
    "backup verify": LOOKS,
    "hooks list": LOOKS,
    "hooks show": LOOKS,
    "hooks retry": "hooks.retry",
    "conflicts list": LOOKS,
    "conflicts show": LOOKS,
    "conflicts decide": "conflict.decide",
    "access user add": "access.user.add",
    "access user list": LOOKS,
    "access user role": "access.user.role",
    "access user disable": "access.user.disable",
    "access user password": "access.user.password",
    "access user unlock": "access.user.unlock",
    "access key add": "access.key.add",
    "access key list": LOOKS,
    "access key set": "access.key.kind",
    "access key revoke": "access.key.revoke",
}


def commands(command: Any, path: tuple[str, ...] = ()) -> set[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return {" ".join(path)}
    return {path_ for name in inner for path_ in commands(inner[name], (*path, name))}


def test_every_command_says_what_it_leaves_in_the_log() -> None:
    known = commands(typer.main.get_command(command_line))
    assert {name for name in known if name not in ACTS and not name.startswith("report ")} == set()


def test_every_act_of_an_operator_is_in_the_log_without_addresses(
    nurture: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(f"{PASSWORD}\n{PASSWORD}\n"))
    nurture.install()
    for who in (ADA, "bob@example.com"):
        order = [
            "-p",
            f"order_id={who}",
            "-p",
            "revenue=1",
            "-p",
            "total=1",
            "-p",
            "currency=EUR",
            "-p",
            "products=[]",
        ]
        assert nurture("track", who, "Order Completed", *order).code == 0
    nurture.work()
    with (nurture.folder / "people.csv").open("w") as file:
        csv.writer(file).writerows([["email"], ["eve@example.com"]])
    assert nurture("init", "mine").code == 0
    changed = nurture.folder / "mine" / "playbook.yaml"
    changed.write_text(changed.read_text() + "\n# changed\n")
    for words in DEEDS:
        answer = nurture(*words)
        assert answer.code == 0, (words, answer.err)
    key = nurture("access", "key", "list", "--json").document[0]["id"]
    assert nurture("access", "key", "revoke", key).code == 0
    opened = open_existing()
    with opened.database.read() as connection:
        rows = connection.execute(sa.select(audit).order_by(audit.c.id)).all()
        assert find_tampering(connection) is None
    opened.close()
    assert {row.action for row in rows} >= {ACTS[name] for name in done_in(DEEDS)} - {LOOKS}
    assert all(re.fullmatch(r"cli:\w+|migrate", row.actor) for row in rows)
    assert "@" not in "".join(row.detail for row in rows)


DEEDS: list[list[str]] = [
    ["pause", MEASURE],
    ["resume", MEASURE],
    ["send", MEASURE, "--to", ADA, "--set", "order_id=A-1", "--request", "r1", "--yes"],
    ["sends", "pause", "r1", "--reason", "wrong price"],
    ["sends", "rate", "r1", "500/h"],
    ["sends", "resume", "r1"],
    ["sends", "cancel", "r1", "--yes"],
    ["send", MEASURE, "--test", "me@example.com"],
    ["cancel", MEASURE, "--yes"],
    ["import", "people.csv", "--kind", "contacts"],
    ["export", "contacts"],
    ["hooks", "retry", "--failed"],
    ["contact", "consent", ADA, "offers", "withdrawn"],
    ["contact", "merge", ADA, "bob@example.com", "--yes"],
    ["contact", "export", ADA],
    ["contact", "erase", ADA, "--yes"],
    ["playbook", "publish", "mine", "--yes"],
    ["playbook", "rollback", "--yes"],
    ["access", "user", "add", "ann", "--role", "operator"],
    ["access", "user", "role", "ann", "admin"],
    ["access", "user", "password", "ann"],
    ["access", "user", "unlock", "ann"],
    ["access", "user", "disable", "ann"],
    ["access", "key", "add", "shop", "--scope", "ingest"],
]


def done_in(deeds: list[list[str]]) -> set[str]:
    return {name for name in ACTS for words in deeds if " ".join(words).startswith(name)}


class Typed:
    """Standard input with these lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self._lines.pop(0)


# ---- the chain -------------------------------------------------------------------------------------------


@pytest.fixture
def log(database: Database) -> Database:
    """Give a database whose log has five rows."""
    for number in range(5):
        with database.write() as connection:
            record(
                connection, at=NOW + number, actor="cli:ann", action="pause", detail={"name": f"m{number}"}
            )
    return database


def check(database: Database) -> list[str]:
    with database.read() as connection:
        return list(CHECKS["audit log"](connection, CheckContext(a_playbook().playbook, 1, NOW, b"")))


def test_an_untouched_log_is_whole(log: Database) -> None:
    assert check(log) == []


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda: sa.update(audit).where(audit.c.id == 2).values(detail='{"name":"other"}'), "row 2 "),
        (lambda: sa.update(audit).where(audit.c.id == 2).values(actor="cli:bob"), "row 2 "),
        (lambda: sa.update(audit).where(audit.c.id == 2).values(at=1), "row 2 "),
        (lambda: sa.delete(audit).where(audit.c.id == 3), "row 4 "),
        (lambda: sa.delete(audit).where(audit.c.id == 1), "row 2 "),
        (lambda: sa.delete(audit).where(audit.c.id >= 4), "rows after row 3 "),
        (lambda: sa.delete(audit), "rows after row 0 "),
        (
            lambda: sa.insert(audit).values(
                id=9, at=1, actor="cli:bob", action="send", detail="{}", chain="0" * 64
            ),
            "row 9 ",
        ),
    ],
    ids=[
        "detail",
        "actor",
        "time",
        "one removed",
        "first removed",
        "end removed",
        "all removed",
        "one put in",
    ],
)
def test_the_doctor_names_what_was_done_to_the_log(log: Database, act: Callable[[], Any], named: str) -> None:
    with log.write() as connection:
        connection.execute(act())
    (finding,) = check(log)
    assert named in finding


def test_writers_at_the_same_time_leave_one_chain(database: Database) -> None:
    clock = ManualClock(NOW)

    def write(number: int) -> None:
        detail = {"number": number}
        database.run(lambda c: record(c, at=clock.now(), actor="cli:ann", action="pause", detail=detail))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    assert check(database) == []

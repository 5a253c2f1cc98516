"""An operator's afternoon: in the suite with a mail server of the tests, in `make afternoon` with Postfix."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.architecture.sources import ROOT
from tests.cli.shell import SHIPPED, CommandOutput, Shell
from tests.faults.test_releases import next_release
from tests.inbound.mails import a_dsn
from tests.production.afternoon import (
    BOUNCES,
    STAFF,
    Afternoon,
    Mail,
    Processes,
    Size,
    write_programme,
)
from tests.rig import warm
from tests.rig.postfix import Postfix
from tests.rig.postgres import Postgres, client_programs
from tests.rig.process import NotAvailable, free_port
from tests.rig.redis import Redis
from tests.rig.smtp import SmtpSink, running_smtp_sink
from tests.workers.installation import environment, eventually
from tests.workers.test_worker import IMPORTS

_IMPORTS = [
    *IMPORTS,
    "nurture.cli.root",
    "nurture.web.application",
    "nurture.web.inbound_smtp",
    "workers.heartbeat",
]
_KEEPER = Path(__file__).with_name("end_with_parent.py")


class SinkRelay:
    """A mail server of the tests, gone while it is stopped."""

    def __init__(self, folder: Path, *, lmtp: int) -> None:
        """Start it. lmtp: where inbound mail goes."""
        self._folder, self._lmtp, self._port, self._times = folder, lmtp, free_port(), 0
        self._read: dict[Path, Mail] = {}
        self._sinks: list[SmtpSink] = []
        self._stack = ExitStack()
        self.url = f"smtp://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        folder = self._folder / f"sink{len(self._sinks)}"
        folder.mkdir(parents=True)
        self._sinks.append(self._stack.enter_context(running_smtp_sink(folder, port=self._port)))

    def stop(self) -> None:
        """Stop listening, and close every connection."""
        self._stack.close()
        self._sinks[-1].cut()

    def count(self) -> int:
        """Return how many mails have arrived."""
        return sum(sink.count for sink in self._sinks)

    def mails(self) -> list[Mail]:
        """Return the mails that have arrived."""
        for path in (path for sink in self._sinks for path in sink.files()):
            if path not in self._read:
                sender, recipients, data = path.read_bytes().split(b"\n", 2)
                self._read[path] = Mail(sender.decode(), recipients.decode(), data)
        return list(self._read.values())

    def hand_in(self, mail: Mail) -> None:
        """Send a mail to the addresses of the installation."""
        with smtplib.LMTP("127.0.0.1", self._lmtp) as client:
            client.sendmail(mail.sender, [mail.recipient], mail.data)

    def bounce(self, address: str) -> None:
        """Report that the person is gone, as a receiving side does that has taken the mail."""
        assert eventually(lambda: any(mail.recipient == address for mail in self.mails()))
        mail = next(mail for mail in self.mails() if mail.recipient == address)
        self.hand_in(Mail("", mail.sender, a_dsn()))


class PostfixRelay:
    """Postfix as relay and as receiving side; it reports by itself who is gone."""

    def __init__(self, home: Path, *, lmtp: int) -> None:
        """Start it. Raises NotAvailable."""
        self._postfix = Postfix(
            home,
            mailboxes=r"^(p[0-9]+@people|tom@house)\.example$",
            domains="people.example house.example",
            routes={"mail.larkandkettle.example": lmtp, "larkandkettle.example": lmtp},
        )
        self._read: dict[Path, Mail] = {}
        self.url, self.start, self.stop = self._postfix.url, self._postfix.start, self._postfix.stop
        self.end = self._postfix.end

    def count(self) -> int:
        """Return how many mails have arrived."""
        return self._postfix.count()

    def mails(self) -> list[Mail]:
        """Return the mails that have arrived."""
        for path in self._postfix.mails():
            if path not in self._read:
                data = path.read_bytes()
                lines = data.split(b"\n", 3)
                words = [line.partition(b": ")[2].decode().strip("<>") for line in lines[:2]]
                self._read[path] = Mail(words[0], words[1], data)
        return list(self._read.values())

    def hand_in(self, mail: Mail) -> None:
        """Send a mail to the addresses of the installation, by way of Postfix."""
        with smtplib.SMTP("127.0.0.1", self._postfix.port) as client:
            client.sendmail(mail.sender, [mail.recipient], mail.data)

    def bounce(self, address: str) -> None:
        """Nothing: Postfix has sent its report."""


def start_warm(
    words: tuple[str, ...], *, tree: Path, env: dict[str, str], log: IO[bytes]
) -> "subprocess.Popen[Any]":
    """Start a command in a process that has its imports."""
    return warm.start(words, imports=_IMPORTS, cwd=tree, env=env, stdout=log, stderr=log)


def start_leashed(
    words: tuple[str, ...], *, tree: Path, env: dict[str, str], log: IO[bytes]
) -> "subprocess.Popen[Any]":
    """Start a command as people do; it ends with this process, however that ends."""
    command = [sys.executable, "-I", str(_KEEPER), sys.executable, "-m", *words]
    return subprocess.Popen(
        command,
        cwd=tree,
        env=env,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


@dataclass
class Program:
    """The `nurture` command as a process of its own."""

    folder: Path
    environment: dict[str, str]
    tree: Path = ROOT

    def __call__(self, *words: str) -> CommandOutput:
        """Run it to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "nurture.cli", *words],
            cwd=self.tree,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return CommandOutput(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def installation(tmp_path: Path, postgres: Postgres, postgresql_url: str) -> Iterator[dict[str, Any]]:
    """Give the parts that both afternoons share; the installation is migrated by each."""
    broker = Redis()
    ports = {"http": free_port(), "lmtp": free_port()}
    programme = write_programme(tmp_path / "programme", SHIPPED)
    given = {
        "broker_url": broker.url,
        "http_port": str(ports["http"]),
        "playbook": str(programme),
        "check_relay": "3",
        "bounce_address": BOUNCES,
        "replies_to": STAFF,
    }
    logs = tmp_path / "logs"
    logs.mkdir()
    try:
        yield {
            "folder": tmp_path,
            "postgres": postgres,
            "environment": environment(tmp_path, postgresql_url, **given)
            | {"PATH": f"{client_programs()}:/usr/bin:/bin"},
            "ports": ports,
            "tree": ROOT,
            "logs": logs,
        }
    finally:
        broker.stop()


@pytest.mark.faults
def test_an_afternoon(
    installation: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = installation.pop("logs")
    nurture = Shell(installation["folder"], monkeypatch, capsys)

    def use(values: dict[str, str]) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    relay = SinkRelay(installation["folder"], lmtp=installation["ports"]["lmtp"])
    installation["environment"]["NURTURE_MAIL_URL"] = relay.url
    use(installation["environment"])
    try:
        assert nurture("migrate").code == 0
        processes = Processes(logs, start_warm)
        Afternoon(
            Size(people=240, rate=36_000, outage=10.0),
            nurture=nurture,
            relay=relay,
            processes=processes,
            use_environment=use,
            # No next release is played here.
            use_tree=lambda _tree: None,
            **installation,
        ).play()
    finally:
        relay.stop()


@pytest.mark.long
def test_an_afternoon_with_postfix(installation: dict[str, Any]) -> None:
    logs = installation.pop("logs")
    home = Path("/tmp") / f"nurture-postfix-{os.getpid()}"
    try:
        relay = PostfixRelay(home, lmtp=installation["ports"]["lmtp"])
    except NotAvailable as error:
        pytest.fail(str(error), pytrace=False)
    values = installation["environment"] | {"NURTURE_MAIL_URL": relay.url, "NURTURE_CHECK_RELAY": "7"}
    installation["environment"] = values
    nurture = Program(installation["folder"], values)

    def use(changed: dict[str, str]) -> None:
        nurture.environment = changed

    def use_tree(tree: Path) -> None:
        nurture.tree = tree

    try:
        assert nurture("migrate").code == 0
        Afternoon(
            Size(people=5_000, rate=60_000, outage=120.0),
            nurture=nurture,
            relay=relay,
            processes=Processes(logs, start_leashed),
            use_environment=use,
            use_tree=use_tree,
            next_tree=next_release(installation["folder"] / "next"),
            **installation,
        ).play()
    finally:
        relay.end()

"""An operator's afternoon on a running installation: each step uses the commands, and is seen where mail arrives.

Import, announce, pause midway, an outage of the relay in which a backup is verified, resume, cancel, suppressions of
another tool, a list from a file, a bounce, a reply, a complaint, export, backup, restore and, where a next release is
given, the upgrade.
"""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg

from nurture.runtime.clock import SystemClock, monotonic, pause
from tests.cli.shell import CommandOutput
from tests.inbound.mails import an_answer, an_arf
from tests.production.people import noon_zone
from tests.rig.postgres import Postgres, client_programs
from tests.workers import installation

ANNOUNCEMENT = "lead/any/announcement"
#: The address that bounces return to, and the colleague who reads replies.
BOUNCES = "bounces@mail.larkandkettle.example"
STAFF = "tom@house.example"
GONE = "gone@people.example"
#: A pause stops all mail within so many seconds.
STOPS_SECONDS = 2.0
#: An outage must be seen within so many seconds.
SEEN_SECONDS = 15.0
#: The measures of the shipped programme that are played; checking all of them takes seconds in every process.
_KEPT = {"case_acknowledged", "confirm_subscription"}
_MEASURE = """\
goal: subscribers hear that the shop has moved
audience: "True"
audience_source: subscribers of the news
form: letter
call_to_action: {kind: read, link: "{{ brand.journal_url }}"}
kind: accelerator
purpose: nurture
topic: news
metric: {event: Article Read, within: 7d, expect: "15%"}
trigger: ops
once: per occasion
steps:
  - mail: notice
"""
_MAIL = """\
---
subject: "The shop has moved"
preheader: "Two streets further, twice the tables."
---
{% extends "base" %}
{%- from "parts" import button, greeting with context %}
{% block content %}
<mj-text mj-class="title">The shop has moved</mj-text>
{{ greeting() }}
<mj-text>From Monday on you find us two streets further, with twice the tables.</mj-text>
{{ button("See the way", links.call_to_action) }}
{% endblock %}
"""
_TEXT = """\
{% extends "base.txt" %}
{% block content %}
From Monday on you find us two streets further, with twice the tables.
{{ links.call_to_action }}
{% endblock %}
"""


_SUBJECT = b"Subject: The shop has moved"


def eventually(holds: Callable[[], bool], *, seconds: float = 60.0, every: float = 0.2) -> bool:
    """Wait as `installation.eventually`, with fewer looks: each one takes processor time from the processes."""
    return installation.eventually(holds, seconds=seconds, every=every)


#: Takes the words of a `nurture` command.
Command = Callable[..., CommandOutput]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail at the receiving side, with its envelope."""

    sender: str
    recipient: str
    data: bytes

    def parsed(self) -> EmailMessage:
        """Return it as the standard library reads it."""
        return message_from_bytes(self.data, policy=policy.default)


class Relay(Protocol):
    """The relay, the receiving side behind it, and the way of inbound mail."""

    url: str

    def stop(self) -> None:
        """Take the relay away."""

    def start(self) -> None:
        """Bring it back."""

    def count(self) -> int:
        """Return how many mails have arrived."""

    def mails(self) -> list[Mail]:
        """Return the mails that have arrived."""

    def hand_in(self, mail: Mail) -> None:
        """Send a mail to the addresses of the installation."""

    def bounce(self, address: str) -> None:
        """Let the mail to this address come back, where the receiving side does not do it by itself."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long the afternoon is."""

    people: int
    # Mails an hour of the announcement.
    rate: int
    outage: float


class Processes:
    """The processes of an installation, each started by the product's own command."""

    def __init__(self, folder: Path, start: Callable[..., "subprocess.Popen[Any]"]) -> None:
        """Start none. start: takes the words of a command, `tree`, `env`, `log`."""
        self._folder, self._start = folder, start
        self._running: dict[str, subprocess.Popen[Any]] = {}

    def start(self, commands: Mapping[str, Sequence[str]], environment: dict[str, str], tree: Path) -> None:
        """Start these, from this tree of files."""
        for name, words in commands.items():
            with (self._folder / f"{name}.log").open("ab") as log:
                self._running[name] = self._start(words, tree=tree, env=environment, log=log)

    def stop(self) -> None:
        """End them in order, and only these."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(60)
            if process.stdin:
                process.stdin.close()
        self._running.clear()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what they logged, as JSON lines."""
        for path in sorted(self._folder.glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if line.startswith("{"):
                    yield json.loads(line)

    def end_of_logs(self) -> str:
        """Return the end of every log."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-2000:]}" for path in self._folder.glob("*.log")
        )


def write_programme(folder: Path, shipped: Path) -> Path:
    """Copy the shipped programme with few of its measures, and with an announcement for leads that operators send."""
    shutil.copytree(shipped, folder)
    for path in list(folder.rglob("measure.yaml")):
        if path.parent.name not in _KEPT:
            shutil.rmtree(path.parent)
    playbook = folder / "playbook.yaml"
    named = re.compile(r"\b(?:lead|customer|any)/[a-z_+]+(?:/[a-z_]+)?\b")
    playbook.write_text(
        named.sub(
            lambda found: found[0] if (folder / found[0]).is_dir() else '"none: not played"',
            playbook.read_text(),
        )
    )
    measure = folder / ANNOUNCEMENT
    measure.mkdir(parents=True)
    (measure / "measure.yaml").write_text(_MEASURE)
    for locale in ("en", "zh-CN"):
        (measure / f"notice.{locale}.mjml").write_text(_MAIL)
        (measure / f"notice.{locale}.txt").write_text(_TEXT)
    (measure / "sample.json").write_text('{"contact": {"first_name": "Anna"}}\n')
    return folder


@dataclass
class Afternoon:
    """One afternoon; `play` lives through it and prints what each step found."""

    size: Size
    folder: Path
    nurture: Command
    relay: Relay
    processes: Processes
    postgres: Postgres
    # Changed when the database is restored.
    environment: dict[str, str]
    ports: dict[str, int]
    tree: Path
    use_environment: Callable[[dict[str, str]], None]
    # Lets the command be that of this tree from now on.
    use_tree: Callable[[Path], None]
    # The tree of the next release, where the upgrade is played.
    next_tree: Path | None = None
    notes: list[str] = field(default_factory=list)
    # Mails that had arrived when the announcement was paused.
    left_before: int = 0
    suppressed: tuple[str, ...] = ()
    # URL of a database -> an open connection.
    connections: dict[str, "psycopg.Connection[Any]"] = field(default_factory=dict)

    def play(self) -> None:
        """Live through it. Raises AssertionError that names the step and shows the logs."""
        steps = [
            self.import_people,
            self.announce,
            self.pause_midway,
            self.lose_the_relay,
            self.resume_and_cancel,
            self.bring_suppressions_in,
            self.send_to_a_list,
            self.take_feedback,
            self.export,
            self.back_up_and_restore,
            *([self.upgrade] if self.next_tree is not None else []),
            self.look_back,
        ]
        self.start_processes()
        try:
            for step in steps:
                began = monotonic()
                words = step()
                name = step.__name__.replace("_", " ")
                self.notes.append(f"{name} ({monotonic() - began:.1f} s): {words}")
                sys.stdout.write(self.notes[-1] + "\n")
                (self.folder / "notes.txt").write_text("\n".join(self.notes))
        except AssertionError as error:
            error.add_note("\n".join([*self.notes, f"in {step.__name__}", self.processes.end_of_logs()]))
            raise
        finally:
            self.processes.stop()
            for connection in self.connections.values():
                connection.close()

    def start_processes(self, *names: str, tree: Path | None = None) -> None:
        """Start API, scheduler, a worker and the process for inbound mail, or only these of them."""
        lmtp = f"127.0.0.1:{self.ports['lmtp']}"
        commands = {
            "api": ("nurture.cli", "api"),
            "scheduler": ("nurture.cli", "scheduler"),
            "worker": ("celery", "-A", "workers", "worker", "--concurrency", "1"),
            "inbound": ("nurture.cli", "inbound", "--lmtp", lmtp),
        }
        commands = {name: words for name, words in commands.items() if name in (names or commands)}
        self.processes.start(commands, self.environment, tree or self.tree)
        kinds = "SELECT count(DISTINCT kind) FROM processes"
        # A restored database also has rows of the processes that ran when it was backed up.
        assert eventually(lambda: self.scalar(kinds) >= len(commands))

    # ---- the steps -----------------------------------------------------------------------------------------

    def import_people(self) -> str:
        """Import everybody from a file with one row that cannot be used."""
        path = self.folder / "people.csv"
        zone = noon_zone(SystemClock().now())
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("email", "first_name", "timezone", "consent_news", "consent_at"))
            names = [f"p{number}@people.example" for number in range(1, self.size.people)]
            for name in [*names, GONE, "no address"]:
                writer.writerow((name, "Ada", zone, "yes", "2026-05-01T10:00:00Z"))
        done = self.json("import", str(path), "--kind", "contacts", "--historic", code=1)
        assert (done["accepted"], done["rejected"]) == (self.size.people, 1), done
        assert eventually(lambda: self.scalar("SELECT count(*) FROM contacts") == self.size.people)
        return f"{done['accepted']} accepted, {done['by_reason']}, consents {done['consents']}"

    def announce(self) -> str:
        """Look at the forecast, send at a rate, and follow the send until an eighth has arrived."""
        to_all = ("--occasion", "autumn", "--audience", "True")
        words = ("send", ANNOUNCEMENT, *to_all, "--rate", f"{self.size.rate}/h")
        forecast = self.json(*words, "--dry-run")["forecast"]
        assert forecast["reached"] == self.size.people, forecast
        self.json(*words, "--request", "autumn", "--yes")
        assert eventually(lambda: self.relay.count() >= self.size.people // 8)
        shown = self.json("sends", "show", "autumn")
        assert shown["state"] in {"sending", "handing_in"}, shown
        return f"forecast {forecast['reached_now']} now, {forecast['reached_later']} later"

    def pause_midway(self) -> str:
        """Pause the send; nothing more of it leaves."""
        self.json("sends", "pause", "autumn", "--reason", "wrong street")
        began = monotonic()
        assert self.json("sends", "show", "autumn")["state"] == "paused"
        pause(max(0.0, STOPS_SECONDS - (monotonic() - began)))
        self.left_before = self.relay.count()
        return f"{self.left_before} mails had left"

    def lose_the_relay(self) -> str:
        """Take the relay away: status, log, metric and readiness tell of it, and of its return."""
        self.relay.stop()
        began = monotonic()
        seconds = {
            name: self.seconds_until(check, began)
            for name, check in {
                "log": lambda: self.logged("trouble", part="relay"),
                "metric": lambda: 'nurture_lane_up{lane="main"} 0.0' in self.page("/metrics").text,
                "readiness": lambda: self.page("/readyz").status_code == 503,
            }.items()
        }
        seconds["status"] = self.seconds_until_status(began, is_away=True)
        assert max(seconds.values()) <= SEEN_SECONDS, seconds
        if self.meets_mail:
            self.json("track", "p1@people.example", "Support Case Opened", "-p", "case_id=c1")
        checks = self.verify_a_backup()
        pause(max(0.0, self.size.outage - (monotonic() - began)))
        assert self.relay.count() == self.left_before
        self.relay.start()
        began = monotonic()
        seconds["over"] = self.seconds_until_status(began, is_away=False)
        assert seconds["over"] <= SEEN_SECONDS, seconds
        assert eventually(lambda: self.logged("trouble ended", trouble="relay:main"), seconds=15)
        found = ", ".join(f"{name} after {took:.1f} s" for name, took in seconds.items())
        return f"{found}; meanwhile a backup was verified, {checks} checks"

    def verify_a_backup(self) -> int:
        """Back up and verify while nothing leaves; returns the number of checks."""
        path = self.back_up("verified")
        verified = self.json("backup", "verify", str(path), "--age-max", "1h", code=None)
        failed = [check for check in verified["checks"] if not check["ok"]]
        assert not failed, failed
        return len(verified["checks"])

    def resume_and_cancel(self) -> str:
        """Resume, and cancel when more has arrived: the rest never leaves, and a second cancel changes nothing."""
        self.json("sends", "resume", "autumn")
        assert eventually(lambda: self.relay.count() > self.left_before + self.size.people // 10)
        done = self.json("sends", "cancel", "autumn", "--reason", "wrong street", "--yes")
        again = self.json("sends", "cancel", "autumn", "--yes")
        assert (again["runs"], again["messages"], again["withdrawn"]) == (0, 0, 0), again
        shown = self.json("sends", "show", "autumn")
        assert shown["state"] == "cancelled", shown
        sent = "SELECT count(*) FROM messages WHERE request = 'autumn' AND status = 'sent'"
        assert eventually(lambda: self.scalar(sent) == self.announced().total())
        return f"{done['messages']} mails cancelled, {self.announced().total()} sent"

    def bring_suppressions_in(self) -> str:
        """Import the suppressions of another tool."""
        path = self.folder / "unsubscribed.csv"
        self.suppressed = tuple(self.unreached()[:3])
        path.write_text("email\n" + "\n".join([*self.suppressed, "broken"]) + "\n")
        done = self.json("suppression", "import", str(path), code=1)
        assert self.json("suppression", "show", self.suppressed[0]), done
        return json.dumps({name: done[name] for name in ("accepted", "rejected") if name in done})

    def send_to_a_list(self) -> str:
        """Send to a list from a file: the suppressed get nothing, an unknown name is told, nobody is mailed twice."""
        path = self.folder / "list.csv"
        meant = [*self.unreached()[: self.size.people // 8], GONE]
        path.write_text("email,note\n" + "".join(f"{name},x\n" for name in [*meant, "nobody@people.example"]))
        words = (
            "send",
            ANNOUNCEMENT,
            "--occasion",
            "list",
            "--file",
            str(path),
            "--request",
            "list",
            "--yes",
        )
        done = self.json(*words)
        assert done["unknown"] == 1, done
        expected = set(meant) - set(self.suppressed) - {GONE}
        assert eventually(lambda: expected <= set(self.announced())), expected - set(self.announced())
        assert not set(self.suppressed) & set(self.announced())
        return f"{len(expected)} of {len(meant)} reached"

    def take_feedback(self) -> str:
        """Let a mail bounce, somebody reply and somebody complain; each is seen where operators look."""
        mails = [mail for mail in self.relay.mails() if _SUBJECT in mail.data]
        self.relay.bounce(GONE)
        replied, complained = mails[0], mails[1]
        header_id = str(replied.parsed()["Message-ID"])
        reply = an_answer("Is there room for a pram?", sender=replied.recipient, about=header_id)
        self.relay.hand_in(Mail(replied.recipient, str(replied.parsed()["Reply-To"]), reply))
        header_id = str(complained.parsed()["Message-ID"])
        report = an_arf(return_path=complained.sender, header_id=header_id)
        self.relay.hand_in(Mail("feedback@provider.example", complained.sender, report))
        assert eventually(lambda: self.is_suppressed(GONE, "hard_bounce"), every=0.3), "no bounce"
        assert eventually(lambda: self.is_suppressed(complained.recipient, "complaint"), every=0.3), (
            "no complaint"
        )
        assert eventually(lambda: any(mail.recipient == STAFF for mail in self.relay.mails())), "no notice"
        cases = [case for case in self.json("cases", "list") if case["person"] == replied.recipient]
        assert cases, "no case"
        self.json("cases", "close", cases[0]["case"])
        return f"{GONE} bounced, case {cases[0]['case']} closed, {complained.recipient} suppressed"

    def export(self) -> str:
        """Export everybody; the file tells who may not be mailed."""
        path = self.folder / "out.csv"
        assert self.nurture("export", "contacts", "--out", str(path)).code == 0
        rows = {row["email"]: row for row in csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))}
        assert len(rows) == self.size.people
        blocked = {name for name, row in rows.items() if row["suppressed"]}
        assert {GONE, *self.suppressed} <= blocked
        return f"{len(rows)} rows, {len(blocked)} suppressed"

    def back_up(self, name: str) -> Path:
        """Return a new backup of the database."""
        path = self.folder / f"{name}.dump"
        url = self.environment["NURTURE_DATABASE_URL"]
        _run(str(client_programs() / "pg_dump"), "--format=custom", f"--file={path}", f"--dbname={url}")
        return path

    def back_up_and_restore(self) -> str:
        """Back up, restore into another database, go on there: lanes stop until an operator resumes."""
        path = self.back_up("nurture")
        late = self.unreached()[0]
        send_late = ("send", ANNOUNCEMENT, "--occasion", "late", "--to", late, "--yes")
        self.json(*send_late)
        assert eventually(lambda: self.announced()[late] == 1)
        self.processes.stop()
        name = self.postgres.create()
        url = self.postgres.url(name)
        _run(str(client_programs() / "pg_restore"), "--no-owner", f"--dbname={url}", str(path))
        self.environment = {**self.environment, "NURTURE_DATABASE_URL": url}
        self.use_environment(self.environment)
        self.start_processes("worker")
        assert eventually(lambda: "pause" in self.problems()), self.json("status", code=None)
        resumed = self.nurture("resume", "all", "--after-restore", "--yes")
        assert resumed.code == 0, resumed.err
        # The backup knows nothing of this mail; the journal does.
        self.json(*send_late)
        self.expect_one_more("after")
        return "lanes stopped, resumed"

    def upgrade(self) -> str:
        """Migrate while the release before runs, then run the next release."""
        assert self.next_tree is not None
        _run(
            sys.executable,
            "-m",
            "nurture.cli",
            "migrate",
            cwd=self.next_tree,
            env=self.environment,
        )
        # Commands of the release before say that they are too old; its processes go on.
        refused = self.nurture("status")
        assert (refused.code, "start the newer version" in refused.err) == (2, True), refused.err
        self.use_tree(self.next_tree)
        self.expect_one_more("between")
        self.processes.stop()
        self.start_processes(tree=self.next_tree)
        self.expect_one_more("upgraded")
        return "one mail by each release on the migrated database"

    def look_back(self) -> str:
        """Nobody got a mail twice, and the doctor finds nothing."""
        if self.meets_mail:
            # They may also be the person who replied, which is another case.
            theirs = [mail.parsed() for mail in self.others() if mail.recipient == "p1@people.example"]
            about = [mail["Subject"] for mail in theirs if "c1" in mail["Subject"]]
            assert len(about) == 1, about
        twice = {name: count for name, count in self.announced().items() if count > 1}
        assert not twice, twice
        # `backup verify` has run the same checks; the doctor, once more, costs seconds.
        found = self.json("doctor", code=None) if self.next_tree is not None else []
        wrong = [
            row
            for row in found
            if not row["ok"] and not row["check"].startswith(("running", "dns", "sender"))
        ]
        assert not wrong, wrong
        return f"{self.announced().total()} announcements, nobody twice"

    @property
    def meets_mail(self) -> bool:
        """Tell whether the outage meets a mail: it is tried again after a minute."""
        return self.size.outage >= 60

    # ---- what the steps ask --------------------------------------------------------------------------------

    def json(self, *words: str, code: int | None = 0) -> Any:
        """Run a command with --json; returns its document. code: the exit code that it must have, None: any."""
        done = self.nurture(*words, "--json")
        assert code is None or done.code == code, f"{words}: {done.code} {done.out} {done.err}"
        assert done.out, f"{words}: {done.code} {done.err}"
        return json.loads(done.out)

    def problems(self) -> set[str]:
        """Return the parts of which `nurture status` says that they need a person."""
        findings = self.json("status", code=None)["findings"]
        return {finding["part"] for finding in findings if finding["severity"] == "problem"}

    def logged(self, event: str, **values: str) -> bool:
        """Tell whether a process logged this."""
        wanted = {"event": event, **values}
        return any(wanted.items() <= line.items() for line in self.processes.lines())

    def page(self, path: str) -> httpx.Response:
        """Return a page of the API."""
        return httpx.get(f"http://127.0.0.1:{self.ports['http']}{path}", timeout=10)

    def seconds_until(self, holds: Callable[[], bool], began: float) -> float:
        """Return the seconds from `began` until it holds."""
        assert eventually(holds, seconds=30, every=0.3)
        return monotonic() - began

    def seconds_until_status(self, began: float, *, is_away: bool) -> float:
        """Return the seconds from `began` until `nurture status` tells that the relay is away, or is back.

        Counted to the beginning of the command: on a busy machine it takes seconds by itself.
        """
        while True:
            seconds = monotonic() - began
            findings = self.json("status", code=None)["findings"]
            if ("relay" in {finding["part"] for finding in findings}) == is_away:
                return seconds
            assert seconds < 60, findings

    def scalar(self, statement: str) -> Any:
        """Return the one value of a statement, over one connection for the whole afternoon."""
        url = self.environment["NURTURE_DATABASE_URL"].replace("+psycopg", "")
        if self.connections.get(url) is None:
            self.connections[url] = psycopg.connect(url, autocommit=True)
        row = self.connections[url].execute(statement).fetchone()
        return row and row[0]

    def announced(self) -> Counter[str]:
        """Return how many announcements each address got."""
        return Counter(mail.recipient for mail in self.relay.mails() if _SUBJECT in mail.data)

    def others(self) -> list[Mail]:
        """Return all mails but announcements."""
        return [mail for mail in self.relay.mails() if _SUBJECT not in mail.data]

    def unreached(self) -> list[str]:
        """Return the addresses that got no announcement and are not suppressed."""
        reached = {*self.announced(), *self.suppressed}
        names = (f"p{number}@people.example" for number in range(1, self.size.people))
        return [name for name in names if name not in reached]

    def is_suppressed(self, address: str, reason: str) -> bool:
        """Tell whether the suppressions of an address say this."""
        return reason in self.nurture("suppression", "show", address, "--json").out

    def expect_one_more(self, occasion: str) -> None:
        """Send to one more person, and wait for the mail."""
        person = self.unreached()[0]
        self.json("send", ANNOUNCEMENT, "--occasion", occasion, "--to", person, "--yes")
        assert eventually(lambda: self.announced()[person] == 1)


def _run(*words: str, **given: Any) -> None:
    """Run another program to its end. Raises AssertionError with its words."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, **given)
    assert done.returncode == 0, done.stdout + done.stderr

"""A private Postfix, as relay and as receiving side: its own folder, configuration, queue and port."""

import os
import pwd
import shutil
import smtplib
import subprocess
import sys
import time
from pathlib import Path

from tests.rig.process import NotAvailable, free_port

#: Its master leads a session of its own: a process beside it stops it when the tests end, however they end.
_STOP_WITH_PARENT = """\
import subprocess, sys
sys.stdin.read()
subprocess.run([sys.argv[1], "-c", sys.argv[2], "stop"], capture_output=True)
"""
_DAEMONS = (Path("/usr/lib/postfix/sbin"), Path("/usr/libexec/postfix"))
_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {commands}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
myhostname = relay.people.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_dns_support_level = disabled
# An unknown person is found after the mail was taken, so Postfix reports it by mail.
smtpd_reject_unlisted_recipient = no
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = regexp:{home}/mailboxes
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
transport_maps = inline:{{ {transports} }}
recipient_delimiter = +
default_process_limit = 20
"""
_SERVICES = {
    "pickup": "unix n - n 60 1 pickup",
    "cleanup": "unix n - n - 0 cleanup",
    "qmgr": "unix n - n 300 1 qmgr",
    "rewrite": "unix - - n - - trivial-rewrite",
    "bounce": "unix - - n - 0 bounce",
    "defer": "unix - - n - 0 bounce",
    "trace": "unix - - n - 0 bounce",
    "flush": "unix n - n 1000? 0 flush",
    "proxymap": "unix - - n - - proxymap",
    "smtp": "unix - - n - - smtp",
    "lmtp": "unix - - n - - lmtp",
    "virtual": "unix - n n - - virtual",
    "error": "unix - - n - - error",
    "retry": "unix - - n - - error",
    "anvil": "unix - - n - 1 anvil",
    "scache": "unix - - n - 1 scache",
    "postlog": "unix-dgram n - n - 1 postlogd",
}


class Postfix:
    """A relay that takes mail from this machine, delivers it into a Maildir, and routes some domains over LMTP."""

    def __init__(self, home: Path, *, mailboxes: str, domains: str, routes: dict[str, int]) -> None:
        """Write its configuration and start it.

        mailboxes: regular expression of the addresses that exist; domains: those of its mailboxes, with blanks;
        routes: other domain -> LMTP port. Raises NotAvailable when it cannot run here.
        """
        program = shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin")
        daemons = next((folder for folder in _DAEMONS if folder.is_dir()), None)
        if program is None or daemons is None:
            raise NotAvailable("no Postfix: apt-get install postfix (choose `No configuration`)")
        if os.geteuid() != 0:
            raise NotAvailable("Postfix starts as root only: run this target as root")
        self._program, self.home, self.port = program, home, free_port()
        self._watcher: subprocess.Popen[bytes] | None = None
        owner = pwd.getpwnam("nobody")
        for part in (home, home / "queue", home / "mail"):
            part.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chown(home / "mail", owner.pw_uid, owner.pw_gid)
        (home / "data").mkdir()
        shutil.chown(home / "data", "postfix")
        values = {
            "home": home,
            "commands": Path(program).parent,
            "daemons": daemons,
            "domains": domains,
            "uid": owner.pw_uid,
            "gid": owner.pw_gid,
            "transports": ", ".join(
                f"{{ {name} = lmtp:inet:127.0.0.1:{port} }}" for name, port in routes.items()
            ),
        }
        services = "".join(f"{name} {words}\n" for name, words in _SERVICES.items())
        (home / "main.cf").write_text(_MAIN.format(**values))
        (home / "master.cf").write_text(f"127.0.0.1:{self.port} inet n - n - - smtpd\n{services}")
        (home / "mailboxes").write_text(f"/{mailboxes}/ people/\n")
        self.start()

    @property
    def url(self) -> str:
        """The URL of its SMTP port."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it takes mail."""
        if self._watcher is None:
            command = [sys.executable, "-I", "-c", _STOP_WITH_PARENT, self._program, str(self.home)]
            self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self._run("start")
        for _ in range(200):
            try:
                smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise NotAvailable(f"Postfix did not start: {self.log()[-2000:]}")

    def stop(self) -> None:
        """End it; what it holds stays in its queue."""
        self._run("stop")

    def end(self) -> None:
        """End it and the process that watches over it, and remove its folder."""
        self.stop()
        if self._watcher is not None and self._watcher.stdin:
            self._watcher.stdin.close()
            self._watcher.wait(60)
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, verb: str) -> None:
        command = [self._program, "-c", str(self.home), verb]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)

    def log(self) -> str:
        """Return what it logged."""
        path = self.home / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def count(self) -> int:
        """Return how many mails it delivered."""
        return len(self.mails())

    def mails(self) -> list[Path]:
        """Return the files of the mails that it delivered."""
        return sorted((self.home / "mail" / "people" / "new").glob("*"))

"""Named places at which a test may break this process; nothing happens at them otherwise.

NURTURE_TEST_FAILPOINTS arms them: `NAME=ACT`, several parted by blanks. ACT is `kill` (-9, this process), `stop`
(SIGSTOP, until somebody continues it), `sleep:SECONDS`, `raise` (a `Broken`), or `starve` (this process gets no more
memory than it has). `NAME=ACT@3` acts when the place
is passed for the third time, and only then. Off, a place costs one look into an empty mapping.
"""

import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, get_ident
from typing import Final

from nurture.domain.errors import SettingsError
from nurture.runtime.clock import pause
from nurture.runtime.settings import armed_failpoints

#: Every place, in the way of an event, and what stands when a process ends there.
PLACES: Final = {
    "inbox.accepted": "events written, not committed: the client got no answer and sends them again",
    "inbox.committed": "events durable, no answer and nobody notified: found by looking; sent again they are known",
    "drain.taken": "rows of the inbox and contacts locked, nothing applied",
    "drain.applied": "events, state and decided mails written, not committed",
    "drain.committed": "state committed; joins that the batch asked for are not done",
    "identity.joined": "two contacts made one, not committed",
    "ring.applied": "alarms rung, not committed",
    "notify.before": "committed, the workers of what was written not notified",
    "claim.judged": "mails claimed, guarded and frozen, not committed",
    "claim.committed": "mails leased, nothing rendered",
    "wire.rendered": "mails rendered, the send gate not tried",
    "wire.gated": "mails marked as on the wire, not committed",
    "wire.passed": "mails on the wire, the first mail not begun",
    "smtp.connect": "the server not reached",
    "smtp.mail": "connected, no command about the mail sent",
    "smtp.rcpt": "the sender accepted",
    "smtp.data": "the recipient accepted",
    "smtp.body": "some of the text gone",
    "smtp.dot": "the final dot gone, its reply not read",
    "smtp.replied": "accepted by the server, nothing recorded",
    "deliver.heard": "outcomes known, not written",
    "deliver.written": "outcomes written, not committed",
    "recover.freed": "lapsed mails taken back, not committed",
    "scheduler.ticked": "a slot taken and its effect written, not committed",
}


class Broken(Exception):
    """The exception that the act `raise` raises."""


@dataclass(slots=True)
class _Armed:
    act: str
    # The pass at which it acts; 0: every one.
    at: int
    passed: int = 0


_lock = Lock()


def failpoint(name: str) -> None:
    """Pass a place; acts when it is armed."""
    if name in _armed:
        _act(_armed[name])


def arm(text: str) -> None:
    """Arm the places that `text` names, and disarm all others. Raises SettingsError when it names none of ours."""
    _armed.clear()
    for word in text.split():
        name, _, act = word.partition("=")
        act, _, at = act.partition("@")
        known = act in ("kill", "stop", "raise", "starve") or (
            act.startswith("sleep:") and act[6:].replace(".", "").isdigit()
        )
        if name not in PLACES or not known or not (at or "1").isdigit():
            raise SettingsError(
                f"NURTURE_TEST_FAILPOINTS: cannot read {word!r}; write NAME=kill, stop, raise, starve or "
                f"sleep:SECONDS, with @N for the Nth pass; names: {', '.join(PLACES)}"
            )
        _armed[name] = _Armed(act, int(at or 0))


def _act(armed: _Armed) -> None:
    with _lock:
        armed.passed += 1
        if armed.at not in (0, armed.passed):
            return
    if armed.act == "raise":
        raise Broken(armed.act)
    if armed.act.startswith("sleep:"):
        pause(float(armed.act[6:]))
    elif armed.act == "starve":
        resource.setrlimit(resource.RLIMIT_AS, (_address_space(), resource.getrlimit(resource.RLIMIT_AS)[1]))
    else:
        # To this thread: sent to the process another one may take it, and this one goes on for a moment.
        signal.pthread_kill(get_ident(), signal.SIGKILL if armed.act == "kill" else signal.SIGSTOP)


def _address_space() -> int:
    """Return how many bytes of address space this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


_armed: dict[str, _Armed] = {}
arm(armed_failpoints())

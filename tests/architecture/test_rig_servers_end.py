"""Servers of the rig end with whoever started them, however that one ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.workers.installation import eventually

pytestmark = pytest.mark.faults

_STARTER = """
import signal, sys, time
from tests.rig.process import Server, make_home
# Who starts the tests in the background may have let them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
server = Server(make_home("test", drop_root=True), ["sleep", "60"], stop=signal.SIGTERM)
print(server.home.path, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    "end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)
def test_server_ends_and_its_directory_goes(end: signal.Signals) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert starter.stdout
    home = Path(starter.stdout.readline().strip())
    assert eventually(lambda: _running_in(home)), "the server did not start"
    starter.send_signal(end)
    starter.wait(20)
    starter.stdout.close()
    assert eventually(lambda: not home.exists() and not _running_in(home))
    assert not Path(f"{home}.log").exists()


def _running_in(home: Path) -> bool:
    """Tell whether the server of this directory runs: what `sleep` it is, its working directory says."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == home and b"sleep" in (process / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False

"""The delivery journal on disk: its lines, reading them back, and the lock that tells whether its writer lives.

A sender NAME has `NAME.lock`, which it holds an flock on, and parts `NAME.1.journal`, `NAME.2.journal`, ...
A part is text, one record a line, each closed by its CRC-32; what does not add up is passed over and counted.

    h 1 <database> <boot> <name> <at>           first line: whose journal this is
    w <number> <lane> <at>                      a window passed the wire gate; its mails follow
    m <id> <attempt> <contact> <decided> <t|-> <mark>   a mail that may begin now
    d <id> <attempt>                            its final dot is about to be written
    r <id> <attempt> <reply>                    the reply to that dot
"""

import fcntl
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from nurture.domain.instant import Instant

FORMAT: Final = "1"
PART: Final = ".journal"
LOCK: Final = ".lock"
#: All journals of a folder together grow no larger while finished ones can be removed.
BYTES_MAX: Final = 1_000_000_000
#: Where Linux tells one start of the machine from another.
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Passed(NamedTuple):
    """A mail that passed the wire gate, as the journal keeps it."""

    message_id: int
    attempt: int
    contact_id: int
    # With the id: tells this row of the ledger from another that got its number after a restore.
    decided_at: Instant
    # At least once rather than at most once.
    transactional: bool
    # A keyed hash of address and decision: knows the mail again when it is decided anew.
    mark: str


@dataclass(slots=True)
class Entry:
    """How far one attempt got, as far as the journal tells."""

    passed: Passed
    at: Instant
    begun: bool = False
    # The reply to the final dot as the server wrote it; None while there was none.
    reply: str | None = None


@dataclass(slots=True)
class Read:
    """What a part, or several of one sender, say."""

    name: str = ""
    database: str = ""
    boot: str = ""
    opened_at: Instant = 0
    # The greatest window's number.
    windows: int = 0
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    # Lines that do not add up; a last line half written is none.
    broken: int = 0


def boot_id() -> str:
    """Return what tells this start of the machine from every other; empty where nothing does."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def line(*words: object) -> bytes:
    """Return one record as it is written."""
    return closed(" ".join(map(str, words)).encode("utf-8", "replace"))


def closed(text: bytes) -> bytes:
    """Return a record with its check."""
    return b"%b %08x\n" % (text, crc32(text))


def parts(folder: Path, name: str) -> list[Path]:
    """Return the parts of a sender's journal, oldest first."""
    found = []
    for path in folder.glob(f"{name}.*{PART}"):
        number = path.name.removeprefix(f"{name}.").removesuffix(PART)
        if number.isdigit():
            found.append((int(number), path))
    return [path for _, path in sorted(found)]


def latest(folder: Path, name: str) -> list[Path]:
    """Return the parts in which everything in flight stands: two, for who is killed while it begins another."""
    return parts(folder, name)[-2:]


def names(folder: Path) -> list[str]:
    """Return the senders that have a journal here, in order of their names."""
    found = set()
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name, _, number = entry.name.removesuffix(PART).rpartition(".")
            if entry.name.endswith(PART) and name and number.isdigit():
                found.add(name)
    return sorted(found)


def read(paths: Iterable[Path]) -> Read:
    """Read parts of one sender's journal; what was removed meanwhile counts as empty."""
    told = Read()
    for path in paths:
        with suppress(FileNotFoundError):
            _read_part(path.read_bytes(), told)
    return told


def _read_part(data: bytes, told: Read) -> None:
    window_at = 0
    # Behind the last line end stands what a stopped writer did not finish.
    for raw in data.split(b"\n")[:-1]:
        try:
            window_at = _take(_checked(raw), told, window_at)
        except (ValueError, LookupError):
            # An empty line closes one that could not be written whole.
            told.broken += bool(raw)


def _checked(raw: bytes) -> str:
    text, _, check = raw.rpartition(b" ")
    if int(check, 16) != crc32(text):
        raise ValueError
    return text.decode()


def _take(text: str, told: Read, window_at: Instant) -> Instant:
    """Add one record; returns when the window was that the next mails belong to."""
    kind, _, rest = text.partition(" ")
    words = rest.split(" ")
    if kind == "m":
        passed = Passed(int(words[0]), int(words[1]), int(words[2]), int(words[3]), words[4] == "t", words[5])
        # Carried over into another part it may stand twice; what is known of it stays known.
        told.entries.setdefault((passed.message_id, passed.attempt), Entry(passed, window_at)).at = window_at
    elif kind == "d":
        told.entries[int(words[0]), int(words[1])].begun = True
    elif kind == "r":
        entry = told.entries[int(words[0]), int(words[1])]
        entry.begun, entry.reply = True, " ".join(words[2:])
    elif kind == "w":
        told.windows = max(told.windows, int(words[0]))
        return int(words[2])
    elif kind == "h" and words[0] == FORMAT:
        told.database, told.boot, told.name, told.opened_at = words[1], words[2], words[3], int(words[4])
    else:
        raise ValueError
    return window_at


@contextmanager
def seized(folder: Path, name: str) -> Iterator[bool]:
    """Hold the lock of a sender for the block; gives False when it lives, or when there is no lock to tell by."""
    try:
        descriptor = os.open(folder / f"{name}{LOCK}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def sweep(
    folder: Path, finished: Collection[str], *, own: str, before: float, bytes_max: int = BYTES_MAX
) -> int:
    """Remove parts that nobody needs any more, and return how many.

    finished: senders whose journals were read to their end; own: ours, of which the part being written stays.
    before: POSIX seconds; what was last written earlier goes. Beyond `bytes_max` in all the oldest go earlier.
    """
    found = []
    for name in names(folder):
        mine = parts(folder, name)
        if name == own:
            mine = mine[:-1]
        elif name not in finished:
            continue
        for path in mine:
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime, path.stat().st_size, path, name))
    total = sum(path.stat().st_size for path in folder.glob(f"*{PART}"))
    removed = 0
    for written_at, size, path, name in sorted(found):
        if written_at >= before and total <= bytes_max:
            break
        path.unlink(missing_ok=True)
        total -= size
        removed += 1
        if name != own and not parts(folder, name):
            (folder / f"{name}{LOCK}").unlink(missing_ok=True)
    return removed

"""The files of the delivery journal: their records, reading them back, and the lock that proves a sender alive.

A sender NAME has `NAME.lock`, on which it holds an flock, and the parts `NAME.1.journal`, `NAME.2.journal`, ... A
part is text, one record a line, each ended by its CRC-32. A record whose checksum does not match is skipped and
counted.

    h 1 <database> <boot> <name> <at>           first record: the sender of this journal
    w <number> <lane> <at>                      a window passed the send gate; its mails follow
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
#: The journals of a folder together grow no larger than this while finished ones can be removed.
BYTES_MAX: Final = 1_000_000_000
#: Linux changes this id at every start of the machine.
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class WindowMail(NamedTuple):
    """A mail that passed the send gate, as the journal keeps it."""

    message_id: int
    attempt: int
    contact_id: int
    # With the id it tells this row of the ledger from another that got the same number after a restore.
    decided_at: Instant
    # True: sent at least once. False: at most once.
    transactional: bool
    # A keyed hash of address and decision: it recognises the mail when a restored database decides it again.
    mark: str


@dataclass(slots=True)
class JournalEntry:
    """The furthest stage that the journal records for one attempt."""

    mail: WindowMail
    # The instant at which it passed the send gate.
    at: Instant
    begun: bool = False
    # The reply to the final dot as the server wrote it; None when none was read.
    reply: str | None = None


@dataclass(slots=True)
class JournalContent:
    """The records of one part, or of several parts of one sender."""

    name: str = ""
    database: str = ""
    boot: str = ""
    opened_at: Instant = 0
    # The greatest window number.
    windows: int = 0
    # By (message, attempt).
    entries: dict[tuple[int, int], JournalEntry] = field(default_factory=dict)
    # Lines whose checksum does not match; an unfinished last line is not counted.
    broken: int = 0


def read_boot_id() -> str:
    """Return the id of this start of the machine; empty where the system has none."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def encode_record(*words: object) -> bytes:
    """Return one record as it is written, with its checksum."""
    return add_checksum(" ".join(map(str, words)).encode("utf-8", "replace"))


def add_checksum(text: bytes) -> bytes:
    """Return a record's text with its checksum and line end."""
    return b"%b %08x\n" % (text, crc32(text))


def list_parts(folder: Path, name: str) -> list[Path]:
    """Return the parts of a sender's journal, oldest first."""
    parts = []
    for path in folder.glob(f"{name}.*{PART}"):
        number = path.name.removeprefix(f"{name}.").removesuffix(PART)
        if number.isdigit():
            parts.append((int(number), path))
    return [path for _, path in sorted(parts)]


def list_latest_parts(folder: Path, name: str) -> list[Path]:
    """Return the parts that hold everything in flight: two, as a sender may be killed while it begins a part."""
    return list_parts(folder, name)[-2:]


def list_senders(folder: Path) -> list[str]:
    """Return the names of the senders that have a journal in this folder, sorted."""
    senders = set()
    with suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            name, _, number = file.name.removesuffix(PART).rpartition(".")
            if file.name.endswith(PART) and name and number.isdigit():
                senders.add(name)
    return sorted(senders)


def read_parts(paths: Iterable[Path]) -> JournalContent:
    """Return the records of parts of one sender's journal; a part that was removed meanwhile counts as empty."""
    content = JournalContent()
    for path in paths:
        with suppress(FileNotFoundError):
            _read_part(path.read_bytes(), content)
    return content


def _read_part(data: bytes, content: JournalContent) -> None:
    window_at = 0
    # After the last line end there may be a record that a stopped writer did not finish.
    for line in data.split(b"\n")[:-1]:
        try:
            window_at = _add_record(_check_record(line), content, window_at)
        except (ValueError, LookupError):
            # An empty line ends a record that could not be written whole.
            content.broken += bool(line)


def _check_record(line: bytes) -> str:
    """Return the record's text. Raises ValueError when its checksum does not match."""
    text, _, checksum = line.rpartition(b" ")
    if int(checksum, 16) != crc32(text):
        raise ValueError
    return text.decode()


def _add_record(text: str, content: JournalContent, window_at: Instant) -> Instant:
    """Add one record; return the instant of the window that the next mails belong to.

    Raises ValueError for a record of an unknown kind, LookupError for one that refers to an unknown mail.
    """
    kind, _, rest = text.partition(" ")
    words = rest.split(" ")
    if kind == "m":
        mail = WindowMail(
            int(words[0]), int(words[1]), int(words[2]), int(words[3]), words[4] == "t", words[5]
        )
        # A mail in flight is repeated in the next part; the entry keeps what is already known of it.
        key = (mail.message_id, mail.attempt)
        content.entries.setdefault(key, JournalEntry(mail, window_at)).at = window_at
    elif kind == "d":
        content.entries[int(words[0]), int(words[1])].begun = True
    elif kind == "r":
        entry = content.entries[int(words[0]), int(words[1])]
        entry.begun, entry.reply = True, " ".join(words[2:])
    elif kind == "w":
        content.windows = max(content.windows, int(words[0]))
        return int(words[2])
    elif kind == "h" and words[0] == FORMAT:
        opened_at = int(words[4])
        content.database, content.boot, content.name, content.opened_at = (
            words[1],
            words[2],
            words[3],
            opened_at,
        )
    else:
        raise ValueError
    return window_at


@contextmanager
def try_lock(folder: Path, name: str) -> Iterator[bool]:
    """Try to hold a sender's lock for the block; gives False while the sender lives, or when it has no lock file."""
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


def remove_parts(
    folder: Path, finished: Collection[str], *, own: str, before: float, bytes_max: int = BYTES_MAX
) -> int:
    """Remove parts that are not needed any more; return how many.

    finished: senders whose journals were read to their end. own: this process, whose open part stays. before: POSIX
    seconds; parts last written earlier are removed, and the oldest ones too while all take more than `bytes_max`.
    """
    candidates = []
    for name in list_senders(folder):
        parts = list_parts(folder, name)
        if name == own:
            parts = parts[:-1]
        elif name not in finished:
            continue
        for path in parts:
            with suppress(FileNotFoundError):
                candidates.append((path.stat().st_mtime, path.stat().st_size, path, name))
    total = sum(path.stat().st_size for path in folder.glob(f"*{PART}"))
    removed = 0
    for written_at, size, path, name in sorted(candidates):
        if written_at >= before and total <= bytes_max:
            break
        path.unlink(missing_ok=True)
        total -= size
        removed += 1
        if name != own and not list_parts(folder, name):
            (folder / f"{name}{LOCK}").unlink(missing_ok=True)
    return removed

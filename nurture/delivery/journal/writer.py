"""The delivery journal: what this process is about to say and what it was answered, on disk before it matters.

Before a final dot goes out, a line stands in the file: killed there and then, the process leaves behind exactly
which mails may have been taken. A killed process loses nothing that it has written; a machine that stops loses
what was not forced to the disk, at most the last second (`SYNC_SECONDS`), and who reads the journal
afterwards knows that from the boot id in its first line.
"""

import fcntl
import os
import re
import secrets
import socket
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from nurture.delivery.journal.file_format import FORMAT, LOCK, PART, Entry, Passed, boot_id, closed, line
from nurture.domain.errors import SettingsError, Transient
from nurture.domain.instant import Instant
from nurture.runtime.clock import monotonic, steady
from nurture.transports.types import OutgoingMail, Stage

#: How much of what was written may wait for the disk, while letters leave.
SYNC_SECONDS: Final = 1.0
#: A part of this many bytes is closed and another begun.
PART_BYTES: Final = 4_000_000
#: Of a reply that is no plain yes, so much is kept.
_REPLY_CHARACTERS: Final = 300
_ADDRESS: Final = re.compile(r"[^\s<>]+@[^\s<>]+")


class TooLateError(OSError):
    """A letter's final dot would have been written long after its wire gate; it was not."""


class Journal:
    """This process's journal; shared by its threads and lanes, inherited by no child."""

    def __init__(self, folder: Path, *, database: str, now: Instant, fence: float) -> None:
        """Begin a journal under a name nobody else has, and hold its lock.

        database: the identity of the database that the mails belong to. fence: seconds after its wire gate
        from which on no final dot is written any more. Raises SettingsError when the folder cannot be written.
        """
        self.folder = folder
        host = re.sub(r"[^\w-]+", "-", socket.gethostname()) or "host"
        self.name = f"{host}.{secrets.token_hex(4)}.{os.getpid()}"
        #: Lanes that a delivery is under way on, or was broken off on.
        self.busy: set[str] = set()
        #: The greatest number that the database gave one of our windows.
        self.windows = 0
        self._fence = fence
        self._guard = threading.Lock()
        self._flight: dict[tuple[int, int], tuple[Entry, str, float]] = {}
        self._header = line("h", FORMAT, database, boot_id() or "-", self.name, now)
        self._number = self._size = 0
        self._unsynced_since: float | None = None
        self._file = self._lock_file = -1
        self._torn = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(
                folder / f"{self.name}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            # Somebody may look at it in this moment; nobody keeps it.
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            self._begin_part()
            self._force(self._file)
        except OSError as error:
            self._let_go()
            raise SettingsError(cannot_write(folder, error)) from error
        _open.add(self)

    # ---- written while letters leave -------------------------------------------------------------------

    def passed(self, lane: str, number: int, mails: Sequence[Passed], *, at: Instant) -> None:
        """Write down a window that passed the wire gate, before the first of its letters begins.

        Raises Transient when it cannot be written: then none of them may begin.
        """
        since = steady()
        lines = [line("w", number, lane, at), *(_mail(passed) for passed in mails)]
        with self._guard:
            self._rotate()
            self._append(b"".join(lines))
            self.windows = max(self.windows, number)
            for passed in mails:
                self._flight[passed.message_id, passed.attempt] = (Entry(passed, at), lane, since)
            due = self._unsynced_since is not None and monotonic() - self._unsynced_since >= SYNC_SECONDS
        if due:
            self.sync()

    def note(self, letter: OutgoingMail, stage: Stage, reply: str) -> None:
        """Write down that a letter's final dot is about to be written (`dot`), or what it was answered.

        Raises TooLateError, or Transient when the dot cannot be written down: then it may not be written. A
        reply that cannot be written down is kept in memory: the database is told of it next.
        """
        key = (letter.message_id, letter.attempt)
        flown = self._flight.get(key)
        if stage == "dot":
            if flown and steady() - flown[2] > self._fence:
                message = "too long after the wire gate: the process was stopped meanwhile"
                raise TooLateError(message)
            with self._guard:
                self._append(closed(b"d %d %d" % key))
            if flown:
                flown[0].begun = True
        elif stage == "replied":
            if flown:
                flown[0].reply = reply
            if reply[:1] != "2":
                # Servers repeat addresses; whose they were the ledger knows, and may be asked to forget.
                reply = _ADDRESS.sub("<address>", reply)
            text = b"r %d %d %b" % (*key, reply[:_REPLY_CHARACTERS].encode("utf-8", "replace"))
            with self._guard:
                try:
                    self._append(closed(text))
                except Transient:
                    return

    def settled(self, keys: Iterable[tuple[int, int]]) -> None:
        """Forget attempts (message, attempt) whose outcome the database has."""
        for key in keys:
            self._flight.pop(key, None)

    def in_flight(self, lane: str) -> dict[tuple[int, int], Entry]:
        """Return what passed the gate on a lane and is not settled."""
        return {key: entry for key, (entry, on, _) in list(self._flight.items()) if on == lane}

    def sync(self) -> None:
        """Force what was written to the disk."""
        with self._guard:
            if self._unsynced_since is None or self._file < 0:
                return
            self._unsynced_since = None
            # A part that is closed meanwhile is forced by whoever closes it.
            descriptor = os.dup(self._file)
        try:
            self._force(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Force it to the disk and let go of the lock; the files stay. Safe to repeat."""
        with self._guard:
            if self._file >= 0:
                self._force(self._file)
            self._let_go()
        _open.discard(self)

    # ---- the file --------------------------------------------------------------------------------------

    def _append(self, data: bytes) -> None:
        if self._file < 0:
            message = (
                f"the journal {self.name} is closed; it belongs to process {self.name.rpartition('.')[2]}"
            )
            raise Transient(message)
        if self._torn:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            self._torn = self._torn or written > 0
            raise Transient(cannot_write(self.folder, error)) from error
        self._torn = False
        self._size += len(data)
        if self._unsynced_since is None:
            self._unsynced_since = monotonic()

    def _rotate(self) -> None:
        """Begin another part when this one is full; what is in flight is carried over."""
        if self._size < PART_BYTES:
            return
        full, carried = self._file, list(self._flight.items())
        try:
            self._begin_part()
        except OSError as error:
            raise Transient(cannot_write(self.folder, error)) from error
        for key, (entry, lane, _) in carried:
            lines = [line("w", self.windows, lane, entry.at), _mail(entry.passed)]
            lines += [line("d", *key)] if entry.begun else []
            lines += [line("r", *key, entry.reply[:_REPLY_CHARACTERS])] if entry.reply is not None else []
            self._append(b"".join(lines))
        self._force(full)
        os.close(full)

    def _begin_part(self) -> None:
        path = self.folder / f"{self.name}.{self._number + 1}{PART}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        self._number, self._file, self._size = self._number + 1, descriptor, 0
        self._unsynced_since = None
        os.write(self._file, self._header)
        folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _force(self, descriptor: int) -> None:
        # Of the data: a file's times need not be on the disk.
        os.fdatasync(descriptor)

    def _let_go(self) -> None:
        for descriptor in (self._file, self._lock_file):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock_file = -1

    def forget(self) -> None:
        """In a child after a fork: close what is the parent's, which keeps its lock."""
        self._guard = threading.Lock()
        self._let_go()


def _mail(passed: Passed) -> bytes:
    number, attempt, contact, decided, transactional, mark = passed
    kind = "t" if transactional else "-"
    return closed(f"m {number} {attempt} {contact} {decided} {kind} {mark}".encode())


def cannot_write(folder: Path, error: OSError) -> str:
    """Return the one line for a folder that takes no journal."""
    return (
        f"NURTURE_JOURNAL: {folder}: the delivery journal cannot be written here: {error.strerror or error}; "
        "let this user write there, make room, or set NURTURE_JOURNAL to another folder"
    )


def require_folder(folder: Path) -> None:
    """Raise SettingsError unless a journal can be written in the folder, which is created."""
    probe = folder / f".probe.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with probe.open("xb") as file:
            file.write(b"\n")
        probe.unlink()
    except OSError as error:
        raise SettingsError(cannot_write(folder, error)) from error


_open: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _forget_all() -> None:
    for journal in list(_open):
        journal.forget()
    _open.clear()


os.register_at_fork(after_in_child=_forget_all)

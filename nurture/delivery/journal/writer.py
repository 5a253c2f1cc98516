"""The delivery journal of this process: a file that records each final dot before it is sent, and each reply after.

The record of a final dot is written first, so the file of a killed process names every mail that the server may have
taken. A killed process loses no record. A machine that stops loses the records that were not forced to the disk, at
most those of the last second (`SYNC_SECONDS`); a reader detects that by the boot id in the first record.
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

from nurture.delivery.journal.file_format import (
    FORMAT,
    LOCK,
    PART,
    JournalEntry,
    WindowMail,
    add_checksum,
    encode_record,
    read_boot_id,
)
from nurture.domain.errors import SettingsError, Transient
from nurture.domain.instant import Instant
from nurture.runtime.clock import monotonic, steady
from nurture.transports.types import OutgoingMail, Stage

#: How many seconds records may wait for the disk while mails leave.
SYNC_SECONDS: Final = 1.0
#: A part of this many bytes is closed, and the next one begun.
PART_BYTES: Final = 4_000_000
#: How much of a reply is kept.
_REPLY_CHARACTERS: Final = 300
_ADDRESS: Final = re.compile(r"[^\s<>]+@[^\s<>]+")


class TooLateError(OSError):
    """A mail's final dot was due so long after its send gate that it was not written."""


class Journal:
    """The journal of this process; its threads and lanes share it, no child inherits it."""

    def __init__(self, folder: Path, *, database: str, now: Instant, fence: float) -> None:
        """Begin a journal under a unique name, and hold its lock.

        database: the id of the database that the mails belong to. fence: seconds after its send gate from which on a
        mail's final dot is not written any more. Raises SettingsError when the folder cannot be written.
        """
        self.folder = folder
        host = re.sub(r"[^\w-]+", "-", socket.gethostname()) or "host"
        self.name = f"{host}.{secrets.token_hex(4)}.{os.getpid()}"
        #: Lanes on which a delivery is under way, or was broken off.
        self.busy: set[str] = set()
        #: The greatest number that the database gave one of this process's windows.
        self.windows = 0
        self._fence = fence
        self._guard = threading.Lock()
        # (message, attempt) -> (entry, lane, monotonic second of its gate).
        self._in_flight: dict[tuple[int, int], tuple[JournalEntry, str, float]] = {}
        self._header = encode_record("h", FORMAT, database, read_boot_id() or "-", self.name, now)
        self._number = self._size = 0
        self._unsynced_since: float | None = None
        self._file = self._lock_file = -1
        self._torn = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(
                folder / f"{self.name}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            # Another process may try the lock at this moment, but does not keep it.
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            self._begin_part()
            self._force(self._file)
        except OSError as error:
            self._close_files()
            raise SettingsError(explain_write_error(folder, error)) from error
        _open_journals.add(self)

    # ---- records, while mails leave --------------------------------------------------------------------

    def record_window(self, lane: str, number: int, mails: Sequence[WindowMail], *, at: Instant) -> None:
        """Record a window that passed the send gate; call it before the first of its mails begins.

        Raises Transient when the file cannot be written: then none of the mails may begin.
        """
        since = steady()
        records = [encode_record("w", number, lane, at), *(_encode_mail(mail) for mail in mails)]
        with self._guard:
            self._rotate()
            self._append(b"".join(records))
            self.windows = max(self.windows, number)
            for mail in mails:
                self._in_flight[mail.message_id, mail.attempt] = (JournalEntry(mail, at), lane, since)
            is_sync_due = (
                self._unsynced_since is not None and monotonic() - self._unsynced_since >= SYNC_SECONDS
            )
        if is_sync_due:
            self.sync()

    def record_stage(self, mail: OutgoingMail, stage: Stage, reply: str) -> None:
        """Record that a mail's final dot is about to be written (`dot`), or the reply to it (`replied`).

        Raises TooLateError, or Transient when the file cannot be written: then the dot may not be written. A reply that
        cannot be written is kept in memory; the database gets it next.
        """
        key = (mail.message_id, mail.attempt)
        flight = self._in_flight.get(key)
        if stage == "dot":
            if flight and steady() - flight[2] > self._fence:
                message = "too long after the send gate: the process was stopped meanwhile"
                raise TooLateError(message)
            with self._guard:
                self._append(add_checksum(b"d %d %d" % key))
            if flight:
                flight[0].begun = True
        elif stage == "replied":
            if flight:
                flight[0].reply = reply
            if reply[:1] != "2":
                # Servers repeat addresses. The ledger has them, and an erasure removes them there.
                reply = _ADDRESS.sub("<address>", reply)
            text = b"r %d %d %b" % (*key, reply[:_REPLY_CHARACTERS].encode("utf-8", "replace"))
            with self._guard:
                try:
                    self._append(add_checksum(text))
                except Transient:
                    return

    def forget_attempts(self, keys: Iterable[tuple[int, int]]) -> None:
        """Forget attempts (message, attempt) whose outcomes the database has."""
        for key in keys:
            self._in_flight.pop(key, None)

    def in_flight(self, lane: str) -> dict[tuple[int, int], JournalEntry]:
        """Return the attempts that passed the send gate on a lane and are not settled, by (message, attempt)."""
        flights = list(self._in_flight.items())
        return {key: entry for key, (entry, entry_lane, _) in flights if entry_lane == lane}

    def sync(self) -> None:
        """Force the records written so far to the disk."""
        with self._guard:
            if self._unsynced_since is None or self._file < 0:
                return
            self._unsynced_since = None
            # A part that is closed meanwhile is forced to the disk when it is closed.
            descriptor = os.dup(self._file)
        try:
            self._force(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Force the records to the disk and release the lock; the files stay. Safe to repeat."""
        with self._guard:
            if self._file >= 0:
                self._force(self._file)
            self._close_files()
        _open_journals.discard(self)

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
            raise Transient(explain_write_error(self.folder, error)) from error
        self._torn = False
        self._size += len(data)
        if self._unsynced_since is None:
            self._unsynced_since = monotonic()

    def _rotate(self) -> None:
        """Begin the next part when this one is full, and repeat in it the records of mails in flight."""
        if self._size < PART_BYTES:
            return
        full, carried = self._file, list(self._in_flight.items())
        try:
            self._begin_part()
        except OSError as error:
            raise Transient(explain_write_error(self.folder, error)) from error
        for key, (entry, lane, _) in carried:
            records = [encode_record("w", self.windows, lane, entry.at), _encode_mail(entry.mail)]
            if entry.begun:
                records.append(encode_record("d", *key))
            if entry.reply is not None:
                records.append(encode_record("r", *key, entry.reply[:_REPLY_CHARACTERS]))
            self._append(b"".join(records))
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
        # fdatasync: the file's times need not be on the disk.
        os.fdatasync(descriptor)

    def _close_files(self) -> None:
        for descriptor in (self._file, self._lock_file):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock_file = -1

    def close_in_child(self) -> None:
        """Close the descriptors of the parent in a child after a fork; the parent keeps its lock."""
        self._guard = threading.Lock()
        self._close_files()


def _encode_mail(mail: WindowMail) -> bytes:
    number, attempt, contact, decided, transactional, mark = mail
    kind = "t" if transactional else "-"
    return add_checksum(f"m {number} {attempt} {contact} {decided} {kind} {mark}".encode())


def explain_write_error(folder: Path, error: OSError) -> str:
    """Return the error line for a folder in which no journal can be written."""
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
        raise SettingsError(explain_write_error(folder, error)) from error


_open_journals: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _close_all_in_child() -> None:
    for journal in list(_open_journals):
        journal.close_in_child()
    _open_journals.clear()


os.register_at_fork(after_in_child=_close_all_in_child)

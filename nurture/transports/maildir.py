"""The local mailbox: a standard Maildir that any mail program and Python's `mailbox` read.

A mail is written to `tmp`, forced to the disk, renamed into `new`, and the folder is forced too: only then
it counts as sent. Line ends become LF, as every local delivery agent does it.
"""

import os
import re
import socket
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

from nurture.domain.instant import SECOND
from nurture.runtime.clock import Clock, SystemClock
from nurture.transports.types import Note, Outcome, OutgoingMail, ignore_stage

#: So many mails share one write-through of the folder.
_WINDOW = 32


#: The number of its message in a mail's file name, whatever flags a mail program has added.
_MESSAGE = re.compile(r"^\d+\.M\d+P\d+Q(\d+)_\d+\.")


def remove_mails(path: Path, messages: Collection[int]) -> int:
    """Delete the mails of these messages from a Maildir, through to the disk, and return how many files went.

    Mails that somebody moved to folders of their own are not found.
    """
    removed = 0
    for folder in (path / name for name in ("tmp", "new", "cur")):
        if not folder.is_dir():
            continue
        for file in list(folder.iterdir()):
            named = _MESSAGE.match(file.name)
            if named and int(named[1]) in messages:
                file.unlink(missing_ok=True)
                removed += 1
        force_folder(folder)
    return removed


def force_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class MaildirTransport:
    """Delivers into one Maildir, which it creates."""

    def __init__(self, path: Path, *, note: Note = ignore_stage, clock: Clock | None = None) -> None:
        """Create the folders where they are missing. `clock` only names the files."""
        self.path = path
        self._note = note
        self._clock = clock or SystemClock()
        # A slash or colon may not stand in a Maildir name.
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")
        for folder in ("tmp", "new", "cur"):
            (path / folder).mkdir(parents=True, exist_ok=True)

    def send(self, letters: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Deliver; a full or unwritable disk makes `retry` with the reason."""
        source = iter(letters)
        while window := list(islice(source, _WINDOW)):
            yield from self._deliver(window)

    def close(self) -> None:
        """Nothing is held open."""

    def _deliver(self, window: list[OutgoingMail]) -> list[Outcome]:
        told: list[Outcome] = []
        kept: list[OutgoingMail] = []
        for letter in window:
            self._note(letter, "dot", "")
            try:
                self._keep(letter)
            except OSError as error:
                told.append(Outcome(letter.message_id, letter.attempt, "retry", "data", "", str(error)))
            else:
                kept.append(letter)
        try:
            force_folder(self.path / "new")
        except OSError as error:
            # Renamed, and perhaps not on the disk: nobody can say.
            return told + [
                Outcome(one.message_id, one.attempt, "in_doubt", "dot", "", str(error)) for one in kept
            ]
        for letter in kept:
            self._note(letter, "replied", "250")
            told.append(
                Outcome(letter.message_id, letter.attempt, "sent", "replied", "250", "kept in the Maildir")
            )
        return told

    def _keep(self, letter: OutgoingMail) -> None:
        """Write one mail to `tmp`, through to the disk, and move it to `new`."""
        seconds, micros = divmod(self._clock.now(), SECOND)
        name = f"{seconds}.M{micros}P{os.getpid()}Q{letter.message_id}_{letter.attempt}.{self._host}"
        place = self.path / "tmp" / name
        try:
            with place.open("xb") as file:
                file.write(letter.data.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            place.rename(self.path / "new" / name)
        except OSError:
            place.unlink(missing_ok=True)
            raise

"""The local mailbox: a standard Maildir, which mail programs and Python's `mailbox` read.

A mail is written to `tmp`, forced to the disk and renamed into `new`; then the folder is forced to the disk. Only then
the mail counts as sent. Line ends become LF, as in every local delivery.
"""

import os
import re
import socket
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

from nurture.domain.instant import SECOND
from nurture.runtime.clock import Clock, SystemClock
from nurture.transports.types import Outcome, OutgoingMail, StageListener, ignore_stage

#: How many mails share one fsync of the folder.
_WINDOW = 32


#: The message's id in a mail's file name, before the flags that a mail program may have added.
_MESSAGE = re.compile(r"^\d+\.M\d+P\d+Q(\d+)_\d+\.")


def remove_mails(path: Path, messages: Collection[int]) -> int:
    """Delete the mails of these messages from a Maildir and force that to the disk; return how many files.

    Mails that a person moved to folders of their own are not found.
    """
    removed = 0
    for folder in (path / name for name in ("tmp", "new", "cur")):
        if not folder.is_dir():
            continue
        for file in list(folder.iterdir()):
            name = _MESSAGE.match(file.name)
            if name and int(name[1]) in messages:
                file.unlink(missing_ok=True)
                removed += 1
        force_folder(folder)
    return removed


def force_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class MaildirTransport:
    """Delivers into one Maildir, which it creates."""

    def __init__(
        self, path: Path, *, on_stage: StageListener = ignore_stage, clock: Clock | None = None
    ) -> None:
        """Create the folders that are missing. clock: used only in file names."""
        self.path = path
        self._on_stage = on_stage
        self._clock = clock or SystemClock()
        # A file name in a Maildir may hold neither a slash nor a colon.
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")
        for folder in ("tmp", "new", "cur"):
            (path / folder).mkdir(parents=True, exist_ok=True)

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Deliver; a full disk or one that cannot be written makes `retry` with the reason."""
        source = iter(mails)
        while window := list(islice(source, _WINDOW)):
            yield from self._deliver(window)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _deliver(self, window: list[OutgoingMail]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        stored: list[OutgoingMail] = []
        for mail in window:
            self._on_stage(mail, "dot", "")
            try:
                self._store(mail)
            except OSError as error:
                outcomes.append(Outcome(mail.message_id, mail.attempt, "retry", "data", "", str(error)))
            else:
                stored.append(mail)
        try:
            force_folder(self.path / "new")
        except OSError as error:
            # The file has its name, but whether the name is on the disk is unknown.
            return outcomes + [
                Outcome(mail.message_id, mail.attempt, "in_doubt", "dot", "", str(error)) for mail in stored
            ]
        for mail in stored:
            self._on_stage(mail, "replied", "250")
            outcomes.append(
                Outcome(mail.message_id, mail.attempt, "sent", "replied", "250", "kept in the Maildir")
            )
        return outcomes

    def _store(self, mail: OutgoingMail) -> None:
        """Write one mail to `tmp`, force it to the disk, and move it to `new`."""
        seconds, micros = divmod(self._clock.now(), SECOND)
        name = f"{seconds}.M{micros}P{os.getpid()}Q{mail.message_id}_{mail.attempt}.{self._host}"
        place = self.path / "tmp" / name
        try:
            with place.open("xb") as file:
                file.write(mail.data.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            place.rename(self.path / "new" / name)
        except OSError:
            place.unlink(missing_ok=True)
            raise

"""Transports: where letters leave through, chosen by a URL."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from nurture.domain.errors import SettingsError
from nurture.transports.maildir import MaildirTransport
from nurture.transports.smtp.options import smtp_options
from nurture.transports.smtp.pool import SmtpTransport
from nurture.transports.types import Note, Outcome, OutgoingMail, Result, Stage, ignore_stage

__all__ = ["Note", "Outcome", "OutgoingMail", "Result", "Stage", "Transport", "open_lanes", "open_transport"]

#: The lane of a MAIL_URL that names none.
MAIN = "main"


class Transport(Protocol):
    """Gives letters away and says what became of each."""

    def send(self, letters: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Send; yield one outcome per letter taken, as it becomes known, in any order.

        letters: a sequence, or a generator from which a letter is taken only when it can begin at once (so
        the caller can open its wire gate window by window).
        """

    def close(self) -> None:
        """Let go of connections; nothing under way is waited for."""


def open_transport(url: str, *, note: Note = ignore_stage) -> Transport:
    """Return the transport of a URL: `maildir:PATH`, `smtp://...`, `smtps://...` (see `docs/delivery.md`).

    note: told how far each letter gets, before the final dot and after its reply. Connects to nothing yet;
    a Maildir is created. Raises SettingsError that never shows a password.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "maildir" and rest.strip("/"):
        return MaildirTransport(Path(rest.removeprefix("//")), note=note)
    if scheme in ("smtp", "smtps"):
        return SmtpTransport(smtp_options(url), note=note)
    raise SettingsError("MAIL_URL: write maildir:PATH, smtp://user:password@host:587 or smtps://host:465")


def open_lanes(mail_url: str) -> dict[str, str]:
    """Return lane name -> transport URL of a MAIL_URL.

    One URL is the lane `main`; several are written `main=smtp://... bulk=smtp://...`, parted by blanks.
    Raises SettingsError when a lane has no name, comes twice, or `main` is missing.
    """
    lanes: dict[str, str] = {}
    for part in mail_url.split():
        name, equals, url = part.partition("=")
        if not equals or not name.replace("_", "").replace("-", "").isalnum():
            # `=` may also stand inside a URL without a lane's name.
            name, url = MAIN, part
        if name in lanes:
            raise SettingsError(f"MAIL_URL: lane {name} stands twice; give each lane one URL")
        lanes[name] = url
    if MAIN not in lanes:
        raise SettingsError("MAIL_URL: no lane main; write main=smtp://... bulk=smtp://...")
    return lanes

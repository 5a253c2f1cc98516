"""Transports by URL, and the lanes of a MAIL_URL."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from nurture.domain.errors import SettingsError
from nurture.transports.maildir import MaildirTransport
from nurture.transports.smtp.options import read_smtp_url
from nurture.transports.smtp.pool import SmtpTransport
from nurture.transports.types import Outcome, OutgoingMail, Result, Stage, StageListener, ignore_stage

__all__ = [
    "Outcome",
    "OutgoingMail",
    "Result",
    "Stage",
    "StageListener",
    "Transport",
    "open_lanes",
    "open_transport",
    "open_transports",
]

#: Connections kept for urgent mail, at most.
_URGENT_CONNECTIONS_MAX = 4
#: The lane of a MAIL_URL that names none.
MAIN = "main"


class Transport(Protocol):
    """Sends mails and returns their outcomes."""

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Send; yield one outcome for each mail taken, as it becomes known, in any order.

        mails: a sequence, or a generator from which a mail is taken only when it can begin at once (so the caller can
        open its send gate window by window).
        """

    def close(self) -> None:
        """Close the connections; waits for nothing that is under way."""


def open_transport(url: str, *, on_stage: StageListener = ignore_stage) -> Transport:
    """Return the transport of a URL: `maildir:PATH`, `smtp://...`, `smtps://...` (see `docs/delivery.md`).

    on_stage: called before each final dot and after the reply to it. Opens no connection yet; creates a Maildir. Raises
    SettingsError, which never shows a password.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "maildir" and rest.strip("/"):
        return MaildirTransport(Path(rest.removeprefix("//")), on_stage=on_stage)
    if scheme in ("smtp", "smtps"):
        return SmtpTransport(read_smtp_url(url), on_stage=on_stage)
    raise SettingsError("MAIL_URL: write maildir:PATH, smtp://user:password@host:587 or smtps://host:465")


def open_transports(
    url: str, *, on_stage: StageListener = ignore_stage, on_urgent_stage: StageListener
) -> tuple[Transport, Transport | None]:
    """Return two transports of a URL: for all mail, and for urgent mail alone while the first is busy.

    Of the connections that the URL allows, the second has an eighth, at least one and at most four; None where the URL
    allows only one. Raises SettingsError as `open_transport` does.
    """
    transport = open_transport(url, on_stage=on_stage)
    if not isinstance(transport, SmtpTransport):
        return transport, open_transport(url, on_stage=on_urgent_stage)
    options = transport.options
    kept = min(_URGENT_CONNECTIONS_MAX, max(1, options.connections // 8))
    if options.connections == 1:
        return transport, None
    most = replace(options, connections=options.connections - kept)
    few = replace(options, connections=kept)
    return SmtpTransport(most, on_stage=on_stage), SmtpTransport(few, on_stage=on_urgent_stage)


def open_lanes(mail_url: str) -> dict[str, str]:
    """Return lane name -> transport URL of a MAIL_URL.

    One URL is the lane `main`; several are written `main=smtp://... bulk=smtp://...`, separated by blanks.
    Raises SettingsError when a lane has no name, is named twice, or `main` is missing.
    """
    lanes: dict[str, str] = {}
    for part in mail_url.split():
        name, equals, url = part.partition("=")
        if not equals or not name.replace("_", "").replace("-", "").isalnum():
            # A URL without a lane's name may hold `=` itself.
            name, url = MAIN, part
        if name in lanes:
            raise SettingsError(f"MAIL_URL: lane {name} stands twice; give each lane one URL")
        lanes[name] = url
    if MAIN not in lanes:
        raise SettingsError("MAIL_URL: no lane main; write main=smtp://... bulk=smtp://...")
    return lanes

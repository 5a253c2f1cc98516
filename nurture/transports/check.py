"""Ask a lane's server whether it is there, without sending mail: greeting, EHLO and QUIT, in a few seconds."""

import os
import smtplib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nurture.transports.smtp.options import SmtpOptions, read_smtp_url
from nurture.transports.types import Stage

#: For each step of the check.
SECONDS_MAX = 4.0


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """How far a check got; without words the server answered as it should."""

    stage: Stage = "replied"
    words: str = ""

    @property
    def is_ok(self) -> bool:
        """Tell whether the server answered."""
        return not self.words


def check_server(url: str, *, seconds: float = SECONDS_MAX) -> ServerCheck:
    """Check the server or the folder of a transport's URL. Never raises for a server that is away.

    It neither logs in nor begins a mail, so it counts toward no quota. seconds: for each step.
    """
    if url.startswith("maildir:"):
        return _check_folder(Path(url.removeprefix("maildir:").removeprefix("//")))
    options = read_smtp_url(url)
    client = _open_client(options, seconds)
    stage: Stage = "connect"
    try:
        code, text = client.connect(options.host, options.port)
        if code != 220:
            return ServerCheck("greeted", _as_words(code, text))
        stage = "greeted"
        if client.sock is not None:
            client.local_hostname = options.name or _address_literal(client.sock.getsockname()[0])
        code, text = client.ehlo()
        if code != 250:
            return ServerCheck(stage, _as_words(code, text))
        if options.tls == "starttls" and not client.has_extn("starttls"):
            return ServerCheck(stage, "the server offers no STARTTLS")
    except smtplib.SMTPResponseException as error:
        return ServerCheck(stage, _as_words(error.smtp_code, error.smtp_error))
    except (OSError, smtplib.SMTPException) as error:
        return ServerCheck(stage, f"{options.host}:{options.port}: {_reason_of(error)}")
    else:
        return ServerCheck()
    finally:
        _leave(client)


def _open_client(options: SmtpOptions, seconds: float) -> smtplib.SMTP:
    # A name given here is not looked up in DNS.
    name = options.name or "localhost"
    if options.tls == "implicit":
        return smtplib.SMTP_SSL(timeout=seconds, local_hostname=name, context=options.tls_context())
    return smtplib.SMTP(timeout=seconds, local_hostname=name)


def _leave(client: smtplib.SMTP) -> None:
    with suppress(OSError, smtplib.SMTPException):
        if client.sock is not None:
            client.quit()
    client.close()


def _check_folder(path: Path) -> ServerCheck:
    folder = next((place for place in (path, *path.absolute().parents) if place.exists()), path)
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return ServerCheck()
    return ServerCheck("connect", f"{path}: this process may not write there")


def _address_literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _as_words(code: int, text: bytes | str) -> str:
    reply = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(reply.split())}"[:300]


def _reason_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no reply in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

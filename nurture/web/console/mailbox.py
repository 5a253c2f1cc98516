"""Read the local Maildir for the console: newest first, with headers cached by file name."""

import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesHeaderParser, BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from nurture.domain.errors import NotFoundError, SettingsError
from nurture.domain.instant import Instant, from_datetime
from nurture.transports.registry import open_lanes

#: Enough for the headers of any mail that nurture writes.
HEADER_BYTES = 16 * 1024
#: A mail larger than this is not shown.
MAIL_BYTES_MAX = 5 * 1024 * 1024
#: Headers kept in memory; about 300 bytes each.
CACHED_MAX = 100_000

#: File name of a Maildir entry: no slash, no leading dot, no character with a meaning in a glob pattern.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,=+@-]{0,250}")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class MailSummary:
    """One mail in the list."""

    key: str
    recipient: str
    subject: str
    at: Instant | None


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """One mail, parsed for display."""

    key: str
    sender: str
    recipient: str
    subject: str
    at: Instant | None
    headers: tuple[tuple[str, str], ...]
    html: str | None
    text: str | None
    attachments: tuple[str, ...]


def mailbox_path(mail_url: str) -> Path | None:
    """Return the folder of the first lane that delivers into a Maildir; None when no lane does."""
    try:
        urls = open_lanes(mail_url).values()
    except SettingsError:
        return None
    for url in urls:
        scheme, _, rest = url.partition(":")
        if scheme == "maildir":
            return Path(rest.removeprefix("//"))
    return None


class Mailbox:
    """Reads a Maildir. Several threads may use it while other processes write."""

    def __init__(self, path: Path) -> None:
        """Store the path; reads nothing yet, and the folder may be missing."""
        self.path = path
        self._lines: dict[str, MailSummary] = {}

    def page(self, *, query: str = "", number: int = 1, size: int = 50) -> tuple[list[MailSummary], int]:
        """Return the mails of a page (from 1), newest first, and how many mails match."""
        names = self._names()
        if not query:
            start = (number - 1) * size
            return [self._line(name) for name in names[start : start + size]], len(names)
        wanted = query.casefold()
        matches = [
            line
            for line in map(self._line, names)
            if wanted in f"{line.recipient}\n{line.subject}".casefold()
        ]
        return matches[(number - 1) * size : number * size], len(matches)

    def read(self, key: str) -> ParsedMail:
        """Return one mail. Raises NotFoundError for a key that names no file of this mailbox."""
        message = BytesParser(EmailMessage, policy=policy.default).parsebytes(
            self._bytes(key, MAIL_BYTES_MAX)
        )
        html = message.get_body(("html",))
        text = message.get_body(("plain",))
        return ParsedMail(
            key=key,
            sender=str(message["from"] or ""),
            recipient=str(message["to"] or ""),
            subject=str(message["subject"] or ""),
            at=_date(message),
            headers=tuple((name, str(value)) for name, value in message.items()),
            html=_content(html),
            text=_content(text),
            attachments=tuple(
                part.get_filename() or part.get_content_type() for part in message.iter_attachments()
            ),
        )

    def _names(self) -> list[str]:
        """Return the keys, newest first: Maildir names begin with the second of delivery."""
        keys = [
            entry.name.split(":", 1)[0]
            for folder in ("new", "cur")
            if (self.path / folder).is_dir()
            for entry in (self.path / folder).iterdir()
        ]
        return sorted(filter(_KEY.fullmatch, keys), key=_age, reverse=True)

    def _line(self, key: str) -> MailSummary:
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= CACHED_MAX:
                self._lines.clear()
            line = self._lines[key] = self._read_line(key)
        return line

    def _read_line(self, key: str) -> MailSummary:
        try:
            message = BytesHeaderParser(EmailMessage, policy=policy.default).parsebytes(
                self._bytes(key, HEADER_BYTES)
            )
        except NotFoundError:  # another mail program deleted it after the folder was listed
            return MailSummary(key, "", "", None)
        return MailSummary(key, str(message["to"] or ""), str(message["subject"] or ""), _date(message))

    def _bytes(self, key: str, at_most: int) -> bytes:
        if _KEY.fullmatch(key):
            for path in (self.path / "new" / key, *(self.path / "cur").glob(f"{key}*")):
                if path.is_file() and path.name.split(":", 1)[0] == key:
                    with path.open("rb") as file:
                        return file.read(at_most)
        raise NotFoundError(f"there is no mail {key!r} in {self.path}")


def _age(key: str) -> tuple[list[int], str]:
    return ([int(digits) for digits in _DIGITS.findall(key)[:4]], key)


def _date(message: EmailMessage) -> Instant | None:
    try:
        return from_datetime(parsedate_to_datetime(str(message["date"])))
    except (TypeError, ValueError):
        return None


def _content(part: MIMEPart | None) -> str | None:
    if part is None:
        return None
    content = part.get_content()
    return content if isinstance(content, str) else None

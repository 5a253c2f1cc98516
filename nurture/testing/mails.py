"""The mails of a test: as the person's mail program shows them, with the step that sent each."""

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import lru_cache

from nurture.domain.instant import Instant


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was sent."""

    # Its row in the ledger.
    id: int
    measure: str
    step: str
    # "" without variants.
    variant: str
    sent_at: Instant
    to: str
    # As it left.
    data: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        return _parse(self.data)

    @property
    def name(self) -> str:
        """The measure and the step: `lead/any/welcome_series/guide`."""
        return f"{self.measure}/{self.step}"

    @property
    def subject(self) -> str:
        """The subject."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The text part."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """The HTML part."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")

    def has_words(self, words: str) -> bool:
        """Tell whether the words stand in the subject or the text part, however the lines are broken."""
        return _plain(words) in _plain(f"{self.subject}\n{self.text}")

    def has_words_anywhere(self, words: str) -> bool:
        """Tell whether the words stand in the subject or in either part."""
        return self.has_words(words) or _plain(words) in _plain(self.html)

    def golden_text(self) -> str:
        """Return the subject and the text part as a golden file has them."""
        return f"Subject: {self.subject}\n\n{self.text.strip()}\n"


@lru_cache(maxsize=1_000)
def _parse(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=policy.default)


def _plain(text: str) -> str:
    return " ".join(text.split())

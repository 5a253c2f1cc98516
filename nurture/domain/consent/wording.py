"""The words shown to a person when they consented, with a version that changes when the words do."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

#: Bytes of a version: 64 bits are enough for a few hundred versions in all.
_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a page, in the order in which the page showed them."""

    # confirm | preferences
    page: str
    # BCP 47 tag of the page.
    language: str
    words: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version of exactly these words: hex, the same for the same words on every machine."""
        text = "\n".join((self.page, self.language, *self.words))
        return blake2b(text.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).hexdigest()

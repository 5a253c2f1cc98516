"""The words somebody was shown when they consented, under a name that changes when the words do."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

#: Hex digits of a version: 64 bits, for a few hundred versions in all.
_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Wording:
    """What stood on a page, in the order in which it stood there."""

    # confirm | preferences
    page: str
    # BCP 47 tag of the page.
    language: str
    words: tuple[str, ...]

    @property
    def version(self) -> str:
        """The name of exactly these words: hex, the same for the same words on every machine."""
        text = "\n".join((self.page, self.language, *self.words))
        return blake2b(text.encode("utf-8", "replace"), digest_size=_DIGEST_BYTES).hexdigest()

"""Where mail goes in a simulation: counted, and a sample kept."""

from collections.abc import Iterable, Iterator

from nurture.transports.types import Outcome, OutgoingMail


class Outlet:
    """A transport that takes everything at once and keeps the first `keep` letters."""

    def __init__(self, keep: int = 0) -> None:
        """Keep so many letters for a look."""
        self.keep = keep
        self.kept: list[OutgoingMail] = []
        self.taken = 0

    def send(self, letters: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Take every letter."""
        for letter in letters:
            self.taken += 1
            if len(self.kept) < self.keep:
                self.kept.append(letter)
            yield Outcome(letter.message_id, letter.attempt, "sent", "replied", "250", "taken")

    def close(self) -> None:
        """Nothing to let go of."""

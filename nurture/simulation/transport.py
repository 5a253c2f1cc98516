"""The transport of a simulation: counts the mails and keeps the first ones."""

from collections.abc import Iterable, Iterator

from nurture.transports.types import Outcome, OutgoingMail


class Outlet:
    """A transport that accepts every mail at once and keeps the first `keep` of them."""

    def __init__(self, keep: int = 0) -> None:
        """Keep the first `keep` mails for inspection."""
        self.keep = keep
        self.kept: list[OutgoingMail] = []
        self.taken = 0

    def send(self, mails: Iterable[OutgoingMail]) -> Iterator[Outcome]:
        """Accept every mail."""
        for mail in mails:
            self.taken += 1
            if len(self.kept) < self.keep:
                self.kept.append(mail)
            yield Outcome(mail.message_id, mail.attempt, "sent", "replied", "250", "taken")

    def close(self) -> None:
        """Do nothing; there is no connection."""

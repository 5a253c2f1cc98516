"""A sender that gets as far as a test says and is gone, with nothing in the database but its windows."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from nurture.delivery.deliver import recover_by_journal
from nurture.delivery.journal.recovery import open_journal
from nurture.delivery.journal.restore_detection import JournalProgress
from nurture.delivery.send_gate import SendGate
from nurture.domain.counts import Counts
from nurture.transports.types import OutgoingMail
from tests.delivery.builders import a_measure, a_playbook
from tests.delivery.world import World

RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)
PLAYBOOK = a_playbook(a_measure(), RECEIPT)


@dataclass
class Sender:
    """One process that sends, with a journal of its own."""

    world: World
    folder: Path
    progress: JournalProgress = field(default_factory=JournalProgress)

    @classmethod
    def begun(cls, world: World, folder: Path) -> "Sender":
        """Begin in a world: it speaks under its journal's name."""
        journal = open_journal(world.database, folder, clock=world.clock)
        return cls(replace(world, journal=journal, worker=journal.name), folder)

    def gate(self, *, limit: int = 200) -> dict[int, OutgoingMail]:
        """Claim what is due and put it through the send gate; returns the letters by message, none begun."""
        gate = SendGate(self.world.database, self.world.delivery, self.world.claim(limit=limit))
        return {mail.message_id: mail for mail in gate.mails()}

    def dot(self, mail: OutgoingMail) -> None:
        """Be about to write its final dot."""
        assert self.world.journal
        self.world.journal.record_stage(mail, "dot", "")

    def reply(self, mail: OutgoingMail, text: str) -> None:
        """Write the dot and read the reply."""
        self.dot(mail)
        assert self.world.journal
        self.world.journal.record_stage(mail, "replied", text)

    def die(self) -> None:
        """End as a killed process does: its lock goes, its files stay."""
        assert self.world.journal
        self.world.journal.close()

    def look(self) -> Counts:
        """Look for what others left, as every process does every few seconds."""
        return recover_by_journal(self.world.database, self.world.delivery, self.progress)

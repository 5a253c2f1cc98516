"""Render a sample of the mails of a simulation, with the same ledger as if every mail were rendered.

Nobody reads simulated mail, but a mail that fails to render is withheld. A mail whose path through its template is
proven (`tracing.cache`) cannot fail, so its bytes are left out; every other mail is rendered. A test compares the
ledgers of both ways.
"""

from typing import cast

from nurture.delivery.compose import TemplateComposer
from nurture.delivery.types import ReadyMessage
from nurture.rendering.context import MailContext
from nurture.rendering.render import is_certain
from nurture.transports.types import OutgoingMail

#: Of so many mails that cannot fail, one is rendered all the same.
_SAMPLE_OF = 100


class SampleComposer(TemplateComposer):
    """Composes mails from the playbook's templates, most of them without bytes."""

    def __init__(self) -> None:
        """Begin with no mail counted."""
        self._certain = 0

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Return the mail of a frozen context, without bytes unless sampled; raises rendering errors."""
        if is_certain(ready.loaded.templates, cast("MailContext", ready.context)):
            self._certain += 1
            if self._certain % _SAMPLE_OF:
                return self.address(ready, b"")
        return super().compose(ready)

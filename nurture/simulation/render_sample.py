"""Rendering a sample: in a simulation nobody reads the mails, and only that each can be made changes anything.

A mail whose way through its template is proven (`tracing.cache`) cannot fail, so its bytes are left out;
what is not certain is rendered as ever, and withheld if that fails. So the ledger is the one that rendering
every mail gives; a test compares the two.
"""

from typing import cast

from nurture.delivery.compose import TemplateComposer
from nurture.delivery.types import ReadyMessage
from nurture.rendering.context import MailContext
from nurture.rendering.render import is_certain
from nurture.transports.types import OutgoingMail

#: Of so many mails that are certain, one is rendered all the same.
_ONE_OF = 100


class SampleComposer(TemplateComposer):
    """Makes mails from the playbook's templates, most of them without bytes."""

    def __init__(self) -> None:
        """Begin."""
        self._certain = 0

    def compose(self, ready: ReadyMessage) -> OutgoingMail:
        """Return the mail of a frozen mail, empty unless it is in the sample; raises what rendering raises."""
        if is_certain(ready.loaded.templates, cast("MailContext", ready.context)):
            self._certain += 1
            if self._certain % _ONE_OF:
                return self.address(ready, b"")
        return super().compose(ready)

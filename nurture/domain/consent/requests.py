"""What somebody asks for on our pages and confirms from their mailbox: a new address, their data, to be erased.

A link in a mail may have been forwarded, so what could harm its owner takes a second mail: to the new address
for an address, else to the one we have. Nothing changes before the link in that mail is followed and confirmed.
"""

from collections.abc import Mapping
from typing import Final, Literal

from nurture.domain.instant import DAY, Duration

RequestAct = Literal["address", "export", "erase"]
ACTS: Final[Mapping[RequestAct, str]] = {
    "address": "mail goes to another address",
    "export": "everything stored of the person is handed to them",
    "erase": "the person is forgotten",
}

#: Event that starts the mail with the link; its properties are `act` and `request`, never an address.
ASKED: Final = "Confirmation Requested"
#: Event after an address was changed; `request` leads to the address before.
CHANGED: Final = "Address Changed"

#: How long the link in that mail is good.
VALID_FOR: Final[Duration] = DAY
#: A person may ask for so many such mails within the window: a form must not fill a stranger's mailbox.
ASKS_MAX: Final = 3
ASKS_WITHIN: Final[Duration] = DAY

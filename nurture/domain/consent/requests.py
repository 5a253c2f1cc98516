"""Requests made on the public pages and confirmed from a mailbox: a new address, the person's data, erasure.

A link in a mail may have been forwarded, so a request that could harm the owner of the mailbox takes a second
mail: to the new address for a change of address, otherwise to the known address. Nothing changes before the
person follows the link in that mail and confirms. The address until then is told of the request and of the change;
its owner can object by the link in either mail.
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
REQUEST_EVENT: Final = "Confirmation Requested"
#: Event that starts the mail to the present address: another one was given and is not confirmed yet.
ADDRESS_REQUESTED_EVENT: Final = "Address Change Requested"
#: Event after a change of address; its property `request` leads to the address before.
ADDRESS_CHANGED_EVENT: Final = "Address Changed"
#: Event after the owner of the old address objected; its property `request` leads to both addresses.
ADDRESS_OBJECTED_EVENT: Final = "Address Change Objected"

#: How long the link in that mail works.
VALID_FOR: Final[Duration] = DAY
#: How long after a change its old address may object.
OBJECTION_WINDOW: Final[Duration] = 14 * DAY
#: The most requests a person may make within the window, so that a form cannot fill a stranger's mailbox.
REQUESTS_MAX: Final = 3
REQUESTS_WINDOW: Final[Duration] = DAY

"""The signed return path of a mail (VERP): whoever sends a bounce there has seen the mail, nobody else can.

`bounces@shop.example` becomes `bounces+TAG@shop.example`; the tag says which message it was and that we wrote
it. It survives what mail servers do to local parts: lower case only, letters and digits, 64 octets at most
(RFC 5321 4.5.3.1.1).
"""

from typing import Final

from nurture.domain.token import Keys, sign_number, verify_number

_PURPOSE: Final = "bounce"
LOCAL_MAX: Final = 64


def return_path(keys: Keys, address: str, message_id: int) -> str:
    """Return the envelope sender of a message's mail.

    address: where bounces go, from the settings; `tagged` says whether it is one that can be tagged.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}+{sign_number(keys, _PURPOSE, message_id)}@{domain}"


def tagged(keys: Keys, address: str) -> bool:
    """Tell whether an address leaves room for a tag."""
    return len(return_path(keys, address, 2**63 - 1).rpartition("@")[0]) <= LOCAL_MAX


def message_of(keys: Keys, address: str) -> int | None:
    """Return the message whose return path this is; None when it is none, damaged or not of our making."""
    local = address.strip().strip("<>").rpartition("@")[0].strip('"')
    _, plus, tag = local.rpartition("+")
    return verify_number(keys, _PURPOSE, tag) if plus else None

"""The signed return path of a mail (VERP): whoever sends a bounce there has seen the mail, nobody else can.

`bounces@shop.example` becomes `bounces+TAG@shop.example`; the tag says which message it was and that we wrote
it. It survives what mail servers do to local parts: lower case only, letters and digits, 64 octets at most
(RFC 5321 4.5.3.1.1).
"""

from typing import Final

from nurture.domain.signing import Keys, sign_number, verify_number

_PURPOSE: Final = "bounce"
_CASE: Final = "case"
LOCAL_MAX: Final = 64


def case_address(keys: Keys, address: str, dialogue: int) -> str:
    """Return where a copy of the answer goes that settles a dialogue; signed apart from return paths."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{sign_number(keys, _CASE, dialogue)}@{domain}"


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
    return _number(keys, _PURPOSE, address)


def dialogue_of(keys: Keys, address: str) -> int | None:
    """Return the dialogue whose address this is, None as above."""
    return _number(keys, _CASE, address)


def without_tag(address: str) -> str:
    """Return an address without what follows a plus, in lower case."""
    local, _, domain = address.strip().strip("<>").lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _number(keys: Keys, purpose: str, address: str) -> int | None:
    local = address.strip().strip("<>").rpartition("@")[0].strip('"')
    _, plus, tag = local.rpartition("+")
    return verify_number(keys, purpose, tag) if plus else None

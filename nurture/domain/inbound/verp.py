"""Signed return paths (VERP): only somebody who received a mail knows the address to which its bounce goes.

`bounces@shop.example` becomes `bounces+TAG@shop.example`; the signed tag contains the message id. The tag
survives mail servers that change local parts: lower-case letters and digits, and at most 64 octets for the local
part (RFC 5321 section 4.5.3.1.1).
"""

from typing import Final

from nurture.domain.signing import SigningKeys, sign_number, verify_number

_RETURN_PATH: Final = "bounce"
_CASE: Final = "case"
LOCAL_PART_MAX: Final = 64


def build_return_path(keys: SigningKeys, address: str, message_id: int) -> str:
    """Return the envelope sender of a message's mail.

    address: the bounce address of the settings; `can_be_tagged` tells whether it is short enough.
    """
    return _add_tag(address, sign_number(keys, _RETURN_PATH, message_id))


def build_case_address(keys: SigningKeys, address: str, reply: int) -> str:
    """Return the address whose mail settles a reply of a person: an operator sends a copy of the answer there.

    A tag of a return path is not valid here, nor the other way round.
    """
    return _add_tag(address, sign_number(keys, _CASE, reply))


def can_be_tagged(keys: SigningKeys, address: str) -> bool:
    """Tell whether the local part of an address leaves room for a tag."""
    return len(build_return_path(keys, address, 2**63 - 1).rpartition("@")[0]) <= LOCAL_PART_MAX


def read_return_path(keys: SigningKeys, address: str) -> int | None:
    """Return the message id of a return path; None for any other, damaged or forged address."""
    return _read_tag(keys, _RETURN_PATH, address)


def read_case_address(keys: SigningKeys, address: str) -> int | None:
    """Return the reply of an address from `build_case_address`; None for any other address."""
    return _read_tag(keys, _CASE, address)


def strip_tag(address: str) -> str:
    """Return an address in lower case, without the plus sign of its local part and everything behind it."""
    local, _, domain = address.strip().strip("<>").lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _add_tag(address: str, tag: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+{tag}@{domain}"


def _read_tag(keys: SigningKeys, purpose: str, address: str) -> int | None:
    local = address.strip().strip("<>").rpartition("@")[0].strip('"')
    _, plus, tag = local.rpartition("+")
    return verify_number(keys, purpose, tag) if plus else None

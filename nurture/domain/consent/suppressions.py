"""The suppressions that hold for a person: rows of the address mailed, of the person, and of earlier addresses.

| row | holds for |
|---|---|
| of an address | all mail to that address, whoever reads it |
| of a contact | the person, at every address; a merge passes it on and an un-merge returns it |
| of an address, a person's decision that names no contact | also the owner of that address at every other address |

A bounce, and silence (`sunset`), says something about an address only. A complaint, "no more mail" and an operator's
word are a person's: they are written for the address and for the contact whose mail it was. Where they were
written for the address alone (nobody was known there, another tool's list), they follow the
person who owns the address.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from nurture.domain.instant import Instant

SuppressionScope = Literal["all", "marketing"]
SuppressionReason = Literal[
    "sunset", "unsubscribed", "erased", "soft_bounces", "hard_bounce", "ops", "complaint"
]
SCOPES: Final[tuple[SuppressionScope, ...]] = get_args(SuppressionScope)
#: Of several reasons, the last of this order is shown. Those that the person's own yes lifts come first, so the
#: strongest reason also says whether a yes lifts them all.
REASONS_WEAKEST_FIRST: Final[tuple[SuppressionReason, ...]] = get_args(SuppressionReason)
#: Reasons that are a person's decision and not a property of an address.
DECIDED_BY_PEOPLE: Final[frozenset[SuppressionReason]] = frozenset(
    {"unsubscribed", "ops", "complaint", "erased"}
)


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """One stored suppression: of an address (its hash), or of a contact."""

    # "": the row is a contact's.
    address_hash: str
    # 0: the row is an address's.
    contact_id: int
    scope: SuppressionScope
    reason: SuppressionReason
    at: Instant
    source: str
    # An address's row that was written together with a contact's.
    attributed: bool = False


def select_holding(
    rows: Iterable[SuppressionRow],
    *,
    address_hash: str,
    owned_hashes: Collection[str],
    member_ids: Collection[int],
) -> list[SuppressionRow]:
    """Return the rows that hold for mail to this address of this person.

    owned_hashes: of every address that is the person's. member_ids: the contact and all merged into it.
    """
    return [
        row
        for row in rows
        if (row.address_hash and row.address_hash == address_hash)
        or (row.contact_id and row.contact_id in member_ids)
        or (row.address_hash in owned_hashes and row.reason in DECIDED_BY_PEOPLE and not row.attributed)
    ]


def strongest_by_scope(rows: Iterable[SuppressionRow]) -> dict[str, str]:
    """Return scope -> the strongest reason among these rows."""
    ordered = sorted(rows, key=lambda row: REASONS_WEAKEST_FIRST.index(row.reason))
    return {row.scope: row.reason for row in ordered}

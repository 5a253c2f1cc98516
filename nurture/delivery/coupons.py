"""What the first mail of a run fixes for all its mails: instants, and coupon codes minted once.

A code is made from a secret and the run's own key, so a repeated transaction makes the same one; it is kept in
`coupons`, unique per run and offer, and every copy of the mail carries it.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from nurture.database.bulk import Row
from nurture.database.engine import encode
from nurture.delivery import claim_queries
from nurture.delivery.load_guard_input import GuardItem
from nurture.domain.instant import Instant
from nurture.domain.measure import LetCoupon
from nurture.domain.playbook import Playbook
from nurture.domain.signing import Keys

#: Crockford's alphabet: no letter that can be taken for a digit.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: 40 bits: out of reach for guessing at a shop's till, short enough to type.
_CHARACTERS = 8
#: Codes tried for one coupon before two runs would have to share one: never seen.
_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class _Wanted:
    item: GuardItem
    name: str
    offer: str
    codes: tuple[str, ...]


def fix(
    connection: sa.Connection, items: Sequence[GuardItem], *, keys: Keys, playbook: Playbook, now: Instant
) -> None:
    """Fix what the runs of these passing mails promise, in place and in the database; at most three statements."""
    for item in items:
        if item.run is not None and item.promise:
            item.run = replace(item.run, let={**item.run.let, **item.promise})
    wanted = [each for item in items for each in _wanted(item, keys, playbook)]
    if wanted:
        _mint(connection, wanted, now=now)
    rows: list[Row] = [
        {"id": item.run.id, "let": encode(item.run.let)}
        for item in items
        if item.run is not None and item.measure is not None and item.measure.let
    ]
    claim_queries.fix_lets(connection, rows)


def _wanted(item: GuardItem, keys: Keys, playbook: Playbook) -> list[_Wanted]:
    if item.run is None or item.measure is None:
        return []
    found: list[_Wanted] = []
    for name, rule in item.measure.let.items():
        if isinstance(rule, LetCoupon) and name not in item.run.let:
            offer = playbook.offers.get(rule.offer)
            prefix = f"{offer.prefix}-" if offer and offer.prefix else ""
            parts = (str(item.due.contact_id), item.due.measure, item.due.run_key, rule.offer)
            codes = tuple(prefix + _code(keys, (*parts, str(salt))) for salt in range(_CANDIDATES))
            found.append(_Wanted(item, name, rule.offer, codes))
    return found


def _code(keys: Keys, parts: Sequence[str]) -> str:
    digest = hmac.digest(keys.secrets[-1], b"nurture coupon: " + "\x1f".join(parts).encode(), "sha256")
    number = int.from_bytes(digest[:8])
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in range(_CHARACTERS))


def _mint(connection: sa.Connection, wanted: Sequence[_Wanted], *, now: Instant) -> None:
    known = claim_queries.coupons_like(
        connection,
        [code for each in wanted for code in each.codes],
        sorted({each.item.due.contact_id for each in wanted}),
    )
    taken = {row.code for row in known}
    minted = {(row.contact_id, row.measure, row.run_key, row.offer): row.code for row in known}
    rows: list[Row] = []
    for each in wanted:
        due = each.item.due
        key = (due.contact_id, due.measure, due.run_key, each.offer)
        if key not in minted:
            minted[key] = next(code for code in each.codes if code not in taken)
            taken.add(minted[key])
            rows.append(
                {
                    "code": minted[key],
                    "offer": each.offer,
                    "contact_id": due.contact_id,
                    "measure": due.measure,
                    "run_key": due.run_key,
                    "minted_at": now,
                }
            )
        if each.item.run is not None:
            each.item.run = replace(each.item.run, let={**each.item.run.let, each.name: minted[key]})
    claim_queries.mint(connection, rows)

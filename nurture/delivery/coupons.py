"""The `let` values of a run, fixed when its first mail passes the guard: instants, and coupon codes.

A code is derived from a secret and the run's own key, so a repeated transaction derives the same one. It is kept in
`coupons`, unique for a run and an offer, and every copy of the mail carries it.
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
from nurture.domain.signing import SigningKeys

#: Crockford's alphabet: it has no letter that looks like a digit.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: 40 bits: too many to guess at a shop's till, short enough to type.
_CHARACTERS = 8
#: How many codes are derived for one coupon, in case another run has the first; a collision was never seen.
_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class _CouponRequest:
    """A coupon that a run needs: its `let` name, its offer, and the codes it may get."""

    item: GuardItem
    name: str
    offer: str
    codes: tuple[str, ...]


def fix_lets(
    connection: sa.Connection,
    items: Sequence[GuardItem],
    *,
    keys: SigningKeys,
    playbook: Playbook,
    now: Instant,
) -> None:
    """Fix the `let` values of the runs of these passing mails, in the items and in the database.

    At most three statements for any number of items.
    """
    for item in items:
        if item.run is not None and item.new_lets:
            item.run = replace(item.run, let={**item.run.let, **item.new_lets})
    requests = [request for item in items for request in _list_coupon_requests(item, keys, playbook)]
    if requests:
        _assign_codes(connection, requests, now=now)
    rows: list[Row] = [
        {"id": item.run.id, "let": encode(item.run.let)}
        for item in items
        if item.run is not None and item.measure is not None and item.measure.let
    ]
    claim_queries.write_lets(connection, rows)


def _list_coupon_requests(item: GuardItem, keys: SigningKeys, playbook: Playbook) -> list[_CouponRequest]:
    if item.run is None or item.measure is None:
        return []
    requests: list[_CouponRequest] = []
    for name, rule in item.measure.let.items():
        if isinstance(rule, LetCoupon) and name not in item.run.let:
            offer = playbook.offers.get(rule.offer)
            prefix = f"{offer.prefix}-" if offer and offer.prefix else ""
            parts = (str(item.due.contact_id), item.due.measure, item.due.run_key, rule.offer)
            codes = tuple(prefix + _derive_code(keys, (*parts, str(salt))) for salt in range(_CANDIDATES))
            requests.append(_CouponRequest(item, name, rule.offer, codes))
    return requests


def _derive_code(keys: SigningKeys, parts: Sequence[str]) -> str:
    digest = hmac.digest(keys.secrets[-1], b"nurture coupon: " + "\x1f".join(parts).encode(), "sha256")
    number = int.from_bytes(digest[:8])
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in range(_CHARACTERS))


def _assign_codes(connection: sa.Connection, requests: Sequence[_CouponRequest], *, now: Instant) -> None:
    """Give each request its run's code: the one in the database, else its first code that no run has."""
    known = claim_queries.find_coupons(
        connection,
        [code for request in requests for code in request.codes],
        sorted({request.item.due.contact_id for request in requests}),
    )
    used = {row.code for row in known}
    codes = {(row.contact_id, row.measure, row.run_key, row.offer): row.code for row in known}
    rows: list[Row] = []
    for request in requests:
        due = request.item.due
        key = (due.contact_id, due.measure, due.run_key, request.offer)
        if key not in codes:
            codes[key] = next(code for code in request.codes if code not in used)
            used.add(codes[key])
            rows.append(
                {
                    "code": codes[key],
                    "offer": request.offer,
                    "contact_id": due.contact_id,
                    "measure": due.measure,
                    "run_key": due.run_key,
                    "minted_at": now,
                }
            )
        run = request.item.run
        if run is not None:
            request.item.run = replace(run, let={**run.let, request.name: codes[key]})
    claim_queries.insert_coupons(connection, rows)

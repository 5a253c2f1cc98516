"""What people and receiving servers decide about us, written at once: consent, suppression, stop switches.

Every function writes in the caller's own transaction, before anybody is told that it happened, and raises the
version of the contacts concerned: mail guarded before goes back to the guard at the wire gate. The event for
the timeline is the caller's to put beside it. Each is safe to repeat.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa

from nurture.consent import queries
from nurture.consent.preference_queries import add_wishes
from nurture.database.engine import encode
from nurture.domain.consent.permissions import EVERYTHING, State
from nurture.domain.consent.preferences import WishKind
from nurture.domain.errors import NotFoundError
from nurture.domain.feedback import CONFIRMABLE
from nurture.domain.guard.input import ALL_SWITCH, RESTORED_SWITCH
from nurture.domain.instant import Instant
from nurture.runtime.log import without_addresses

Scope = Literal["all", "marketing"]
SuppressionReason = Literal[
    "sunset", "unsubscribed", "soft_bounces", "hard_bounce", "ops", "complaint", "erased"
]
#: Weakest first. A stronger reason takes the place of a weaker one of the same scope, never the other way: what
#: a person or an operator may take back must not stand for what nobody may.
STRENGTH: Final[tuple[SuppressionReason, ...]] = get_args(SuppressionReason)

#: Messages brought back at once when a switch is turned on again; the others come up within half an hour.
_REVIVED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Stop:
    """An address that is to be mailed less: its canonical spelling, the scope and why."""

    address: str
    scope: Scope
    reason: SuppressionReason


def address_hash(address: str, key: bytes) -> str:
    """Return what a suppression knows of an address: HMAC-SHA256 under SUPPRESSION_KEY, hex.

    address: canonical (`domain.identity`). The hash survives erasure; the address cannot be read from it.
    """
    return hmac.digest(key, address.encode(), hashlib.sha256).hex()


def grant(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    suppression_key: bytes | None = None,
    wording: str = "",
) -> int:
    """Note that the person agreed to the topic, and return the living contact's id.

    wording: version of the words they were shown (`keep_wording`); "": none of ours.
    suppression_key: given when the person agreed by an act of their own (a confirmation, the preference
    centre): it takes back an earlier unsubscribe from everything and a sunset, never a complaint. Without it (imports)
    nothing is taken back.
    now: when they agreed. Raises NotFoundError.
    """
    person = _say(
        connection,
        contact_id,
        topic,
        "granted",
        now=now,
        source=source,
        evidence=evidence,
        wording=wording,
    )
    address = queries.address_of(connection, person) if suppression_key is not None else None
    if suppression_key is not None and address is not None:
        hashed = address_hash(address, suppression_key)
        for reason in CONFIRMABLE:
            queries.lift(connection, hashed, scope="marketing", reason=reason, before=now)
    return person


def pending(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
) -> int:
    """Note that the topic was asked for and waits for the confirmation link. Raises NotFoundError."""
    return _say(connection, contact_id, topic, "pending", now=now, source=source, evidence=evidence)


def unsubscribe(
    connection: sa.Connection,
    *,
    contact_id: int,
    topic: str | None,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    suppression_key: bytes,
    wording: str = "",
) -> int:
    """Withdraw one topic, or (None) everything: then the address is suppressed for marketing too.

    Returns the living contact's id. Raises NotFoundError.
    """
    person = _say(
        connection,
        contact_id,
        topic or EVERYTHING,
        "withdrawn",
        now=now,
        source=source,
        evidence=evidence,
        wording=wording,
    )
    address = queries.address_of(connection, person) if topic is None else None
    if address is not None:
        stop = Stop(address, "marketing", "unsubscribed")
        _suppress(connection, [stop], now=now, source=source, key=suppression_key)
    return person


def wish(
    connection: sa.Connection,
    *,
    contact_id: int,
    wanted: Mapping[WishKind, int],
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
) -> int:
    """Note what the person asks of all marketing mail , and return the living contact's id.

    wanted: kind -> value, 0 takes the wish back. Mail that waited for an earlier wish is looked at again at
    once. Raises NotFoundError.
    """
    person = queries.lock_person(connection, contact_id)
    if person is None:
        raise NotFoundError(f"there is no contact {contact_id}")
    rows = [
        {
            "contact_id": person,
            "kind": kind,
            "value": value,
            "at": now,
            "source": source,
            "evidence": encode(dict(evidence)),
        }
        for kind, value in wanted.items()
    ]
    add_wishes(connection, rows)
    queries.revive_person(connection, person, reasons=("own_pause", "own_cap"), now=now)
    return person


def suppress(
    connection: sa.Connection,
    *,
    address: str,
    scope: Scope,
    reason: SuppressionReason,
    now: Instant,
    source: str,
    suppression_key: bytes,
) -> list[int]:
    """Mail nothing (`all`) or no marketing to the address any more; return the contacts it belongs to.

    address: canonical. It stays suppressed when the contact is erased or comes back by an import.
    """
    stop = Stop(address, scope, reason)
    return suppress_each(connection, [stop], now=now, source=source, suppression_key=suppression_key)


def suppress_each(
    connection: sa.Connection, stops: Sequence[Stop], *, now: Instant, source: str, suppression_key: bytes
) -> list[int]:
    """Do the same for many addresses in a constant number of statements."""
    if not stops:
        return []
    ids = queries.lock_addressed(connection, sorted({stop.address for stop in stops}))
    _suppress(connection, stops, now=now, source=source, key=suppression_key)
    return ids


def set_switch(
    connection: sa.Connection, name: str, *, paused: bool, reason: str, actor: str, now: Instant
) -> int:
    """Pause or resume a measure (its path), a lane, `all` or `restored`; return how many messages were revived.

    A paused switch stops all that has not passed the wire gate. Resuming `all` leaves `restored` alone.
    """
    # A server's words may name who refused them; a switch is shown to everybody.
    row = {"name": name, "paused": paused, "reason": without_addresses(reason), "actor": actor, "at": now}
    queries.put_switch(connection, row)
    if paused:
        return 0
    measure = name if "/" in name else None
    return queries.revive(connection, measure, now=now, limit=_REVIVED_MAX)


def stop_after_restore(connection: sa.Connection, *, reason: str, actor: str, now: Instant) -> None:
    """Stop every lane: a journal knows more than the database does, so the database went back."""
    set_switch(connection, RESTORED_SWITCH, paused=True, reason=reason, actor=actor, now=now)


def resume_after_restore(connection: sa.Connection, *, actor: str, now: Instant) -> None:
    """Let the lanes run again after a restore, `all` too."""
    for name in (RESTORED_SWITCH, ALL_SWITCH):
        set_switch(connection, name, paused=False, reason="", actor=actor, now=now)


def cancel_measure(
    connection: sa.Connection, measure: str, *, now: Instant, limit: int = 500
) -> queries.Cancelled:
    """Cancel the measure's active runs and unsent messages of at most `limit` contacts.

    Repeat in transactions of their own until `contacts` is 0; pause the measure first, so that nothing new
    begins meanwhile.
    """
    return queries.cancel_batch(connection, measure, reason="cancelled_by_ops", now=now, limit=limit)


def _say(
    connection: sa.Connection,
    contact_id: int,
    topic: str,
    state: State,
    *,
    now: Instant,
    source: str,
    evidence: Mapping[str, Any],
    wording: str = "",
) -> int:
    person = queries.lock_person(connection, contact_id)
    if person is None:
        raise NotFoundError(f"there is no contact {contact_id}")
    row = {
        "contact_id": person,
        "topic": topic,
        "state": state,
        "at": now,
        "source": source,
        "evidence": encode(dict(evidence)),
        "wording": wording,
    }
    queries.add_consents(connection, [row])
    return person


def _suppress(
    connection: sa.Connection, stops: Sequence[Stop], *, now: Instant, source: str, key: bytes
) -> None:
    strongest: dict[tuple[str, str], Stop] = {}
    for stop in sorted(stops, key=lambda each: STRENGTH.index(each.reason)):
        strongest[address_hash(stop.address, key), stop.scope] = stop
    rows = [
        {"address_hash": hashed, "scope": scope, "reason": stop.reason, "at": now, "source": source}
        for (hashed, scope), stop in sorted(strongest.items(), key=lambda each: each[0])
    ]
    queries.add_suppressions(connection, rows, weakest_first=STRENGTH)
